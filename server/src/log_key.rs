//! The log key: the server's one secret. It signs receipts and checkpoints, and cannot open anything.
//!
//! ```text
//! marram/log-key/v1
//! <64 hex: the Ed25519 seed>
//! ```
//!
//! Not wrapped by a passphrase, because a server must start without hands; whoever takes the machine has it, and the
//! keyholders name another log key in the next manifests.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{key::SigningKey, secret::SecretBytes};
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{ResultExt, fail};

const TYPE: &str = "marram/log-key/v1";
const FILE_LEN: usize = TYPE.len() + 1 + 64 + 1;

/// The file in the data folder.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("log.key")
}

/// Makes a key and writes it to a new file, mode 0600, durably.
///
/// # Errors
/// If the file exists, or cannot be written.
pub fn create(path: &Path) -> anyhow::Result<SigningKey> {
    let key = SigningKey::random(&mut UnwrapErr(SysRng));
    let mut text = Zeroizing::new([b'\n'; FILE_LEN]);
    text[..TYPE.len()].copy_from_slice(TYPE.as_bytes());
    hex::encode_to_slice(key.seed().expose(), &mut text[TYPE.len() + 1..FILE_LEN - 1])?;
    let write = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&*text)?;
        file.sync_all()?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().with_context(|| format!("cannot write the log key {}", path.display()))?;
    Ok(key)
}

/// Reads the key.
///
/// # Errors
/// If it is missing, malformed, or readable by anyone but its owner.
pub fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let shown = path.display();
    let mut file = open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(fail(
            format!("the log key {shown} can be read by others"),
            format!("run: chmod 600 {shown}   and if others use this machine, make a new server with a new key"),
        ));
    }
    let mut text = Zeroizing::new([0_u8; FILE_LEN]);
    let malformed = || {
        fail(
            format!("{shown} is not a log key"),
            format!("put the file back from a backup. {NO_BACKUP}"),
        )
    };
    if file.read_exact(&mut *text).is_err() || &text[..=TYPE.len()] != format!("{TYPE}\n").as_bytes() {
        return Err(malformed());
    }
    let mut seed = [0; SigningKey::SEED_LEN];
    let decoded = hex::decode_to_slice(&text[TYPE.len() + 1..FILE_LEN - 1], &mut seed);
    let key = SigningKey::from_seed(&SecretBytes::fill_with(|secret| secret.copy_from_slice(&seed)));
    seed.zeroize();
    decoded.map_err(|_| malformed())?;
    Ok(key)
}

const NO_BACKUP: &str = "Without one, make a new server in another folder (marram-server init) and give its log key to \
    the keyholders, whose next manifests must name it";

fn open(path: &Path) -> anyhow::Result<File> {
    let opened = File::open(path);
    let next = match opened.as_ref().map_err(std::io::Error::kind) {
        Ok(_) => String::new(),
        Err(std::io::ErrorKind::NotFound) => {
            format!("check `data_dir` in the configuration, or put the file back from a backup. {NO_BACKUP}")
        }
        Err(_) => "run this as the user whose file it is (ls -l says whose)".to_owned(),
    };
    opened
        .with_context(|| format!("cannot read the log key {}", path.display()))
        .next(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_in(folder.path());
        let key = create(&path).unwrap();
        assert_eq!(read(&path).unwrap().public(), key.public());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create(&path).is_err(), "a key is never overwritten");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("can be read by others"));
    }
}
