//! Codenames: 128 random bits that a submitter keeps as 12 words, and everything derived from them.
//!
//! ```text
//! entropy (16 bytes) ── HKDF ──► signing key   signs report.json; follow-ups verify under the key of the first
//!                    └─ HKDF ──► reply key     the desk seals answers to it
//! ```
//!
//! Words are BIP39 (12 words: 128 bits and 4 bits of checksum). There is no memory-hard hash: the entropy is full.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use bip39::{Language, Mnemonic};
use rand_core::CryptoRng;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::{key::SigningKey, labels, secret::SecretBytes};

/// Number of words.
pub const WORDS: usize = 12;

/// The secret that a submitter keeps. `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct Codename(SecretBytes<{ Codename::LEN }>);

/// The key that answers are sealed to: known to the submitter and, from the report, to the caseworkers.
#[derive(Clone, Debug)]
pub struct ReplyKey(SecretBytes<{ ReplyKey::LEN }>);

/// The word lists there are. Other languages use the English one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordList {
    /// English.
    English,
    /// Simplified Chinese.
    ChineseSimplified,
    /// Traditional Chinese.
    ChineseTraditional,
    /// Spanish.
    Spanish,
    /// French.
    French,
}

/// What was wrong with the words. The words themselves never stand in an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodenameError {
    /// Not twelve words.
    #[error("a codename has {WORDS} words, these are {0}")]
    Count(usize),
    /// A word that stands in no list: misspelled, perhaps.
    #[error("word {0} is in none of the word lists: check its spelling")]
    UnknownWord(usize),
    /// All are words, but together they are no codename: a word was swapped or mistaken.
    #[error("these words are not a codename: check their order, and each word for one that looks like it")]
    Checksum,
    /// They are a codename in two languages at once.
    #[error("these words are a codename in two languages: say which")]
    Ambiguous,
}

impl WordList {
    /// Every list.
    pub const ALL: [Self; 5] = [
        Self::English,
        Self::ChineseSimplified,
        Self::ChineseTraditional,
        Self::Spanish,
        Self::French,
    ];

    /// The list for a language tag (BCP 47), by its first parts.
    pub fn for_language(tag: &str) -> Self {
        let tag = tag.to_ascii_lowercase();
        let mut parts = tag.split(['-', '_']);
        match parts.next() {
            Some("zh") if parts.any(|part| matches!(part, "hant" | "tw" | "hk" | "mo")) => Self::ChineseTraditional,
            Some("zh") => Self::ChineseSimplified,
            Some("es") => Self::Spanish,
            Some("fr") => Self::French,
            _ => Self::English,
        }
    }

    const fn bip39(self) -> Language {
        match self {
            Self::English => Language::English,
            Self::ChineseSimplified => Language::SimplifiedChinese,
            Self::ChineseTraditional => Language::TraditionalChinese,
            Self::Spanish => Language::Spanish,
            Self::French => Language::French,
        }
    }
}

impl Codename {
    /// Length of the entropy in bytes.
    pub const LEN: usize = 16;

    /// Draws a new codename.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(SecretBytes::random(rng))
    }

    /// The codename of this entropy.
    pub fn from_entropy(entropy: SecretBytes<{ Self::LEN }>) -> Self {
        Self(entropy)
    }

    /// The 16 bytes.
    pub fn entropy(&self) -> &[u8; Self::LEN] {
        self.0.expose()
    }

    /// Reads 12 words in any of the lists, however they are spaced or capitalized.
    ///
    /// # Errors
    /// [`CodenameError`], naming the position of a wrong word but never the word.
    pub fn from_words(words: &str) -> Result<Self, CodenameError> {
        let words = Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
        let count = words.split(' ').filter(|word| !word.is_empty()).count();
        if count != WORDS {
            return Err(CodenameError::Count(count));
        }
        let mut found: Option<Zeroizing<[u8; Self::LEN]>> = None;
        let mut furthest_unknown = Some(0);
        for list in WordList::ALL {
            match Mnemonic::parse_in(list.bip39(), words.as_str()) {
                Ok(mut mnemonic) => {
                    let (mut entropy, len) = mnemonic.to_entropy_array();
                    let mut bytes = Zeroizing::new([0; Self::LEN]);
                    bytes.copy_from_slice(&entropy[..len.min(Self::LEN)]);
                    entropy.zeroize();
                    mnemonic.zeroize();
                    // The two Chinese lists share words, at the same places: the same words, the same codename.
                    if found.as_ref().is_some_and(|other| **other != *bytes) {
                        return Err(CodenameError::Ambiguous);
                    }
                    found = Some(bytes);
                }
                Err(bip39::Error::UnknownWord(position)) => {
                    // The list that goes furthest is the one that was meant.
                    furthest_unknown = furthest_unknown.map(|furthest: usize| furthest.max(position));
                }
                // All words stand in this list.
                Err(_) => furthest_unknown = None,
            }
        }
        match (found, furthest_unknown) {
            (Some(bytes), _) => Ok(Self(SecretBytes::fill_with(|entropy| *entropy = *bytes))),
            (None, Some(position)) => Err(CodenameError::UnknownWord(position + 1)),
            (None, None) => Err(CodenameError::Checksum),
        }
    }

    /// The 12 words in one list, separated by single spaces.
    pub fn words(&self, list: WordList) -> SecretString {
        #[expect(
            clippy::expect_used,
            clippy::missing_panics_doc,
            reason = "16 bytes are one of BIP39's lengths"
        )]
        let mut mnemonic = Mnemonic::from_entropy_in(list.bip39(), self.0.expose()).expect("16 bytes");
        let words = SecretString::from(mnemonic.to_string());
        mnemonic.zeroize();
        words
    }

    /// The key that signs this codename's reports.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(&labels::derive(labels::CODENAME_SIGNING_KEY, self.0.expose(), b""))
    }

    /// The key that answers to this codename are sealed to.
    pub fn reply_key(&self) -> ReplyKey {
        ReplyKey(labels::derive(labels::CODENAME_REPLY_KEY, self.0.expose(), b""))
    }
}

