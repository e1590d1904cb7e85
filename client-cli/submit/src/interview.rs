//! The questionnaire at the terminal. What is asked, and in what order, is the catalogue's business; this shows one
//! question at a time and takes one answer.

use std::collections::BTreeMap;

use anyhow::Result;
use marram_crypto::{bucket, manifest::Manifest};
use marram_incident::{Answer as Said, Input, Interview, Prompt, Step};
use marram_terminal::{
    ask::{Answer, Ask, Choice, Question},
    output::Output,
};
use zeroize::Zeroizing;

use crate::{
    attachments::{self, Measured, human_size},
    screen::Screen,
};

/// Longest part of a long text in bytes; a text has as many parts as one likes.
const PART_BYTES: usize = 200_000;

/// An interview that is going on.
pub(crate) struct Questionnaire<'a> {
    out: &'a Output,
    screen: Screen,
    interview: Interview,
    files: Vec<Measured>,
    /// Bytes that attachments may have in all.
    room: u64,
    /// The section shown last.
    section: Option<String>,
    /// What was asked and answered, by key, as it was shown.
    shown: BTreeMap<String, Shown>,
}

/// A question and its answer, for the summary.
pub(crate) struct Shown {
    pub(crate) section: &'static str,
    pub(crate) label: String,
    pub(crate) answer: Zeroizing<String>,
}

/// What came of one question.
enum Next {
    On,
    Back,
}

impl<'a> Questionnaire<'a> {
    pub(crate) fn new(out: &'a Output, screen: Screen, language: &str, manifest: &Manifest) -> Self {
        Self {
            out,
            screen,
            interview: Interview::new(language),
            files: Vec::new(),
            room: bucket::capacity(manifest.limit, manifest.slots.len()),
            section: None,
            shown: BTreeMap::new(),
        }
    }

    /// The answers so far.
    pub(crate) const fn interview(&self) -> &Interview {
        &self.interview
    }

    /// The files, in the order of the evidence.
    pub(crate) fn files(&self) -> &[Measured] {
        &self.files
    }

    /// The answers that go into the report, in order.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Shown> {
        let given = self.interview.answers().iter();
        let answered = given.filter(|(_, said)| !matches!(said, Said::Skipped | Said::Seen));
        answered.filter_map(|(key, _)| self.shown.get(key))
    }

    /// Asks until everything is answered.
    pub(crate) fn ask(&mut self, ask: &mut Ask) -> Result<()> {
        loop {
            let Step::Ask(prompt) = self.interview.next() else {
                return Ok(());
            };
            let title = prompt.section_title.to_owned();
            if self.section.as_ref() != Some(&title) {
                let (part, parts) = prompt.part;
                self.screen.part(&title, &format!("part {part} of {parts}"));
                self.section = Some(title);
            }
            match self.one(ask, &prompt)? {
                Next::On => {}
                Next::Back => self.back(),
            }
        }
    }

    /// Goes back by one question.
    pub(crate) fn back(&mut self) {
        if !self.interview.back() {
            self.screen
                .paragraph("This is the first question. To stop, press Ctrl-C: nothing is kept.");
        }
        // With the question about files, the files are taken back.
        self.files.truncate(self.interview.answers().evidence().len());
    }

    fn one(&mut self, ask: &mut Ask, prompt: &Prompt) -> Result<Next> {
        self.screen.heading(&prompt.label);
        if let Some(help) = &prompt.help {
            self.screen.own(help);
        }
        match prompt.input {
            Input::Notice => self.notice(ask),
            Input::Files => self.ask_for_files(ask),
            _ => self.question(ask, prompt),
        }
    }

    fn notice(&mut self, ask: &mut Ask) -> Result<Next> {
        let question = Question::new("When you have read this:")
            .default("yes")
            .enter("to go on")
            .back();
        let read = ask.parsed(&question, |said| match said.to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err("Press Enter to go on, < to go back, or Ctrl-C to stop: nothing is kept then.".to_owned()),
        });
        if read? == Answer::Back {
            return Ok(Next::Back);
        }
        drop(self.interview.answer(""));
        Ok(Next::On)
    }

    fn question(&mut self, ask: &mut Ask, prompt: &Prompt) -> Result<Next> {
        let question = Question::new(how(prompt.input)).back();
        let question = if prompt.required {
            question
        } else {
            question.skippable()
        };
        let choices: Vec<Choice<'_>> = prompt
            .choices
            .iter()
            .map(|choice| choice.label.as_str().into())
            .collect();
        let code = |index: usize| prompt.choices.get(index).map_or("", |choice| choice.code.as_str());
        let label = |code: &str| {
            let choice = prompt.choices.iter().find(|choice| choice.code == code);
            choice.map_or_else(|| code.to_owned(), |choice| choice.label.clone())
        };
        loop {
            let answer: Answer<(String, String)> = match prompt.input {
                Input::Choice | Input::Person | Input::EarlierAct => given(ask.one_of(&question, &choices)?, |index| {
                    (code(index).to_owned(), label(code(index)))
                }),
                Input::MultiChoice => given(ask.some_of(&question, &choices)?, |indices| {
                    let codes: Vec<&str> = indices.into_iter().map(code).collect();
                    let labels: Vec<String> = codes.iter().map(|code| label(code)).collect();
                    (codes.join(","), labels.join(", "))
                }),
                Input::LongText => given(long_text(ask, question.clone())?, |text| {
                    (text.to_string(), text.to_string())
                }),
                _ => given(ask.line(&question)?, |text| (text.clone(), text)),
            };
            let result = match &answer {
                Answer::Back => return Ok(Next::Back),
                Answer::Skipped => self.interview.skip(),
                Answer::Given((said, _)) => self.interview.answer(said),
            };
            match result {
                Ok(()) => {
                    self.note(prompt, answer);
                    return Ok(Next::On);
                }
                Err(message) => self.screen.own(&message.to_string()),
            }
        }
    }

    /// Remembers what to show in the summary; the answers about safety are not part of the report.
    fn note(&mut self, prompt: &Prompt, answer: Answer<(String, String)>) {
        if prompt.input == Input::Gate || prompt.section.id == "safety" {
            return;
        }
        if let Answer::Given((_, shown)) = answer {
            let shown = Shown {
                section: prompt.section_title,
                label: prompt.label.clone(),
                answer: Zeroizing::new(shown),
            };
            self.shown.insert(prompt.key.clone(), shown);
        }
    }

    fn ask_for_files(&mut self, ask: &mut Ask) -> Result<Next> {
        loop {
            for (number, file) in (1..).zip(&self.files) {
                self.screen.paragraph(&format!("{number:>2}. {}", file.describe()));
            }
            let (text, enter) = if self.files.is_empty() {
                ("The path of a file? You can also drop it on this window.", "none")
            } else {
                ("Another one? (-1 takes the first out again)", "no more")
            };
            let typed = match ask.line(&Question::new(text).default(enter).back())? {
                Answer::Back => return Ok(Next::Back),
                Answer::Given(typed) => typed,
                Answer::Skipped => String::new(),
            };
            if typed.is_empty() || typed == enter {
                drop(self.interview.answer(""));
                return Ok(Next::On);
            }
            match typed
                .strip_prefix('-')
                .and_then(|number| number.trim().parse::<usize>().ok())
            {
                Some(number) if (1..=self.files.len()).contains(&number) => self.take_out(number - 1),
                _ => {
                    if let Err(error) = self.attach(&typed) {
                        self.screen.paragraph(&format!("{error:#}. Nothing was added."));
                    }
                }
            }
        }
    }

    fn attach(&mut self, typed: &str) -> Result<()> {
        let file = Measured::measure(self.out, &path_of(typed))?;
        if let Some(same) = self.files.iter().find(|other| other.measure == file.measure) {
            anyhow::bail!("this is the same as {}", same.name());
        }
        attachments::check_count(self.files.len() + 1)?;
        let used: u64 = self.files.iter().map(|file| file.measure.attachment.size_bytes).sum();
        let needed = used.saturating_add(file.measure.attachment.size_bytes);
        if needed > self.room {
            anyhow::bail!(
                "with this file the report would have {}, and the organization takes at most {}",
                human_size(needed),
                human_size(self.room)
            );
        }
        self.interview.attach(file.evidence())?;
        self.files.push(file);
        Ok(())
    }

    /// The interview takes back all files or none: all but this one are added again.
    fn take_out(&mut self, index: usize) {
        drop(self.interview.answer(""));
        self.interview.back();
        self.files.remove(index);
        for file in &self.files {
            drop(self.interview.attach(file.evidence()));
        }
    }
}

