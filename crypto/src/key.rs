//! Ed25519 keys (RFC 8032): the one kind of signature in Marram.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::secret::SecretBytes;

/// A public key: 32 bytes, canonical, not of low order. Written as 44 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey(VerifyingKey);

/// A secret key. Signing is deterministic.
pub struct SigningKey(ed25519_dalek::SigningKey);

/// What was wrong with a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 44 characters of padded base64.
    #[error("an Ed25519 public key is 44 characters of base64")]
    Encoding,
    /// Not a point on the curve, not in its one spelling, or of low order (anyone could sign for it).
    #[error("not a usable Ed25519 public key")]
    Point,
}

impl PublicKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Takes the 32 bytes of a key.
    ///
    /// # Errors
    /// [`KeyError::Point`] unless they are the canonical encoding of a point that is not of low order.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point)?;
        let canonical = key.to_edwards().compress().to_bytes() == *bytes;
        if canonical && !key.is_weak() {
            Ok(Self(key))
        } else {
            Err(KeyError::Point)
        }
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        self.0.as_bytes()
    }

    /// Whether `signature` is this key's over `message` (the strict check: no signature has a second form).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl SigningKey {
    /// Length of the seed in bytes.
    pub const SEED_LEN: usize = 32;
    /// Length of a signature in bytes.
    pub const SIGNATURE_LEN: usize = 64;

    /// Draws a new key.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self::from_seed(&SecretBytes::random(rng))
    }

    /// The key of a seed (RFC 8032 section 5.1.5).
    pub fn from_seed(seed: &SecretBytes<{ Self::SEED_LEN }>) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed.expose()))
    }

    /// The seed, for storing the key.
    pub fn seed(&self) -> SecretBytes<{ Self::SEED_LEN }> {
        SecretBytes::from(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; Self::SIGNATURE_LEN] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| KeyError::Encoding)?;
        let bytes: [u8; Self::LEN] = bytes.try_into().map_err(|_| KeyError::Encoding)?;
        Self::from_bytes(&bytes)
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}
