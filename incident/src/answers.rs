//! What a submitter has answered so far, and the incident it makes.

use std::fmt;

use zeroize::Zeroizing;

use crate::catalogue::{Input, Question};
use crate::country::Country;
use crate::evidence::Evidence;
use crate::incident::Incident;
use crate::json::Json;
use crate::problem::IncidentError;

/// An answer.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The question was passed over.
    Skipped,
    /// A notice was read, or the files were chosen.
    Seen,
    /// Yes or no.
    YesNo(bool),
    /// A text, or one code.
    One(Zeroizing<String>),
    /// Several codes.
    Many(Vec<String>),
}

/// Never shows what was said.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skipped => "Skipped",
            Self::Seen => "Seen",
            Self::YesNo(_) => "YesNo(…)",
            Self::One(_) => "One(…)",
            Self::Many(_) => "Many(…)",
        })
    }
}

impl Answer {
    /// Whether this is one of the answers of a condition.
    pub(crate) fn is_one_of(&self, answers: &[String]) -> bool {
        let is = |said: &str| answers.iter().any(|answer| answer == said);
        match self {
            Self::Skipped | Self::Seen => false,
            Self::YesNo(yes) => is(if *yes { "yes" } else { "no" }),
            Self::One(said) => is(said),
            Self::Many(said) => said.iter().any(|said| is(said)),
        }
    }
}

/// The answers, in the order in which they were given, each under its key: the path of the field it fills
/// (`act[0].method`), the path of a group's round for a gate (`act[0]`), the question's id where there is no field.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    given: Vec<Given>,
    evidence: Vec<Evidence>,
}

#[derive(Debug, Clone)]
struct Given {
    key: String,
    question: &'static Question,
    answer: Answer,
}

impl Answers {
    /// Every key and answer, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Answer)> {
        self.given.iter().map(|given| (given.key.as_str(), &given.answer))
    }

    /// An answer by its key.
    pub fn get(&self, key: &str) -> Option<&Answer> {
        self.given
            .iter()
            .find(|given| given.key == key)
            .map(|given| &given.answer)
    }

    /// What stands in the incident about the files added so far.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// The incident that these answers make.
    ///
    /// # Errors
    /// [`IncidentError::Invalid`] if something required has not been answered yet; the places are keys of answers.
    pub fn to_incident(&self) -> Result<Incident, IncidentError> {
        let mut json = Json::Object(vec![("schema".to_owned(), Json::Text(Incident::SCHEMA.to_owned()))]);
        for given in &self.given {
            if let Some(value) = value(given) {
                put(&mut json, &given.key, value);
            }
        }
        let mut incident = Incident::from_json(&json)?;
        incident.evidence.clone_from(&self.evidence);
        incident.validate().map_err(IncidentError::Invalid)?;
        Ok(incident)
    }

    pub(crate) fn give(&mut self, key: String, question: &'static Question, answer: Answer) {
        self.given.push(Given { key, question, answer });
    }

    /// Takes the last answer back; with the files, the files too.
    pub(crate) fn take_back(&mut self) -> bool {
        match self.given.pop() {
            Some(given) => {
                if given.question.input == Input::Files {
                    self.forget_files();
                }
                true
            }
            None => false,
        }
    }

    pub(crate) fn forget_files(&mut self) {
        self.evidence.clear();
    }

    pub(crate) fn attach(&mut self, evidence: Evidence) {
        self.evidence.push(evidence);
    }
}

/// The JSON of an answer; `None` where there is none to write.
fn value(given: &Given) -> Option<Json> {
    given.question.path.as_ref()?;
    match (&given.answer, given.question.input) {
        (Answer::Skipped | Answer::Seen, _) | (_, Input::Gate) => None,
        (Answer::YesNo(yes), _) => Some(Json::Bool(*yes)),
        (Answer::One(code), Input::Country) => Some(Country::from_code(code).ok()?.to_json()),
        // "act[3]" is written as the number 3.
        (Answer::One(code), Input::EarlierAct) => Some(Json::Whole(segments(code).first()?.1? as u64)),
        (Answer::One(text), _) => Some(Json::Text(text.to_string())),
        (Answer::Many(codes), _) => Some(Json::List(codes.iter().cloned().map(Json::Text).collect())),
    }
}

/// `act[2].perpetrator[0].kind` as `("act", 2), ("perpetrator", 0), ("kind", none)`.
fn segments(key: &str) -> Vec<(&str, Option<usize>)> {
    let segment = |part| match str::split_once(part, '[') {
        Some((name, index)) => (name, index.trim_end_matches(']').parse().ok()),
        None => (part, None),
    };
    key.split('.').map(segment).collect()
}

/// Puts a value in its place. Rounds are answered in order, so an index is that of the last element or the next.
fn put(json: &mut Json, key: &str, value: Json) {
    let mut place = json;
    for (name, index) in segments(key) {
        place = entry(place, name);
        if index.is_some() {
            if !matches!(place, Json::List(_)) {
                *place = Json::List(Vec::new());
            }
            let (Json::List(list), Some(index)) = (place, index) else {
                return;
            };
            if index >= list.len() {
                list.push(Json::Object(Vec::new()));
            }
            let Some(element) = list.last_mut() else { return };
            place = element;
        }
    }
    *place = value;
}

/// The field of an object, made if it is not there.
fn entry<'a>(json: &'a mut Json, name: &str) -> &'a mut Json {
    if !matches!(json, Json::Object(_)) {
        *json = Json::Object(Vec::new());
    }
    match json {
        Json::Object(fields) => {
            let place = fields.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
                fields.push((name.to_owned(), Json::Null));
                fields.len() - 1
            });
            &mut fields[place].1
        }
        other => other,
    }
}
