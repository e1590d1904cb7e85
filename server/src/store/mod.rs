//! What the server accepted: reports in the order of the log, the charter chain, and the manifests.
//!
//! [`Store`] speaks in the words of the protocol and says what is durable when. Nothing above it knows which
//! implementation it talks to; [`Embedded`] is the one that needs nothing but a folder. One suite of tests
//! (`contract`) holds for every implementation.
//!
//! The embedded store, from the record outwards:
//!
//! - `ledger`: one append-only file of checksummed groups of records (`record`). Its sync is the commit point.
//! - `segments`: the bodies of the reports, which the ledger's records point into.
//! - `boards`: the boards that hang, a file each.
//! - `state`: what the ledger says, as far as it is held in memory: the tree, what was destroyed, which boards hang.
//! - `view`: indexes in sled, always rebuildable from the ledger (`rebuild`).
//! - `queue`, `committer`: the one thread that writes, many waiting callers at a time; `orders` and `destroy` are parts
//!   of it.
//! - `recovery`: how it goes on after the disk has failed.
//! - `embedded`: the folder as a whole: lock, start; `clean`: the clean stop.
//!
//! Verification of signatures and of the shape of reports is above the store: it is told bytes and keys.

mod boards;
mod body;
mod clean;
mod committer;
#[cfg(test)]
pub(crate) mod contract;
mod destroy;
#[cfg(test)]
mod destruction;
mod embedded;
mod error;
mod files;
mod ledger;
mod orders;
mod queue;
mod rebuild;
mod record;
mod recovery;
#[cfg(test)]
mod repeats;
mod segments;
mod shared;
mod state;
#[cfg(test)]
mod survival;
#[cfg(test)]
mod torn;
mod view;

use std::{collections::BTreeMap, future::Future, ops::Range, pin::Pin};

use marram_crypto::{
    board::Shard,
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
    order::OrderId,
    tree::Head,
};
use tokio::io::AsyncRead;

pub use body::{Body, BodyError};
pub use embedded::{Embedded, Settings};
pub use error::{OpenError, StoreError};

/// For how many days after a leaf's day the same bytes again are answered with that leaf.
///
/// Later they are answered with a leaf dated that day, which is stored nowhere, so that whoever seized a sealed file
/// cannot learn from the server when it was sent.
pub const REPEAT_DAYS: u32 = marram_crypto::receipt::SAME_RECEIPT_DAYS;

/// The longest note the store takes, in bytes (the limit of a signed note).
pub const NOTE_MAX_LEN: usize = marram_crypto::note::MAX_LEN;

/// What a store method returns: boxed, so that `dyn Store` works.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Bytes of a stored report.
pub type ReportReader = Pin<Box<dyn AsyncRead + Send>>;

/// A durable record of what was accepted.
///
/// When a writing method has answered `Ok`, what it wrote survives a power cut. When it answered an error, nothing of
/// it is reachable. A caller that stops waiting learns nothing: the write may have happened or not.
pub trait Store: Send + Sync {
    /// Appends a sealed report to the log, with `today` as its leaf's day.
    ///
    /// The same bytes again are not stored again: see [`Appended`].
    ///
    /// # Errors
    /// [`StoreError::Full`] until there is space, [`StoreError::ReadOnly`] until the disk is good again, [`StoreError::Io`].
    fn append(&self, body: Body, epoch: Epoch, today: Day) -> Answer<'_, Appended>;

    /// How many leaves the log has.
    fn size(&self) -> Answer<'_, u64>;

    /// How many leaves the log has, and the root of the tree over them: what a checkpoint says.
    fn head(&self) -> Answer<'_, Head>;

    /// The leaves from index `from` on, in order, at most `limit`.
    fn leaves(&self, from: u64, limit: usize) -> Answer<'_, Vec<Leaf>>;

    /// The leaves from index `from` on whose reports were not destroyed, with their indexes, at most `limit`.
    fn kept(&self, from: u64, limit: usize) -> Answer<'_, Vec<(u64, Leaf)>>;

    /// What the log says of a report.
    fn leaf_of(&self, digest: Digest) -> Answer<'_, Option<Logged>>;

    /// Reads a part of a stored report; the range is cut to the report's length.
    ///
    /// # Errors
    /// [`StoreError::Destroyed`] if the report was destroyed; [`StoreError::BodyLost`] if the log has the leaf but the body
    /// is damaged or gone.
    fn read(&self, digest: Digest, range: Range<u64>) -> Answer<'_, Option<ReportReader>>;

    /// The stored charters, oldest first.
    fn charters(&self) -> Answer<'_, Vec<Note>>;

    /// Stores the next charter of the chain. `digest` is that of the note's text: signatures do not count.
    fn put_charter(&self, version: u64, digest: Digest, note: Vec<u8>) -> Answer<'_, Put>;

