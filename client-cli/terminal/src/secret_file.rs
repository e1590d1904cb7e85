//! Files wrapped by a passphrase: age v1 files with one scrypt recipient, which any age opens with `age -d`.
//!
//! Source: <https://c2sp.org/age>, scrypt recipient stanza.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::files::{self, Existing, FileError};

/// The work factor that programs use: 2^18 blocks, 256 MiB and about a second, as in age.
pub const RECOMMENDED_LOG2: u8 = 18;

/// The largest work factor that is opened: 2^20 blocks take 1 GiB. A file that asks for more is not ours.
pub const MAX_LOG2: u8 = 20;

/// What the age header of a wrapped file, its nonce and the tags of its chunks add, at most, for each 64 KiB.
const OVERHEAD_BYTES: u64 = 1024;

/// How much work a guess at the passphrase takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkFactor {
    /// 2^[`RECOMMENDED_LOG2`]. What every program uses.
    Recommended,
    /// Two to this power, between 1 and [`MAX_LOG2`]: for tests, which cannot spend a second on each file.
    Log2(u8),
}

/// Why a wrapped file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The passphrase is not the one it was wrapped with.
    #[error("wrong passphrase for {}", path.display())]
    WrongPassphrase {
        /// Which file.
        path: PathBuf,
    },
    /// Something else than an age file with one passphrase.
    #[error("{} is not a file wrapped by a passphrase", path.display())]
    NotAWrappedFile {
        /// Which file.
        path: PathBuf,
    },
    /// The passphrase is right, and the content is not what was written.
    #[error("{} is damaged: its passphrase is right, but its content was cut or changed", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// More content than what may stand in such a file.
    #[error("{} holds more than {limit_bytes} bytes, the limit for this file", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The most that is accepted.
        limit_bytes: usize,
    },
    /// It asks for more work and memory than any file of ours.
    #[error("{} asks for 2^{log2} blocks of scrypt work, and the limit is 2^{MAX_LOG2}", path.display())]
    TooMuchWork {
        /// Which file.
        path: PathBuf,
        /// What it asks for.
        log2: u8,
    },
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// age could not wrap it.
    #[error("cannot wrap {}: {source}", path.display())]
    Wrap {
        /// Which file.
        path: PathBuf,
        /// What age said.
        source: io::Error,
    },
}

impl SecretFileError {
    /// What to do next.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::WrongPassphrase { .. } => Some(
                "type it again, minding capitals and the keyboard's language; without it nobody can open this file, \
                 and a backup needs the same passphrase"
                    .into(),
            ),
            Self::NotAWrappedFile { .. } | Self::TooMuchWork { .. } => {
                Some("check that this is the right file; it was not made by this program".into())
            }
            Self::Damaged { .. } | Self::TooLarge { .. } => Some("take the file from a backup".into()),
            Self::File(error) => error.next_step(),
            Self::Wrap { .. } => None,
        }
    }
}

/// Wraps `plaintext` under a passphrase and writes it in one step, for its owner alone (mode 0600).
///
/// # Errors
/// [`FileError::Exists`] under [`Existing::Keep`], before the second of work; [`SecretFileError::Wrap`].
pub fn write_wrapped(
    path: &Path,
    passphrase: &SecretString,
    plaintext: &[u8],
    work: WorkFactor,
    existing: Existing,
) -> Result<(), SecretFileError> {
    let mut file = files::AtomicFile::create(path, 0o600, existing)?;
    let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
    recipient.set_work_factor(match work {
        WorkFactor::Recommended => RECOMMENDED_LOG2,
        WorkFactor::Log2(log2) => log2.clamp(1, MAX_LOG2),
    });
    let mut wrap = || -> io::Result<()> {
        let encryptor = age::Encryptor::with_recipients(std::iter::once::<&dyn age::Recipient>(&recipient))
            .map_err(io::Error::other)?;
        let mut writer = encryptor.wrap_output(&mut file)?;
        writer.write_all(plaintext)?;
        writer.finish().map(|_| ())
    };
    wrap().map_err(|source| SecretFileError::Wrap {
        path: path.to_owned(),
        source,
    })?;
    Ok(file.commit()?)
}

