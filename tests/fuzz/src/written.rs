//! What people type, and what they write.

use std::fmt::Display;

use age::secrecy::ExposeSecret as _;
use marram_crypto::{
    codename::{Codename, WordList},
    day::{Day, Epoch},
    digest::Digest,
    fingerprint::{Digits, Link},
    hybrid::{Identity, Recipient},
    instance::InstanceId,
    key::PublicKey,
};
use marram_incident::{EdtfDate, Incident};

/// Twelve words.
pub(crate) fn codename(bytes: &[u8]) -> bool {
    let typed = String::from_utf8_lossy(bytes);
    match Codename::from_words(&typed) {
        Ok(codename) => {
            for list in WordList::ALL {
                let words = codename.words(list);
                let again = Codename::from_words(words.expose_secret()).unwrap();
                assert_eq!(again.entropy(), codename.entropy());
            }
            true
        }
        Err(error) => {
            let said = format!("{error} {error:?}");
            let told = typed
                .split_whitespace()
                .any(|word| word.len() > 13 && said.contains(word));
            assert!(!told, "an error never repeats a word");
            false
        }
    }
}

/// A link.
pub(crate) fn link(bytes: &[u8]) -> bool {
    let Ok(link) = Link::parse(&String::from_utf8_lossy(bytes)) else {
        return false;
    };
    assert_eq!(Link::parse(&link.to_string()).as_ref(), Ok(&link));
    assert_eq!(Link::new(link.base(), link.fingerprint()).as_ref(), Ok(&link));
    let plain = link.base().strip_prefix("http://");
    assert!(
        plain.is_none_or(|host| host.contains(".onion")
            || host.starts_with("127.0.0.1")
            || host.starts_with("localhost"))
    );
    true
}

/// Digits.
pub(crate) fn digits(bytes: &[u8]) -> bool {
    let Ok(digits) = String::from_utf8_lossy(bytes).parse::<Digits>() else {
        return false;
    };
    assert_eq!(digits.to_string().parse(), Ok(digits));
    true
}

/// Everything that is written as one word.
pub(crate) fn keys(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let identity = text.parse::<Identity>().inspect(|identity| {
        assert_eq!(identity.to_secret_string().expose_secret(), text);
    });
    [
        identity.is_ok(),
        one_spelling::<PublicKey>(&text),
        one_spelling::<Recipient>(&text),
        one_spelling::<InstanceId>(&text),
        one_spelling::<Digest>(&text),
        one_spelling::<Day>(&text),
        one_spelling::<Epoch>(&text),
    ]
    .contains(&true)
}

fn one_spelling<T: std::str::FromStr + Display>(text: &str) -> bool {
    text.parse::<T>().is_ok_and(|value| {
        assert_eq!(value.to_string(), text);
        true
    })
}

/// What a report says.
pub(crate) fn incident(bytes: &[u8]) -> bool {
    let Ok(incident) = Incident::parse(&String::from_utf8_lossy(bytes)) else {
        return false;
    };
    incident.validate().expect("what was accepted is valid");
    assert_eq!(Incident::parse(&incident.to_json()).as_ref(), Ok(&incident));
    let headline = incident.headline();
    assert!(headline.chars().count() <= 160 && !headline.contains(char::is_control));
    let _ = (incident.methods(), incident.countries(), incident.first_date());
    true
}

/// A date as people know it.
pub(crate) fn date(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(date) = text.parse::<EdtfDate>() else {
        return false;
    };
    assert_eq!(date.to_string(), text, "kept as written");
    if let (Some(earliest), Some(latest)) = (date.earliest(), date.latest()) {
        assert!(earliest <= latest);
    }
    true
}
