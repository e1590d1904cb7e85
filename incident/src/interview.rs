//! The questionnaire as a walk: what to ask next, given what was answered so far. The command line and the page walk alike.

use std::fmt;

use zeroize::Zeroizing;

use crate::answers::{Answer, Answers};
use crate::catalogue::{Catalogue, Condition, Input, Question, Section, catalogue};
use crate::country::{Country, CountryCode};
use crate::date::EdtfDate;
use crate::evidence::Evidence;
use crate::language::Language;
use crate::problem::{IncidentError, quoted};

/// A walk through the catalogue with one submitter. Holds the answers in memory and nowhere else.
#[derive(Debug, Clone)]
pub struct Interview {
    language: String,
    answers: Answers,
}

/// What to do next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Ask this.
    Ask(Prompt),
    /// Everything has been asked: [`Answers::to_incident`].
    Done,
}

/// One question, ready to be shown.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Under which key the answer will stand: `act[0].method`.
    pub key: String,
    /// The part of the questionnaire.
    pub section: &'static Section,
    /// Its title.
    pub section_title: &'static str,
    /// For showing progress: which part, from 1, of how many.
    pub part: (usize, usize),
    /// Within a group, which round, from 1.
    pub round: Option<usize>,
    /// How to ask.
    pub input: Input,
    /// The question.
    pub label: String,
    /// What explains it.
    pub help: Option<String>,
    /// What there is to choose from.
    pub choices: Vec<Choice>,
    /// Whether it cannot be skipped.
    pub required: bool,
    question: &'static Question,
}

/// One of the answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What to answer.
    pub code: String,
    /// What it means.
    pub label: String,
}

/// Why an answer was not taken: one calm sentence in the language of the interview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Message {}

/// A question that has not been answered yet, and where it stands.
struct Pending {
    key: String,
    rounds: Vec<usize>,
    question: &'static Question,
}

impl Interview {
    /// Begins, in the language of the catalogue that is nearest to this one.
    pub fn new(language: &str) -> Self {
        Self {
            language: catalogue().nearest(language).to_owned(),
            answers: Answers::default(),
        }
    }

    /// What to ask next. The same until something is answered, skipped or taken back.
    pub fn next(&self) -> Step {
        self.pending()
            .map_or(Step::Done, |(n, pending)| Step::Ask(self.prompt(n, pending)))
    }

    /// Takes the answer to what [`Self::next`] asks: for choices a code or its number from 1 (several of them separated by
    /// commas), for the rest what its [`Input`] says.
    ///
    /// # Errors
    /// A message to show before asking again; nothing has changed.
    pub fn answer(&mut self, said: &str) -> Result<(), Message> {
        let Step::Ask(prompt) = self.next() else { return Ok(()) };
        let answer = self.understand(&prompt, said)?;
        if prompt.key == "consent.store" && answer == Answer::YesNo(false) {
            return Err(self.message("message.store", &[]));
        }
        self.answers.give(prompt.key.clone(), prompt.question, answer);
        // The one gate of all incidents also judges this answer.
        if let Err(IncidentError::Invalid(problems)) = self.answers.to_incident()
            && let Some(problem) = problems
                .iter()
                .find(|p| p.at == prompt.key || p.at.starts_with(&format!("{}[", prompt.key)))
        {
            let message = self.message("message.not_accepted", &[("what", &problem.what)]);
            self.answers.take_back();
            return Err(message);
        }
        Ok(())
    }

    /// Passes over what [`Self::next`] asks. A notice counts as read; a gate as answered with no.
    ///
    /// # Errors
    /// A message if this cannot be skipped.
    pub fn skip(&mut self) -> Result<(), Message> {
        let Step::Ask(prompt) = self.next() else { return Ok(()) };
        if prompt.required {
            let key = if prompt.round.is_some() {
                "message.required_in_round"
            } else {
                "message.required"
            };
            return Err(self.message(key, &[]));
        }
        let answer = if prompt.input == Input::Notice {
            Answer::Seen
        } else {
            Answer::Skipped
        };
        self.answers.give(prompt.key, prompt.question, answer);
        Ok(())
    }

