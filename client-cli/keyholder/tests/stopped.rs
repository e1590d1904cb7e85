//! Ctrl-C at the passphrase of a new root key: no key, no file, and the terminal is as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{fs, process::Command};

use marram_tests::terminal::ctrl_c;

#[test]
fn a_root_key_that_is_stopped_at_its_passphrase_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut key = Command::new(env!("CARGO_BIN_EXE_marram-keyholder"));
    key.current_dir(&folder)
        .args(["--home", "home", "key", "--name", "amber"]);
    ctrl_c(&key, "empty to have one made");
    assert!(!folder.path().join("amber.root").exists());
    let left = fs::read_dir(folder.path().join("home")).into_iter().flatten();
    assert_eq!(
        left.map(|entry| entry.unwrap().file_name())
            .filter(|name| name != "lock")
            .count(),
        0
    );
}
