//! Whom an act was done to, or who consents.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::decode::written_as_text;
use crate::problem::quoted;

/// The target, or one of the relatives by index: `target`, `relative[0]`.
///
/// The target need not be described for an act to have been done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Person {
    /// The targeted person.
    Target,
    /// The relative at this place of the list, from 0.
    Relative(usize),
}

/// Not a person of a report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} is nobody; write target, or relative[0] for the first relative of the list")]
pub struct PersonError(String);

impl FromStr for Person {
    type Err = PersonError;

    fn from_str(text: &str) -> Result<Self, PersonError> {
        if text == "target" {
            return Ok(Self::Target);
        }
        let index = text.strip_prefix("relative[").and_then(|rest| rest.strip_suffix(']'));
        match index.and_then(|index| index.parse::<u16>().ok().filter(|n| n.to_string() == index)) {
            Some(index) => Ok(Self::Relative(usize::from(index))),
            None => Err(PersonError(quoted(text))),
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("target"),
            Self::Relative(index) => write!(f, "relative[{index}]"),
        }
    }
}

written_as_text!(Person, "Person", {
    "type": "string",
    "pattern": "^(target|relative\\[(0|[1-9][0-9]{0,4})\\])$",
    "description": "The target, or a relative by index from 0",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_one_spelling() {
        assert_eq!("target".parse(), Ok(Person::Target));
        assert_eq!("relative[12]".parse(), Ok(Person::Relative(12)));
        for text in [
            "",
            "Target",
            "relative",
            "relative[]",
            "relative[-1]",
            "relative[+1]",
            "relative[01]",
            "relative[99999999]",
            "relative[1] ",
        ] {
            assert!(text.parse::<Person>().is_err(), "{text}");
        }
    }
}