    /// Takes the last answer back, so that it is asked again; with the files, the files too. False at the very start.
    pub fn back(&mut self) -> bool {
        if let Step::Ask(Prompt {
            input: Input::Files, ..
        }) = self.next()
        {
            self.answers.forget_files();
        }
        self.answers.take_back()
    }

    /// Adds what stands in the incident about a file, after those added before. While the files are asked for, or later.
    ///
    /// # Errors
    /// A message if there are too many, or it is not valid.
    pub fn attach(&mut self, evidence: Evidence) -> Result<(), Message> {
        let most = catalogue()
            .question("evidence")
            .and_then(|question| question.most)
            .unwrap_or_default();
        if self.answers.evidence().len() >= most {
            return Err(self.message("message.too_many_files", &[("limit", &most.to_string())]));
        }
        let mut problems = crate::problem::Problems::default();
        evidence.check("evidence", &mut problems);
        if let Some(problem) = problems.iter().next() {
            return Err(self.message("message.not_accepted", &[("what", &problem.to_string())]));
        }
        self.answers.attach(evidence);
        Ok(())
    }

    /// What was answered so far.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// A text of the catalogue in the language of the interview: `word.skip`, `word.back`, `word.part`.
    pub fn text(&self, key: &str) -> &'static str {
        let catalogue: &'static Catalogue = catalogue();
        catalogue.text(&self.language, key).unwrap_or_default()
    }

    /// The first question, in order, that is shown and has no answer; with the number of its section.
    fn pending(&self) -> Option<(usize, Pending)> {
        let sections = catalogue().sections().iter().enumerate();
        sections
            .into_iter()
            .find_map(|(n, section)| Some((n, self.pending_of(&section.items, &[])?)))
    }

    fn pending_of(&self, items: &'static [Question], rounds: &[usize]) -> Option<Pending> {
        items
            .iter()
            .filter(|item| self.is_shown(item, rounds))
            .find_map(|item| {
                if item.input == Input::Gate {
                    return self.pending_round(item, rounds);
                }
                let key = key(item, rounds);
                self.answers.get(&key).is_none().then(|| Pending {
                    key,
                    rounds: rounds.to_vec(),
                    question: item,
                })
            })
    }

    fn is_shown(&self, question: &Question, rounds: &[usize]) -> bool {
        // The first act cannot follow an earlier one.
        let nothing_earlier = question.input == Input::EarlierAct && rounds.first() == Some(&0);
        !nothing_earlier && question.show_if.as_ref().is_none_or(|when| self.holds(when, rounds))
    }

    /// In a group: the first round that is not finished, or the gate to the next one.
    fn pending_round(&self, gate: &'static Question, outer: &[usize]) -> Option<Pending> {
        for round in 0..gate.most.unwrap_or(usize::MAX) {
            let rounds = [outer, &[round]].concat();
            let key = key(gate, &rounds);
            match self.answers.get(&key) {
                None => {
                    return Some(Pending {
                        key,
                        rounds,
                        question: gate,
                    });
                }
                Some(Answer::YesNo(true)) => {
                    if let Some(pending) = self.pending_of(&gate.items, &rounds) {
                        return Some(pending);
                    }
                }
                Some(_) => return None,
            }
        }
        None
    }

    fn holds(&self, condition: &Condition, rounds: &[usize]) -> bool {
        let question = catalogue().question(&condition.question);
        let answer = question.and_then(|question| self.answers.get(&key(question, rounds)));
        answer.is_some_and(|answer| answer.is_one_of(&condition.is))
    }

    fn prompt(&self, section: usize, pending: Pending) -> Prompt {
        let Pending { key, rounds, question } = pending;
        let sections = catalogue().sections();
        let id = &question.id;
        let id = match (question.input, rounds.last()) {
            (Input::Gate, Some(0)) => format!("question.{id}.first"),
            (Input::Gate, _) => format!("question.{id}.again"),
            _ => format!("question.{id}"),
        };
        let help = self.text(&format!("{id}.help"));
        Prompt {
            section: &sections[section],
            section_title: self.text(&format!("section.{}", sections[section].id)),
            part: (section + 1, sections.len()),
            round: rounds.last().map(|round| round + 1),
            input: question.input,
            label: self.text(&id).to_owned(),
            help: (!help.is_empty()).then(|| help.to_owned()),
            choices: self.choices(question, &rounds),
            required: question.required
                || question
                    .required_if
                    .as_ref()
                    .is_some_and(|when| self.holds(when, &rounds)),
            question,
            key,
        }
    }

    fn choices(&self, question: &Question, rounds: &[usize]) -> Vec<Choice> {
        let choice = |code: &str, label: String| Choice {
            code: code.to_owned(),
            label,
        };
        let said = |key: &str| match self.answers.get(key) {
            Some(Answer::One(said)) => said.to_string(),
            _ => String::new(),
        };
        let happened = |key: &str| self.answers.get(key) == Some(&Answer::YesNo(true));
        match question.input {
            Input::YesNo | Input::Gate => ["yes", "no"]
                .map(|word| choice(word, self.text(&format!("word.{word}")).to_owned()))
                .into(),
            Input::Person => {
                let relatives = (0..)
                    .map(|n| (n, format!("relative[{n}]")))
                    .take_while(|(_, key)| happened(key));
                let relatives = relatives.map(|(n, key)| {
                    let relation = self.text(&format!("code.relation.{}", said(&format!("{key}.relation"))));
                    let label = self.text("person.relative").replace("{relation}", relation);
                    choice(&key, label.replace("{n}", &(n + 1).to_string()))
                });
                [choice("target", self.text("person.target").to_owned())]
                    .into_iter()
                    .chain(relatives)
                    .collect()
            }
            Input::EarlierAct => {
                let this = rounds.first().copied().unwrap_or_default();
                let acts = (0..this)
                    .map(|n| (n, format!("act[{n}]")))
                    .filter(|(_, key)| happened(key));
                acts.map(|(n, key)| {
                    let method = self.text(&format!("code.method.{}", said(&format!("{key}.method"))));
                    let label = self.text("earlier_act").replace("{method}", method);
                    choice(&key, label.replace("{n}", &(n + 1).to_string()))
                })
                .collect()
            }
            _ => {
                let list = question.codes.as_deref().and_then(|id| catalogue().list(id));
                let codes = list
                    .iter()
                    .flat_map(|list| list.codes.iter().map(|code| (&list.id, &code.code)));
                codes
                    .map(|(id, code)| choice(code, self.text(&format!("code.{id}.{code}")).to_owned()))
                    .collect()
            }
        }
    }

    fn understand(&self, prompt: &Prompt, said: &str) -> Result<Answer, Message> {
        let said = said.trim();
        if said.is_empty() && !matches!(prompt.input, Input::Notice | Input::Files) {
            return Err(self.message("message.empty", &[]));
        }
        let one = |text: &str| Answer::One(Zeroizing::new(text.to_owned()));
        let choose = |said: &str| {
            let numbered = said
                .parse::<usize>()
                .ok()
                .and_then(|n| prompt.choices.get(n.checked_sub(1)?));
            let coded = || {
                prompt
                    .choices
                    .iter()
                    .find(|choice| choice.code.eq_ignore_ascii_case(said))
            };
            numbered.or_else(coded).map(|choice| choice.code.clone())
        };
        match prompt.input {
            Input::Notice | Input::Files => Ok(Answer::Seen),
            Input::YesNo | Input::Gate => {
                let said = said.to_lowercase();
                let word = |key| self.text(key).to_lowercase();
                match said.as_str() {
                    "yes" | "y" | "1" => Ok(Answer::YesNo(true)),
                    "no" | "n" | "2" => Ok(Answer::YesNo(false)),
                    said if said == word("word.yes") => Ok(Answer::YesNo(true)),
                    said if said == word("word.no") => Ok(Answer::YesNo(false)),
                    _ => Err(self.message("message.yes_or_no", &[])),
                }
            }
            Input::Choice | Input::Person | Input::EarlierAct => choose(said)
                .map(|code| one(&code))
                .ok_or_else(|| self.message("message.choose", &[])),
            Input::MultiChoice => {
                let mut codes = Vec::new();
                for part in said
                    .split([',', ';', '،', '，', '、', ' '])
                    .filter(|part| !part.is_empty())
                {
                    let code = choose(part).ok_or_else(|| self.message("message.choose_several", &[]))?;
                    if !codes.contains(&code) {
                        codes.push(code);
                    }
                }
                if codes.is_empty() {
                    Err(self.message("message.choose_several", &[]))
                } else {
                    Ok(Answer::Many(codes))
                }
            }
            Input::Date => match said.parse::<EdtfDate>() {
                Ok(date) => Ok(one(date.as_str())),
                Err(_) => Err(self.message("message.date", &[])),
            },
            Input::Country => match country(said) {
                Some(country) => Ok(one(country.code())),
                None => Err(self.message("message.country", &[("value", &quoted(said))])),
            },
            Input::Countries => {
                let mut codes: Vec<String> = Vec::new();
                for part in said
                    .split([',', ';', '،', '，', '、'])
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                {
                    let country =
                        country(part).ok_or_else(|| self.message("message.country", &[("value", &quoted(part))]))?;
                    let code = country.country.to_string();
                    if !codes.contains(&code) {
                        codes.push(code);
                    }
                }
                if codes.is_empty() {
                    Err(self.message("message.empty", &[]))
                } else {
                    Ok(Answer::Many(codes))
                }
            }
            Input::Language => match self.language_of(said) {
                Some(language) => Ok(one(language.as_str())),
                None => Err(self.message("message.language", &[])),
            },
            Input::Text | Input::LongText => match prompt.question.most {
                Some(most) if said.chars().count() > most => {
                    Err(self.message("message.too_long", &[("limit", &most.to_string())]))
                }
                _ => Ok(one(said)),
            },
        }
    }

    /// A language tag, or the name that the texts give to one of the languages of the page.
    fn language_of(&self, said: &str) -> Option<Language> {
        let source = catalogue().texts("en")?;
        let tags = source
            .iter()
            .filter_map(|(key, _)| Some((key, key.strip_prefix("language.")?)));
        let named = tags.into_iter().find(|(key, _)| {
            let names = [self.text(key), source.get(key).unwrap_or_default()];
            names.iter().any(|name| name.to_lowercase() == said.to_lowercase())
        });
        named.map_or(said, |(_, tag)| tag).parse().ok()
    }

    fn message(&self, key: &str, values: &[(&str, &str)]) -> Message {
        let text = self.text(key).to_owned();
        Message(
            values
                .iter()
                .fold(text, |text, (name, value)| text.replace(&format!("{{{name}}}"), value)),
        )
    }
}

/// A country or region from its code in any capitals, or its English name.
fn country(said: &str) -> Option<Country> {
    let named = catalogue()
        .country_named(said)
        .and_then(|code| code.parse::<CountryCode>().ok());
    match named {
        Some(country) => Some(Country {
            country,
            subdivision: None,
        }),
        None => Country::from_code(&said.to_ascii_uppercase()).ok(),
    }
}

/// The key of a question in these rounds of its groups: its path, with `[]` filled in; its id if it has no path.
fn key(question: &Question, rounds: &[usize]) -> String {
    let Some(path) = &question.path else {
        return question.id.clone();
    };
    if question.input == Input::Files {
        return question.id.clone();
    }
    let mut parts = path.split("[]");
    let first = parts.next().unwrap_or_default().to_owned();
    parts
        .zip(rounds)
        .fold(first, |key, (part, round)| format!("{key}[{round}]{part}"))
}
