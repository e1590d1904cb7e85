//! Files that are whole or not there, reads that end, and files that go for good.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// How names of unfinished files begin and end; [`Home`](crate::home::Home) sweeps what a power cut left of them.
const PARTIAL: (&str, &str) = (".marram-", ".partial");

/// What to do about a file that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Refuse, and leave it as it is.
    Keep,
    /// Put the new one in its place, in one step.
    Replace,
}

/// Why a file could not be read, written or destroyed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is a file of that name, and nobody said it may be replaced.
    #[error("{} is already there", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// There is no file of that name.
    #[error("{} is not there", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// A folder, a device or a named pipe where a file should be.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// Which file.
        path: PathBuf,
    },
    /// Larger than what may stand there.
    #[error("{} has {size_bytes} bytes, and the limit is {limit_bytes}", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size; at least, where it is not known beforehand.
        size_bytes: u64,
        /// The largest size that is accepted.
        limit_bytes: u64,
    },
    /// The system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    /// What to do next.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::Exists { .. } => Some("choose another name, or move the file away first".into()),
            Self::Missing { .. } => Some("check the name, and that the stick or disk is plugged in".into()),
            Self::NotAFile { .. } => Some("name the file itself".into()),
            Self::TooLarge { .. } => Some("check that this is the right file; nothing of it was read".into()),
            Self::Io { source, .. } => next_step_after(source),
        }
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Io { doing, path, source },
        }
    }
}

/// What to do next after what the system said of a file.
pub(crate) fn next_step_after(error: &io::Error) -> Option<String> {
    use io::ErrorKind as Kind;
    let next = match error.kind() {
        Kind::NotFound => "check the name, and that the stick or disk is plugged in",
        Kind::PermissionDenied => "check whose file it is (ls -l) and who you are (id)",
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
            "make room on that disk; what was there before is unchanged"
        }
        Kind::ReadOnlyFilesystem => "the disk is mounted read-only; use another, or remount it",
        Kind::IsADirectory => "name the file itself",
        Kind::NotADirectory => "check the name: a part of it is a file, and should be a folder",
        Kind::InvalidFilename => {
            "choose another name: this disk does not take it (too long, or with letters it does not know)"
        }
        // A disk that fails (EIO), a stick that was pulled out (ENODEV, ENXIO).
        _ if matches!(error.raw_os_error(), Some(5 | 6 | 19)) => {
            "the disk or stick is failing, or was pulled out: use another, and check the old one (dmesg | tail)"
        }
        _ => return None,
    };
    Some(next.to_owned())
}

/// Writes a file in one step: a reader, or a power cut, finds the old file or the new one, whole.
///
/// # Errors
/// [`FileError::Exists`] under [`Existing::Keep`]; [`FileError::Io`]. The old file is then unchanged.
pub fn atomic_write(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path, mode, existing)?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    file.commit()
}

/// A file that is being written, as a stream. Nothing has its name until [`commit`](Self::commit); dropped before, it
/// is removed.
#[derive(Debug)]
pub struct AtomicFile {
    partial: NamedTempFile,
    path: PathBuf,
    existing: Existing,
}

impl AtomicFile {
    /// Begins a file beside `path` with these permission bits (minus the umask).
    ///
    /// # Errors
    /// [`FileError::Exists`] under [`Existing::Keep`], before anything is written; [`FileError::Io`].
    pub fn create(path: &Path, mode: u32, existing: Existing) -> Result<Self, FileError> {
        if existing == Existing::Keep && fs::symlink_metadata(path).is_ok() {
            return Err(FileError::Exists { path: path.to_owned() });
        }
        let partial = tempfile::Builder::new()
            .prefix(PARTIAL.0)
            .suffix(PARTIAL.1)
            .permissions(fs::Permissions::from_mode(mode))
            .tempfile_in(folder_of(path))
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => FileError::Missing {
                    path: folder_of(path).to_owned(),
                },
                _ => FileError::Io {
                    doing: "create",
                    path: path.to_owned(),
                    source,
                },
            })?;
        Ok(Self {
            partial,
            path: path.to_owned(),
            existing,
        })
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// As for [`create`](Self::create): somebody may have made a file of that name meanwhile.
    pub fn commit(self) -> Result<(), FileError> {
        let Self {
            partial,
            path,
            existing,
        } = self;
        partial.as_file().sync_all().map_err(FileError::io("write", &path))?;
        match existing {
            Existing::Keep => partial.persist_noclobber(&path),
            Existing::Replace => partial.persist(&path),
        }
        .map_err(|error| FileError::io("write", &path)(error.error))?;
        sync_folder_of(&path)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.partial.flush()
    }
}

