//! Manifests: what is valid for one epoch.
//!
//! ```text
//! marram/manifest/v1
//! <instance>
//! epoch <n>
//! version <1…>
//! opens <YYYY-MM-DD>                          the epoch's first day
//! closes <YYYY-MM-DD>                         the first day after it
//! charter <fingerprint>                       whose root keys sign this
//! log <public key>
//! courier <public key>                        0 to 16 lines, distinct
//! limit <bytes>                               the largest bucket, a power of two, at most 2^32
//! retention <days>
//! promise <days>                              promised time to an acknowledgement
//! board <shards> <tags> <cells> <cadence in days>
//! page <digest>                               0 to 16 lines, distinct
//! contact <locale or *> <text>                0 to 64 lines: emergency contacts
//! question <JSON>                             0 to 32 lines, distinct ids
//! slot <recipient age1pq1…> <signer>          1 to 32 lines; recipients distinct, signers distinct
//! ```
//!
//! Signed by m root keys of the newest charter. A slot is never named, and looks the same whether a caseworker holds it
//! or nobody can ([`crate::vacant`]). Within an epoch a slot keeps its position: a later version replaces only the slots
//! concerned ([`Draft::replaces`]).

mod error;
mod expiry;
mod question;
mod text;

use std::ops::Deref;

use crate::{
    charter::{Charter, CharterChain},
    day::{Day, Epoch},
    digest::Digest,
    enrolment::Pair,
    hybrid::Recipient,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    note::{NoteError, NoteType, UntrustedNote},
};

pub use error::ManifestError;
pub use expiry::{ClosingWarning, Level, closing_warning};
pub use question::{
    Choice, Code, CodeError, FALLBACK_LOCALE, Kind, Locale, LocaleError, MAX_CHOICES, MAX_LEN as MAX_QUESTION_LEN,
    Question, QuestionError, Texts,
};

/// Slots of a manifest unless asked otherwise.
pub const DEFAULT_SLOTS: usize = 8;
/// Largest number of slots.
pub const MAX_SLOTS: usize = 32;
/// Largest number of courier keys.
pub const MAX_COURIERS: usize = 16;
/// Largest number of pages that may be served.
pub const MAX_PAGES: usize = 16;
/// Largest number of emergency contacts.
pub const MAX_CONTACTS: usize = 64;
/// Largest number of questions.
pub const MAX_QUESTIONS: usize = 32;
/// Largest limit in bytes.
pub const MAX_LIMIT: u64 = 1 << 32;
/// Days after closing for which the server, and nobody else, still accepts an epoch's reports.
pub const GRACE_DAYS: u32 = 2;
/// Largest number of days in `retention`, `promise` and the board's cadence.
pub const MAX_DAYS: u32 = 36_500;
/// Largest number of shards of the board.
pub const MAX_SHARDS: u32 = 4_096;
/// Largest number of acknowledgement tags in a shard.
pub const MAX_TAGS: u32 = 1 << 20;
/// Largest number of cells in a shard.
pub const MAX_CELLS: u32 = 1 << 16;

/// One recipient and one signer. Nothing tells whose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// What reports are sealed to.
    pub recipient: Recipient,
    /// What signs orders and boards.
    pub signer: PublicKey,
}

/// The board's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardShape {
    /// Number of shards, a power of two.
    pub shards: u32,
    /// Acknowledgement tags (16 bytes each) in a shard.
    pub tags: u32,
    /// Cells (4,096 bytes each) in a shard.
    pub cells: u32,
    /// Days from one board to the next.
    pub cadence_days: u32,
}

/// Whom to call in an emergency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whom it is for; none: everybody.
    pub locale: Option<Locale>,
    /// Number, address, hours.
    pub text: String,
}

