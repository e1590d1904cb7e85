//! The shape of a sealed report's header: what a server can check without any key, and what bounds a reader's memory.
//!
//! ```text
//! age-encryption.org/v1
//! -> mlkem768x25519 <1494 characters: the encapsulated key>      ┐
//! <43 characters: the wrapped file key>                         ┘ one for each slot of the manifest, in its order
//! -> <1–8 characters>-grease [≤ 4 arguments of 1–8 characters]   ┐
//! <≤ 99 random bytes in base64, 64 characters a line>           ┘ exactly one
//! --- <43 characters: HMAC>
//! ```
//!
//! Source: C2SP age. The Rust age library ends every header with one random "grease" stanza; the page adds one of the
//! same distribution. A header without it, or with any other stanza, was not made by either.

use age_core::format::{AgeStanza, Stanza, read::age_stanza};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};

use crate::hybrid::{BODY_LEN, ENC_LEN, STANZA_TAG};

const VERSION_LINE: &[u8] = b"age-encryption.org/v1\n";
const MAC_PREFIX: &[u8] = b"--- ";
const MAC_LEN: usize = 32;

const GREASE_SUFFIX: &str = "-grease";
const GREASE_WORD_MAX: usize = 8;
const GREASE_ARGUMENTS_MAX: usize = 4;
const GREASE_BODY_MAX: usize = 99;

/// A header of the right shape. Nothing in it is verified: that needs a key.
#[derive(Debug)]
pub struct SealedHeader {
    /// The slots' stanzas, in the manifest's order.
    pub stanzas: Vec<Stanza>,
    /// Length of the header in bytes, its last newline included.
    pub len: usize,
}

/// What was wrong with a header's shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// It does not begin as an age file does: plaintext, perhaps.
    #[error("not an age file: it does not begin with age-encryption.org/v1")]
    NotAge,
    /// A stanza for a recipient that is not post-quantum.
    #[error("sealed to a recipient that is not post-quantum (stanza {position} is not {STANZA_TAG})")]
    NotPostQuantum {
        /// Position of the stanza, from 0.
        position: usize,
    },
    /// A stanza of the right type with the wrong arguments or lengths.
    #[error("stanza {position} does not have the form of {STANZA_TAG}")]
    Stanza {
        /// Position of the stanza, from 0.
        position: usize,
    },
    /// Fewer or more slots than the manifest has.
    #[error("sealed to {found} slots where the manifest has {expected}")]
    Slots {
        /// Slots of the manifest.
        expected: usize,
        /// Post-quantum stanzas in the header (counting stops one past `expected`).
        found: usize,
    },
    /// No grease stanza at the end, or one of another form.
    #[error("the header does not end with exactly one grease stanza")]
    Grease,
    /// The header is cut short, or longer than any honest one.
    #[error("the header is not complete within {limit} bytes")]
    Incomplete {
        /// Length of the longest possible header in bytes.
        limit: usize,
    },
    /// The line of the HMAC is malformed.
    #[error("the header's last line is malformed")]
    Mac,
}

/// Length in bytes of the longest header to this many slots.
///
/// ```
/// assert_eq!(marram_crypto::header::max_len(8), 22 + 8 * (1513 + 44) + 190 + 48);
/// ```
pub const fn max_len(slots: usize) -> usize {
    VERSION_LINE.len() + slots * SLOT_LEN + GREASE_MAX_LEN + MAC_PREFIX.len() + base64_len(MAC_LEN) + 1
}

/// Bytes to read from the beginning of a file before [`SealedHeader::parse`]: one slot more than the longest header,
/// so that a header with too many slots is named as that. The smallest bucket is always longer.
pub const fn prefix_len(slots: usize) -> usize {
    max_len(slots + 1)
}

/// Length in bytes of one slot's stanza.
const SLOT_LEN: usize = "-> ".len() + STANZA_TAG.len() + 1 + base64_len(ENC_LEN) + 1 + base64_len(BODY_LEN) + 1;

/// Length in bytes of the longest grease stanza. 99 bytes are two full lines of 64 characters and one of 4.
const GREASE_MAX_LEN: usize = "-> ".len()
    + GREASE_WORD_MAX
    + GREASE_SUFFIX.len()
    + GREASE_ARGUMENTS_MAX * (1 + GREASE_WORD_MAX)
    + 1
    + base64_len(GREASE_BODY_MAX)
    + base64_len(GREASE_BODY_MAX) / 64
    + 1;

const fn base64_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

