//! What people are called: keyholders and caseworkers, by a name of their own choice that is not their own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest pseudonym in characters.
pub(crate) const MAX_CHARS: usize = 40;

/// One word, in any script. It becomes part of file names and of commands to type, so it holds nothing that a shell, a
/// file system or a terminal would take for something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Pseudonym(String);

/// Not a pseudonym.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pseudonym is one word of at most {MAX_CHARS} letters, digits, - and _, in any script, and begins with a letter \
     or digit: heron, 苍鹭, amber-2"
)]
pub(crate) struct PseudonymError;

impl Pseudonym {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether people would take the two for one another.
    pub(crate) fn is(&self, other: &str) -> bool {
        self.0.to_lowercase() == other.to_lowercase()
    }
}

impl FromStr for Pseudonym {
    type Err = PseudonymError;

    fn from_str(text: &str) -> Result<Self, PseudonymError> {
        // Beside - and _: the Tibetan tsheg, and the apostrophes and middle dots that stand inside of names.
        let inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '་' | '’' | 'ʼ' | '·');
        let good = text.chars().next().is_some_and(char::is_alphanumeric)
            && text.chars().all(inner)
            && text.chars().count() <= MAX_CHARS;
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(PseudonymError)
        }
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Pseudonym> for String {
    fn from(pseudonym: Pseudonym) -> Self {
        pseudonym.0
    }
}

impl TryFrom<String> for Pseudonym {
    type Error = PseudonymError;

    fn try_from(text: String) -> Result<Self, PseudonymError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_one_word_of_any_script() {
        for good in ["heron", "amber-2", "苍鹭", "بۇلبۇل", "བྱ་ཁྲ", "O’Neill", "7"] {
            assert!(good.parse::<Pseudonym>().is_ok(), "{good}");
        }
    }

    #[test]
    fn nothing_in_a_pseudonym_is_taken_for_a_path_a_command_or_an_escape() {
        let long = "x".repeat(MAX_CHARS + 1);
        for wrong in [
            "",
            " ",
            "a b",
            "../x",
            "a/b",
            "a\\b",
            "-rf",
            ".x",
            "a;b",
            "$x",
            "`x`",
            "a'b",
            "a\"b",
            "*",
            "a\nb",
            "a\u{202e}b",
            "a\u{1b}[31m",
            &long,
        ] {
            assert_eq!(wrong.parse::<Pseudonym>(), Err(PseudonymError), "{wrong:?}");
        }
    }
}
