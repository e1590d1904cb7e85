//! The view: indexes into the ledger, always rebuildable: what stands where is kept in sled, and which digests there are in
//! memory, from reading the ledger at each start.
//!
//! sled does not open again after a power cut, so it is opened only as it was left by a clean stop, byte for byte: the
//! stop's marker holds a digest of the whole folder. In every other case the folder is removed and rebuilt from the
//! ledger. Values are small; charters and manifests stand in the ledger, and the view says where.

mod digests;
mod times;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use marram_crypto::{
    day::Epoch,
    digest::{Digest, Hasher},
    leaf::Leaf,
    order::OrderId,
};

pub(super) use self::digests::Digests;
use self::times::Settler;
use super::{
    error::StoreError,
    files,
    record::{Family, NoteKey, StoredLeaf},
};

const CACHE_BYTES: u64 = 16 << 20;
/// How many leaves an entry has at most: few insertions for a large group, and no large values.
const BLOCK: usize = 32;

/// The open view.
pub(super) struct View {
    db: sled::Db,
    /// index u64 of the first → up to [`BLOCK`] stored leaves that were committed together.
    leaves: sled::Tree,
    /// note key → place of the note.
    notes: sled::Tree,
    /// index u64 → place of the order.
    orders: sled::Tree,
    /// order id → index u64.
    order_ids: sled::Tree,
    digests: RwLock<Digests>,
    path: PathBuf,
    /// After the trees: it is stopped when sled has let go of its files.
    settler: Settler,
}

/// Where a charter, manifest or order stands in the ledger.
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
    /// The index of the first of `orders`.
    pub(super) first_order: u64,
    pub(super) orders: Vec<(OrderId, NotePlace)>,
}

impl View {
    /// Opens the view as it is, or a new one where there is none. It knows no digests yet.
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
            notes: db.open_tree("notes")?,
            orders: db.open_tree("orders")?,
            order_ids: db.open_tree("order ids")?,
            db,
            digests: RwLock::default(),
            path: path.to_owned(),
            settler: Settler::start(path.to_owned())?,
        };
        view.settler.wake();
        Ok(view)
    }

    /// Takes the digests of the leaves it has.
    pub(super) fn with_digests(self, digests: Digests) -> Self {
        Self {
            digests: RwLock::new(digests),
            ..self
        }
    }

    /// Adds a batch. Applying the same batch again changes nothing.
    pub(super) fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch)?;
        let mut digests = self.digests.write().unwrap_or_else(PoisonError::into_inner);
        for (stored, index) in batch.leaves.iter().zip(batch.first..) {
            digests.insert(stored.leaf.digest, index);
        }
        Ok(())
    }

    /// Adds a batch but for its digests.
    ///
    /// One insertion after the other: sled's own batches are written to the disk at once, which wakes all its threads
    /// each time and took a third of the server's processor time. What a crash leaves half done here is rebuilt anyway.
    pub(super) fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        for (block, first) in batch.leaves.chunks(BLOCK).zip((batch.first..).step_by(BLOCK)) {
            let bytes: Vec<u8> = block.iter().flat_map(|stored| stored.to_bytes()).collect();
            self.leaves.insert(first.to_be_bytes(), bytes)?;
        }
        for (key, place) in &batch.notes {
            self.notes.insert(key_bytes(*key), place.to_bytes().as_slice())?;
        }
        for ((id, place), index) in batch.orders.iter().zip(batch.first_order..) {
            let index = index.to_be_bytes();
            self.orders.insert(index, place.to_bytes().as_slice())?;
            self.order_ids.insert(id.as_bytes(), &index)?;
        }
        self.settler.wake();
        Ok(())
    }

    /// Whether it still writes, and has so many leaves.
    pub(super) fn is_healthy(&self, len: u64) -> bool {
        let writes = self.db.flush().is_ok();
        self.settler.wake();
        writes && self.len().is_ok_and(|found| found == len)
    }

    /// How many leaves there are.
    pub(super) fn len(&self) -> Result<u64, StoreError> {
        match self.leaves.last()? {
            Some((first, block)) => Ok(read_index(&first)? + (block.len() / StoredLeaf::LEN) as u64),
            None => Ok(0),
        }
    }

    /// The index of a report.
    pub(super) fn find(&self, digest: Digest) -> Result<Option<(u64, StoredLeaf)>, StoreError> {
        let candidates: Vec<u64> = {
            let digests = self.digests.read().unwrap_or_else(PoisonError::into_inner);
            digests.candidates(digest).collect()
        };
        for index in candidates {
            let stored = self.stored(index)?;
            if stored.leaf.digest == digest {
                return Ok(Some((index, stored)));
            }
        }
        Ok(None)
    }

    /// The stored leaf with this index.
    pub(super) fn stored(&self, index: u64) -> Result<StoredLeaf, StoreError> {
        self.stored_from(index)?.next().ok_or_else(broken)?
    }

    /// The index and place of the order with this id.
    pub(super) fn order(&self, id: OrderId) -> Result<Option<(u64, NotePlace)>, StoreError> {
        let Some(index) = self.order_ids.get(id.as_bytes())? else {
            return Ok(None);
        };
        let place = self.orders.get(&index)?.ok_or_else(broken)?;
        let place = NotePlace::from_bytes(&place).ok_or_else(broken)?;
        Ok(Some((read_index(&index)?, place)))
    }

    /// Orders in order of acceptance.
    pub(super) fn orders(&self, from: u64, limit: usize) -> Result<Vec<NotePlace>, StoreError> {
        let places = self.orders.range(from.to_be_bytes()..).values().take(limit);
        places
            .map(|place| NotePlace::from_bytes(&place?).ok_or_else(broken))
            .collect()
    }

    /// Leaves in order.
    pub(super) fn leaves(&self, from: u64, limit: usize) -> Result<Vec<Leaf>, StoreError> {
        let stored = self.stored_from(from)?.take(limit);
        stored.map(|stored| Ok(stored?.leaf)).collect()
    }

    /// The stored leaves from index `from` on.
    fn stored_from(&self, from: u64) -> Result<impl Iterator<Item = Result<StoredLeaf, StoreError>>, StoreError> {
        // `from` stands in the last block that does not begin behind it.
        let first = match self.leaves.get_lt(from.saturating_add(1).to_be_bytes())? {
            Some((first, _)) => read_index(&first)?,
            None => 0,
        };
        let skipped = usize::try_from(from - first).unwrap_or(usize::MAX);
        let blocks = self.leaves.range(first.to_be_bytes()..).values();
        let stored = blocks.flat_map(|block| match block {
            Ok(block) => read_block(&block),
            Err(error) => vec![Err(error.into())],
        });
        Ok(stored.skip(skipped))
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

fn read_block(bytes: &[u8]) -> Vec<Result<StoredLeaf, StoreError>> {
    let stored = bytes.chunks(StoredLeaf::LEN);
    stored
        .map(|bytes| StoredLeaf::from_bytes(bytes).ok_or_else(broken))
        .collect()
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