impl SealedHeader {
    /// Reads the header at the beginning of `start`, which holds the first [`prefix_len`] bytes of a sealed report,
    /// or all of it.
    ///
    /// # Errors
    /// [`ShapeError`], naming what does not fit the manifest's number of `slots`.
    pub fn parse(start: &[u8], slots: usize) -> Result<Self, ShapeError> {
        let mut stanzas = Vec::with_capacity(slots);
        let len = read(start, slots, |slot| stanzas.push(slot.to_stanza()))?;
        Ok(Self { stanzas, len })
    }

    /// As [`SealedHeader::parse`], for who only wants to know whether it is one.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn check(start: &[u8], slots: usize) -> Result<(), ShapeError> {
        read(start, slots, |_| ()).map(|_| ())
    }
}

/// Reads a header, giving each slot to `each`. Returns the header's length in bytes.
fn read<'a>(start: &'a [u8], slots: usize, mut each: impl FnMut(Slot<'a>)) -> Result<usize, ShapeError> {
    let limit = prefix_len(slots);
    let start = &start[..start.len().min(limit)];
    let mut rest = match start.strip_prefix(VERSION_LINE) {
        Some(rest) => rest,
        None if VERSION_LINE.starts_with(start) => return Err(ShapeError::Incomplete { limit }),
        None => return Err(ShapeError::NotAge),
    };
    let mut found = 0;
    while let Some((slot, after)) = Slot::parse(rest) {
        if found == slots {
            return Err(ShapeError::Slots {
                expected: slots,
                found: found + 1,
            });
        }
        each(slot);
        found += 1;
        rest = after;
    }
    // What is no slot is the grease stanza, or has a fault that wants a name.
    let mut grease = false;
    while !rest.starts_with(MAC_PREFIX) {
        let (after, stanza) = age_stanza(rest).map_err(|_| ShapeError::Incomplete { limit })?;
        rest = after;
        if grease || (stanza.tag.ends_with(GREASE_SUFFIX) && !is_grease(&stanza)) {
            return Err(ShapeError::Grease);
        }
        if !stanza.tag.ends_with(GREASE_SUFFIX) {
            return Err(if stanza.tag == STANZA_TAG {
                ShapeError::Stanza { position: found }
            } else {
                ShapeError::NotPostQuantum { position: found }
            });
        }
        grease = true;
    }
    if found != slots {
        return Err(ShapeError::Slots { expected: slots, found });
    }
    if !grease {
        return Err(ShapeError::Grease);
    }
    let mac = &rest[MAC_PREFIX.len()..];
    let mac = mac
        .get(..=base64_len(MAC_LEN))
        .ok_or(ShapeError::Incomplete { limit })?
        .strip_suffix(b"\n")
        .ok_or(ShapeError::Mac)?;
    decode::<MAC_LEN>(mac).ok_or(ShapeError::Mac)?;
    Ok(start.len() - rest.len() + MAC_PREFIX.len() + mac.len() + 1)
}

/// A slot's stanza, which has one length and one layout.
struct Slot<'a> {
    enc: &'a str,
    body: [u8; BODY_LEN],
}

impl<'a> Slot<'a> {
    /// The slot at the beginning of `bytes`, and what follows it.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (slot, rest) = bytes.split_at_checked(SLOT_LEN)?;
        let slot = slot.strip_prefix(b"-> ")?.strip_prefix(STANZA_TAG.as_bytes())?;
        let (enc, body) = slot.strip_prefix(b" ")?.split_at_checked(base64_len(ENC_LEN))?;
        let body = decode(body.strip_prefix(b"\n")?.strip_suffix(b"\n")?)?;
        // The server looks at every report's header: as of base64, it is told by its letters and the last of them.
        let (whole, last) = enc.split_at_checked(ENC_LEN / 3 * 4)?;
        decode::<{ ENC_LEN % 3 }>(last)?;
        let letters = whole.iter().fold(true, |all, byte| all & is_base64(*byte));
        let enc = letters.then(|| str::from_utf8(enc).ok())??;
        Some((Self { enc, body }, rest))
    }

    fn to_stanza(&self) -> Stanza {
        Stanza {
            tag: STANZA_TAG.to_owned(),
            args: vec![self.enc.to_owned()],
            body: self.body.to_vec(),
        }
    }
}

#[allow(
    clippy::needless_bitwise_bool,
    reason = "without branches the loop over it is vectorized"
)]
const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'+') | (byte == b'/')
}

/// Base64 of exactly `N` bytes, in its one spelling.
fn decode<const N: usize>(base64: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // Of this length it decodes to `N` bytes or not at all: there is room.
    let same_len = base64.len() == base64_len(N);
    (same_len && BASE64_STANDARD_NO_PAD.decode_slice_unchecked(base64, &mut bytes) == Ok(N)).then_some(bytes)
}

