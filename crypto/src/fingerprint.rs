//! Fingerprints as people handle them: digits to compare by ear and eye, and the link that carries one.
//!
//! Digits, because every script has them; words would be taken for a codename.

use std::{fmt, str::FromStr};

use crate::{digest::Digest, key::PublicKey};

/// A digest for reading aloud: 60 decimal digits in twelve groups of five.
///
/// The digest as a big-endian number of 256 bits, modulo 10^60 (199 bits, far beyond any search), with leading zeros.
///
/// ```
/// use marram_crypto::{digest::Digest, fingerprint::Digits};
/// let digits = Digits::of(&Digest::of(b"abc"));
/// assert_eq!(digits.to_string(), "36652 38349 28142 26366 01048 83695 01651 43774 62985 82971 68170 89965");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digits([u32; Digits::GROUPS]);

/// Not 60 digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("60 digits are needed, in twelve groups of five; these are {0}")]
pub struct DigitsError(usize);

/// What an organization publishes: `https://host/#<64 hexadecimal characters>`. The part behind `#` never reaches the
/// server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    base: String,
    fingerprint: Digest,
}

/// What was wrong with a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing behind `#`: without it nobody can tell the organization's server from another.
    #[error(
        "the link ends without a fingerprint (# and 64 characters): get the whole link from the organization, \
         by a way you trust"
    )]
    NoFingerprint,
    /// What stands behind `#` is not a fingerprint.
    #[error("the fingerprint behind # must be 64 characters 0-9 and a-f: a part of the link is missing or changed")]
    Fingerprint,
    /// Plain http to a host on the open network, where anyone on the way can read and change everything.
    #[error(
        "plain http:// is accepted only for .onion addresses and this machine itself: the link must begin with https://"
    )]
    PlainHttp,
    /// Neither `https://` nor `http://`.
    #[error("a link begins with https:// (or http:// and an .onion address)")]
    Scheme,
    /// Not a host name (letters, digits, `-` and `.`; others as `xn--…`) with a port or without.
    #[error("the link has no valid host name: it looks like https://host/#… or https://host:8443/#…")]
    Host,
    /// A path or a question mark.
    #[error("nothing but a single / may stand between host and #")]
    Path,
}

impl Digits {
    /// Number of groups.
    pub const GROUPS: usize = 12;
    /// Digits in a group.
    pub const GROUP_LEN: usize = 5;
    const GROUP: u32 = 100_000;

    /// The digits of a charter's fingerprint, or of any digest.
    pub fn of(digest: &Digest) -> Self {
        let mut groups = [0; Self::GROUPS];
        for byte in digest.as_bytes() {
            // groups · 256 + byte; what overflows the first group is what the modulus drops.
            let mut carry = u32::from(*byte);
            for group in groups.iter_mut().rev() {
                let value = *group * 256 + carry;
                *group = value % Self::GROUP;
                carry = value / Self::GROUP;
            }
        }
        Self(groups)
    }

    /// The digits of a public key (of its 32 bytes' SHA-256): what is compared before an enrolment is vetted.
    pub fn of_key(key: &PublicKey) -> Self {
        Self::of(&Digest::of(key.as_bytes()))
    }

    /// The groups, each five digits.
    pub fn groups(&self) -> [String; Self::GROUPS] {
        self.0.map(|group| format!("{group:0len$}", len = Self::GROUP_LEN))
    }
}

impl Link {
    /// Makes a link.
    ///
    /// # Errors
    /// [`LinkError`] if `base` is nothing a link may begin with.
    pub fn new(base: &str, fingerprint: Digest) -> Result<Self, LinkError> {
        Self::parse(&format!("{}/#{fingerprint}", base.strip_suffix('/').unwrap_or(base)))
    }

    /// Reads a link.
    ///
    /// # Errors
    /// [`LinkError`], naming the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        let (address, fingerprint) = text.split_once('#').ok_or(LinkError::NoFingerprint)?;
        let (scheme, rest) = address.split_once("://").ok_or(LinkError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let authority = authority.to_ascii_lowercase();
        let host = host_of(&authority).ok_or(LinkError::Host)?;
        match scheme.to_ascii_lowercase().as_str() {
            "https" => {}
            "http" if is_onion(host) || ["127.0.0.1", "localhost"].contains(&host) => {}
            "http" => return Err(LinkError::PlainHttp),
            _ => return Err(LinkError::Scheme),
        }
        if !path.is_empty() {
            return Err(LinkError::Path);
        }
        if fingerprint.is_empty() {
            return Err(LinkError::NoFingerprint);
        }
        Ok(Self {
            base: format!("{}://{authority}", scheme.to_ascii_lowercase()),
            fingerprint: fingerprint.parse().map_err(|_| LinkError::Fingerprint)?,
        })
    }

    /// Scheme, host and port, in lower case and without a slash at the end: `https://host`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The fingerprint to verify the charter chain with.
    pub const fn fingerprint(&self) -> Digest {
        self.fingerprint
    }
}

/// The host of `host` or `host:port`.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = authority
        .split_once(':')
        .map_or((authority, None), |(host, port)| (host, Some(port)));
    let good_port = port.is_none_or(|port| {
        port.parse::<u16>()
            .is_ok_and(|number| number > 0 && number.to_string() == port)
    });
    // RFC 1123 labels. A name in another script must come as xn--…, so that no look-alike letter hides in it.
    let good_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (good_port && host.len() <= 253 && host.split('.').all(good_label)).then_some(host)
}