/// Reads a whole file of at most `max_bytes`. Regular files only, and what the shell offers under `/dev/fd`: a named
/// pipe on a stick would make the program wait for ever.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::NotAFile`], [`FileError::TooLarge`] before reading more than the limit.
pub fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let found = fs::metadata(path).map_err(FileError::io("read", path))?;
    if found.is_dir() || !found.is_file() && !path.starts_with("/dev") && !path.starts_with("/proc/self/fd") {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    let too_large = |size_bytes| FileError::TooLarge {
        path: path.to_owned(),
        size_bytes,
        limit_bytes: max_bytes,
    };
    if found.len() > max_bytes {
        return Err(too_large(found.len()));
    }
    let file = File::open(path).map_err(FileError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Overwrites a file with random bytes, then removes it, durably at each step. On flash memory, copy-on-write file
/// systems and in backups the old bytes may survive all the same: what must be gone is encrypted under a key that is
/// destroyed elsewhere too.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::NotAFile`] (links too: their target is not what was named), [`FileError::Io`].
pub fn destroy(path: &Path) -> Result<(), FileError> {
    let found = fs::symlink_metadata(path).map_err(FileError::io("destroy", path))?;
    if !found.is_file() {
        return Err(FileError::NotAFile { path: path.to_owned() });
    }
    let overwrite = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let mut noise = vec![0; 64 * 1024];
        let mut left = found.len();
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(noise.len());
            getrandom::fill(&mut noise[..part]).map_err(io::Error::other)?;
            file.write_all(&noise[..part])?;
            left -= part as u64;
        }
        file.sync_all()
    };
    overwrite().map_err(FileError::io("overwrite", path))?;
    fs::remove_file(path).map_err(FileError::io("remove", path))?;
    sync_folder_of(path)
}

/// Removes what a crash left of files that never got their names.
pub(crate) fn sweep_partials(folder: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(FileError::io("read", folder))? {
        let path = entry.map_err(FileError::io("read", folder))?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.starts_with(PARTIAL.0) && name.ends_with(PARTIAL.1) {
            destroy(&path)?;
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let folder = folder_of(path);
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems of sticks cannot sync a folder; the file itself is synced already.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result.map_err(FileError::io("sync", folder)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_unfinished_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        atomic_write(&path, b"old", 0o600, Existing::Keep).unwrap();
        let mut unfinished = AtomicFile::create(&path, 0o600, Existing::Replace).unwrap();
        unfinished.write_all(b"new, but").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(unfinished);
        assert_eq!(
            (fs::read(&path).unwrap().as_slice(), names(folder.path())),
            (b"old".as_slice(), vec!["state".into()])
        );
    }

    #[test]
    fn nothing_is_overwritten_unasked_even_what_came_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let slow = AtomicFile::create(&path, 0o600, Existing::Keep).unwrap();
        atomic_write(&path, b"first", 0o600, Existing::Keep).unwrap();
        assert!(matches!(slow.commit(), Err(FileError::Exists { .. })));
        assert!(matches!(
            atomic_write(&path, b"x", 0o600, Existing::Keep),
            Err(FileError::Exists { .. })
        ));
        assert_eq!(
            (fs::read(&path).unwrap().as_slice(), names(folder.path()).len()),
            (b"first".as_slice(), 1)
        );
        atomic_write(&path, b"second", 0o600, Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_secret_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        atomic_write(&path, b"secret", 0o600, Existing::Keep).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_too_large_is_named_with_size_and_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        fs::write(&path, [0; 11]).unwrap();
        assert_eq!(read_bounded(&path, 11).unwrap().len(), 11);
        let said = read_bounded(&path, 10).unwrap_err().to_string();
        assert!(
            said.contains("bundle has 11 bytes") && said.contains("limit is 10"),
            "{said}"
        );
        assert!(matches!(
            read_bounded(Path::new("/dev/zero"), 10),
            Err(FileError::TooLarge { .. })
        ));
    }

    #[test]
    fn a_named_pipe_or_a_folder_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("report.age");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        assert!(matches!(read_bounded(&pipe, 10), Err(FileError::NotAFile { .. })));
        assert!(matches!(
            read_bounded(folder.path(), 10),
            Err(FileError::NotAFile { .. })
        ));
        assert!(matches!(destroy(&pipe), Err(FileError::NotAFile { .. })));
    }

    #[test]
    fn what_is_destroyed_is_overwritten_first() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("epoch"), folder.path().join("other"));
        fs::write(&path, vec![7; 100_000]).unwrap();
        // A second name for the same bytes shows what became of them.
        fs::hard_link(&path, &other).unwrap();
        destroy(&path).unwrap();
        assert_eq!(names(folder.path()), ["other"]);
        let left = fs::read(&other).unwrap();
        assert!(left.len() == 100_000 && !left.windows(9).any(|bytes| bytes == [7; 9]));
    }

    #[test]
    fn destroying_a_link_does_not_touch_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, b"precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(destroy(&link), Err(FileError::NotAFile { .. })));
        assert_eq!(fs::read(&target).unwrap(), b"precious");
    }
}