/// Opens what [`write_wrapped`] wrote, if it holds at most `max_bytes`.
///
/// # Errors
/// One variant of [`SecretFileError`] for each thing that can be wrong. Nothing is returned before the whole content
/// has authenticated.
pub fn read_wrapped(
    path: &Path,
    passphrase: &SecretString,
    max_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let path_buf = || path.to_owned();
    let too_large = || SecretFileError::TooLarge {
        path: path_buf(),
        limit_bytes: max_bytes,
    };
    let chunks = max_bytes as u64 / (64 * 1024) + 1;
    let wrapped = match files::read_bounded(path, max_bytes as u64 + chunks * OVERHEAD_BYTES) {
        Err(FileError::TooLarge { .. }) => return Err(too_large()),
        other => other?,
    };

    let mut identity = age::scrypt::Identity::new(passphrase.clone());
    identity.set_max_work_factor(MAX_LOG2);
    let opened = age::Decryptor::new_buffered(wrapped.as_slice())
        .and_then(|decryptor| decryptor.decrypt(std::iter::once::<&dyn age::Identity>(&identity)));
    let reader = opened.map_err(|error| match error {
        age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed => {
            SecretFileError::WrongPassphrase { path: path_buf() }
        }
        age::DecryptError::InvalidMac => SecretFileError::Damaged { path: path_buf() },
        age::DecryptError::ExcessiveWork { required, .. } => SecretFileError::TooMuchWork {
            path: path_buf(),
            log2: required,
        },
        _ => SecretFileError::NotAWrappedFile { path: path_buf() },
    })?;

    // One allocation: a growing vector would leave copies of the secret behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(wrapped.len()));
    reader
        .take(max_bytes as u64 + 1)
        .read_to_end(&mut plaintext)
        .map_err(|_| SecretFileError::Damaged { path: path_buf() })?;
    if plaintext.len() > max_bytes {
        Err(too_large())
    } else {
        Ok(plaintext)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const QUICK: WorkFactor = WorkFactor::Log2(2);

    fn wrapped(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.age");
        write_wrapped(&path, &"the right passphrase".into(), content, QUICK, Existing::Keep).unwrap();
        (folder, path)
    }

    fn read(path: &Path, passphrase: &str, max: usize) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
        read_wrapped(path, &passphrase.into(), max)
    }

    #[test]
    fn what_is_wrapped_opens_again_at_every_edge_of_a_chunk() {
        for len in [0, 1, 65_535, 65_536, 65_537, 200_000] {
            let content: Vec<u8> = (0..len).map(|i: u32| (i % 251) as u8).collect();
            let (_folder, path) = wrapped(&content);
            assert_eq!(*read(&path, "the right passphrase", content.len()).unwrap(), content);
        }
    }

    #[test]
    fn a_wrong_passphrase_is_named_and_says_what_next() {
        let (_folder, path) = wrapped(b"secret");
        let error = read(&path, "the wrong passphrase", 100).unwrap_err();
        assert!(matches!(error, SecretFileError::WrongPassphrase { .. }));
        assert!(error.to_string().contains("wrong passphrase for") && error.to_string().contains("identity.age"));
        assert!(error.next_step().unwrap().contains("type it again"));
    }

    #[test]
    fn damage_is_not_taken_for_a_wrong_passphrase() {
        let (_folder, path) = wrapped(b"secret");
        let whole = fs::read(&path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        for bytes in [
            flipped(whole.len() - 1),
            whole[..whole.len() - 1].to_vec(),
            [&whole[..], b"x"].concat(),
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(
                read(&path, "the right passphrase", 100),
                Err(SecretFileError::Damaged { .. })
            ));
        }
    }

    #[test]
    fn a_file_that_is_something_else_is_named() {
        let (_folder, path) = wrapped(b"secret");
        let to_a_key = age::encrypt(&age::x25519::Identity::generate().to_public(), b"x").unwrap();
        for bytes in [
            b"".to_vec(),
            b"hello".to_vec(),
            to_a_key,
            b"age-encryption.org/v2\n".to_vec(),
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(matches!(
                read(&path, "the right passphrase", 100),
                Err(SecretFileError::NotAWrappedFile { .. })
            ));
        }
    }

    #[test]
    fn more_than_the_limit_is_refused_by_size_and_by_content() {
        let (_folder, path) = wrapped(&[0; 101]);
        assert!(matches!(
            read(&path, "the right passphrase", 100),
            Err(SecretFileError::TooLarge { limit_bytes: 100, .. })
        ));
        let (_folder, path) = wrapped(&[0; 10_000]);
        assert!(matches!(
            read(&path, "not even asked", 100),
            Err(SecretFileError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_file_that_asks_for_an_hour_of_work_is_refused_before_doing_it() {
        let (_folder, path) = wrapped(b"secret");
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()[..80]).into_owned();
        let line = text.lines().nth(1).unwrap();
        let greedy = format!("{}30", line.strip_suffix('2').unwrap());
        let bytes = fs::read(&path).unwrap();
        let at = bytes
            .windows(line.len())
            .position(|window| window == line.as_bytes())
            .unwrap();
        fs::write(
            &path,
            [&bytes[..at], greedy.as_bytes(), &bytes[at + line.len()..]].concat(),
        )
        .unwrap();
        assert!(matches!(
            read(&path, "the right passphrase", 100),
            Err(SecretFileError::TooMuchWork { log2: 30, .. })
        ));
    }

    #[test]
    fn a_wrapped_file_is_not_overwritten_unasked() {
        let (_folder, path) = wrapped(b"old");
        let again = write_wrapped(&path, &"another".into(), b"new", QUICK, Existing::Keep);
        assert!(matches!(again, Err(SecretFileError::File(FileError::Exists { .. }))));
        assert_eq!(*read(&path, "the right passphrase", 10).unwrap(), b"old");
    }
}
