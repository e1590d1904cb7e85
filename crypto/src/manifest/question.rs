//! The organization's own questions, which the form asks after those of the catalogue.
//!
//! ```text
//! {"id": "seen_before", "kind": "choice", "text": {"en": "…", "ug": "…"},
//!  "choices": [{"code": "yes", "text": {"en": "Yes"}}, {"code": "no", "text": {"en": "No"}}]}
//! ```
//!
//! on one line, at most [`MAX_LEN`] bytes. Unknown fields, and keys that stand twice at any depth, are refused.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{lines, strict_json};

/// Longest question in bytes of JSON.
pub const MAX_LEN: usize = 65_536;
/// Largest number of choices.
pub const MAX_CHOICES: usize = 64;
/// The locale in which every text must stand.
pub const FALLBACK_LOCALE: &str = "en";

/// A question. The answer is text, whatever the kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What the answer stands under in a report; distinct within a manifest.
    pub id: Code,
    /// How it is asked.
    pub kind: Kind,
    /// Its wording by locale; `en` is always there.
    pub text: Texts,
    /// What one chooses from; two or more if `kind` is [`Kind::Choice`], and otherwise none.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "strict_json::objects"
    )]
    pub choices: Vec<Choice>,
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One line.
    Text,
    /// Several lines.
    LongText,
    /// Yes or no.
    YesNo,
    /// One of the choices.
    Choice,
}

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What the report says; distinct within a question.
    pub code: Code,
    /// Its wording by locale; `en` is always there.
    pub text: Texts,
}

/// Wordings by locale.
pub type Texts = BTreeMap<Locale, String>;

/// `[a-z0-9_]{1,32}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Code(String);

/// The shape of a BCP 47 language tag: `en`, `zh-Hant`, `ug-Arab-CN`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Locale(String);

/// What was wrong with a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// More than [`MAX_LEN`] bytes.
    #[error("a question has at most {MAX_LEN} bytes, this has {0}")]
    TooLarge(usize),
    /// Not JSON of this shape; a field that is unknown, missing, or there twice.
    #[error("not a question: {0}")]
    Json(String),
    /// A text without its English wording.
    #[error("question {0}: every text needs its wording under `en`, for readers whose language is missing")]
    NoFallback(Code),
    /// A text with control characters, space at an end, empty or too long.
    #[error("question {id}: the wording under `{locale}` must be {why}")]
    Text {
        /// The question.
        id: Code,
        /// The wording's locale.
        locale: Locale,
        /// What it must be.
        why: &'static str,
    },
    /// Choices without `"kind": "choice"`, or that kind with fewer than two or more than [`MAX_CHOICES`].
    #[error("question {0}: a choice has 2 to {MAX_CHOICES} choices, and any other kind has none")]
    Choices(Code),
    /// Two choices of one code.
    #[error("question {id}: the code {code} stands twice")]
    DuplicateCode {
        /// The question.
        id: Code,
        /// The code.
        code: Code,
    },
}

/// Not `[a-z0-9_]{1,32}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id or code is 1 to 32 characters a-z, 0-9 and _")]
pub struct CodeError;

/// Not the shape of a language tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a locale is a BCP 47 language tag such as en or zh-Hant")]
pub struct LocaleError;

impl Question {
    /// The text for a reader of `locale`, or else in English.
    pub fn text_for(&self, locale: &Locale) -> &str {
        wording(&self.text, locale)
    }

    fn check(self) -> Result<Self, QuestionError> {
        let texts = || std::iter::once(&self.text).chain(self.choices.iter().map(|choice| &choice.text));
        if texts().any(|text| !text.keys().any(|locale| locale.0 == FALLBACK_LOCALE)) {
            return Err(QuestionError::NoFallback(self.id));
        }
        for (locale, text) in texts().flatten() {
            lines::text(text).map_err(|why| QuestionError::Text {
                id: self.id.clone(),
                locale: locale.clone(),
                why,
            })?;
        }
        let allowed = match self.kind {
            Kind::Choice => 2..=MAX_CHOICES,
            Kind::Text | Kind::LongText | Kind::YesNo => 0..=0,
        };
        if !allowed.contains(&self.choices.len()) {
            return Err(QuestionError::Choices(self.id));
        }
        let mut codes = HashSet::new();
        if let Some(twice) = self.choices.iter().find(|choice| !codes.insert(&choice.code)) {
            return Err(QuestionError::DuplicateCode {
                code: twice.code.clone(),
                id: self.id,
            });
        }
        Ok(self)
    }
}

impl Choice {
    /// The text for a reader of `locale`, or else in English.
    pub fn text_for(&self, locale: &Locale) -> &str {
        wording(&self.text, locale)
    }
}

impl Code {
    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Locale {
    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn wording<'a>(texts: &'a Texts, locale: &Locale) -> &'a str {
    let fallback = || {
        texts
            .iter()
            .find(|(locale, _)| locale.0 == FALLBACK_LOCALE)
            .map(|(_, text)| text)
    };
    texts.get(locale).or_else(fallback).map_or("", String::as_str)
}

/// Reads one line of JSON.
impl FromStr for Question {
    type Err = QuestionError;

