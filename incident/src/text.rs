//! Free text, bounded and kept out of logs.

use std::{fmt, ops::Deref, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::decode::{Decode, text};
use crate::json::Json;
use crate::problem::Problems;

/// Text of 1 to `N` characters (Unicode scalar values), not only white space and without U+0000.
///
/// Everything else is kept as it was written, direction overrides included: whoever shows it makes those visible.
/// `Debug` gives the length alone, and the memory is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<const N: usize>(Zeroizing<String>);

/// Why a text was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// Nothing, or only white space.
    #[error("is empty; leave it out instead")]
    Empty,
    /// Longer than the field allows.
    #[error("has {characters} characters; at most {limit} are accepted")]
    TooLong {
        /// Its length in characters.
        characters: usize,
        /// The most that is accepted, in characters.
        limit: usize,
    },
    /// U+0000, which databases and C programs take for the end.
    #[error("contains the character U+0000")]
    Nul,
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> FromStr for Text<N> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if text.trim().is_empty() {
            return Err(TextError::Empty);
        }
        // The bytes bound the characters, so that a text within the limit is counted only when it may be over.
        if text.len() > N {
            let characters = text.chars().count();
            if characters > N {
                return Err(TextError::TooLong { characters, limit: N });
            }
        }
        if text.contains('\0') {
            return Err(TextError::Nul);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<const N: usize> Decode for Text<N> {
    fn decode(json: &Json, at: &str, problems: &mut Problems) -> Option<Self> {
        match text(json, at, problems)?.parse() {
            Ok(text) => Some(text),
            Err(error) => {
                let error: TextError = error;
                problems.add(at, error.to_string());
                None
            }
        }
    }
}

impl<const N: usize> JsonSchema for Text<N> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Text{N}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": N, "pattern": "\\S" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_characters_and_not_bytes() {
        assert!("ئۇيغۇر".parse::<Text<6>>().is_ok());
        assert_eq!(
            "ئۇيغۇر!".parse::<Text<6>>(),
            Err(TextError::TooLong {
                characters: 7,
                limit: 6
            })
        );
    }

    #[test]
    fn empty_text_and_nul_are_refused() {
        assert_eq!(" \n".parse::<Text<6>>(), Err(TextError::Empty));
        assert_eq!("a\0b".parse::<Text<6>>(), Err(TextError::Nul));
    }

    #[test]
    fn debug_output_shows_no_text() {
        let text: Text<40> = "the name of somebody".parse().unwrap();
        assert_eq!(format!("{text:?}"), "Text(20 bytes)");
    }
}
