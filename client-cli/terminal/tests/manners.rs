//! The manners as a person and a pipe meet them: a real program, in real pipes and a real pseudo-terminal.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use rexpect::session::{Options, PtySession, spawn_with_options};
use rustix::process::{Pid, Signal, kill_process};

/// The example program, built: `cargo test --test` alone would not.
fn manners() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let profile_folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let profile = if profile_folder.ends_with("debug") {
            "dev"
        } else {
            "release"
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let build = Command::new(cargo)
            .args([
                "build",
                "--quiet",
                "--package",
                "marram-terminal",
                "--example",
                "manners",
                "--profile",
                profile,
            ])
            .status();
        assert!(build.unwrap().success());
        profile_folder.join("examples/manners")
    })
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(manners());
    command
        .args(args)
        .env_remove("NO_COLOR")
        .env_remove("CI")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null());
    command
}

fn piped(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// Runs it under a shell, with `manners` standing for the program.
fn shell(script: &str) -> Output {
    Command::new("sh")
        .args(["-c", &script.replace("manners", &manners().display().to_string())])
        .env_remove("NO_COLOR")
        .env_remove("CI")
        .env("TERM", "xterm-256color")
        .output()
        .unwrap()
}

fn fed(args: &[&str], input: &str) -> Output {
    let mut child = command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A shell script in a pseudo-terminal whose echo is on, as a person has it. The limit only ends a test that hangs.
fn terminal(script: &str) -> PtySession {
    let script = format!(
        "stty echo; trap : INT; {}",
        script.replace("manners", &manners().display().to_string())
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .env_remove("NO_COLOR")
        .env_remove("CI")
        .env("TERM", "xterm-256color");
    spawn_with_options(shell, Options::new().timeout_ms(Some(60_000))).unwrap()
}

/// What a terminal shows until the end. rexpect takes each byte for a character.
fn rest(mut terminal: PtySession) -> String {
    let bytes = terminal
        .exp_eof()
        .unwrap()
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    String::from_utf8(bytes).unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn wait_for(child: &mut Child, line: &str) {
    let mut said = String::new();
    BufReader::new(child.stderr.as_mut().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said.trim_end(), line);
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

// --- what is printed ---

#[test]
fn colour_is_for_terminals_and_no_color_is_respected() {
    assert!(!out(&piped(&["show", "x"])).contains('\u{1b}'));
    assert!(!err(&piped(&["fail"])).contains('\u{1b}'));
    assert!(rest(terminal("manners show x")).contains("\u{1b}[1mReport"));
    assert!(!rest(terminal("NO_COLOR=1 manners show x")).contains('\u{1b}'));
    assert!(!rest(terminal("manners show x --color never")).contains('\u{1b}'));
    assert!(out(&piped(&["--color", "always", "show", "x"])).contains("\u{1b}[1mReport"));
}

#[test]
fn clicolor_is_respected_and_an_option_wins() {
    assert!(!rest(terminal("CLICOLOR=0 manners show x")).contains('\u{1b}'));
    assert!(out(&shell("CLICOLOR_FORCE=1 manners show x")).contains("\u{1b}[1mReport"));
    assert!(!out(&shell("CLICOLOR_FORCE=1 manners show x --color never")).contains('\u{1b}'));
    assert!(rest(terminal("NO_COLOR=1 manners show x --color always")).contains("\u{1b}[1mReport"));
    assert!(!rest(terminal("TERM=dumb manners show x")).contains('\u{1b}'));
}

#[test]
fn a_table_fits_a_narrow_terminal() {
    let printed = rest(terminal("stty cols 40; manners table"));
    let widths = printed.trim_end().lines().map(unicode_width::UnicodeWidthStr::width);
    assert!(widths.max() == Some(40), "{printed}");
    assert!(printed.contains("2026-041"));
}

#[test]
fn a_piped_table_of_chinese_and_arabic_has_80_columns() {
    let printed = out(&piped(&["table"]));
    let widths: Vec<usize> = printed.lines().map(unicode_width::UnicodeWidthStr::width).collect();
    assert_eq!(widths, [80; 4], "{printed}");
    assert!(!printed.contains('\u{2068}') && !printed.contains('\u{202e}') && printed.contains("gpj‹U+202E›exe"));
}

#[test]
fn a_table_fits_the_terminal_and_isolates_arabic() {
    let printed = rest(terminal("stty cols 60; manners table"));
    let widths: Vec<usize> = printed
        .trim_end()
        .lines()
        .map(unicode_width::UnicodeWidthStr::width)
        .collect();
    assert_eq!(widths, [60; 4], "{printed}");
    assert_eq!(
        (printed.matches('\u{2068}').count(), printed.matches('\u{2069}').count()),
        (2, 2)
    );
}

#[test]
fn a_strangers_text_cannot_drive_the_terminal() {
    let hostile = "photo\u{202e}gpj.exe \u{1b}]0;owned\u{7} \u{9b}2J \u{2066}x\u{2069}";
    let said = out(&piped(&["show", hostile]));
    assert!(
        said.contains("photo‹U+202E›gpj.exe ‹U+001B›]0;owned‹U+0007› ‹U+009B›2J ‹U+2066›x‹U+2069›"),
        "{said}"
    );
    let json = out(&piped(&["--json", "show", hostile]));
    assert!(
        json.trim_end().is_ascii() && !json.trim_end().contains('\u{1b}'),
        "{json}"
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["text"],
        hostile
    );
}

#[test]
fn progress_is_for_terminals_and_goes_away() {
    assert_eq!(err(&piped(&["progress"])), "");
    let shown = rest(terminal("manners progress"));
    assert!(
        shown.contains("opening‹U+202E› [") && shown.contains("3/3") && shown.trim_end().ends_with("done"),
        "{shown:?}"
    );
    let after_last_bar = shown.rsplit("3/3").next().unwrap();
    assert!(after_last_bar.contains("\u{1b}[2K"), "{shown:?}");
    assert!(!rest(terminal("manners --quiet progress")).contains("opening"));
}

#[test]
fn a_reader_who_had_enough_is_no_error() {
    let output = shell("manners lines | head -n 1");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("0\n", ""));
    let full = shell("manners lines >/dev/full");
    assert_eq!(full.status.code(), Some(1));
    assert!(
        err(&full).starts_with("error: cannot write to stdout"),
        "{}",
        err(&full)
    );
}

// --- how it fails ---

#[test]
fn an_error_says_what_why_and_what_next() {
    let output = piped(&["fail"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        "warning: this will not go well\nerror: cannot import the bundle\n  \
         because No such file or directory (os error 2)\nnext: copy it again\n"
    );
}

#[test]
fn errors_are_json_when_json_is_asked_for() {
    let output = piped(&["--json", "fail"]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    let lines: Vec<serde_json::Value> = err(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["warning"], "this will not go well");
    assert_eq!(lines[1]["error"], "cannot import the bundle");
    assert_eq!(lines[1]["because"][0], "No such file or directory (os error 2)");
    assert_eq!(lines[1]["next"], "copy it again");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    assert_eq!(piped(&["misuse"]).status.code(), Some(2));
    assert_eq!(piped(&["no-such-command"]).status.code(), Some(2));
}

// --- passphrases ---

#[test]
fn a_passphrase_is_not_taken_from_arguments_or_the_environment() {
    assert_eq!(
        piped(&["--passphrase", "correct horse battery", "passphrase"])
            .status
            .code(),
        Some(2)
    );
    let script = "PASSPHRASE=x AGE_PASSPHRASE=x MARRAM_PASSPHRASE=x setsid --wait manners passphrase";
    let output = shell(script);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("error: there is no terminal to ask for the passphrase for the example\nnext: "));
    assert!(err(&output).contains("--passphrase-fd N"));
}

#[test]
fn a_passphrase_comes_from_a_descriptor() {
    let output = shell("echo 'correct horse' | manners --passphrase-fd 7 passphrase 7<&0 </dev/null");
    assert_eq!((out(&output).as_str(), err(&output).as_str()), ("13 characters\n", ""));
    let closed = shell("manners --passphrase-fd 7 passphrase 7<&-");
    assert!(err(&closed).contains("file descriptor 7"), "{}", err(&closed));
    let shown = rest(terminal("manners --passphrase-fd 0 passphrase"));
    assert!(shown.contains("would show the passphrase"), "{shown}");
}

#[test]
fn a_typed_passphrase_is_not_shown() {
    let mut terminal = terminal("manners passphrase; stty -a");
    terminal.exp_string("Passphrase for the example: ").unwrap();
    terminal.send_line("correct horse battery").unwrap();
    let said = rest(terminal);
    assert!(
        said.contains("21 characters") && said.contains(" echo ") && !said.contains("horse"),
        "{said}"
    );
}

#[test]
fn ctrl_c_at_a_passphrase_restores_the_echo() {
    let mut terminal = terminal("manners passphrase; echo code $?; stty -a");
    terminal.exp_string("Passphrase for the example: ").unwrap();
    terminal.send("half a pass").unwrap();
    terminal.send_control('c').unwrap();
    let said = rest(terminal);
    assert!(
        said.contains("stopped by Ctrl-C") && said.contains("code 130"),
        "{said}"
    );
    assert!(
        said.contains(" echo ") && said.contains(" icanon ") && !said.contains("half"),
        "{said}"
    );
}

#[test]
fn a_wrong_passphrase_is_named_and_may_be_corrected_at_a_terminal_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.age");
    let shown = path.display();
    assert!(
        shell(&format!(
            "echo correct horse battery | manners --passphrase-fd 0 wrap {shown}"
        ))
        .status
        .success()
    );

    let output = shell(&format!(
        "echo correct mule battery | manners --passphrase-fd 0 open {shown}"
    ));
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with(&format!("error: wrong passphrase for {shown}\nnext: type it again")));

    let mut terminal = terminal(&format!("manners open {shown}"));
    terminal.exp_string("Passphrase for the example: ").unwrap();
    terminal.send_line("wrong").unwrap();
    terminal.exp_string("2 tries left").unwrap();
    terminal.send_line("correct horse battery").unwrap();
    assert!(rest(terminal).contains("the secret"));
}

#[test]
fn a_missing_file_is_named_before_anybody_types_a_passphrase() {
    let output = shell("echo correct horse battery | manners --passphrase-fd 0 open /does/not/exist.age");
    assert!(
        err(&output).starts_with("error: /does/not/exist.age is not there\nnext: "),
        "{}",
        err(&output)
    );
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_must_be_long() {
    let mut terminal = terminal("manners new-passphrase");
    terminal.exp_string("empty to have one made): ").unwrap();
    terminal.send_line("short").unwrap();
    terminal.exp_string("too easy to guess").unwrap();
    terminal.send_line("correct horse battery").unwrap();
    terminal.exp_string("The same again: ").unwrap();
    terminal.send_line("correct horse").unwrap();
    terminal.exp_string("the two passphrases differ. Try again.").unwrap();
    terminal.send_line("correct horse battery").unwrap();
    terminal.exp_string("The same again: ").unwrap();
    terminal.send_line("correct horse battery").unwrap();
    assert!(rest(terminal).contains("21 characters"));
    assert!(err(&shell("echo short | manners --passphrase-fd 0 new-passphrase")).contains("too easy to guess"));
}

#[test]
fn whoever_enters_nothing_is_given_a_passphrase_on_a_screen_that_goes_away() {
    let mut terminal = terminal("manners new-passphrase");
    terminal.exp_string("empty to have one made): ").unwrap();
    terminal.send_line("").unwrap();
    terminal.exp_string("\u{1b}[?1049h").unwrap();
    let (_, made) = terminal.exp_regex("([a-z2-9]{5}-){4}[a-z2-9]{5}").unwrap();
    terminal.exp_string("Type it, with its hyphens: ").unwrap();
    terminal.send_line("something else").unwrap();
    terminal.exp_string("not the same").unwrap();
    terminal.send_line(&made).unwrap();
    terminal.exp_string("\u{1b}[2J\u{1b}[?1049l").unwrap();
    let said = rest(terminal);
    assert!(said.contains("29 characters") && !said.contains(&made), "{said}");
}

#[test]
fn pinentry_is_asked_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("pinentry-fake");
    fs::write(
        &program,
        "#!/bin/sh\necho OK ready\nwhile read -r word rest; do\n  case $word in\n    \
         GETPIN) echo 'D correct%20horse'; echo OK;;\n    BYE) echo OK; exit;;\n    *) echo OK;;\n  esac\ndone\n",
    )
    .unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let output = piped(&[&format!("--pinentry={}", program.display()), "passphrase"]);
    assert_eq!(out(&output), "13 characters\n", "{}", err(&output));
    let missing = piped(&["--pinentry=/no/such/pinentry", "passphrase"]);
    assert!(
        err(&missing).starts_with("error: /no/such/pinentry is not installed\nnext: "),
        "{}",
        err(&missing)
    );
}

// --- questions ---

#[test]
fn questions_are_answered_through_a_pipe() {
    let output = fed(&["ask"], "?\n2\nThey called.\nTwice.\n\nyes\n");
    assert_eq!(out(&output), "[1] \"They called.\\nTwice.\" true\n");
    assert!(err(&output).contains("How did they reach the family?") && err(&output).contains("at any door"));
    assert_eq!(out(&fed(&["ask"], "\n\n\n")), "skipped \"\" false\n");
}

#[test]
fn the_end_of_input_is_named_with_its_question() {
    let output = fed(&["ask"], "2\n");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert!(err(&output).contains("error: the input ended before the question was answered: What happened?\nnext: "));
}

#[test]
fn ctrl_c_at_a_question_ends_at_once() {
    let mut terminal = terminal("manners ask; echo code $?; stty -a");
    terminal.exp_string("How?").unwrap();
    terminal.exp_string("> ").unwrap();
    terminal.send("half an ans").unwrap();
    terminal.send_control('c').unwrap();
    let said = rest(terminal);
    assert!(
        said.contains("stopped by Ctrl-C") && said.contains("code 130") && said.contains(" echo "),
        "{said}"
    );
    assert!(!said.contains("What happened?"), "{said}");
}

#[test]
fn ctrl_d_at_a_question_ends_with_a_word() {
    let mut terminal = terminal("manners ask; echo code $?");
    terminal.exp_string("> ").unwrap();
    terminal.send_control('d').unwrap();
    let said = rest(terminal);
    assert!(said.contains("the input ended") && said.contains("code 1"), "{said}");
}

#[test]
fn digits_are_not_confirmed_by_pressing_enter() {
    let digits = "11111 22222 33333 44444 55555 66666 77777 88888 99999 00000 12345 67890";
    let output = fed(&["digits", digits], "\n\n\n");
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""));
    assert!(err(&output).contains("    99999  00000  12345  67890\n"));
    assert_eq!(out(&fed(&["digits", digits], "67890\n")), "true\n");
    assert_eq!(out(&fed(&["digits", digits], "no\n")), "false\n");
}

// --- files and Ctrl-C ---

#[test]
fn an_interrupted_write_leaves_the_old_file_alone() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "old").unwrap();
        let mut child = command(&["write-slowly", path.to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for(&mut child, "writing");
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(folder.path())),
            ("old", vec!["state".into()])
        );
    }
}

