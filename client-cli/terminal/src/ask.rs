//! Questions at the prompt. Prompts go to stderr; answers come from stdin, from a terminal or through a pipe.
//!
//! At every prompt `?` shows help, Enter takes the default or skips where that is offered, and `<` goes back where that
//! is offered. Ctrl-C and the end of input are errors at once, and nothing is kept.

mod lines;
mod numbers;
mod question;

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use self::lines::{Lines, Unread};
use self::numbers::{ascii_digits, index, indices};
use self::question::say;
pub use self::question::{Answer, Choice, Question};
use crate::interrupt::{self, Interrupted};
use crate::output::{self, HEADING};
use crate::text;

/// The longest answer of one line, in bytes, unless the question says otherwise.
pub const LINE_BYTES: usize = 4096;

/// The longest answer of several lines, in bytes, unless the question says otherwise.
pub const LONG_TEXT_BYTES: usize = 256 * 1024;

/// How often digits may be mistyped before they count as different.
const DIGIT_TRIES: usize = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The input ended.
    #[error("the input ended before the question was answered: {question}")]
    Ended {
        /// Which question.
        question: String,
    },
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The terminal or pipe failed.
    #[error("cannot ask: {0}")]
    Io(io::Error),
}

impl AskError {
    /// What to do next.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::Ended { .. } => Some("run the command again; nothing of the answers was kept".into()),
            Self::Interrupted(_) | Self::Io(_) => None,
        }
    }
}

/// Asks questions. One per process: it reads ahead.
#[derive(Debug)]
pub struct Ask {
    lines: Lines,
    terminal: bool,
}

impl Ask {
    /// Asks at stdin.
    ///
    /// # Errors
    /// [`AskError::Io`] if stdin is closed.
    pub fn stdin() -> Result<Self, AskError> {
        interrupt::install().map_err(AskError::Io)?;
        let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(AskError::Io)?;
        Ok(Self::from_file(File::from(stdin)))
    }

    fn from_file(file: File) -> Self {
        Self {
            terminal: file.is_terminal(),
            lines: Lines::new(file),
        }
    }

    /// Whether a person types the answers.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of text, without spaces around it.
    ///
    /// # Errors
    /// [`AskError`], as for every question.
    pub fn line(&mut self, question: &Question<'_>) -> Result<Answer<String>, AskError> {
        self.parsed(question, |answer| Ok(answer.to_owned()))
    }

    /// One line that `parse` understands; what it says otherwise is shown, and the question asked again.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn parsed<T>(
        &mut self,
        question: &Question<'_>,
        parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<Answer<T>, AskError> {
        self.asked(question, &[], parse)
    }

