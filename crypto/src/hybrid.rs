//! The post-quantum recipient and identity of age: stanza type `mlkem768x25519`.
//!
//! ```text
//! shared, enc = X-Wing.Encapsulate(recipient)          (KEM 0x647a; ML-KEM-768 and X25519)
//! body        = HPKE-base-Seal(shared, info = "age-encryption.org/mlkem768x25519", aad = "", file key)
//! -> mlkem768x25519 base64(enc)
//! base64(body)
//! ```
//!
//! Source: C2SP age, "The hybrid recipient type"; RFC 9180; draft-connolly-cfrg-xwing-kem.
//!
//! One thing is ours: the 64 bytes of encapsulation randomness are derived from the file key and the recipient
//! ([`labels::ENCAPSULATION`]) where age would draw them. Whoever opens a file can therefore make each stanza again
//! and see whether *every* slot was given the same file key ([`Recipient::wrap`]). The file key is random and secret
//! for each file, so the derived bytes are as good as drawn ones, and any age opens the result.

use std::{collections::HashSet, fmt, str::FromStr};

use age::{DecryptError, EncryptError, secrecy::ExposeSecret as _};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use bech32::{FromBase32, ToBase32, Variant};
use curve25519_dalek::MontgomeryPoint;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable,
    aead::ChaCha20Poly1305,
    kdf::HkdfSha256,
    kem::XWing,
    rand_core::{CryptoRng, TryCryptoRng, TryRng},
};
use secrecy::SecretString;
use zeroize::{Zeroize, Zeroizing};

use crate::{labels, secret::SecretBytes};

/// The tag of the stanza.
pub const STANZA_TAG: &str = "mlkem768x25519";
/// Length in bytes of an encapsulated key: ML-KEM-768 ciphertext ‖ X25519 point.
pub const ENC_LEN: usize = 1088 + X25519_LEN;
/// Length in bytes of a stanza's body: the file key and its tag.
pub const BODY_LEN: usize = FILE_KEY_BYTES + 16;
/// The label that keeps age from mixing these recipients with classical ones.
pub const LABEL: &str = "postquantum";

const HPKE_INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
const RECIPIENT_HRP: &str = "age1pq";
const IDENTITY_HRP: &str = "age-secret-key-pq-";
const ENCAPSULATION_RANDOMNESS_LEN: usize = 64;
const X25519_LEN: usize = 32;

type PublicKey = <XWing as Kem>::PublicKey;
type PrivateKey = <XWing as Kem>::PrivateKey;
type EncappedKey = <XWing as Kem>::EncappedKey;

/// A public key that reports are sealed to: ML-KEM-768 encapsulation key (1184 bytes) ‖ X25519 point (32 bytes).
/// Written `age1pq1…` (Bech32, 1959 characters).
#[derive(Clone)]
pub struct Recipient {
    bytes: Box<[u8; Recipient::LEN]>,
    key: PublicKey,
}

/// The secret half: a 32-byte X-Wing seed. Written `AGE-SECRET-KEY-PQ-1…`.
#[derive(Clone)]
pub struct Identity {
    seed: SecretBytes<{ Identity::LEN }>,
    key: PrivateKey,
}

/// What was wrong with a recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// A classical recipient, or another kind of text altogether.
    #[error("not a post-quantum recipient: it must begin with age1pq1")]
    NotPostQuantum,
    /// Damaged Bech32, capitals, or the wrong length.
    #[error("damaged post-quantum recipient: copy it again, all of it")]
    Encoding,
    /// An ML-KEM coefficient that is not reduced modulo 3329 (FIPS 203 section 7.2).
    #[error("the recipient's ML-KEM half is not canonical")]
    MlKem,
    /// An X25519 point in a second spelling (RFC 7748 ignores the top bit and reduces): two strings would be one key.
    #[error("the recipient's X25519 half is not canonical")]
    X25519,
    /// An X25519 point of low order, to which every shared secret is zero.
    #[error("the recipient's X25519 half has low order")]
    LowOrder,
}

/// What was wrong with an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a post-quantum identity (AGE-SECRET-KEY-PQ-1…), or damaged: copy it again, all of it")]
pub struct IdentityError;

