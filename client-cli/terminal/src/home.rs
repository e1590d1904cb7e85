//! The folder in which a program keeps its state: its owner's alone, and one program at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::{
    files::{self, FileError},
    output::COMMON,
};

/// The file whose lock a running program holds.
const LOCK: &str = "lock";

/// Not a doc comment, since the variable has no backticks in a terminal.
const HELP: &str =
    "The folder with this program's state [default: its own in $XDG_DATA_HOME/marram or ~/.local/share/marram]";

/// The argument that says where the home is; flatten it into the program's.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct HomeArgs {
    /// The folder in which this program keeps its state; see [`path`](Self::path) for the default.
    #[arg(long, global = true, value_name = "FOLDER", help = HELP, help_heading = COMMON)]
    pub home: Option<PathBuf>,
}

/// Why a home could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `--home` nor the environment says where.
    #[error("there is no folder to keep state in: neither --home nor $XDG_DATA_HOME nor $HOME is set")]
    Nowhere,
    /// The folder is not there.
    #[error("there is no marram-{program} in {}", path.display())]
    Missing {
        /// Which folder.
        path: PathBuf,
        /// Whose.
        program: String,
    },
    /// Not a folder.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// Which.
        path: PathBuf,
    },
    /// Others can look into it.
    #[error("{} is open to other users (mode {mode:03o})", path.display())]
    OpenToOthers {
        /// Which folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user.
    #[error("{} belongs to another user (uid {owner})", path.display())]
    NotOurs {
        /// Which folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Another program holds its lock.
    #[error("another marram-{program} is working in {}", path.display())]
    Busy {
        /// Which folder.
        path: PathBuf,
        /// Which program.
        program: String,
    },
    /// The system refused.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file in it.
    #[error(transparent)]
    File(#[from] FileError),
}

impl HomeError {
    /// What to do next.
    pub fn next_step(&self) -> Option<String> {
        Some(match self {
            Self::Nowhere => "name one with --home FOLDER".into(),
            Self::Missing { .. } => "set it up first (see --help), or name the right folder with --home FOLDER".into(),
            Self::NotAFolder { .. } => "name a folder with --home FOLDER".into(),
            Self::OpenToOthers { path, .. } => format!(
                "run: chmod 700 '{}'   (if it does not help, the disk knows no permissions: use one with ext4 or LUKS)",
                path.display()
            ),
            Self::NotOurs { .. } => "run the program as that user, or name another folder with --home FOLDER".into(),
            Self::Busy { .. } => "wait until it has ended, or end it".into(),
            Self::Io { source, .. } => return files::next_step_after(source),
            Self::File(error) => return error.next_step(),
        })
    }
}

impl HomeArgs {
    /// Where the home of `program` (`casework`, `courier`, …) is: `--home`, else `marram/<program>` in
    /// `$XDG_DATA_HOME` or `~/.local/share`.
    ///
    /// # Errors
    /// [`HomeError::Nowhere`].
    pub fn path(&self, program: &str) -> Result<PathBuf, HomeError> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        // The XDG specification: a relative path is to be ignored.
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
        Ok(data.ok_or(HomeError::Nowhere)?.join("marram").join(program))
    }

    /// Opens the home of `program`, which must be there, and locks it until the [`Home`] is dropped.
    ///
    /// # Errors
    /// [`HomeError`] says which of its promises does not hold.
    pub fn open(&self, program: &str) -> Result<Home, HomeError> {
        Home::open(self.path(program)?, program)
    }

    /// The same, and makes it first (mode 0700) if it is not there.
    ///
    /// # Errors
    /// As for [`open`](Self::open), but for [`HomeError::Missing`].
    pub fn create(&self, program: &str) -> Result<Home, HomeError> {
        let path = self.path(program)?;
        if let Err(source) = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path) {
            let not_a_folder = matches!(
                source.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
            );
            return Err(if not_a_folder {
                HomeError::NotAFolder { path }
            } else {
                HomeError::Io { path, source }
            });
        }
        Home::open(path, program)
    }
}

/// A folder that is ours alone, while it is locked.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    /// Released when it is closed; by the system too, should the program be killed.
    _lock: File,
}

impl Home {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn open(path: PathBuf, program: &str) -> Result<Self, HomeError> {
        let found = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(HomeError::Missing {
                    path,
                    program: program.to_owned(),
                });
            }
            Err(source) => return Err(HomeError::Io { path, source }),
            Ok(found) => found,
        };
        if !found.is_dir() {
            return Err(HomeError::NotAFolder { path });
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return Err(HomeError::NotOurs {
                path,
                owner: found.uid(),
            });
        }
        if found.mode() & 0o077 != 0 {
            return Err(HomeError::OpenToOthers {
                path,
                mode: found.mode() & 0o777,
            });
        }
        let open = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path.join(LOCK));
        let lock = match open {
            Ok(lock) => lock,
            Err(source) => return Err(HomeError::Io { path, source }),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(HomeError::Busy {
                    path,
                    program: program.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(HomeError::Io { path, source }),
        }
        files::sweep_partials(&path)?;
        Ok(Self { path, _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn args(path: &Path) -> HomeArgs {
        HomeArgs {
            home: Some(path.to_owned()),
        }
    }

    #[test]
    fn a_home_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er");
        assert!(matches!(args(&path).open("casework"), Err(HomeError::Missing { .. })));
        let home = args(&path).create("casework").unwrap();
        assert_eq!(fs::metadata(home.path()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(home.file("x"), path.join("x"));
    }

    #[test]
    fn a_home_open_to_others_is_refused_with_the_command_to_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        let error = args(folder.path()).open("casework").unwrap_err();
        assert!(error.to_string().contains("mode 750"), "{error}");
        assert!(error.next_step().unwrap().starts_with("run: chmod 700 '"));
    }

    #[test]
    fn two_programs_do_not_work_in_one_home() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        let first = args(&path).create("courier").unwrap();
        assert!(matches!(args(&path).open("courier"), Err(HomeError::Busy { .. })));
        drop(first);
        args(&path).open("courier").unwrap();
    }

    #[test]
    fn what_a_crash_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home");
        drop(args(&path).create("casework").unwrap());
        fs::write(path.join(".marram-AbCd.partial"), b"half a file").unwrap();
        fs::write(path.join("casebook"), b"whole").unwrap();
        let home = args(&path).open("casework").unwrap();
        assert!(!home.file(".marram-AbCd.partial").exists() && home.file("casebook").exists());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"").unwrap();
        assert!(matches!(
            args(&path).create("casework"),
            Err(HomeError::NotAFolder { .. })
        ));
        assert!(matches!(
            args(&path.join("under")).create("casework"),
            Err(HomeError::NotAFolder { .. })
        ));
    }
}