/// What a manifest says. Fill one in to make a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The founding it belongs to.
    pub instance: InstanceId,
    /// The week it is valid for.
    pub epoch: Epoch,
    /// Counted from 1 in each epoch.
    pub version: u32,
    /// Fingerprint of the charter whose root keys sign it.
    pub charter: Digest,
    /// The key that signs receipts and checkpoints.
    pub log: PublicKey,
    /// Who may read the log.
    pub couriers: Vec<PublicKey>,
    /// Largest sealed report in bytes, a power of two.
    pub limit: u64,
    /// Days for which the server keeps a report.
    pub retention_days: u32,
    /// Days within which a report is acknowledged.
    pub promise_days: u32,
    /// The board's shape.
    pub board: BoardShape,
    /// SHA-256 of the pages that may be served.
    pub pages: Vec<Digest>,
    /// Emergency contacts.
    pub contacts: Vec<Contact>,
    /// The organization's own questions.
    pub questions: Vec<Question>,
    /// The slots, in an order that never changes within the epoch.
    pub slots: Vec<Slot>,
}

/// A manifest of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedManifest {
    note: UntrustedNote,
    draft: Draft,
}

/// A manifest that enough keyholders have signed. Reads as its [`Draft`]. Whether it is valid *today* is asked each time
/// ([`Manifest::check_open`]).
#[derive(Clone, Debug)]
pub struct Manifest(UntrustedManifest);

impl Draft {
    /// The note to be signed.
    ///
    /// # Errors
    /// [`ManifestError`], exactly as [`UntrustedManifest::parse`] would refuse it.
    pub fn to_note(&self) -> Result<UntrustedNote, ManifestError> {
        Ok(UntrustedManifest::from_note(UntrustedNote::unsigned(text::write(self)?)?)?.note)
    }

    /// Whether it may take the place of `previous`: the same instance, epoch and number of slots, and a higher version.
    /// Gives the positions of the slots that change.
    ///
    /// # Errors
    /// [`ManifestError::Replaces`] and [`ManifestError::Rollback`].
    pub fn replaces(&self, previous: &Manifest) -> Result<Vec<usize>, ManifestError> {
        let different = |what| {
            Err(ManifestError::Replaces {
                version: previous.version,
                epoch: previous.epoch,
                what,
            })
        };
        if self.instance != previous.instance {
            return different("the instance");
        }
        if self.epoch != previous.epoch {
            return different("the epoch");
        }
        if self.version <= previous.version {
            return Err(ManifestError::Rollback {
                epoch: self.epoch,
                seen: previous.version,
                offered: self.version,
            });
        }
        if self.slots.len() != previous.slots.len() {
            return different("the number of slots");
        }
        let pairs = self.slots.iter().zip(&previous.slots).enumerate();
        Ok(pairs
            .filter(|(_, (new, old))| new != old)
            .map(|(position, _)| position)
            .collect())
    }
}

