//! What can go wrong. No variant carries anything that a submitter sent.

use std::{io, path::PathBuf, sync::Arc};

/// Why the store did not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Recovers by itself.
    #[error("the disk that holds the store is full: free some space; nothing needs to be restarted")]
    Full,
    /// Something failed after which nothing may simply be written on. What is stored can be read. Recovers by itself, once
    /// the disk does.
    #[error("the store only reads since {0}: look at the disk; once that is good again, nothing needs to be restarted")]
    ReadOnly(&'static str),
    /// [`super::Store::close`] was called.
    #[error("the store is closed")]
    Closed,
    /// The log has the leaf; the body's bytes are not all there.
    #[error("a body in segment {segment:08} is damaged or gone: restore `segments/{segment:08}` from a backup")]
    BodyLost {
        /// Number of the segment file.
        segment: u32,
    },
    /// The log has the leaf; the report was destroyed, by an order or because its retention was over.
    #[error("the report was destroyed")]
    Destroyed,
    /// Longer than [`super::NOTE_MAX_LEN`].
    #[error("a note has at most {limit} bytes, this one has {len}")]
    NoteTooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The operating system refused something; nothing was stored.
    #[error("the store could not read or write: {0}")]
    Io(Arc<io::Error>),
    /// The view failed. What is stored is not touched by that, and the view is made anew.
    #[error("the store's view failed ({0}): it is made anew; look at the disk if that happens again")]
    View(String),
}

/// Why the store did not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two servers must never write to one folder.
    #[error("{} is locked: another marram-server runs on this folder; stop it first", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file does not begin as a ledger does.
    #[error("{} is not a ledger this program knows: check the folder, or use the newer version that wrote it", path.display())]
    NotALedger {
        /// The ledger.
        path: PathBuf,
    },
    /// Damage that no interrupted write can have caused.
    #[error(
        "{} is damaged at byte {offset}, before {intact} later bytes that are whole: this is no interrupted write. Nothing was changed; restore the folder from a backup", path.display()
    )]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// Where the first unreadable group begins, in bytes.
        offset: u64,
        /// How many bytes from the next whole group to the end; 0 if the damage is longer than one group.
        intact: u64,
    },
    /// A whole group that this version does not understand.
    #[error("{} has a record of an unknown kind or form at byte {offset}: use the newer version that wrote it", path.display())]
    UnknownRecord {
        /// The ledger.
        path: PathBuf,
        /// Where its group begins, in bytes.
        offset: u64,
    },
    /// The last stop was clean and left a longer ledger.
    #[error(
        "{} ends at byte {found}, but had {expected} bytes at the last clean stop: accepted reports are missing. Restore the folder from a backup, or, to go on without them, remove the file `clean` beside it", path.display()
    )]
    Shortened {
        /// The ledger.
        path: PathBuf,
        /// Its length at the last clean stop, in bytes.
        expected: u64,
        /// Where its last whole group ends, in bytes.
        found: u64,
    },
    /// There are bodies of which the ledger knows nothing, more than one interrupted write leaves.
    #[error(
        "{} holds {unknown} files that the ledger does not know: the ledger is missing or older than they are. Nothing was changed; restore the whole folder from one backup", path.display()
    )]
    LedgerLost {
        /// The folder of segments.
        path: PathBuf,
        /// How many files.
        unknown: usize,
    },
    /// The view could not be rebuilt.
    #[error("the view in {} could not be rebuilt: {reason}", path.display())]
    View {
        /// The view's folder.
        path: PathBuf,
        /// What sled said.
        reason: String,
    },
    /// The operating system refused something.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        // Only the kind: a message could quote a key, and keys are digests of reports.
        Self::View(
            match error {
                sled::Error::Io(error) => return Self::View(format!("i/o: {}", error.kind())),
                sled::Error::Corruption { .. } => "corrupt",
                sled::Error::ReportableBug(_) => "bug in sled",
                sled::Error::Unsupported(_) => "unsupported",
                sled::Error::CollectionNotFound(_) => "tree not found",
            }
            .to_owned(),
        )
    }
}

/// Names the path in an I/O error.
pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.into();
    |source| OpenError::Io { path, source }
}
