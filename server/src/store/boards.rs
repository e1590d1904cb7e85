//! The boards that hang: a file for each, `boards/<shard>-<digest of its header>`.
//!
//! Which one hangs, the ledger says. A board's file is durable before the record that hangs it, and the file of the one
//! before goes after it; what is left over when that is interrupted is removed on start.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use marram_crypto::{board::Shard, digest::Digest};

use super::{
    error::{OpenError, at},
    files,
    state::Hung,
};

/// The folder of boards.
pub(super) struct Boards {
    folder: PathBuf,
}

impl Boards {
    /// Opens the folder, and removes what does not hang.
    pub(super) fn open(folder: &Path, hung: &BTreeMap<Shard, Hung>) -> Result<Self, OpenError> {
        files::create_folder(folder).map_err(at(folder))?;
        let boards = Self {
            folder: folder.to_owned(),
        };
        boards
            .keep_only(hung)
            .and_then(|()| boards.sync())
            .map_err(at(folder))?;
        for (&shard, hung) in hung {
            if !path_of(folder, shard, hung.digest).exists() {
                tracing::error!(%shard, "the board of a shard is missing: restore it from a backup, or have the next one hung");
            }
        }
        Ok(boards)
    }

    /// Writes a board that is about to hang, durably.
    pub(super) fn write(&self, shard: Shard, digest: Digest, board: &[u8]) -> io::Result<()> {
        // Under another name first: the same board may hang already, and be read just now.
        let new = self.folder.join("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(board)?;
        files::truncate_times(&file)?;
        file.sync_all()?;
        fs::rename(new, path_of(&self.folder, shard, digest))?;
        self.sync()
    }

    /// Removes the files of all boards but these.
    pub(super) fn keep_only(&self, hung: &BTreeMap<Shard, Hung>) -> io::Result<()> {
        let kept: BTreeSet<OsString> = hung
            .iter()
            .map(|(&shard, hung)| OsString::from(name_of(shard, hung.digest)))
            .collect();
        let mut removed = false;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if !kept.contains(&entry.file_name()) {
                fs::remove_file(entry.path())?;
                removed = true;
            }
        }
        if removed { self.sync() } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let folder = File::open(&self.folder)?;
        files::truncate_times(&folder)?;
        folder.sync_all()
    }
}

/// The path of a board.
pub(super) fn path_of(folder: &Path, shard: Shard, digest: Digest) -> PathBuf {
    folder.join(name_of(shard, digest))
}

/// The folder of boards in the store's folder.
pub(super) fn folder_in(folder: &Path) -> PathBuf {
    folder.join("boards")
}

fn name_of(shard: Shard, digest: Digest) -> String {
    format!("{shard}-{digest}")
}