    /// The stored manifests of all epochs from `from` on, by epoch, then version, ascending.
    fn manifests(&self, from: Epoch) -> Answer<'_, Vec<(Epoch, Note)>>;

    /// Stores a manifest. `digest` is that of the note's text: signatures do not count.
    fn put_manifest(&self, epoch: Epoch, version: u64, digest: Digest, note: Vec<u8>) -> Answer<'_, Put>;

    /// The stored manifest of an epoch with the highest version.
    fn newest_manifest(&self, epoch: Epoch) -> Answer<'_, Option<Note>>;

    /// The signed notes of the accepted orders from index `from` on, in the order of acceptance, at most `limit`.
    fn orders(&self, from: u64, limit: usize) -> Answer<'_, Vec<Vec<u8>>>;

    /// The index of the accepted order with this id, and the digest of its text.
    fn order_of(&self, id: OrderId) -> Answer<'_, Option<(u64, Digest)>>;

    /// Stores an order, once; and hangs the board that comes with it, in the same step.
    fn put_order(&self, order: NewOrder) -> Answer<'_, Ordered>;

    /// The board that hangs in a shard, with its length in bytes.
    fn board(&self, shard: Shard) -> Answer<'_, Option<(u64, ReportReader)>>;

    /// Destroys reports, by the indexes of their leaves. The leaves stay, and the same bytes are never stored again. Those
    /// that are destroyed already, or that the log does not have, are passed over. Is not refused for want of space.
    ///
    /// After `Ok`, every report that was ever destroyed is erased. After an error some may be destroyed and not erased:
    /// the next call, with any targets or none, and every start try again.
    fn destroy(&self, targets: BTreeMap<u64, Why>) -> Answer<'_, ()>;

    /// Whether reports can be stored, as far as that is known without trying.
    ///
    /// # Errors
    /// What [`Store::append`] would answer.
    fn ready(&self) -> Answer<'_, ()>;

    /// Stops: commits what was handed in, refuses everything later. Idempotent.
    ///
    /// A store dropped without it has lost nothing, but starts slower.
    fn close(&self) -> Answer<'_, ()>;
}

/// How [`Store::append`] answered. From outside, the three must look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Stored now.
    Fresh {
        /// Its leaf, dated today.
        leaf: Leaf,
        /// Its index in the log.
        index: u64,
    },
    /// The same bytes are stored already, since at most [`REPEAT_DAYS`] days.
    Repeated {
        /// The stored leaf.
        leaf: Leaf,
        /// Its index in the log.
        index: u64,
    },
    /// The same bytes were stored earlier. The leaf is dated today and stands nowhere.
    Uniform {
        /// What to answer with.
        leaf: Leaf,
    },
}

impl Appended {
    /// The leaf to answer with.
    pub const fn leaf(&self) -> &Leaf {
        match self {
            Self::Fresh { leaf, .. } | Self::Repeated { leaf, .. } | Self::Uniform { leaf } => leaf,
        }
    }
}

/// What the log says of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its index in the log.
    pub index: u64,
    /// Its leaf.
    pub leaf: Leaf,
    /// Whether its ciphertext was destroyed.
    pub destroyed: bool,
}

/// Why a report is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its retention is over.
    Expired,
    /// An order says so.
    Ordered {
        /// The order's index.
        order: u64,
    },
}

/// An order that was verified.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// The digest of its text: signatures do not count.
    pub digest: Digest,
    /// The signed note.
    pub note: Vec<u8>,
    /// The board it hangs.
    pub hangs: Option<NewBoard>,
}

/// A board that was verified.
#[derive(Clone)]
pub struct NewBoard {
    /// Where it hangs.
    pub shard: Shard,
    /// The day it is made for. It does not hang after one of a later day.
    pub day: Day,
    /// The digest of its header's text.
    pub digest: Digest,
    /// Header and image.
    pub board: Vec<u8>,
}

impl std::fmt::Debug for NewBoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewBoard({}, {})", self.shard, self.day)
    }
}

/// How an order was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// Stored now.
    Fresh {
        /// Its index.
        index: u64,
    },
    /// The same text is stored already.
    Repeated {
        /// Its index.
        index: u64,
    },
    /// Refused: another text is stored under this id.
    Conflict,
    /// Refused: a board of a later day hangs there.
    BoardOlder {
        /// That day.
        newest: Day,
    },
}

/// How a charter or a manifest was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Stored now.
    Fresh,
    /// The same text is stored already.
    Repeated,
    /// Refused: this version is stored with another text.
    Conflict,
    /// Refused: a newer version is stored.
    Older {
        /// The newest version stored.
        newest: u64,
    },
}

/// A stored charter or manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its version.
    pub version: u64,
    /// The digest of its text, as it was handed in.
    pub digest: Digest,
    /// The signed note, as it was handed in.
    pub note: Vec<u8>,
}
