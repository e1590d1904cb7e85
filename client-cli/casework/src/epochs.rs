//! The identities of each epoch on disk: `epochs/<n>.age`, a small age file for each, sealed to the home identity.
//!
//! ```text
//! # marram/epoch/v1
//! # signer <64 hex>              seed of the key that signs this epoch's orders
//! AGE-SECRET-KEY-PQ-1…           what opens this epoch's reports
//! ```
//!
//! age draws a key of its own for every file. To overwrite the file is to lose that key, and with it whatever was
//! sealed in that epoch and is not in the casebook; the passphrase and the home identity do not bring it back.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use marram_crypto::{
    day::Epoch,
    enrolment::Pair,
    hybrid::{Identity, Recipient},
    key::SigningKey,
};
use marram_terminal::{
    error::fail,
    files::{self, Existing, FileError},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::key_file;

/// Name of the folder in the home.
pub const FOLDER: &str = "epochs";

const KIND: &str = "marram/epoch/v1";
const NAMES: [&str; 1] = ["signer"];
/// A post-quantum age header and our few lines have about 2,000 bytes.
const MAX_BYTES: u64 = 8192;

/// The secrets of one epoch.
pub struct EpochKeys {
    /// Opens the epoch's reports.
    pub identity: Identity,
    /// Signs the epoch's orders.
    pub signer: SigningKey,
}

impl EpochKeys {
    /// Draws new secrets.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self {
            identity: Identity::random(rng),
            signer: SigningKey::random(rng),
        }
    }

    /// The public halves.
    pub fn pair(&self) -> Pair {
        Pair {
            recipient: self.identity.recipient(),
            signer: self.signer.public(),
        }
    }
}

/// The folder of the epochs' files.
#[derive(Debug)]
pub struct Epochs {
    folder: PathBuf,
}

impl Epochs {
    /// Opens the folder, and makes it if it is not there. What a crash left half written is destroyed: it may hold a
    /// key that nobody would think of destroying later.
    ///
    /// # Errors
    /// Of the file system.
    pub fn open(home: &Path) -> anyhow::Result<Self> {
        let folder = home.join(FOLDER);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let epochs = Self { folder };
        for path in epochs.files()? {
            if epoch_of(&path).is_none() && path.is_file() {
                files::destroy(&path)?;
            }
        }
        Ok(epochs)
    }

    /// The epochs of which the keys are there.
    ///
    /// # Errors
    /// Of the file system.
    pub fn list(&self) -> anyhow::Result<BTreeSet<Epoch>> {
        Ok(self.files()?.iter().filter_map(|path| epoch_of(path)).collect())
    }

    /// Seals the keys of one epoch to the home identity. Never overwrites.
    ///
    /// # Errors
    /// Of the file system; [`FileError::Exists`].
    pub fn write(&self, epoch: Epoch, keys: &EpochKeys, to: &Recipient) -> anyhow::Result<()> {
        let seed = keys.signer.seed();
        let text = key_file::write(KIND, &[(NAMES[0], &seed)], &keys.identity);
        let mut sealed = Vec::new();
        let encryptor = age::Encryptor::with_recipients(std::iter::once(to as &dyn age::Recipient))?;
        let mut writer = encryptor.wrap_output(&mut sealed)?;
        writer.write_all(&text)?;
        writer.finish()?;
        Ok(files::atomic_write(&self.path(epoch), &sealed, 0o600, Existing::Keep)?)
    }

    /// Opens the keys of one epoch. `None` if they are not there: destroyed, or never made.
    ///
    /// # Errors
    /// Of the file system; a file that is damaged or not sealed to this identity.
    pub fn read(&self, epoch: Epoch, home_identity: &Identity) -> anyhow::Result<Option<EpochKeys>> {
        let path = self.path(epoch);
        let sealed = match files::read_bounded(&path, MAX_BYTES) {
            Ok(sealed) => sealed,
            Err(FileError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = || {
            let what = format!("{} is damaged, or belongs to another caseworker", path.display());
            fail(
                what,
                "reports of that epoch open only with this file; the other epochs are not concerned",
            )
        };
        let text = unseal(&sealed, home_identity).map_err(|_| damaged())?;
        let ([seed], identity) = key_file::read(&text, KIND, NAMES).ok_or_else(damaged)?;
        Ok(Some(EpochKeys {
            identity,
            signer: SigningKey::from_seed(&seed),
        }))
    }

    /// Overwrites the keys of one epoch and unlinks them.
    ///
    /// # Errors
    /// Of the file system; [`FileError::Missing`].
    pub fn destroy(&self, epoch: Epoch) -> Result<(), FileError> {
        files::destroy(&self.path(epoch))
    }

    fn path(&self, epoch: Epoch) -> PathBuf {
        self.folder.join(format!("{epoch}.age"))
    }

    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder).and_then(|entries| {
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            paths.collect::<io::Result<Vec<_>>>()
        });
        entries.with_context(|| format!("cannot read {}", self.folder.display()))
    }
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKeys(signer {})", self.signer.public())
    }
}

fn epoch_of(path: &Path) -> Option<Epoch> {
    path.file_name()?.to_str()?.strip_suffix(".age")?.parse().ok()
}

fn unseal(sealed: &[u8], identity: &Identity) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let decryptor = age::Decryptor::new_buffered(sealed)?;
    let reader = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity))?;
    let mut text = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use getrandom::{SysRng, rand_core::UnwrapErr};
    use marram_crypto::secret::SecretBytes;

    use super::*;

    #[test]
    fn the_keys_of_an_epoch_open_with_the_home_identity_alone_and_not_after_they_are_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let epochs = Epochs::open(folder.path()).unwrap();
        let home = Identity::from_seed(SecretBytes::from([1; 32]));
        let epoch = Epoch::from_number(2951).unwrap();
        let keys = EpochKeys::random(&mut UnwrapErr(SysRng));
        epochs.write(epoch, &keys, &home.recipient()).unwrap();

        assert_eq!(epochs.list().unwrap(), BTreeSet::from([epoch]));
        assert_eq!(epochs.read(epoch, &home).unwrap().unwrap().pair(), keys.pair());
        let other = Identity::from_seed(SecretBytes::from([2; 32]));
        assert!(
            epochs
                .read(epoch, &other)
                .unwrap_err()
                .to_string()
                .contains("another caseworker")
        );
        assert!(epochs.write(epoch, &keys, &home.recipient()).is_err());

        epochs.destroy(epoch).unwrap();
        assert!(epochs.read(epoch, &home).unwrap().is_none());
        assert!(epochs.list().unwrap().is_empty());
    }

    #[test]
    fn a_key_that_a_crash_left_half_written_does_not_outlive_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        Epochs::open(folder.path()).unwrap();
        let left = folder.path().join(FOLDER).join(".marram-x.partial");
        fs::write(&left, b"sealed key").unwrap();
        Epochs::open(folder.path()).unwrap();
        assert!(!left.exists());
    }
}
