//! The view: indexes into the ledger, kept in sled, always rebuildable.
//!
//! sled does not open again after a power cut, so it is opened only as it was left by a clean stop, byte for byte: the
//! stop's marker holds a digest of the whole folder. In every other case the folder is removed and rebuilt from the
//! ledger. Values are small; charters and manifests stand in the ledger, and the view says where.
//!
//! sled's files would show the time of the last report to the nanosecond, while running and after a kill. So their times
//! are truncated to the day after every change, and again by a thread of its own, since sled writes in the background,
//! until nothing moves any more. Between such a write and the next look, a tenth of a second at most, a finer time stands
//! there; a kill in just that moment leaves it until the next start, which makes the view anew. The change times stay,
//! as with all files ([`files::truncate_times`]).

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    thread::JoinHandle,
    time::Duration,
};

use marram_crypto::{
    day::Epoch,
    digest::{Digest, Hasher},
    leaf::Leaf,
};

use super::{
    error::StoreError,
    files,
    record::{Family, NoteKey, StoredLeaf},
};

const CACHE_BYTES: u64 = 64 << 20;
/// How long after a change the files' times are looked at again.
const SETTLE_EVERY: Duration = Duration::from_millis(100);
/// After so many looks at which no time was finer than the day, nothing moves any more.
const SETTLED_AFTER: u32 = 10;

/// The open view.
pub(super) struct View {
    db: sled::Db,
    /// index u64 → stored leaf.
    leaves: sled::Tree,
    /// digest → index u64.
    digests: sled::Tree,
    /// note key → place of the note.
    notes: sled::Tree,
    path: PathBuf,
    /// After the trees: it is stopped when sled has let go of its files.
    settler: Settler,
}

/// Keeps the times of the view's files at the day.
struct Settler {
    changed: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a charter or manifest stands in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotePlace {
    pub(super) digest: Digest,
    pub(super) offset: u64,
    pub(super) len: u32,
}

/// What a group, or a part of a rebuild, adds.
#[derive(Default)]
pub(super) struct Batch {
    /// The index of the first of `leaves`.
    pub(super) first: u64,
    pub(super) leaves: Vec<StoredLeaf>,
    pub(super) notes: Vec<(NoteKey, NotePlace)>,
}

impl View {
    /// Opens the view as it is, or a new one where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        files::create_folder(path)?;
        // No flush every so often: flushes serve durability, which is not this part's business.
        let db = sled::Config::new()
            .path(path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()?;
        let view = Self {
            leaves: db.open_tree("leaves")?,
            digests: db.open_tree("digests")?,
            notes: db.open_tree("notes")?,
            db,
            path: path.to_owned(),
            settler: Settler::start(path.to_owned())?,
        };
        view.settle();
        Ok(view)
    }

    /// Adds a batch. Applying the same batch again changes nothing.
    pub(super) fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut leaves = sled::Batch::default();
        let mut digests = sled::Batch::default();
        for (stored, index) in batch.leaves.iter().zip(batch.first..) {
            leaves.insert(&index.to_be_bytes(), stored.to_bytes().as_slice());
            digests.insert(stored.leaf.digest.as_bytes(), &index.to_be_bytes());
        }
        self.leaves.apply_batch(leaves)?;
        self.digests.apply_batch(digests)?;
        for (key, place) in &batch.notes {
            self.notes.insert(key_bytes(*key), place.to_bytes().as_slice())?;
        }
        self.settle();
        Ok(())
    }

    /// What fails here, for want of file descriptors, say, the settler tries again.
    fn settle(&self) {
        drop(files::truncate_times_below(&self.path));
        self.settler.wake();
    }

    /// How many leaves there are.
    pub(super) fn len(&self) -> Result<u64, StoreError> {
        match self.leaves.last()? {
            Some((index, _)) => Ok(read_index(&index)? + 1),
            None => Ok(0),
        }
    }

    /// The index of a report.
    pub(super) fn find(&self, digest: Digest) -> Result<Option<(u64, StoredLeaf)>, StoreError> {
        let Some(index) = self.digests.get(digest.as_bytes())? else {
            return Ok(None);
        };
        let leaf = self.leaves.get(&index)?.ok_or_else(broken)?;
        Ok(Some((
            read_index(&index)?,
            StoredLeaf::from_bytes(&leaf).ok_or_else(broken)?,
        )))
    }

    /// Leaves in order.
    pub(super) fn leaves(&self, from: u64, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        let range = self.leaves.range(from.to_be_bytes()..).values().take(limit);
        range
            .map(|bytes| {
                StoredLeaf::from_bytes(&bytes?)
                    .map(|stored| stored.leaf)
                    .ok_or_else(broken)
            })
            .collect()
    }

    /// The note with this key.
    pub(super) fn note(&self, key: NoteKey) -> Result<Option<NotePlace>, StoreError> {
        let Some(bytes) = self.notes.get(key_bytes(key))? else {
            return Ok(None);
        };
        NotePlace::from_bytes(&bytes).ok_or_else(broken).map(Some)
    }

    /// The newest version in a family.
    pub(super) fn newest(&self, family: Family) -> Result<Option<u64>, StoreError> {
        let prefix = key_bytes(NoteKey { family, version: 0 });
        match self.notes.scan_prefix(&prefix[..PREFIX_LEN]).next_back() {
            Some(entry) => Ok(Some(read_key(&entry?.0).ok_or_else(broken)?.version)),
            None => Ok(None),
        }
    }

