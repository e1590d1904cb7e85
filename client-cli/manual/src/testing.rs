//! What every program's own tests ask of its words, and of its manual with the program itself, groff and bash.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "it is called by tests")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

/// Checks what a program says, word for word: the files `tests/words/*.trycmd` of the package at `package` (its
/// `CARGO_MANIFEST_DIR`), which read like a terminal. The commands run in `folder`, which is their `HOME` too and stands
/// as `[CWD]` in the files; `sh` is there for what
/// needs a pipe, or one of `variables`. Only one call in a process: it changes the folder.
///
/// # Panics
/// If a word is another, or there is no such file.
pub fn words(program: &Path, package: &str, folder: &Path, variables: &[(&str, &str)]) {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    std::env::set_current_dir(folder).expect("a folder");
    let programs = program.parent().expect("a folder").display();
    let cases = trycmd::TestCases::new();
    cases
        .register_bin(name, program)
        .register_bin("sh", Path::new("/bin/sh"))
        .env("PATH", format!("{programs}:/usr/sbin:/usr/bin:/sbin:/bin"))
        .env("HOME", folder.display().to_string())
        .env("COLUMNS", "80");
    // What is empty is not set, for everything that these mean something to.
    for variable in [
        "XDG_DATA_HOME",
        "ALL_PROXY",
        "all_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
    ] {
        cases.env(variable, "");
    }
    for (name, value) in variables {
        cases.env(*name, *value);
    }
    cases.case(format!("{package}/tests/words/*.trycmd")).run();
}

/// Checks what `program manual FOLDER` writes: the same each time, readable for everybody, a page for every command that
/// `--help` names, no warning from groff (where it is installed), and completions that bash completes with.
///
/// # Panics
/// If any of this does not hold.
pub fn check(program: &Path, section: u8) {
    let name = program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folders = [folder(), folder()];
    for folder in &folders {
        // A careful person's umask: the files are for everybody all the same.
        let script = format!(
            "umask 077; exec '{}' manual '{}'",
            program.display(),
            folder.path().display()
        );
        let printed = run(Command::new("sh").args(["-c", &script]));
        let mut lines: Vec<&str> = printed.lines().collect();
        lines.sort_unstable();
        let written = files(folder.path());
        let paths: Vec<String> = written
            .keys()
            .map(|path| format!("{}/{path}", folder.path().display()))
            .collect();
        assert_eq!(lines, paths, "what is printed is what is there");
    }
    let share = folders[0].path();
    let written = files(share);
    assert_eq!(written, files(folders[1].path()), "twice the same");

    let commands = commands(&run(Command::new(program).arg("--help")));
    assert!(commands.contains(&"manual".to_owned()), "{commands:?}");
    let page = |command: Option<&String>| {
        let command = command.map(|command| format!("-{command}")).unwrap_or_default();
        format!("man/man{section}/{name}{command}.{section}")
    };
    let mut pages: Vec<String> = commands.iter().map(Some).chain([None]).map(page).collect();
    pages.sort_unstable();
    let found: Vec<&String> = written.keys().filter(|path| path.starts_with("man/")).collect();
    assert_eq!(found, pages.iter().collect::<Vec<_>>(), "a page for each command");
    for page in &pages {
        groff(&share.join(page));
    }
    let bash = share.join("bash-completion/completions").join(name);
    assert_eq!(completed(&bash, name, &["manu"]), ["manual"]);
    for command in &commands {
        let all = completed(&bash, name, &[""]);
        assert!(all.contains(command), "{command} is not in {all:?}");
        let options = completed(&bash, name, &[command, "--hel"]);
        assert_eq!(options, ["--help"], "{command}");
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Every file below a folder, with its content.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mode = fs::metadata(&path).expect("a file").permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o755 } else { 0o644 }, "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").display().to_string();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// The commands that `--help` lists, but for `help`.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    list.take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .map(ToOwned::to_owned)
        .collect()
}

fn groff(page: &Path) {
    let Ok(output) = Command::new("groff")
        .args(["-man", "-ww", "-z", "-Tutf8"])
        .arg(page)
        .output()
    else {
        // Not installed: the pages are checked where it is.
        return;
    };
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
}

/// What bash offers for the last word of a command line.
fn completed(script: &Path, program: &str, words: &[&str]) -> Vec<String> {
    let source = format!(
        "source '{script}'\n\
         COMP_WORDS=({program} \"$@\"); COMP_CWORD=$#\n\
         f=$(complete -p {program} | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n\
         $f {program} \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script = script.display()
    );
    let printed = run(Command::new("bash").args(["--norc", "-c", &source, "bash"]).args(words));
    printed.lines().map(ToOwned::to_owned).collect()
}

/// What it printed; it must succeed and complain of nothing.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{command:?}: {}",
        said(&output)
    );
    String::from_utf8(output.stdout).expect("text")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
