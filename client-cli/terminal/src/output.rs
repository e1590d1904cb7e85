//! What a program prints: for people in colour on a terminal and plain elsewhere, or one JSON value under `--json`.
//!
//! Results go to stdout, everything else (prompts, notes, warnings, progress, errors) to stderr, so that a pipe gets
//! the results alone. A command says both, and [`Output`] prints the one that was asked for:
//!
//! ```
//! # fn list(out: &marram_terminal::output::Output) {
//! out.line("2 cases");
//! out.json(&serde_json::json!({"cases": 2}));
//! # }
//! ```

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::progress::Progress;
use crate::table::Table;
use crate::text;

/// Headings.
pub const HEADING: Style = Style::new().bold();
/// The word `warning:`.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// The word `error:`.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// What is well, and what to do next.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Commands to type. Use as `format!("{CODE}marram-casework list{CODE:#}")`.
pub const CODE: Style = AnsiColor::Cyan.on_default();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();

/// Columns of a line where the terminal does not say, or where there is none.
pub const DEFAULT_WIDTH: usize = 80;

/// What `--help` puts above the options that every command has, so that a command's own stand first.
pub const COMMON: &str = "Common options";

/// The arguments that say how to print; flatten them into the program's.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OutputArgs {
    /// Print one JSON value on stdout, and errors as JSON on stderr
    #[arg(long, global = true, help_heading = COMMON)]
    pub json: bool,
    /// No progress bars and no notes
    #[arg(long, short, global = true, help_heading = COMMON)]
    pub quiet: bool,
    /// When to use colours.
    #[arg(
        long,
        global = true,
        help_heading = COMMON,
        help = "When to use colours: auto (the default: on terminals, unless NO_COLOR is set), always or never",
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl OutputArgs {
    pub(crate) fn start(&self) -> Output {
        match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        Output {
            json: self.json,
            quiet: self.quiet,
            terminal: io::stdout().is_terminal(),
            begun: Cell::new(false),
            failed: RefCell::new(None),
        }
    }
}

/// Prints. Made by [`run`](crate::error::run).
#[derive(Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    terminal: bool,
    begun: Cell<bool>,
    failed: RefCell<Option<io::Error>>,
}

impl Output {
    /// A result for people. May hold styles of this module; text that a stranger wrote goes through
    /// [`text::visible`] first, or into [`field`](Self::field), [`paragraph`](Self::paragraph) or a table.
    pub fn line(&self, text: impl Display) {
        if !self.json {
            self.print(format_args!("{text}\n"));
        }
    }

    /// A heading, with an empty line before it unless it is the first thing printed.
    pub fn heading(&self, text: impl Display) {
        let space = if self.begun.get() { "\n" } else { "" };
        self.line(format_args!("{space}{HEADING}{text}{HEADING:#}"));
    }

    /// `  name: value`. Foreign text is made visible.
    pub fn field(&self, name: &str, value: impl Display) {
        let value = text::visible(&value.to_string());
        if !self.terminal {
            return self.line(format_args!("  {name}: {value}"));
        }
        // Wrapped as a whole, so that a long value goes on under its name; then the name gets its style.
        let whole = text::wrap_hanging(&format!("{name}: {}", text::isolate(&value)), self.width(), 2, 4);
        let styled = whole.replacen(&format!("{name}:"), &format!("{DIM}{name}:{DIM:#}"), 1);
        self.line(styled);
    }

    /// Longer foreign text, made visible and wrapped to the terminal after `indent` spaces; its line ends stay.
    pub fn paragraph(&self, text: &str, indent: usize) {
        self.line(text::wrap(&text::visible_lines(text), self.width(), indent));
    }

    /// A table as wide as the terminal. Foreign text is made visible.
    pub fn table(&self, table: &Table) {
        if !self.json {
            self.print(format_args!("{}", table.render(self.width(), self.terminal)));
        }
    }

    /// The result for programs: printed only under `--json`, where nothing else reaches stdout. Call it once.
    pub fn json(&self, value: &impl Serialize) {
        if self.json {
            match serde_json::to_string(value) {
                Ok(text) => self.print(format_args!("{}\n", safe_json(&text))),
                Err(error) => self.remember(io::Error::other(error)),
            }
        }
    }

