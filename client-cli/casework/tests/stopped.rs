//! Ctrl-C at the prompts of `enrol`: no keys, no file, and the terminal is as it was.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{fs, process::Command};

use marram_tests::{organization::Organization, terminal::ctrl_c};

#[test]
fn an_enrolment_that_is_stopped_at_a_prompt_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Organization::found().chain;
    fs::write(folder.path().join("charter.json"), chain.to_json()).unwrap();
    let pinned = chain.pinned().to_string();
    let enrol = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_marram-casework"));
        command
            .current_dir(&folder)
            .args(["--home", "home", "enrol", "--charter", "charter.json"]);
        command.args(["--out", "a.enrolment"]).args(more);
        command
    };
    ctrl_c(&enrol(&[]), "type no.");
    ctrl_c(&enrol(&["--fingerprint", &pinned]), "empty to have one made");
    assert!(!folder.path().join("a.enrolment").exists());
    let home = folder.path().join("home");
    assert!(!home.join("identity.age").exists() && !home.join("casebook").exists());
    assert_eq!(fs::read_dir(home.join("epochs")).unwrap().count(), 0, "no keys");
}