/// How to answer, in words.
const fn how(input: Input) -> &'static str {
    match input {
        Input::YesNo | Input::Gate => "Yes or no?",
        Input::Choice | Input::Person | Input::EarlierAct => "Which one? Type its number.",
        Input::MultiChoice => "Which ones? Type their numbers, with spaces between.",
        Input::LongText => "Write as much as you like. An empty line ends a paragraph, two end the text.",
        Input::Date => "A year, a month or a day",
        Input::Country => "A country",
        Input::Countries => "One or more countries",
        Input::Language => "A language",
        _ => "Your answer, in one line",
    }
}

/// Paragraphs with empty lines between them, so that a text can be pasted as it is.
pub(crate) fn long_text(ask: &mut Ask, first: Question<'_>) -> Result<Answer<Zeroizing<String>>> {
    let mut text = match ask.long_text(&first.max_bytes(PART_BYTES))? {
        Answer::Given(part) => Zeroizing::new(part),
        Answer::Skipped => return Ok(Answer::Skipped),
        Answer::Back => return Ok(Answer::Back),
    };
    let more = Question::new("The next paragraph, if there is one")
        .skippable()
        .max_bytes(PART_BYTES);
    while let Answer::Given(part) = ask.long_text(&more)? {
        text.push_str("\n\n");
        text.push_str(&Zeroizing::new(part));
    }
    Ok(Answer::Given(text))
}

fn given<T, U>(answer: Answer<T>, map: impl FnOnce(T) -> U) -> Answer<U> {
    match answer {
        Answer::Given(given) => Answer::Given(map(given)),
        Answer::Skipped => Answer::Skipped,
        Answer::Back => Answer::Back,
    }
}

/// The path that was typed, or dropped on the window: terminals put quotes around it, or backslashes before spaces.
fn path_of(typed: &str) -> std::path::PathBuf {
    let quoted = ['\'', '"']
        .iter()
        .find_map(|quote| typed.strip_prefix(*quote)?.strip_suffix(*quote));
    let path = match quoted {
        Some(inside) => inside.to_owned(),
        None if std::path::Path::new(typed).exists() => typed.to_owned(),
        None => {
            let mut path = String::new();
            let mut chars = typed.chars();
            while let Some(c) = chars.next() {
                path.extend(if c == '\\' { chars.next() } else { Some(c) });
            }
            path
        }
    };
    let path = path.strip_prefix("file://").unwrap_or(&path);
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_understood_as_terminals_write_it_when_a_file_is_dropped_on_them() {
        for typed in [
            "'/a b/c.png'",
            "\"/a b/c.png\"",
            "/a\\ b/c.png",
            "file:///a\\ b/c.png",
            "/a b/c.png",
        ] {
            assert_eq!(path_of(typed), std::path::Path::new("/a b/c.png"), "{typed}");
        }
        assert!(!path_of("~/c.png").starts_with("~"));
    }
}