    /// Something that helps, on stderr; silent under `--quiet` and `--json`.
    pub fn note(&self, text: impl Display) {
        if !self.quiet && !self.json {
            stderr_line(format_args!("{text}"));
        }
    }

    /// `warning: …` on stderr, also under `--quiet`; one line of JSON under `--json`.
    pub fn warning(&self, text: impl Display) {
        if self.json {
            stderr_line(format_args!(
                "{}",
                safe_json(&serde_json::json!({"warning": text.to_string()}).to_string())
            ));
        } else {
            stderr_labelled(WARNING, "warning:", 0, &text.to_string());
        }
    }

    /// A progress bar over bytes; shown only where a person watches.
    pub fn bytes(&self, label: &str, total: u64) -> Progress {
        Progress::bytes(label, total, self.quiet || self.json)
    }

    /// A progress bar over things that are counted; shown only where a person watches.
    pub fn count(&self, label: &str, total: u64) -> Progress {
        Progress::count(label, total, self.quiet || self.json)
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether `--quiet` was given.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Columns of a line on stdout.
    pub fn width(&self) -> usize {
        terminal_width(&io::stdout())
    }

    /// The first failure of writing to stdout, except that of a reader who had enough (`| head`).
    pub(crate) fn finish(&self) -> io::Result<()> {
        match self.failed.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(io::Error::new(error.kind(), format!("cannot write to stdout: {error}")))
            }
            _ => Ok(()),
        }
    }

    fn print(&self, text: fmt::Arguments<'_>) {
        self.begun.set(true);
        if self.failed.borrow().is_some() {
            return;
        }
        let mut stdout = anstream::stdout().lock();
        if let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) {
            self.remember(error);
        }
    }

    fn remember(&self, error: io::Error) {
        self.failed.borrow_mut().get_or_insert(error);
    }
}

/// JSON in which every character that a terminal would obey or hide stands escaped; the same value to any parser.
pub(crate) fn safe_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // Such characters stand only inside of strings, where an escape means the same; but for white space, which
        // stands only between the parts.
        if text::is_hidden(c) && !c.is_ascii_whitespace() {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A word in its style and what it is about, on stderr; wrapped where a person watches.
pub(crate) fn stderr_labelled(style: Style, label: &str, indent: usize, about: &str) {
    let margin = " ".repeat(indent);
    let whole = if io::stderr().is_terminal() {
        text::wrap_hanging(
            &format!("{label} {about}"),
            terminal_width(&io::stderr()),
            indent,
            indent + 4,
        )
    } else {
        format!("{margin}{label} {}", about.replace('\n', &format!("\n{margin}    ")))
    };
    stderr_line(format_args!(
        "{}",
        whole.replacen(label, &format!("{style}{label}{style:#}"), 1)
    ));
}

/// One line on stderr.
pub(crate) fn stderr_line(text: fmt::Arguments<'_>) {
    stderr_text(format_args!("{text}\n"));
}

/// Text on stderr. That stderr cannot be written is nothing a program could say anywhere.
pub(crate) fn stderr_text(text: fmt::Arguments<'_>) {
    if cfg!(test) {
        // Only this macro is captured by the test harness.
        return eprint!("{text}");
    }
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_fmt(text).and_then(|()| stderr.flush());
}

/// Columns of the terminal behind `stream`, between 40 and 200; [`DEFAULT_WIDTH`] if it is none.
pub(crate) fn terminal_width(stream: &impl std::os::fd::AsFd) -> usize {
    match rustix::termios::tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).clamp(40, 200),
        _ => DEFAULT_WIDTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_escapes_what_a_terminal_would_obey_and_stays_the_same_value() {
        let value = serde_json::json!({"text": "a\u{202e}b\u{9b}c\u{1b}d\u{e0041}e维"});
        let safe = safe_json(&value.to_string());
        assert!(!safe.chars().any(text::is_hidden), "{safe}");
        assert!(safe.contains('维'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
        assert_eq!(
            safe_json("{\n\t\"a\": 1\r\n}"),
            "{\n\t\"a\": 1\r\n}",
            "white space between the parts stays"
        );
    }
}