impl Recipient {
    /// Length in bytes.
    pub const LEN: usize = 1184 + X25519_LEN;

    /// Takes the 1216 bytes of a key.
    ///
    /// # Errors
    /// [`RecipientError::MlKem`], [`RecipientError::X25519`] and [`RecipientError::LowOrder`].
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, RecipientError> {
        let key = PublicKey::from_bytes(bytes).map_err(|_| RecipientError::MlKem)?;
        if key.to_bytes().as_slice() != bytes {
            return Err(RecipientError::MlKem);
        }
        if !is_canonical(last_32(bytes)) {
            return Err(RecipientError::X25519);
        }
        if is_low_order(last_32(bytes)) {
            return Err(RecipientError::LowOrder);
        }
        Ok(Self {
            bytes: Box::new(*bytes),
            key,
        })
    }

    /// The 1216 bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// Wraps `file_key` for this recipient. The same file key always gives the same stanza.
    ///
    /// # Errors
    /// None for a recipient that was parsed; HPKE's own error is passed on as an I/O error.
    pub fn wrap(&self, file_key: &FileKey) -> Result<Stanza, EncryptError> {
        let failed = |error: hpke::HpkeError| EncryptError::Io(std::io::Error::other(error.to_string()));
        let mut randomness = Derived::new(file_key, self);
        let (enc, body) = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            &self.key,
            HPKE_INFO,
            file_key.expose_secret(),
            b"",
            &mut randomness,
        )
        .map_err(failed)?;
        Ok(Stanza {
            tag: STANZA_TAG.to_owned(),
            args: vec![BASE64_STANDARD_NO_PAD.encode(enc.to_bytes())],
            body,
        })
    }
}

impl Identity {
    /// Length of the seed in bytes.
    pub const LEN: usize = 32;

    /// Draws a new identity.
    pub fn random<R: rand_core::CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self::from_seed(SecretBytes::random(rng))
    }

    /// The identity of a seed.
    pub fn from_seed(seed: SecretBytes<{ Self::LEN }>) -> Self {
        #[expect(
            clippy::expect_used,
            clippy::missing_panics_doc,
            reason = "every 32 bytes are an X-Wing seed"
        )]
        let key = PrivateKey::from_bytes(seed.expose()).expect("32 bytes");
        Self { seed, key }
    }

    /// The public half.
    pub fn recipient(&self) -> Recipient {
        let key = XWing::sk_to_pk(&self.key);
        let mut bytes = Box::new([0; Recipient::LEN]);
        bytes.copy_from_slice(&key.to_bytes());
        Recipient { bytes, key }
    }

    /// The identity as text, for storing it wrapped.
    pub fn to_secret_string(&self) -> SecretString {
        let mut lower = encode(IDENTITY_HRP, self.seed.expose());
        let upper = SecretString::from(lower.to_ascii_uppercase());
        lower.zeroize();
        upper
    }

    /// Opens one stanza. `None` if it is of another type or was made for another recipient.
    ///
    /// # Errors
    /// [`DecryptError::InvalidHeader`] for a stanza of this type that no honest sender makes: other lengths, other
    /// arguments, an X25519 half of low order.
    pub fn unwrap(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != STANZA_TAG {
            return None;
        }
        let Some(enc) = encapsulated_key(stanza) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        // hpke leaves this to its caller.
        if is_low_order(last_32(&enc)) {
            return Some(Err(DecryptError::InvalidHeader));
        }
        let enc = EncappedKey::from_bytes(enc.as_slice()).ok()?;
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.key,
            &enc,
            HPKE_INFO,
            &stanza.body,
            b"",
        );
        // A wrong key and a damaged body look the same: not for this identity.
        let opened = Zeroizing::new(opened.ok()?);
        (opened.len() == FILE_KEY_BYTES).then(|| Ok(FileKey::init_with_mut(|key| key.copy_from_slice(&opened))))
    }
}

impl age::Recipient for Recipient {
    fn wrap_file_key(&self, file_key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        Ok((vec![self.wrap(file_key)?], HashSet::from([LABEL.to_owned()])))
    }
}

impl age::Identity for Identity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap(stanza)
    }
}

