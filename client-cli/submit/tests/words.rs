//! What the program says, word for word, in files that read like a terminal; and its manual.
//!
//! After a change of words: `TRYCMD=overwrite cargo test -p marram-submit --test words`, then read the difference.

use std::path::Path;

#[test]
fn help_and_errors_are_as_written() {
    trycmd::TestCases::new()
        .register_bin("marram-submit", Path::new(env!("CARGO_BIN_EXE_marram-submit")))
        .env("COLUMNS", "80")
        .case("tests/words/*.trycmd");
}

#[test]
fn the_manual_is_whole_and_bash_completes_with_it() {
    marram_manual::testing::check(Path::new(env!("CARGO_BIN_EXE_marram-submit")), 1);
}
