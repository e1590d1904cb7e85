//! Files as the store keeps them: private, durable, and dated to the day.

use std::{
    fs::{DirBuilder, File, OpenOptions},
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
/// that no finer modification time of a synced file is ever written out. Two things stay: the inode's change
/// time, which Linux lets nobody set (so a seized disk shows when the *last* report was committed, and an ext4 journal
/// some earlier ones), and the times of the view's files until the next clean stop.
pub(super) fn truncate_times(file: &File) -> io::Result<()> {
    let modified_s = file.metadata()?.mtime();
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
