//! A person at a terminal who has had enough.

use std::process::Command;

use rexpect::session::{Options, spawn_with_options};

/// Runs a command in a pseudo-terminal whose echo is on, presses Ctrl-C when `until` is on the screen, and gives back
/// what came after. The command's environment is what was set on it, and nothing else.
///
/// # Panics
/// If `until` does not come, if the exit status is not 130, or if the terminal is not left as it was.
pub fn ctrl_c(command: &Command, until: &str) -> String {
    let script = "stty echo; trap : INT; \"$@\"; echo \"code $?\"; stty -a";
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", script, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env_clear().env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    // The limit only ends a test that hangs.
    let mut terminal = spawn_with_options(shell, Options::new().timeout_ms(Some(60_000))).unwrap();
    terminal.exp_string(until).unwrap();
    terminal.send_control('c').unwrap();
    let said = terminal.exp_eof().unwrap();
    assert!(said.contains("code 130"), "{said}");
    assert!(said.contains(" echo ") && said.contains(" icanon "), "{said}");
    said
}