impl UntrustedManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`], naming the line or the slot.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        Self::from_note(UntrustedNote::parse(bytes)?)
    }

    /// Reads a note as a manifest. It may be one that nobody has signed yet.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_note(note: UntrustedNote) -> Result<Self, ManifestError> {
        let draft = text::read(&note)?;
        Ok(Self { note, draft })
    }

    /// What it claims to say; for checking and showing before it is signed, and for nothing else.
    pub const fn claims(&self) -> &Draft {
        &self.draft
    }

    /// The digest of its text, which [`Manifest::hash`] will be.
    pub fn claimed_hash(&self) -> Digest {
        self.note.digest()
    }

    /// The note it came in.
    pub const fn note(&self) -> &UntrustedNote {
        &self.note
    }

    /// The note it came in, to add signatures to.
    pub fn into_note(self) -> UntrustedNote {
        self.note
    }

    /// Signs it. Check it first ([`crate::annex::check`]).
    ///
    /// # Errors
    /// As [`UntrustedNote::add_signature`].
    pub fn add_signature(&mut self, key: &SigningKey) -> Result<(), ManifestError> {
        Ok(self.note.add_signature(key)?)
    }

    /// Whether it is of this organization and names the newest charter: what a keyholder's program checks, with
    /// [`crate::annex::check`], before it signs. Signatures aside.
    ///
    /// # Errors
    /// [`ManifestError::Note`] (another instance), [`ManifestError::UnknownCharter`],
    /// [`ManifestError::SupersededCharter`].
    pub fn check_charter(&self, chain: &CharterChain) -> Result<(), ManifestError> {
        let (named, newest) = (self.named_charter(chain)?, chain.newest());
        if named.version != newest.version {
            return Err(ManifestError::SupersededCharter {
                epoch: self.draft.epoch,
                named: named.version,
                newest: newest.version,
            });
        }
        Ok(())
    }

    /// Verifies that m root keys of the newest charter have signed it. For everyone who seals, accepts or carries
    /// reports; its dates are asked apart.
    ///
    /// # Errors
    /// As [`Self::check_charter`], and [`ManifestError::Note`] if signatures are missing.
    pub fn verify(self, chain: &CharterChain) -> Result<Manifest, ManifestError> {
        self.check_charter(chain)?;
        self.verify_for_opening(chain)
    }

    /// Verifies that m root keys of the charter it names, which may be any of the chain, have signed it. Only for
    /// reading reports that were sealed already: a change of charter does not make them unreadable.
    ///
    /// # Errors
    /// [`ManifestError::UnknownCharter`], [`ManifestError::Note`].
    pub fn verify_for_opening(self, chain: &CharterChain) -> Result<Manifest, ManifestError> {
        let charter = self.named_charter(chain)?;
        let (roots, threshold) = (charter.root_keys(), charter.threshold);
        self.note
            .verify(NoteType::Manifest, chain.instance(), &roots, threshold)?;
        Ok(Manifest(self))
    }

    fn named_charter<'a>(&self, chain: &'a CharterChain) -> Result<&'a Charter, ManifestError> {
        // A foreign instance first, so that it is called by its name.
        let (expected, found) = (chain.instance(), self.draft.instance);
        if found != expected {
            return Err(ManifestError::Note(NoteError::WrongInstance {
                kind: NoteType::Manifest,
                expected,
                found,
            }));
        }
        chain
            .find(self.draft.charter)
            .ok_or(ManifestError::UnknownCharter(self.draft.charter))
    }
}

impl Manifest {
    /// SHA-256 of its text, which every report sealed under it repeats.
    pub fn hash(&self) -> Digest {
        self.0.note.digest()
    }

    /// The signed note.
    pub const fn note(&self) -> &UntrustedNote {
        &self.0.note
    }

    /// The signed note's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.note.to_bytes()
    }

    /// The recipients, in slot order.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &Recipient> {
        self.slots.iter().map(|slot| &slot.recipient)
    }

    /// Whether reports may be sealed under it today.
    ///
    /// # Errors
    /// [`ManifestError::NotYetOpen`] and [`ManifestError::Closed`].
    pub fn check_open(&self, today: Day) -> Result<(), ManifestError> {
        self.check_until(self.epoch.closes(), today)
    }

    /// Whether the server accepts reports sealed under it today: [`GRACE_DAYS`] longer than anyone else.
    ///
    /// # Errors
    /// As [`Self::check_open`].
    pub fn check_grace(&self, today: Day) -> Result<(), ManifestError> {
        self.check_until(self.epoch.closes().plus(GRACE_DAYS), today)
    }

    /// Whether its version is at least the highest seen of its epoch.
    ///
    /// # Errors
    /// [`ManifestError::Rollback`].
    pub fn check_not_older_than(&self, seen: u32) -> Result<(), ManifestError> {
        if self.version < seen {
            return Err(ManifestError::Rollback {
                epoch: self.epoch,
                seen,
                offered: self.version,
            });
        }
        Ok(())
    }

    fn check_until(&self, end: Day, today: Day) -> Result<(), ManifestError> {
        let epoch = self.epoch;
        if today < epoch.opens() {
            return Err(ManifestError::NotYetOpen {
                epoch,
                opens: epoch.opens(),
                today,
            });
        }
        if today >= end {
            return Err(ManifestError::Closed {
                epoch,
                closes: epoch.closes(),
                today,
            });
        }
        Ok(())
    }
}

impl Deref for Manifest {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0.draft
    }
}

impl Default for BoardShape {
    /// One shard of 288 KiB, weekly.
    fn default() -> Self {
        Self {
            shards: 1,
            tags: 2_048,
            cells: 64,
            cadence_days: 7,
        }
    }
}

impl From<Pair> for Slot {
    fn from(Pair { recipient, signer }: Pair) -> Self {
        Self { recipient, signer }
    }
}