#[test]
fn a_killed_write_leaves_the_old_file_and_the_next_start_sweeps() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let args = ["--home", home.to_str().unwrap(), "home-slowly"];
    let mut child = command(&args).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&mut child, "writing");

    let busy = piped(&args);
    assert!(
        err(&busy).starts_with("error: another marram-manners is working in"),
        "{}",
        err(&busy)
    );

    fs::write(home.join("state"), "old").unwrap();
    send(&child, Signal::KILL);
    child.wait().unwrap();
    assert_eq!(names(&home).iter().filter(|name| name.ends_with(".partial")).count(), 1);

    let mut child = command(&args).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&mut child, "writing");
    send(&child, Signal::INT);
    child.wait().unwrap();
    assert_eq!(
        (fs::read_to_string(home.join("state")).unwrap().as_str(), names(&home)),
        ("old", vec!["lock".into(), "state".into()])
    );
}

// --- hardening ---

#[test]
fn a_program_that_denied_itself_the_network_has_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert!(piped(&["connect-only", &address]).status.success());
    let output = piped(&["connect", &address]);
    assert_eq!(out(&output), "denied\n", "{}", err(&output));
}

#[test]
fn a_hardened_program_dumps_no_core_and_still_reads_its_passphrase() {
    let output = shell("echo correct horse | manners --passphrase-fd 0 harden");
    let said = out(&output);
    assert!(
        said.contains("no_core_dumps: true") && said.contains("not_dumpable: true"),
        "{said}"
    );
    let core = said
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    assert!(said.ends_with("13 characters\n"), "{said}");
}
