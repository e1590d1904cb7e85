//! Files of secrets that stock age reads too: an age identity file, with further secrets in its comments.
//!
//! ```text
//! # <type>
//! # <name> <64 hex>              as many as the type has, in its order
//! AGE-SECRET-KEY-PQ-1…
//! ```
//!
//! So that whoever has lost this program still opens a report with `age -d -i`.

use age::secrecy::ExposeSecret as _;
use marram_crypto::{hybrid::Identity, secret::SecretBytes};
use zeroize::Zeroizing;

/// Longer than any of our files: the buffer never grows, and so leaves no copy of a secret behind.
const CAPACITY: usize = 1024;

/// Writes a file of this type.
pub(crate) fn write(kind: &str, secrets: &[(&str, &SecretBytes<32>)], identity: &Identity) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(CAPACITY));
    text.extend_from_slice(format!("# {kind}\n").as_bytes());
    for (name, secret) in secrets {
        let digits = hex_of(secret);
        text.extend_from_slice(format!("# {name} ").as_bytes());
        text.extend_from_slice(&*digits);
        text.push(b'\n');
    }
    text.extend_from_slice(identity.to_secret_string().expose_secret().as_bytes());
    text.push(b'\n');
    debug_assert!(text.len() <= CAPACITY);
    text
}

/// Reads a file of this type. `None` if it is anything else.
pub(crate) fn read<const N: usize>(
    bytes: &[u8],
    kind: &str,
    names: [&str; N],
) -> Option<([SecretBytes<32>; N], Identity)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next()?.strip_prefix("# ")? != kind {
        return None;
    }
    let mut secrets = Vec::with_capacity(N);
    for name in names {
        let digits = lines
            .next()?
            .strip_prefix("# ")?
            .strip_prefix(name)?
            .strip_prefix(' ')?;
        let mut good = false;
        secrets.push(SecretBytes::fill_with(|secret| {
            good = hex::decode_to_slice(digits, secret).is_ok();
        }));
        if !good {
            return None;
        }
    }
    let identity = lines.next()?.parse().ok()?;
    let end = lines.next().is_none();
    Some((secrets.try_into().ok().filter(|_| end)?, identity))
}

/// A secret as 64 hexadecimal digits, cleared when dropped.
pub(crate) fn hex_of(secret: &SecretBytes<32>) -> Zeroizing<[u8; 64]> {
    let mut digits = Zeroizing::new([0; 64]);
    let written = hex::encode_to_slice(secret.expose(), &mut *digits);
    debug_assert!(written.is_ok(), "64 digits hold 32 bytes");
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "marram/test/v1";

    #[test]
    fn a_file_reads_back_and_is_taken_for_nothing_else() {
        let identity = Identity::from_seed(SecretBytes::from([7; 32]));
        let (one, two) = (SecretBytes::from([1; 32]), SecretBytes::from([2; 32]));
        let bytes = write(KIND, &[("one", &one), ("two", &two)], &identity);
        let ([first, second], again) = read(&bytes, KIND, ["one", "two"]).unwrap();
        assert_eq!((first.expose(), second.expose()), (&[1; 32], &[2; 32]));
        assert_eq!(again.recipient(), identity.recipient());

        assert!(read(&bytes, "marram/other/v1", ["one", "two"]).is_none());
        assert!(read(&bytes, KIND, ["two", "one"]).is_none());
        assert!(read(&bytes, KIND, ["one"]).is_none());
        assert!(read(&[&bytes[..], b"x\n"].concat(), KIND, ["one", "two"]).is_none());
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], KIND, ["one", "two"]).is_none(), "cut at {cut}");
        }
    }
}
