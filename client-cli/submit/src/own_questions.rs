//! The organization's own questions, which its manifest brings.

use std::collections::BTreeMap;

use anyhow::Result;
use marram_crypto::manifest::{FALLBACK_LOCALE, Kind, Locale, Question as Asked};
use marram_terminal::ask::{Answer, Ask, Choice, Question};

use crate::{interview::long_text, screen::Screen};

/// The questions, and the answers so far.
pub(crate) struct OwnQuestions<'a> {
    questions: &'a [Asked],
    locale: Option<Locale>,
    /// By the question's id.
    pub(crate) answers: BTreeMap<String, String>,
}

/// What came of a question.
pub(crate) enum Next {
    /// The next one.
    On,
    /// The one before.
    Back,
}

impl<'a> OwnQuestions<'a> {
    pub(crate) fn new(questions: &'a [Asked], language: &str) -> Self {
        Self {
            questions,
            locale: language.parse().ok(),
            answers: BTreeMap::new(),
        }
    }

    pub(crate) const fn count(&self) -> usize {
        self.questions.len()
    }

    /// Question and answer, for the summary.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.questions.iter().filter_map(|question| {
            let answer = self.answers.get(question.id.as_str())?;
            let choice = question.choices.iter().find(|choice| choice.code.as_str() == answer);
            let shown = choice.map_or(answer.as_str(), |choice| wording(&choice.text, self.locale.as_ref()));
            Some((wording(&question.text, self.locale.as_ref()), shown))
        })
    }

    /// Asks question `index`.
    pub(crate) fn ask(&mut self, ask: &mut Ask, screen: Screen, index: usize) -> Result<Next> {
        let Some(asked) = self.questions.get(index) else {
            return Ok(Next::On);
        };
        if index == 0 {
            let progress = if self.count() == 1 {
                "1 question".to_owned()
            } else {
                format!("{} questions", self.count())
            };
            screen.part("What this organization asks as well", &progress);
        }
        screen.heading(wording(&asked.text, self.locale.as_ref()));
        let question = |text| Question::new(text).skippable().back();
        let answer = match asked.kind {
            Kind::Text => ask.line(&question("Your answer, in one line"))?,
            Kind::LongText => match long_text(
                ask,
                question("Write as much as you like. An empty line ends a paragraph, two end the text."),
            )? {
                Answer::Given(text) => Answer::Given((*text).clone()),
                Answer::Skipped => Answer::Skipped,
                Answer::Back => Answer::Back,
            },
            Kind::YesNo => match ask.yes_no(&question("Yes or no?"))? {
                Answer::Given(yes) => Answer::Given(if yes { "yes" } else { "no" }.to_owned()),
                Answer::Skipped => Answer::Skipped,
                Answer::Back => Answer::Back,
            },
            Kind::Choice => {
                let choices: Vec<Choice<'_>> = asked
                    .choices
                    .iter()
                    .map(|choice| wording(&choice.text, self.locale.as_ref()).into())
                    .collect();
                match ask.one_of(&question("Which one? Type its number."), &choices)? {
                    Answer::Given(index) => Answer::Given(asked.choices[index].code.as_str().to_owned()),
                    Answer::Skipped => Answer::Skipped,
                    Answer::Back => Answer::Back,
                }
            }
        };
        let id = asked.id.as_str().to_owned();
        match answer {
            Answer::Back => return Ok(Next::Back),
            Answer::Skipped => drop(self.answers.remove(&id)),
            Answer::Given(answer) => drop(self.answers.insert(id, answer)),
        }
        Ok(Next::On)
    }
}

/// The wording in a language, or one near to it, or English.
fn wording<'a>(texts: &'a BTreeMap<Locale, String>, locale: Option<&Locale>) -> &'a str {
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_lowercase();
    let exact = || texts.get(locale?);
    let near = || {
        let mine = primary(locale?.as_str());
        texts
            .iter()
            .find(|(tag, _)| primary(tag.as_str()) == mine)
            .map(|(_, text)| text)
    };
    let english = || {
        texts
            .iter()
            .find(|(tag, _)| tag.as_str() == FALLBACK_LOCALE)
            .map(|(_, text)| text)
    };
    exact().or_else(near).or_else(english).map_or("", String::as_str)
}