impl ReplyKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The 32 bytes.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        self.0.expose()
    }
}

impl PartialEq for ReplyKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for ReplyKey {}

/// Only within `report.json`, which is sealed.
impl Serialize for ReplyKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64_STANDARD.encode(self.expose())))
    }
}

impl<'de> Deserialize<'de> for ReplyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.as_bytes()).unwrap_or_default());
        if bytes.len() != Self::LEN {
            return Err(D::Error::custom("a reply key is 32 bytes in base64"));
        }
        Ok(Self(SecretBytes::fill_with(|key| key.copy_from_slice(&bytes))))
    }
}

impl fmt::Display for WordList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::English => "en",
            Self::ChineseSimplified => "zh-Hans",
            Self::ChineseTraditional => "zh-Hant",
            Self::Spanish => "es",
            Self::French => "fr",
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn codename(seed: u8) -> Codename {
        Codename::from_entropy(SecretBytes::from([seed; 16]))
    }

    #[test]
    fn words_read_back_in_every_list_however_they_are_typed() {
        for seed in 0..=255 {
            for list in WordList::ALL {
                let words = codename(seed).words(list);
                let typed = format!("  {}\n", words.expose_secret().replace(' ', " \t ")).to_uppercase();
                let again = Codename::from_words(&typed).unwrap();
                assert_eq!(again.entropy(), codename(seed).entropy(), "{list}");
                assert_eq!(words.expose_secret().split(' ').count(), WORDS);
            }
        }
    }

    #[test]
    fn wrong_words_are_named_by_their_place_and_never_repeated() {
        let words = codename(3).words(WordList::English);
        let words: Vec<&str> = words.expose_secret().split(' ').collect();
        assert_eq!(
            Codename::from_words(&words[1..].join(" ")).unwrap_err(),
            CodenameError::Count(11)
        );
        let mut misspelled = words.clone();
        misspelled[4] = "marramm";
        let error = Codename::from_words(&misspelled.join(" ")).unwrap_err();
        assert_eq!(error, CodenameError::UnknownWord(5));
        assert!(!format!("{error} {error:?}").contains("marramm"));
        let mut swapped = words.clone();
        swapped.swap(0, 11);
        if swapped != words {
            assert_eq!(
                Codename::from_words(&swapped.join(" ")).unwrap_err(),
                CodenameError::Checksum
            );
        }
    }

    #[test]
    fn each_purpose_has_its_own_key_and_none_shows_in_debug() {
        let codename = codename(7);
        assert_ne!(codename.signing_key().seed().expose(), codename.reply_key().expose());
        assert_ne!(codename.reply_key(), self::codename(8).reply_key());
        let shown = format!("{codename:?} {:?}", codename.reply_key());
        assert!(!shown.contains('7'), "{shown}");
    }

    /// Held for every other implementation: entropy 00…0f.
    #[test]
    fn vector_of_a_codename() {
        let entropy = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let codename = Codename::from_entropy(SecretBytes::from(entropy));
        let words = codename.words(WordList::English);
        assert_eq!(
            words.expose_secret(),
            "abandon amount liar amount expire adjust cage candy arch gather drum buyer"
        );
        assert_eq!(
            hex::encode(codename.signing_key().seed().expose()),
            "f9c5bf0bb86c0893b61327b3901cce2790fce3b9e7ce8f91379906ea3f5c5293"
        );
        assert_eq!(
            codename.signing_key().public().to_string(),
            "x2nzA5rbGNJD+ZIYKXUpjihNz8PTRoP7UTM6MY4VCqU="
        );
        assert_eq!(
            hex::encode(codename.reply_key().expose()),
            "56a84e3ff11da2994bb5db8987494b73aca841a13e248e2c222f52f04dc7371b"
        );
    }
}
