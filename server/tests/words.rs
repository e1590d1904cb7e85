//! What the program says, word for word, in files that read like a terminal; and its manual.
//!
//! After a change of words: `TRYCMD=overwrite cargo test -p marram-server --test words`, then read the difference.

use std::path::Path;

#[test]
fn help_and_errors_are_as_written() {
    trycmd::TestCases::new()
        .register_bin("marram-server", Path::new(env!("CARGO_BIN_EXE_marram-server")))
        .env("COLUMNS", "80")
        .case("tests/words/*.trycmd");
}

#[test]
fn the_manual_is_whole_and_bash_completes_with_it() {
    marram_manual::testing::check(Path::new(env!("CARGO_BIN_EXE_marram-server")), 8);
}