/// The X-Wing ciphertext of a stanza, if it has the one form a stanza of this type may have.
fn encapsulated_key(stanza: &Stanza) -> Option<[u8; ENC_LEN]> {
    let [argument] = stanza.args.as_slice() else {
        return None;
    };
    let enc = BASE64_STANDARD_NO_PAD.decode(argument).ok()?;
    (stanza.body.len() == BODY_LEN).then_some(())?;
    enc.try_into().ok()
}

/// Whether every X25519 shared secret with this point is zero: multiplied by the cofactor 8 it is the identity.
fn is_low_order(point: [u8; X25519_LEN]) -> bool {
    let eight = [true, false, false, false];
    MontgomeryPoint(point).mul_bits_be(eight.into_iter()).0 == [0; X25519_LEN]
}

/// Whether a u-coordinate is below the field's prime 2^255 − 19, little-endian.
fn is_canonical(point: [u8; X25519_LEN]) -> bool {
    let [lowest, middle @ .., highest] = point;
    highest < 0x7f || (highest == 0x7f && (lowest < 0xed || middle != [0xff; X25519_LEN - 2]))
}

fn last_32<const N: usize>(bytes: &[u8; N]) -> [u8; X25519_LEN] {
    const { assert!(N >= X25519_LEN) };
    let mut last = [0; X25519_LEN];
    last.copy_from_slice(&bytes[N - X25519_LEN..]);
    last
}

/// A source of "randomness" that gives the derived 64 bytes once, and nothing else.
struct Derived {
    bytes: SecretBytes<ENCAPSULATION_RANDOMNESS_LEN>,
    used: usize,
}

impl Derived {
    fn new(file_key: &FileKey, recipient: &Recipient) -> Self {
        Self {
            bytes: labels::derive(
                labels::ENCAPSULATION,
                file_key.expose_secret(),
                recipient.as_bytes().as_slice(),
            ),
            used: 0,
        }
    }
}

impl TryRng for Derived {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Self::Error> {
        let end = self.used + destination.len();
        // X-Wing takes exactly 64 bytes (draft-connolly-cfrg-xwing-kem section 5.4). Were it ever to take more,
        // stopping is better than repeating bytes.
        assert!(end <= ENCAPSULATION_RANDOMNESS_LEN, "an encapsulation takes 64 bytes");
        destination.copy_from_slice(&self.bytes.expose()[self.used..end]);
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for Derived {}
const _: fn(&mut Derived) = |derived| {
    fn is_crypto_rng(_: &mut impl CryptoRng) {}
    is_crypto_rng(derived);
};

fn encode(hrp: &str, bytes: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "both prefixes are valid and in lower case")]
    bech32::encode(hrp, bytes.to_base32(), Variant::Bech32).expect("a valid prefix")
}

/// Decodes strict Bech32 in one case. `N` is the one length there is.
fn decode<const N: usize>(hrp: &str, text: &str) -> Option<Zeroizing<[u8; N]>> {
    let (prefix, data, variant) = bech32::decode(text).ok()?;
    let bytes = Zeroizing::new(Vec::<u8>::from_base32(&data).ok()?);
    let mut array = Zeroizing::new([0; N]);
    if prefix != hrp || variant != Variant::Bech32 || bytes.len() != N {
        return None;
    }
    array.copy_from_slice(&bytes);
    Some(array)
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(RECIPIENT_HRP, self.bytes.as_slice()))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({}…)", &self.to_string()[..24])
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(secret)")
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Recipient {}