    fn from_str(line: &str) -> Result<Self, QuestionError> {
        if line.len() > MAX_LEN {
            return Err(QuestionError::TooLarge(line.len()));
        }
        let question: Self = strict_json::from_str(line).map_err(|error| QuestionError::Json(error.to_string()))?;
        question.check()
    }
}

/// Writes one line of JSON.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if (1..=32).contains(&text.len()) && text.bytes().all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(CodeError)
        }
    }
}

impl FromStr for Locale {
    type Err = LocaleError;

    fn from_str(text: &str) -> Result<Self, LocaleError> {
        let mut subtags = text.split('-');
        let language = subtags.next().unwrap_or_default();
        let good_language =
            (2..=8).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic());
        let good = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if text.len() <= 35 && good_language && subtags.all(good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LocaleError)
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.0
    }
}

impl From<Locale> for String {
    fn from(locale: Locale) -> Self {
        locale.0
    }
}

impl TryFrom<String> for Code {
    type Error = CodeError;

    fn try_from(text: String) -> Result<Self, CodeError> {
        text.parse()
    }
}

impl TryFrom<String> for Locale {
    type Error = LocaleError;

    fn try_from(text: String) -> Result<Self, LocaleError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"seen_before","kind":"choice","text":{"en":"Seen?","ug":"كۆردىڭىزمۇ؟"},"choices":[{"code":"yes","text":{"en":"Yes"}},{"code":"no","text":{"en":"No"}}]}"#;

    #[test]
    fn a_question_reads_back_and_falls_back_to_english() {
        let question: Question = GOOD.parse().unwrap();
        assert_eq!(question.to_string(), GOOD);
        assert_eq!(question.text_for(&"ug".parse().unwrap()), "كۆردىڭىزمۇ؟");
        assert_eq!(question.text_for(&"bo".parse().unwrap()), "Seen?");
        assert_eq!(question.choices[0].text_for(&"ug".parse().unwrap()), "Yes");
    }

    #[test]
    fn keys_that_stand_twice_or_that_nobody_knows_are_refused_at_any_depth() {
        for (from, to) in [
            (r#""id":"seen_before""#, r#""id":"other","id":"seen_before""#),
            (r#""en":"Seen?""#, r#""en":"Other","en":"Seen?""#),
            (r#""en":"Seen?""#, r#""\u0065n":"Other","en":"Seen?""#),
            (r#"{"en":"Yes"}"#, r#"{"en":"Yes","en":"No"}"#),
            (r#""code":"no""#, r#""code":"no","code":"no""#),
            (r#""code":"no""#, r#""code":"no","score":1"#),
            (r#""kind":"choice""#, r#""kind":"choice","required":true"#),
            (r#""kind":"choice""#, r#""kind":"checkbox""#),
            (r#""id":"seen_before""#, r#""id":"Seen Before""#),
            (r#""en":"Yes""#, r#""en us":"Yes""#),
            ("]}", "]}{}"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let result = GOOD.replacen(from, to, 1).parse::<Question>();
            assert!(matches!(result, Err(QuestionError::Json(_))), "{to}: {result:?}");
        }
    }

    #[test]
    fn what_a_form_could_not_ask_is_refused_by_name() {
        let parse = |from: &str, to: &str| GOOD.replacen(from, to, 1).parse::<Question>().unwrap_err();
        assert!(matches!(
            parse(r#""en":"Yes""#, r#""ug":"ھەئە""#),
            QuestionError::NoFallback(_)
        ));
        for wrong in ["", " x", "a\\nb", "a\\u0000b", &"x".repeat(1001)] {
            let error = parse(r#""en":"Yes""#, &format!(r#""en":"{wrong}""#));
            assert!(matches!(error, QuestionError::Text { .. }), "{wrong}: {error}");
        }
        assert!(matches!(parse("choice", "yes_no"), QuestionError::Choices(_)));
        assert!(matches!(
            parse(r#","choices":["#, r#","choices":[],"x":["#),
            QuestionError::Json(_)
        ));
        let without = GOOD.split_once(r#","choices""#).unwrap().0.to_owned() + "}";
        assert!(matches!(without.parse::<Question>(), Err(QuestionError::Choices(_))));
        assert!(without.replace("choice", "long_text").parse::<Question>().is_ok());
        assert!(matches!(
            parse(r#""code":"no""#, r#""code":"yes""#),
            QuestionError::DuplicateCode { .. }
        ));
        let long = format!("{GOOD}{}", " ".repeat(MAX_LEN));
        assert_eq!(long.parse::<Question>(), Err(QuestionError::TooLarge(long.len())));
    }

    #[test]
    fn a_locale_has_the_shape_of_a_language_tag() {
        for good in ["en", "bo", "zh-Hant", "ug-Arab-CN", "zh-Hans-CN-x-app"] {
            assert!(good.parse::<Locale>().is_ok(), "{good}");
        }
        for wrong in [
            "",
            "e",
            "*",
            "en_US",
            "en-",
            "-en",
            "en us",
            "toolonglanguage",
            "é",
            "en-123456789",
        ] {
            assert_eq!(wrong.parse::<Locale>(), Err(LocaleError), "{wrong}");
        }
    }
}
