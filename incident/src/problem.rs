//! What is wrong with an incident, and where.

use std::fmt;

use thiserror::Error;

/// Why an incident was not accepted.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum IncidentError {
    /// The JSON is longer than [`crate::Incident::MAX_BYTES`].
    #[error(
        "the incident has {size} bytes; at most {limit} are accepted: shorten the narrative, or put long texts into attachments"
    )]
    TooLarge {
        /// Its length in bytes.
        size: usize,
        /// The most that is accepted, in bytes.
        limit: usize,
    },
    /// Not JSON, or JSON in which a field stands twice.
    #[error("the incident is not the JSON that is expected: {0}")]
    NotJson(String),
    /// JSON that does not say what an incident must say. Every problem found is listed.
    #[error("the incident has {count} that must be put right:\n{0}", count = .0.count())]
    Invalid(Problems),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a path from the top: `act[2].date`; empty for the incident as a whole.
    pub at: String,
    /// What is wrong and what is accepted.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.at, self.what)
        }
    }
}

/// Everything that is wrong, in the order of the incident's fields; at most [`Problems::MOST`] are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The most problems that are kept: a person puts right the first hundred and asks again.
    pub const MOST: usize = 100;

    /// The problems, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, at: impl Into<String>, what: impl Into<String>) {
        if self.0.len() < Self::MOST {
            self.0.push(Problem {
                at: at.into(),
                what: what.into(),
            });
        }
    }

    fn count(&self) -> String {
        match self.0.len() {
            1 => "one problem".to_owned(),
            n => format!("{n} problems"),
        }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// `value` in quotes for a message: cut after 40 characters, control and direction characters made visible.
pub(crate) fn quoted(value: &str) -> String {
    const MOST: usize = 40;
    let mut shown = String::from("\"");
    for c in value.chars().take(MOST) {
        shown.extend(c.escape_debug());
    }
    if value.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown.push('"');
    shown
}

/// "a, b, c" for messages.
pub(crate) fn listed<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    items.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_value_cannot_disturb_the_message_that_quotes_it() {
        assert_eq!(quoted("a\u{202e}b\u{1b}[2J\n"), r#""a\u{202e}b\u{1b}[2J\n""#);
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), 43);
    }

    #[test]
    fn problems_without_end_are_cut() {
        let mut problems = Problems::default();
        for n in 0..1000 {
            problems.add(format!("act[{n}]"), "x");
        }
        assert_eq!(problems.len(), Problems::MOST);
    }
}
