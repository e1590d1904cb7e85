//! What the program says, word for word, in files that read like a terminal; and its manual.
//!
//! After a change of words: `TRYCMD=overwrite cargo test -p marram-casework --test words`, then read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use marram_tests::organization::Organization;

const PROGRAM: &str = env!("CARGO_BIN_EXE_marram-casework");

#[test]
fn help_and_errors_are_as_written() {
    let folder = tempfile::tempdir().unwrap();
    let organization = Organization::found();
    let home = folder.path().join("damaged");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    for (name, bytes) in [
        ("charter.json", organization.chain.to_json().as_bytes()),
        ("there", b"precious"),
        ("garbage", b"garbage\n"),
        ("damaged/identity.age", b"garbage\n"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    marram_manual::testing::words(
        Path::new(PROGRAM),
        env!("CARGO_MANIFEST_DIR"),
        folder.path(),
        &[("FINGERPRINT", &organization.chain.pinned().to_string())],
    );
}

#[test]
fn the_manual_is_whole_and_bash_completes_with_it() {
    marram_manual::testing::check(Path::new(PROGRAM), 1);
}