/// Whether this is a version 3 onion service (56 characters of Base32), where the name itself authenticates.
fn is_onion(host: &str) -> bool {
    let Some(name) = host.strip_suffix(".onion") else {
        return false;
    };
    let service = name.rsplit('.').next().unwrap_or_default();
    service.len() == 56 && service.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.groups().join(" "))
    }
}

/// The zero of each script's decimal digits that someone may type: ASCII, Arabic, Persian and Urdu, Devanagari,
/// Bengali, Tamil, Thai, Tibetan, Burmese, Khmer, full width.
const ZEROS: [char; 11] = ['0', '٠', '۰', '०', '০', '௦', '๐', '༠', '၀', '០', '０'];

/// Reads digits that a person typed, of any of these scripts; anything between them is skipped if it is no letter.
impl FromStr for Digits {
    type Err = DigitsError;

    fn from_str(text: &str) -> Result<Self, DigitsError> {
        let value = |c: char| {
            ZEROS
                .iter()
                .find_map(|zero| u32::from(c).checked_sub(u32::from(*zero)).filter(|v| *v < 10))
        };
        let digits: Vec<u32> = text.chars().filter_map(value).collect();
        let strange = text.chars().any(|c| value(c).is_none() && c.is_alphanumeric());
        if strange || digits.len() != Self::GROUPS * Self::GROUP_LEN {
            return Err(DigitsError(digits.len()));
        }
        let mut groups = [0; Self::GROUPS];
        for (group, digits) in groups.iter_mut().zip(digits.chunks(Self::GROUP_LEN)) {
            *group = digits.iter().fold(0, |number, digit| number * 10 + digit);
        }
        Ok(Self(groups))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/#{}", self.base, self.fingerprint)
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values by Python: `f"{int(hexdigest, 16) % 10**60:060}"`.
    #[test]
    fn digits_are_the_digest_modulo_ten_to_the_sixty() {
        let digits = |byte| Digits::of(&Digest::from_bytes([byte; 32])).to_string();
        assert_eq!(digits(0), ["00000"; 12].join(" "));
        assert_eq!(
            digits(255),
            "42357 09850 08687 90785 32699 84665 64056 40394 57584 00791 31296 39935"
        );
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(Digits::of(&Digest::from_bytes(one)).groups()[11], "00001");
    }

    #[test]
    fn digits_typed_in_another_script_compare_equal() {
        let digits = Digits::of(&Digest::of(b"abc"));
        for zero in ZEROS {
            let typed: String = digits
                .to_string()
                .chars()
                .map(|c| {
                    c.to_digit(10)
                        .map_or('-', |digit| char::from_u32(u32::from(zero) + digit).unwrap())
                })
                .collect();
            assert_eq!(typed.parse(), Ok(digits), "{typed}");
        }
        let text = digits.to_string();
        assert_eq!(text[1..].parse::<Digits>(), Err(DigitsError(59)));
        assert!(format!("{text}x").parse::<Digits>().is_err());
        assert!(format!("{text} 1").parse::<Digits>().is_err());
    }

    #[test]
    fn a_link_gives_base_and_fingerprint() {
        let fingerprint = Digest::of(b"charter");
        let onion = "a".repeat(56);
        for (base, host) in [
            ("https://report.example.org", "https://report.example.org/"),
            ("https://report.example.org:8443", "HTTPS://Report.Example.org:8443/"),
            ("https://xn--fiq228c.example", "https://xn--fiq228c.example"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://localhost:8080", "http://localhost:8080/"),
            (&format!("http://{onion}.onion"), &format!("http://{onion}.onion/")),
            (
                &format!("http://www.{onion}.onion"),
                &format!("http://www.{onion}.onion"),
            ),
        ] {
            let link = Link::parse(&format!(" {host}#{fingerprint}\n")).unwrap();
            assert_eq!((link.base(), link.fingerprint()), (base, fingerprint));
            assert_eq!(Link::parse(&link.to_string()), Ok(link.clone()));
            assert_eq!(Link::new(base, fingerprint), Ok(link));
        }
    }

    #[test]
    fn a_link_that_proves_nothing_is_refused_by_name() {
        let fingerprint = Digest::of(b"charter");
        let refused = |address: &str| Link::parse(&format!("{address}#{fingerprint}")).unwrap_err();
        assert_eq!(Link::parse("https://host/"), Err(LinkError::NoFingerprint));
        assert_eq!(Link::parse("https://host/#"), Err(LinkError::NoFingerprint));
        assert_eq!(Link::parse("https://host/#abc"), Err(LinkError::Fingerprint));
        let capitals = fingerprint.to_string().to_uppercase();
        assert_eq!(
            Link::parse(&format!("https://host/#{capitals}")),
            Err(LinkError::Fingerprint)
        );
        for plain in [
            "http://host/",
            "http://localhost.example.org/",
            "http://127.0.0.1.example.org/",
            "http://short.onion/",
            "http://onion/",
        ] {
            assert_eq!(refused(plain), LinkError::PlainHttp, "{plain}");
        }
        assert_eq!(refused("ftp://host/"), LinkError::Scheme);
        assert_eq!(refused("host/"), LinkError::Scheme);
        for host in [
            "https:///",
            "https://user@host/",
            "https://höst/",
            "https://a..b/",
            "https://host:0/",
            "https://host:99999/",
            "https://host?x/",
            "https://-a/",
        ] {
            assert_eq!(refused(host), LinkError::Host, "{host}");
        }
        assert_eq!(refused("https://host/path"), LinkError::Path);
        assert_eq!(refused("https://host//"), LinkError::Path);
    }
}
