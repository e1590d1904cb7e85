//! What the program says, word for word, in files that read like a terminal; and its manual.
//!
//! After a change of words: `TRYCMD=overwrite cargo test -p marram-keyholder --test words`, then read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use marram_tests::organization::Organization;

const PROGRAM: &str = env!("CARGO_BIN_EXE_marram-keyholder");

#[test]
fn help_and_errors_are_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("damaged");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (name, bytes) in [
        ("charter.json", Organization::found().chain.to_json().as_bytes()),
        ("garbage", b"garbage\n"),
        ("damaged/keyholder.age", b"garbage\n"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    marram_manual::testing::words(Path::new(PROGRAM), env!("CARGO_MANIFEST_DIR"), folder.path(), &[]);
}

#[test]
fn the_manual_is_whole_and_bash_completes_with_it() {
    marram_manual::testing::check(Path::new(PROGRAM), 1);
}