    /// Text of several lines, ended by an empty line, a line with a single dot, or the end of input.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn long_text(&mut self, question: &Question<'_>) -> Result<Answer<String>, AskError> {
        let max_bytes = question.max_bytes.unwrap_or(LONG_TEXT_BYTES);
        'again: loop {
            question.show(&[], Some("an empty line ends"));
            let mut lines = String::new();
            loop {
                self.prompt();
                let line = match self.lines.next(max_bytes) {
                    Ok(line) => line.trim_end().to_owned(),
                    Err(Unread::Ended) if !lines.is_empty() => String::new(),
                    Err(Unread::Ended) => return Err(question.ended()),
                    Err(Unread::Fatal(error)) => return Err(error),
                    Err(Unread::Again(what)) => {
                        say(&what);
                        continue;
                    }
                };
                if lines.is_empty() {
                    match Self::special(question, &[], &line) {
                        Special::Help => continue 'again,
                        Special::Back => return Ok(Answer::Back),
                        Special::Skip => return Ok(Answer::Skipped),
                        Special::Default(default) => return Ok(Answer::Given(default)),
                        Special::Missing => {
                            say("Please answer this one.");
                            continue;
                        }
                        Special::None => {}
                    }
                }
                if line.is_empty() || line == "." {
                    return Ok(Answer::Given(lines));
                }
                if lines.len() + line.len() + 1 > max_bytes {
                    say(&format!(
                        "That is longer than {max_bytes} bytes, the limit: the last line was left out."
                    ));
                    return Ok(Answer::Given(lines));
                }
                if !lines.is_empty() {
                    lines.push('\n');
                }
                lines.push_str(&line);
            }
        }
    }

    /// Yes or no. A default is `"yes"` or `"no"`.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn yes_no(&mut self, question: &Question<'_>) -> Result<Answer<bool>, AskError> {
        self.parsed(question, |answer| match answer.to_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ => Err("Please type yes or no.".into()),
        })
    }

    /// One of several, by its number; gives its index from 0.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn one_of(&mut self, question: &Question<'_>, choices: &[Choice<'_>]) -> Result<Answer<usize>, AskError> {
        self.asked(question, choices, |answer| index(answer, choices.len()))
    }

    /// Some of several, by their numbers (`1 3`, `1,3-5`); gives their indices from 0, in order, each once.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn some_of(&mut self, question: &Question<'_>, choices: &[Choice<'_>]) -> Result<Answer<Vec<usize>>, AskError> {
        self.asked(question, choices, |answer| indices(answer, choices.len()))
    }

    /// A plain yes or no, without help or a way back.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn confirm(&mut self, text: &str, default: bool) -> Result<bool, AskError> {
        let question = Question::new(text).default(if default { "yes" } else { "no" });
        Ok(self.yes_no(&question)?.given().unwrap_or(default))
    }

    /// Whether the groups of digits of something were compared over another channel and are the same. The last group
    /// has to be typed, so that nobody just presses Enter. Says no on `no`, and on three mistakes.
    ///
    /// `whose` completes "the digits of …", `digits` are groups with spaces between them.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn same_digits(&mut self, whose: &str, digits: &str) -> Result<bool, AskError> {
        let groups: Vec<&str> = digits.split_whitespace().collect();
        let rows: Vec<String> = groups.chunks(4).map(|row| format!("    {}", row.join("  "))).collect();
        say(&format!(
            "{HEADING}The digits of {}:{HEADING:#}\n\n{}\n",
            text::visible(whose),
            rows.join("\n")
        ));
        let question = Question::new(
            "Have them read to you over another channel: face to face, or in a call in which you know the voice. \
             Are all of them the same? Then type the last group; if any differs, type no.",
        )
        .help("Whoever could change a file on its way could not change what you hear. One digit that differs is enough: type no.");
        for _ in 0..DIGIT_TRIES {
            let typed = self.line(&question)?.given().unwrap_or_default();
            if matches!(typed.to_lowercase().as_str(), "n" | "no") {
                return Ok(false);
            }
            if groups.last().is_some_and(|last| ascii_digits(&typed) == **last) {
                return Ok(true);
            }
            say("That is not the last group.");
        }
        Ok(false)
    }

    fn asked<T>(
        &mut self,
        question: &Question<'_>,
        choices: &[Choice<'_>],
        mut parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Result<Answer<T>, AskError> {
        question.show(choices, None);
        loop {
            self.prompt();
            let line = match self.lines.next(question.max_bytes.unwrap_or(LINE_BYTES)) {
                Ok(line) => line,
                Err(Unread::Ended) => return Err(question.ended()),
                Err(Unread::Fatal(error)) => return Err(error),
                Err(Unread::Again(what)) => {
                    say(&what);
                    continue;
                }
            };
            let answer = match Self::special(question, choices, line.trim()) {
                Special::Help => {
                    question.show(choices, None);
                    continue;
                }
                Special::Back => return Ok(Answer::Back),
                Special::Skip => return Ok(Answer::Skipped),
                Special::Missing => {
                    say("Please answer this one.");
                    continue;
                }
                Special::Default(default) => default,
                Special::None => line.trim().to_owned(),
            };
            match parse(&answer) {
                Ok(parsed) => return Ok(Answer::Given(parsed)),
                Err(what) => say(&text::visible_lines(&what)),
            }
        }
    }

    fn special(question: &Question<'_>, choices: &[Choice<'_>], line: &str) -> Special {
        match line {
            "?" | "？" => {
                question.show_help(choices);
                Special::Help
            }
            "<" | "＜" if question.back => Special::Back,
            "" => match question.default {
                Some(default) => Special::Default(default.to_owned()),
                None if question.skippable => Special::Skip,
                None => Special::Missing,
            },
            _ => Special::None,
        }
    }

    fn prompt(&self) {
        // Through a pipe nobody sees it, and the end of line keeps what is logged readable.
        output::stderr_text(format_args!("{}", if self.terminal { "> " } else { ">\n" }));
    }
}

enum Special {
    Help,
    Back,
    Skip,
    Missing,
    Default(String),
    None,
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn typed(input: &str) -> Ask {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(input.as_bytes()).unwrap();
        Ask::from_file(File::from(std::os::fd::OwnedFd::from(reader)))
    }

    fn given<T>(answer: T) -> Answer<T> {
        Answer::Given(answer)
    }

    #[test]
    fn lines_come_one_by_one_and_the_end_is_named() {
        let mut ask = typed("  Ürümqi \r\n维吾尔\nlast");
        let question = Question::new("Where?");
        assert_eq!(ask.line(&question).unwrap(), given("Ürümqi".into()));
        assert_eq!(ask.line(&question).unwrap(), given("维吾尔".into()));
        assert_eq!(ask.line(&question).unwrap(), given("last".into()));
        let error = ask.line(&question).unwrap_err();
        assert!(
            error.to_string().ends_with("Where?") && error.next_step().unwrap().contains("nothing"),
            "{error}"
        );
    }

