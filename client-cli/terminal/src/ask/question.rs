//! Questions, choices and answers.

use std::io;

use super::AskError;
use crate::output::{self, DIM, HEADING};
use crate::text;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// An answer, or the default.
    Given(T),
    /// Enter, where skipping was offered.
    Skipped,
    /// `<`, where going back was offered.
    Back,
}

impl<T> Answer<T> {
    /// The answer, if one was given.
    pub fn given(self) -> Option<T> {
        match self {
            Self::Given(answer) => Some(answer),
            Self::Skipped | Self::Back => None,
        }
    }
}

/// A question. Its texts may come from an organization's form: they are made visible.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    text: &'a str,
    help: Option<&'a str>,
    pub(super) default: Option<&'a str>,
    enter: Option<&'a str>,
    pub(super) skippable: bool,
    pub(super) back: bool,
    pub(super) max_bytes: Option<usize>,
}

impl<'a> Question<'a> {
    /// A question that must be answered.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            help: None,
            default: None,
            enter: None,
            skippable: false,
            back: false,
            max_bytes: None,
        }
    }

    /// What `?` shows.
    #[must_use]
    pub fn help(self, help: &'a str) -> Self {
        Self {
            help: Some(help),
            ..self
        }
    }

    /// What Enter stands for: the text that would have been typed.
    #[must_use]
    pub fn default(self, default: &'a str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    /// What Enter does, in words, where the default would read oddly: `to go on` shows `Enter to go on`.
    #[must_use]
    pub fn enter(self, enter: &'a str) -> Self {
        Self {
            enter: Some(enter),
            ..self
        }
    }

    /// Lets Enter skip it, unless there is a default.
    #[must_use]
    pub fn skippable(self) -> Self {
        Self {
            skippable: true,
            ..self
        }
    }

    /// Lets `<` go back.
    #[must_use]
    pub fn back(self) -> Self {
        Self { back: true, ..self }
    }

    /// The longest answer.
    #[must_use]
    pub fn max_bytes(self, max_bytes: usize) -> Self {
        Self {
            max_bytes: Some(max_bytes),
            ..self
        }
    }

    /// Prints the question, its choices and the ways to answer it.
    pub(super) fn show(&self, choices: &[Choice<'_>], ending: Option<&str>) {
        let width = width();
        let title = text::wrap(&text::visible_lines(self.text), width, 0);
        say(&format!("{HEADING}{title}{HEADING:#}"));
        for (number, choice) in (1..).zip(choices) {
            let lines = text::wrap(&text::isolate(&text::visible(choice.text)), width, 6);
            say(&format!("  {number:>2}) {}", lines.trim_start()));
        }
        let ways = self.ways(choices, ending);
        if !ways.is_empty() {
            say(&format!("{DIM}({ways}){DIM:#}"));
        }
    }

    /// What can be typed beside an answer.
    fn ways(&self, choices: &[Choice<'_>], ending: Option<&str>) -> String {
        let enter = match (self.default, self.enter) {
            (Some(_), Some(enter)) => Some(format!("Enter {}", text::visible(enter))),
            (Some(default), None) => Some(format!("Enter for {}", text::visible(default))),
            (None, enter) if self.skippable => Some(format!("Enter {}", text::visible(enter.unwrap_or("to skip")))),
            (None, _) => None,
        };
        let help = self.help.is_some() || choices.iter().any(|choice| choice.help.is_some());
        let ways: Vec<&str> = [
            enter.as_deref(),
            help.then_some("? for help"),
            self.back.then_some("< to go back"),
            ending,
        ]
        .into_iter()
        .flatten()
        .collect();
        ways.join(", ")
    }

    /// Prints what `?` asks for.
    pub(super) fn show_help(&self, choices: &[Choice<'_>]) {
        let width = width();
        let help = self.help.unwrap_or("There is no help for this question.");
        say(&text::wrap(&text::visible_lines(help), width, 2));
        for (number, choice) in (1..).zip(choices) {
            if let Some(help) = choice.help {
                let lines = text::wrap(&text::visible_lines(help), width, 6);
                say(&format!("  {number:>2}) {}", lines.trim_start()));
            }
        }
        say("");
    }

    pub(super) fn ended(&self) -> AskError {
        AskError::Ended {
            question: text::truncate(&text::visible(self.text), 60),
        }
    }
}

/// One thing to choose.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// What it is called.
    pub text: &'a str,
    /// What `?` says about it.
    pub help: Option<&'a str>,
}

impl<'a> From<&'a str> for Choice<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, help: None }
    }
}

/// Long lines tire; questions stay within 100 columns.
fn width() -> usize {
    output::terminal_width(&io::stderr()).min(100)
}

pub(super) fn say(text: &str) {
    output::stderr_line(format_args!("{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_answer_say_what_enter_does_and_only_what_is_offered() {
        let ways = |question: Question<'_>| question.ways(&[], None);
        assert_eq!(ways(Question::new("?")), "");
        assert_eq!(ways(Question::new("?").default("yes")), "Enter for yes");
        assert_eq!(
            ways(Question::new("?").default("yes").enter("to go on").back()),
            "Enter to go on, < to go back"
        );
        assert_eq!(
            ways(Question::new("?").skippable().help("h")),
            "Enter to skip, ? for help"
        );
        assert_eq!(ways(Question::new("?").skippable().enter("to end")), "Enter to end");
        // Enter answers nothing here, whatever it is called.
        assert_eq!(ways(Question::new("?").enter("to go on")), "");
    }
}