fn is_grease(stanza: &AgeStanza<'_>) -> bool {
    let is_word = |word: &str| (1..=GREASE_WORD_MAX).contains(&word.len());
    stanza.tag.strip_suffix(GREASE_SUFFIX).is_some_and(is_word)
        && stanza.args.len() <= GREASE_ARGUMENTS_MAX
        && stanza.args.iter().all(|argument| is_word(argument))
        && stanza.body().len() <= GREASE_BODY_MAX
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{hybrid::Identity, secret::SecretBytes};

    fn sealed(recipients: &[&dyn age::Recipient]) -> Vec<u8> {
        let mut out = Vec::new();
        let encryptor = age::Encryptor::with_recipients(recipients.iter().copied()).unwrap();
        let mut writer = encryptor.wrap_output(&mut out).unwrap();
        writer.write_all(b"x").unwrap();
        writer.finish().unwrap();
        out
    }

    fn slots(n: u8) -> Vec<crate::hybrid::Recipient> {
        (0..n)
            .map(|seed| Identity::from_seed(SecretBytes::from([seed; 32])).recipient())
            .collect()
    }

    fn sealed_to(n: u8) -> Vec<u8> {
        let slots = slots(n);
        sealed(&slots.iter().map(|slot| slot as &dyn age::Recipient).collect::<Vec<_>>())
    }

    #[test]
    fn an_honest_header_has_the_shape_and_never_exceeds_the_longest() {
        let mut longest = 0;
        for _ in 0..300 {
            let file = sealed_to(2);
            let header = SealedHeader::parse(&file, 2).unwrap();
            assert_eq!(header.stanzas.len(), 2);
            // What follows is the nonce, one byte of payload and its tag.
            assert_eq!(file.len(), header.len + 16 + 1 + 16);
            longest = longest.max(header.len);
        }
        assert!(longest <= max_len(2), "{longest}");
        assert!(longest > max_len(2) - 100, "the bound is not generous: {longest}");
    }

    #[test]
    fn every_other_shape_is_refused_by_name() {
        let file = sealed_to(2);
        let parse = |bytes: &[u8], slots| SealedHeader::parse(bytes, slots).map(|_| ()).unwrap_err();
        assert_eq!(parse(b"Dear friends, my name is", 2), ShapeError::NotAge);
        assert_eq!(parse(b"", 2), ShapeError::Incomplete { limit: prefix_len(2) });
        assert_eq!(parse(&file, 1), ShapeError::Slots { expected: 1, found: 2 });
        assert_eq!(parse(&file, 3), ShapeError::Slots { expected: 3, found: 2 });
        let classical = age::x25519::Identity::generate().to_public();
        assert_eq!(
            parse(&sealed(&[&classical]), 1),
            ShapeError::NotPostQuantum { position: 0 }
        );
        let passphrase = age::scrypt::Recipient::new("x".to_owned().into());
        assert_eq!(
            parse(&sealed(&[&passphrase]), 1),
            ShapeError::NotPostQuantum { position: 0 }
        );
        let header_len = SealedHeader::parse(&file, 2).unwrap().len;
        for cut in 0..header_len {
            parse(&file[..cut], 2);
        }
    }

    #[test]
    fn a_header_without_grease_or_with_two_or_with_fat_grease_is_refused() {
        let file = sealed_to(1);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let header = text(&file[..SealedHeader::parse(&file, 1).unwrap().len]);
        let slot_end = VERSION_LINE.len() + SLOT_LEN;
        let mac_start = header.rfind("\n--- ").unwrap() + 1;
        let with = |grease: &str| format!("{}{grease}{}", &header[..slot_end], &header[mac_start..]);
        let parse = |text: &str| SealedHeader::parse(text.as_bytes(), 1).map(|_| ());
        assert_eq!(parse(&with("-> x-grease\n\n")), Ok(()));
        assert_eq!(parse(&with("")), Err(ShapeError::Grease));
        assert_eq!(parse(&with("-> x-grease\n\n-> y-grease\n\n")), Err(ShapeError::Grease));
        assert_eq!(parse(&with("-> 123456789-grease\n\n")), Err(ShapeError::Grease));
        assert_eq!(parse(&with("-> x-grease 1 2 3 4 5\n\n")), Err(ShapeError::Grease));
        let full_line = "A".repeat(64);
        assert_eq!(
            parse(&with(&format!("-> x-grease\n{full_line}\n{full_line}\nAAAAAAAA\n"))),
            Err(ShapeError::Grease)
        );
        assert_eq!(
            parse(&with("-> X25519 AAAA\n\n-> x-grease\n\n")),
            Err(ShapeError::NotPostQuantum { position: 1 })
        );
    }
}