    #[test]
    fn enter_skips_only_where_that_is_offered() {
        assert_eq!(
            typed("\n").line(&Question::new("?").skippable()).unwrap(),
            Answer::Skipped
        );
        assert_eq!(typed("\nnow\n").line(&Question::new("?")).unwrap(), given("now".into()));
        assert_eq!(
            typed("\n").line(&Question::new("?").default("en").skippable()).unwrap(),
            given("en".into())
        );
    }

    #[test]
    fn back_is_a_way_only_where_that_is_offered() {
        assert_eq!(typed("<\n").line(&Question::new("?").back()).unwrap(), Answer::Back);
        assert_eq!(typed("<\n").line(&Question::new("?")).unwrap(), given("<".into()));
        assert_eq!(
            typed("<\n").long_text(&Question::new("?").back()).unwrap(),
            Answer::Back
        );
    }

    #[test]
    fn help_is_no_answer() {
        assert_eq!(
            typed("?\nyes\n").yes_no(&Question::new("?").help("h")).unwrap(),
            given(true)
        );
        assert_eq!(
            typed("?\ntext\n\n").long_text(&Question::new("?")).unwrap(),
            given("text".into())
        );
    }

    #[test]
    fn long_text_ends_at_an_empty_line_a_dot_or_the_end() {
        for end in ["\n\nnext", "\n.\nnext", "\n"] {
            let mut ask = typed(&format!("first line\n  second line{end}"));
            assert_eq!(
                ask.long_text(&Question::new("What?")).unwrap(),
                given("first line\n  second line".into())
            );
        }
        assert_eq!(
            typed("\n").long_text(&Question::new("?").skippable()).unwrap(),
            Answer::Skipped
        );
        assert!(matches!(
            typed("").long_text(&Question::new("?")),
            Err(AskError::Ended { .. })
        ));
    }

    #[test]
    fn choices_are_numbers_in_any_script() {
        let choices = ["a".into(), "b".into(), "c".into()];
        let question = Question::new("?");
        assert_eq!(typed("0\n4\nx\n2\n").one_of(&question, &choices).unwrap(), given(1));
        assert_eq!(typed("٣\n").one_of(&question, &choices).unwrap(), given(2));
        assert_eq!(typed("༢\n").one_of(&question, &choices).unwrap(), given(1));
        assert_eq!(typed("3, 1\n").some_of(&question, &choices).unwrap(), given(vec![0, 2]));
        assert_eq!(
            typed("1-9\n3-1\n2-3 2\n").some_of(&question, &choices).unwrap(),
            given(vec![1, 2])
        );
        assert_eq!(
            typed("１、３\n").some_of(&question, &choices).unwrap(),
            given(vec![0, 2])
        );
    }

    #[test]
    fn what_does_not_parse_is_asked_again() {
        let parse = |text: &str| text.parse::<u8>().map_err(|error| error.to_string());
        assert_eq!(
            typed("300\n30\n").parsed(&Question::new("?"), parse).unwrap(),
            given(30)
        );
    }

    #[test]
    fn keys_that_are_no_text_and_answers_too_long_are_asked_again() {
        let long = "x".repeat(50_000);
        let mut ask = typed(&format!("\u{1b}[D\n{long}\nfine\n"));
        assert_eq!(
            ask.line(&Question::new("?").max_bytes(10)).unwrap(),
            given("fine".into())
        );
        assert_eq!(
            typed("0123456789\n").line(&Question::new("?").max_bytes(10)).unwrap(),
            given("0123456789".into())
        );
        assert_eq!(
            typed("0123456789x\nok\n")
                .line(&Question::new("?").max_bytes(10))
                .unwrap(),
            given("ok".into())
        );
    }

    #[test]
    fn digits_count_as_compared_only_when_the_last_group_is_typed() {
        let digits = "11111 22222 33333 44444 55555 66666 77777 88888 99999 00000 12345 67890";
        assert!(typed("67890\n").same_digits("Aynur", digits).unwrap());
        assert!(typed("۶۷۸۹۰\n").same_digits("Aynur", digits).unwrap());
        assert!(typed("\nyes\n67890\n").same_digits("Aynur", digits).unwrap());
        assert!(!typed("no\n").same_digits("Aynur", digits).unwrap());
        assert!(!typed("yes\n12345\n1\n67890\n").same_digits("Aynur", digits).unwrap());
        assert!(matches!(
            typed("\n\n").same_digits("Aynur", digits),
            Err(AskError::Ended { .. })
        ));
        assert!(!typed("a\nb\nc\n").same_digits("nothing", "").unwrap());
    }
}
