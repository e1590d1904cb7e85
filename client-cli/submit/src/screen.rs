//! What a person who answers questions sees beside them. On stderr, where the questions are, so that a pipe from stdout
//! gets the result alone.

use std::io::IsTerminal as _;

use marram_terminal::{
    output::{DIM, HEADING, Output, WARNING},
    text,
};

/// Lines longer than this are hard to read, however wide the terminal.
const WIDEST: usize = 80;

/// Prints for the person at the terminal. Every text may be a stranger's: it is made visible.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    width: usize,
    terminal: bool,
}

impl Screen {
    pub(crate) fn new(out: &Output) -> Self {
        Self {
            width: out.width().min(WIDEST),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Whether somebody looks at it.
    pub(crate) const fn is_terminal(self) -> bool {
        self.terminal
    }

    #[expect(clippy::unused_self, reason = "called as the others are")]
    pub(crate) fn blank(self) {
        anstream::eprintln!();
    }

    /// A line across, with a title: a new part begins.
    pub(crate) fn part(self, title: &str, progress: &str) {
        let title = text::visible(title);
        let used = text::width(&title) + text::width(progress) + 6;
        let line = "─".repeat(self.width.saturating_sub(used));
        anstream::eprintln!("\n{DIM}──{DIM:#} {HEADING}{title}{HEADING:#} {DIM}{line} {progress}{DIM:#}");
    }

    pub(crate) fn heading(self, title: &str) {
        let title = text::wrap(&text::visible_lines(title), self.width, 0);
        anstream::eprintln!("\n{HEADING}{title}{HEADING:#}");
    }

    /// Text, wrapped; its line ends stay.
    pub(crate) fn paragraph(self, paragraph: &str) {
        anstream::eprintln!("{}", text::wrap(&text::visible_lines(paragraph), self.width, 2));
    }

    /// A sentence of the catalogue, whose isolates keep dates readable from right to left.
    pub(crate) fn own(self, sentence: &str) {
        anstream::eprintln!("{}", text::wrap(&text::own_lines(sentence), self.width, 2));
    }

    /// Text further in: an answer under its question.
    pub(crate) fn indented(self, paragraph: &str) {
        anstream::eprintln!("{}", text::wrap(&text::visible_lines(paragraph), self.width, 6));
    }

    /// Text that must be read.
    pub(crate) fn warning(self, paragraph: &str) {
        let paragraph = text::wrap(&text::visible_lines(paragraph), self.width, 2);
        anstream::eprintln!("{WARNING}{paragraph}{WARNING:#}");
    }

    /// `name  value`, the value wrapped beside its name.
    pub(crate) fn field(self, name: &str, value: &str) {
        let value = text::visible(value);
        let value = if self.terminal { text::isolate(&value) } else { value };
        let wrapped = text::wrap(&value, self.width, 18);
        anstream::eprintln!("  {DIM}{name:<15}{DIM:#} {}", wrapped.trim_start());
    }

    /// Lines as they are; nothing foreign may stand in them.
    #[expect(clippy::unused_self, reason = "called as the others are")]
    pub(crate) fn plain(self, lines: &str) {
        anstream::eprintln!("{lines}");
    }

    /// Clears the terminal, and what could be scrolled back to. False where there is no terminal.
    pub(crate) fn clear(self) -> bool {
        if self.terminal {
            // Order matters: some terminals push what is on the screen into the scrollback when it is cleared.
            eprint!("\x1b[H\x1b[2J\x1b[3J");
        }
        self.terminal
    }
}
