//! Files as the store keeps them: private, durable, and dated to the day.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{Timespec, Timestamps, futimens};

const SECONDS_PER_DAY: i64 = 86_400;

/// Opens a file for reading and writing, creating it if it is missing. Mode 0600.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Creates a file that must not exist yet. Mode 0600.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Creates a folder and its parents where they are missing. Mode 0700.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Truncates access and modification time to the day.
///
/// Called between a write and its sync, the truncated times ride along in the same journal entry as the new length, so
/// that no finer modification time of a synced file is ever written out. What stays is the inode's *change* time
/// (`ctime`), which Linux lets nobody set: a seized disk shows, to the nanosecond, when ledger and segment were last
/// written, which is when the last report was committed; an ext4 journal may show it of some earlier ones. No program
/// can help that, only a disk that is encrypted and off.
pub(super) fn truncate_times(file: &File) -> io::Result<()> {
    set_times(file, file.metadata()?.mtime())
}

/// Truncates the times of everything in a folder, and its own, to the day. Returns whether any was finer.
///
/// What vanishes meanwhile, as sled's files do, is passed over.
pub(super) fn truncate_times_below(folder: &Path) -> io::Result<bool> {
    let mut finer = false;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        finer |= match File::open(&path) {
            Ok(file) if file.metadata()?.is_dir() => truncate_times_below(&path)?,
            Ok(file) => truncate_if_finer(&file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
    }
    Ok(finer | truncate_if_finer(&File::open(folder)?)?)
}

fn truncate_if_finer(file: &File) -> io::Result<bool> {
    let found = file.metadata()?;
    let finer = found.mtime() % SECONDS_PER_DAY != 0 || found.mtime_nsec() != 0;
    if finer {
        set_times(file, found.mtime())?;
    }
    Ok(finer)
}

fn set_times(file: &File, modified_s: i64) -> io::Result<()> {
    let midnight = Timespec {
        tv_sec: modified_s - modified_s.rem_euclid(SECONDS_PER_DAY),
        tv_nsec: 0,
    };
    futimens(
        file,
        &Timestamps {
            last_access: midnight,
            last_modification: midnight,
        },
    )?;
    Ok(())
}

/// Bytes free to this process on the file system of `file`.
pub(super) fn free_space(file: &File) -> io::Result<u64> {
    let stat = rustix::fs::fstatvfs(file)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}