    /// All charters, by version.
    pub(super) fn charters(&self) -> Result<Vec<(NoteKey, NotePlace)>, StoreError> {
        read_notes(self.notes.scan_prefix([CHARTER]))
    }

    /// All manifests of the epochs from `from` on, by epoch, then version.
    pub(super) fn manifests(&self, from: Epoch) -> Result<Vec<(NoteKey, NotePlace)>, StoreError> {
        read_notes(self.notes.range(
            key_bytes(NoteKey {
                family: Family::Manifest(from),
                version: 0,
            })..,
        ))
    }

    /// Writes everything out and lets go of the folder. Returns its digest, for the next start.
    pub(super) fn close(self) -> Result<Digest, StoreError> {
        self.db.flush()?;
        let path = self.path.clone();
        drop(self);
        Ok(digest_of(&path, true)?)
    }
}

impl Settler {
    fn start(folder: PathBuf) -> io::Result<Self> {
        let (changed, wakes) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("view times".to_owned())
            .spawn(move || {
                while wakes.recv().is_ok() {
                    let mut quiet = 0;
                    while quiet < SETTLED_AFTER {
                        match wakes.recv_timeout(SETTLE_EVERY) {
                            Ok(()) => quiet = 0,
                            Err(RecvTimeoutError::Timeout) => quiet += 1,
                            Err(RecvTimeoutError::Disconnected) => break,
                        }
                        if !files::truncate_times_below(&folder).is_ok_and(|finer| !finer) {
                            quiet = 0;
                        }
                    }
                }
            })?;
        Ok(Self {
            changed: Some(changed),
            thread: Some(thread),
        })
    }

    /// If it is awake already, that is enough.
    fn wake(&self) {
        if let Some(changed) = &self.changed {
            let _ = changed.try_send(());
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.changed = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl NotePlace {
    fn to_bytes(self) -> [u8; Digest::LEN + 12] {
        let mut bytes = [0; Digest::LEN + 12];
        bytes[..32].copy_from_slice(self.digest.as_bytes());
        bytes[32..40].copy_from_slice(&self.offset.to_be_bytes());
        bytes[40..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (digest, rest) = bytes.split_first_chunk::<{ Digest::LEN }>()?;
        let (offset, len) = rest.split_first_chunk::<8>()?;
        Some(Self {
            digest: Digest::from_bytes(*digest),
            offset: u64::from_be_bytes(*offset),
            len: u32::from_be_bytes(len.try_into().ok()?),
        })
    }
}

const CHARTER: u8 = 0;
const MANIFEST: u8 = 1;
/// Length of the part of a key that names the family.
const PREFIX_LEN: usize = 1 + 4;

/// Family, then version, so that keys sort as [`NoteKey`] does.
fn key_bytes(key: NoteKey) -> [u8; PREFIX_LEN + 8] {
    let mut bytes = [0; PREFIX_LEN + 8];
    match key.family {
        Family::Charter => bytes[0] = CHARTER,
        Family::Manifest(epoch) => {
            bytes[0] = MANIFEST;
            bytes[1..PREFIX_LEN].copy_from_slice(&epoch.number().to_be_bytes());
        }
    }
    bytes[PREFIX_LEN..].copy_from_slice(&key.version.to_be_bytes());
    bytes
}

fn read_key(bytes: &[u8]) -> Option<NoteKey> {
    let (&kind, rest) = bytes.split_first()?;
    let (epoch, version) = rest.split_first_chunk::<4>()?;
    let family = match kind {
        CHARTER => Family::Charter,
        MANIFEST => Family::Manifest(Epoch::from_number(u32::from_be_bytes(*epoch))?),
        _ => return None,
    };
    Some(NoteKey {
        family,
        version: u64::from_be_bytes(version.try_into().ok()?),
    })
}

fn read_notes(entries: sled::Iter) -> Result<Vec<(NoteKey, NotePlace)>, StoreError> {
    entries
        .map(|entry| {
            let (key, place) = entry?;
            read_key(&key).zip(NotePlace::from_bytes(&place)).ok_or_else(broken)
        })
        .collect()
}

fn read_index(bytes: &[u8]) -> Result<u64, StoreError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| broken())
}

fn broken() -> StoreError {
    StoreError::View("an entry is missing or malformed".to_owned())
}

/// Digest of all names, lengths and contents in the view's folder. With `settle`, truncates their times to the day and
/// makes them durable too.
///
/// # Errors
/// Any error of reading; a folder that is missing has no digest.
pub(super) fn digest_of(folder: &Path, settle: bool) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    add_folder(folder, Path::new(""), settle, &mut hasher)?;
    Ok(hasher.finish())
}

fn add_folder(folder: &Path, name: &Path, settle: bool, hasher: &mut Hasher) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = name.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            add_folder(&entry.path(), &name, settle, hasher)?;
            continue;
        }
        let mut file = File::open(entry.path())?;
        hasher.update(name.as_os_str().as_encoded_bytes());
        hasher.update(&[0]);
        hasher.update(&file.metadata()?.len().to_be_bytes());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                n => hasher.update(&buffer[..n]),
            }
        }
        if settle {
            files::truncate_times(&file)?;
            file.sync_all()?;
        }
    }
    if settle {
        files::truncate_times(&File::open(folder)?)?;
        files::sync_folder(folder)?;
    }
    Ok(())
}

/// The view's folder in the store's folder.
pub(super) fn folder_in(folder: &Path) -> PathBuf {
    folder.join("view")
}
