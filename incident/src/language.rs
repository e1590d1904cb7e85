//! Languages.

use std::{fmt, str::FromStr};

use thiserror::Error;
use unic_langid::LanguageIdentifier;

use crate::decode::written_as_text;
use crate::problem::quoted;

/// A language tag of BCP 47, in its usual capitals: `ug`, `zh-Hans`, `fa-AF`. Extensions and private use are left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(String);

/// Not a language tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} is not a language tag of BCP 47; write for example ug, zh-Hans or ar")]
pub struct LanguageError(String);

impl Language {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(tag: &str) -> Result<Self, LanguageError> {
        const MAX_BYTES: usize = 35; // RFC 5646, section 4.4.1
        let refused = || LanguageError(quoted(tag));
        // The parser follows Unicode, which takes "_" for "-" and nothing at all for a language.
        if tag.len() > MAX_BYTES || tag.contains('_') {
            return Err(refused());
        }
        let language = LanguageIdentifier::from_str(tag).map_err(|_| refused())?;
        if language.language.is_empty() {
            return Err(refused());
        }
        Ok(Self(language.to_string()))
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(Language, "Language", {
    "type": "string",
    "maxLength": 35,
    "pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{2,8})*$",
    "description": "BCP 47 language tag",
}, MOST = 10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_languages_of_the_page_are_accepted_and_their_capitals_put_right() {
        for tag in [
            "en", "zh-Hans", "zh-Hant", "ug", "bo", "fa", "ar", "tr", "ru", "vi", "es", "fr", "pt-BR", "ckb",
        ] {
            assert_eq!(tag.parse::<Language>().unwrap().as_str(), tag);
        }
        assert_eq!("ZH-hans-cn".parse::<Language>().unwrap().as_str(), "zh-Hans-CN");
    }

    #[test]
    fn what_is_no_language_tag_is_refused() {
        for tag in [
            "",
            "und",
            "english please",
            "zh_Hans",
            "-",
            "x",
            "a-b",
            "中文",
            &"en-".repeat(20),
        ] {
            assert!(tag.parse::<Language>().is_err(), "{tag}");
        }
    }
}