impl std::hash::Hash for Recipient {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        if !text.starts_with("age1pq1") {
            return Err(RecipientError::NotPostQuantum);
        }
        let bytes = decode::<{ Self::LEN }>(RECIPIENT_HRP, text).ok_or(RecipientError::Encoding)?;
        Self::from_bytes(&bytes)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(IdentityError);
        }
        let seed = decode::<{ Self::LEN }>(IDENTITY_HRP, text).ok_or(IdentityError)?;
        Ok(Self::from_seed(SecretBytes::fill_with(|bytes| {
            bytes.copy_from_slice(seed.as_slice());
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(seed: u8) -> Identity {
        Identity::from_seed(SecretBytes::from([seed; 32]))
    }

    #[test]
    fn recipient_and_identity_read_back_from_text() {
        let identity = identity(1);
        let text = identity.recipient().to_string();
        assert_eq!(text.len(), 1959);
        assert_eq!(text.parse(), Ok(identity.recipient()));
        let again: Identity = identity.to_secret_string().expose_secret().parse().unwrap();
        assert_eq!(again.recipient(), identity.recipient());
        assert!(
            identity
                .to_secret_string()
                .expose_secret()
                .starts_with("AGE-SECRET-KEY-PQ-1")
        );
    }

    #[test]
    fn classical_damaged_and_degenerate_recipients_are_refused_by_name() {
        let classical = age::x25519::Identity::generate().to_public().to_string();
        assert_eq!(classical.parse::<Recipient>(), Err(RecipientError::NotPostQuantum));
        let recipient = identity(1).recipient();
        let text = recipient.to_string();
        assert_eq!(text[..1900].parse::<Recipient>(), Err(RecipientError::Encoding));
        assert_eq!(
            text.to_uppercase().parse::<Recipient>(),
            Err(RecipientError::NotPostQuantum)
        );
        let mut bytes = *recipient.as_bytes();
        bytes[1184..].fill(0);
        assert_eq!(Recipient::from_bytes(&bytes), Err(RecipientError::LowOrder));
        let mut bytes = *recipient.as_bytes();
        bytes[1215] |= 0x80;
        assert_eq!(Recipient::from_bytes(&bytes), Err(RecipientError::X25519));
        bytes[1184..].fill(0xff);
        bytes[1215] = 0x7f;
        assert_eq!(Recipient::from_bytes(&bytes), Err(RecipientError::X25519));
        let mut bytes = *recipient.as_bytes();
        bytes[..3].fill(0xff);
        assert_eq!(Recipient::from_bytes(&bytes), Err(RecipientError::MlKem));
    }

    #[test]
    fn all_points_of_low_order_are_known() {
        // The seven encodings of RFC 7748's low-order points, with and without the ignored top bit.
        let low = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for text in low {
            let mut point = [0; 32];
            hex::decode_to_slice(text, &mut point).unwrap();
            assert!(is_low_order(point), "{text}");
            point[31] |= 0x80;
            assert!(is_low_order(point), "{text} with the top bit");
        }
        let mut base = [0; 32];
        base[0] = 9;
        assert!(!is_low_order(base));
    }

    #[test]
    fn the_same_file_key_makes_the_same_stanza_and_only_its_identity_opens_it() {
        let key = || FileKey::new(Box::new([9; FILE_KEY_BYTES]));
        let recipient = identity(1).recipient();
        let stanza = recipient.wrap(&key()).unwrap();
        assert_eq!(stanza, recipient.wrap(&key()).unwrap());
        assert_ne!(stanza, identity(2).recipient().wrap(&key()).unwrap());
        let opened = identity(1).unwrap(&stanza).unwrap().unwrap();
        assert_eq!(opened.expose_secret(), key().expose_secret());
        assert!(identity(2).unwrap(&stanza).is_none());
    }

    /// Held for every other implementation.
    #[test]
    fn vector_of_a_stanza() {
        let recipient = identity(1).recipient();
        let stanza = recipient.wrap(&FileKey::new(Box::new([9; FILE_KEY_BYTES]))).unwrap();
        let text = format!(
            "-> {STANZA_TAG} {}\n{}\n",
            stanza.args[0],
            BASE64_STANDARD_NO_PAD.encode(&stanza.body)
        );
        let digest = |bytes: &[u8]| crate::digest::Digest::of(bytes).to_string();
        assert_eq!(
            digest(recipient.as_bytes().as_slice()),
            "f37b99b2db732a7df55f61fa442606133b1aeea462df9f8225fb5c82674523db"
        );
        assert_eq!(
            digest(text.as_bytes()),
            "677dad818ab09cc2486e99a70387b902f81765c7ac60d3da4230ff4574ccb04e"
        );
    }

    #[test]
    fn secrets_do_not_show_in_debug() {
        let identity = identity(1);
        let text = format!("{identity:?} {:?}", identity.seed);
        assert!(
            !text.contains("[1,") && !text.to_lowercase().contains("key-pq"),
            "{text}"
        );
    }
}
