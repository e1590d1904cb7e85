//! `identity.age`: what makes a caseworker, wrapped by the passphrase.
//!
//! ```text
//! # marram/caseworker/v1
//! # enrolment-key <64 hex>       seed of the key that signs every enrolment
//! # casebook-key <64 hex>        SQLCipher's key
//! AGE-SECRET-KEY-PQ-1…           the home identity, which the files of the epochs are sealed to
//! ```

use std::{fmt, path::Path};

use age::secrecy::SecretString;
use marram_crypto::{hybrid, key::SigningKey, secret::SecretBytes};
use marram_terminal::{
    error::fail,
    files::Existing,
    passphrase::PassphraseArgs,
    secret_file::{SecretFileError, WorkFactor, write_wrapped},
};
use rand_core::CryptoRng;

use crate::key_file;

/// Its name in the home.
pub const FILE: &str = "identity.age";

const KIND: &str = "marram/caseworker/v1";
const NAMES: [&str; 2] = ["enrolment-key", "casebook-key"];
const MAX_BYTES: usize = 4096;

/// The long-term secrets of one caseworker.
pub struct Caseworker {
    /// Signs enrolments; its digits are what keyholders compare.
    pub enrolment_key: SigningKey,
    /// What the files of the epochs are sealed to.
    pub home_identity: hybrid::Identity,
    /// The key of the casebook.
    pub casebook_key: SecretBytes<32>,
}

impl Caseworker {
    /// Draws new secrets.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self {
            enrolment_key: SigningKey::random(rng),
            home_identity: hybrid::Identity::random(rng),
            casebook_key: SecretBytes::random(rng),
        }
    }

    /// Wraps them by a passphrase. Refuses to overwrite.
    ///
    /// # Errors
    /// As [`write_wrapped`].
    pub fn write(&self, path: &Path, passphrase: &SecretString, work: WorkFactor) -> Result<(), SecretFileError> {
        let seed = self.enrolment_key.seed();
        let secrets = [(NAMES[0], &seed), (NAMES[1], &self.casebook_key)];
        let text = key_file::write(KIND, &secrets, &self.home_identity);
        write_wrapped(path, passphrase, &text, work, Existing::Keep)
    }

    /// Asks for the passphrase and unwraps them.
    ///
    /// # Errors
    /// As [`PassphraseArgs::unlock`]; a file of another type.
    pub fn unlock(path: &Path, passphrase: &PassphraseArgs) -> anyhow::Result<Self> {
        let (text, _) = passphrase.unlock(path, "your caseworker identity", MAX_BYTES)?;
        let Some(([enrolment_seed, casebook_key], home_identity)) = key_file::read(&text, KIND, NAMES) else {
            let what = format!(
                "{} is no caseworker's identity, or one of a later version",
                path.display()
            );
            return Err(fail(what, "name the right folder with --home FOLDER"));
        };
        Ok(Self {
            enrolment_key: SigningKey::from_seed(&enrolment_seed),
            home_identity,
            casebook_key,
        })
    }
}

impl fmt::Debug for Caseworker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caseworker(enrolment key {})", self.enrolment_key.public())
    }
}
