//! The programs, as they were last built, run as their users would run them.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

/// The passphrase of everyone in the tests.
pub const PASSPHRASE: &str = "dune-grass-holds-7-sands";

/// The file of one of our programs; other programs keep their name.
///
/// # Panics
/// If it was not built: cargo does not build other packages' programs for a test.
pub fn path(program: &str) -> PathBuf {
    if !program.starts_with("marram-") {
        return PathBuf::from(program);
    }
    // Programs lie beside this one, or one folder above the tests.
    let here = std::env::current_exe().unwrap();
    let mut built = here.ancestors().skip(1).take(2).map(|folder| folder.join(program));
    built.find(|built| built.is_file()).unwrap_or_else(|| {
        panic!("{program} is not built: run `cargo build --workspace --bins`, or ./tests/run, which does")
    })
}

/// A program with its home in `home`, in an environment without anything of the developer's.
pub fn program(name: &str, home: &Path) -> Command {
    clean(Command::new(path(name)), home)
}

/// A program of an offline computer: it runs where there is no network at all, not even loopback, and takes the
/// passphrase from a file descriptor.
pub fn offline(name: &str, home: &Path) -> Command {
    let passphrase = home.with_extension("passphrase");
    std::fs::write(&passphrase, format!("{PASSPHRASE}\n")).unwrap();
    let mut command = Command::new("unshare");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", r#"exec "$@" 3<"$0""#]);
    command.arg(&passphrase).arg(path(name)).arg("--passphrase-fd=3");
    clean(command, home)
}

fn clean(mut command: Command, home: &Path) -> Command {
    let keep = |name: &str| std::env::var_os(name).unwrap_or_default();
    let (search, temporary) = (keep("PATH"), keep("TMPDIR"));
    command
        .env_clear()
        .env("PATH", search)
        .env("HOME", home)
        .env("LANG", "C.UTF-8");
    if temporary != OsStr::new("") {
        command.env("TMPDIR", temporary);
    }
    command
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t0\t"))
}

/// Runs a command to its end and gives its standard output.
///
/// # Panics
/// If it fails; what it said is shown.
pub fn succeeds(command: &mut Command) -> String {
    let (text, output) = finish(command);
    assert!(output.status.success(), "{command:?}\n{}\n{text}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command to its end and gives what it said on both outputs.
///
/// # Panics
/// If it succeeds.
pub fn fails(command: &mut Command) -> String {
    let (text, output) = finish(command);
    assert!(!output.status.success(), "{command:?} succeeded:\n{text}");
    text
}

fn finish(command: &mut Command) -> (String, std::process::Output) {
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (String::from_utf8_lossy(&said).into_owned(), output)
}
