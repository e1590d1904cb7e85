//! What stands in a report about its attachments.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::codes::{EvidenceSource, Sensitivity};
use crate::date::EdtfDate;
use crate::decode::{record, written_as_text};
use crate::problem::{Problems, quoted};
use crate::text::Text;

/// A SHA-256 digest, written as 64 small hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

/// Not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} is not a SHA-256 digest; write 64 hexadecimal digits in small letters")]
pub struct Sha256Error(String);

impl Sha256 {
    /// From the digest's bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Sha256 {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let refused = || Sha256Error(quoted(text));
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refused());
        }
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = text
                .get(2 * n..2 * n + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(refused)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

written_as_text!(Sha256, "Sha256", {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "SHA-256, hexadecimal",
});

record! {
    /// One attachment. The n-th of the list describes the n-th attachment of the sealed report.
    pub struct Evidence, at most 99 {
        /// SHA-256 of the file's content.
        sha256: Sha256,
        /// Its length in bytes.
        size_bytes: u64,
        /// Its media type, such as `image/png`, as the submitter's program guessed it: never to be trusted.
        mime: Option<Text<127>>,
        /// Its name on the submitter's device. The attachment itself is stored under a number.
        original_filename: Option<Text<255>>,
        /// When it was taken or recorded.
        captured_on: Option<EdtfDate>,
        /// Where it comes from.
        source: Option<EvidenceSource>,
        /// Whether it is the original file, not a copy without its metadata.
        is_original: Option<bool>,
        /// What whoever opens it should know first.
        sensitivity: Option<Sensitivity>,
    }
}

impl Evidence {
    /// An attachment of which nothing else is known.
    pub fn new(sha256: Sha256, size_bytes: u64) -> Self {
        Self {
            sha256,
            size_bytes,
            mime: None,
            original_filename: None,
            captured_on: None,
            source: None,
            is_original: None,
            sensitivity: None,
        }
    }

    pub(crate) fn check(&self, at: &str, problems: &mut Problems) {
        if let Some(name) = self.original_filename.as_deref()
            && (name.contains(['/', '\\']) || name.chars().any(char::is_control) || matches!(name, "." | ".."))
        {
            let what = "must be the name of the file alone, without folders or control characters";
            problems.add(format!("{at}.original_filename"), what);
        }
        if let Some(mime) = self.mime.as_deref() {
            let token = |part: &str| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|c| c.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&c))
            };
            if !mime
                .split_once('/')
                .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
            {
                problems.add(
                    format!("{at}.mime"),
                    format!("{} is not a media type such as image/png", quoted(mime)),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = "00ff".repeat(16);
        assert_eq!(digest.parse::<Sha256>().unwrap().to_string(), digest);
        for text in [
            "",
            "00",
            &"00FF".repeat(16),
            &"zz".repeat(32),
            &"é".repeat(32),
            &"00".repeat(33),
        ] {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
    }
}
