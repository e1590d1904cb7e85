//! What stands below the options: one text that `--help` prints and the man page sets.
//!
//! ```text
//! Examples:                                  a heading: no indent, a colon at its end
//!   marram-sample do --well                  an item: two spaces
//!       Does it well.                        what it is: more spaces; may run over several lines
//!   A paragraph is an item without a text.
//! ```

use std::fmt::Write as _;

use clap::builder::{StyledStr, Styles};

/// The text of a command's `after_long_help`, its headings set as clap sets its own.
pub fn sections(text: &str) -> StyledStr {
    let header = *Styles::styled().get_header();
    let mut styled = StyledStr::new();
    for line in text.trim_end().lines() {
        // Writing to a string does not fail.
        let _ = match heading(line) {
            Some(_) => writeln!(styled, "{header}{line}{header:#}"),
            None => writeln!(styled, "{line}"),
        };
    }
    styled
}

/// One part of such a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Heading(String),
    /// An item, and what it is.
    Item(String, String),
}

/// Reads such a text again, without its styles.
pub(crate) fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words = line.trim().to_owned();
        if let Some(heading) = heading(line) {
            parts.push(Part::Heading(heading.to_owned()));
        } else if let (true, Some(Part::Item(_, what))) = (line.starts_with("   "), parts.last_mut()) {
            what.push_str(if what.is_empty() { "" } else { " " });
            what.push_str(&words);
        } else {
            parts.push(Part::Item(words, String::new()));
        }
    }
    parts
}

fn heading(line: &str) -> Option<&str> {
    line.strip_suffix(':')
        .filter(|heading| !heading.is_empty() && !heading.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Examples:\n  do --well\n      Does it\n      well.\n  Or not.\n\nFiles:\n  /etc/x\n      It.\n";

    #[test]
    fn what_help_shows_is_what_the_page_sets() {
        let styled = sections(TEXT);
        assert_eq!(styled.to_string().trim_end(), TEXT.trim_end());
        assert!(styled.ansi().to_string().contains("\u{1b}["));
        let item = |item: &str, what: &str| Part::Item(item.to_owned(), what.to_owned());
        assert_eq!(
            parts(&styled.to_string()),
            [
                Part::Heading("Examples".to_owned()),
                item("do --well", "Does it well."),
                item("Or not.", ""),
                Part::Heading("Files".to_owned()),
                item("/etc/x", "It."),
            ]
        );
    }
}
