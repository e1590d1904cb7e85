//! Foreign programs, run as a stranger would run them.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// `tests/peers`, where their packages are installed.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Runs a program with this input, and gives its output.
///
/// # Panics
/// If it cannot be started (what to install is said), or fails.
pub fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let name = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}. ./tests/run installs what the tests need."));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that has seen enough closes its input.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{name} failed: {}", output.status);
    output.stdout
}

/// `node SCRIPT ARGUMENT…` in the peers' folder.
pub fn node(script: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    assert!(
        folder().join("node_modules").is_dir(),
        "the peers are not installed: run `npm ci` in tests/peers, or ./tests/run, which does"
    );
    run(
        Command::new("node").arg(script).args(arguments).current_dir(folder()),
        input,
    )
}
