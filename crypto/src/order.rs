//! Orders: what a caseworker asks of the server, offline.
//!
//! ```text
//! marram/order/v1
//! <instance>
//! id <32 hex>
//! epoch <n>                         in which the signers are slots
//! expires <YYYY-MM-DD>              the last day on which it may be applied
//! log <size> <root>                 the tree its maker has imported
//! delete <digest>                   1 to 1,000 lines, ascending; or one line
//! hang <shard> <digest>             of a board's header
//! ```
//!
//! Signed by slots of the newest manifest of the epoch: by one, or by two who agree. A courier carries it and cannot make
//! one. What travels is an *order file*: a strict ustar archive of `order` and, if it hangs a board, `board`.

use std::{collections::BTreeSet, fmt};

use crate::{
    board::{self, Shard},
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    lines::{self, LineError, Writer},
    manifest::Manifest,
    note::{NoteError, NoteType, UntrustedNote},
    random_id::random_id,
    tree::Head,
    ustar::{self, UstarError},
};

/// Largest number of reports in one order.
pub const MAX_DELETIONS: usize = 1000;
/// An order is valid for at most this many days after its epoch closes.
pub const GRACE_DAYS: u32 = 14;
/// Days after a leaf's day from which an order of one signer deletes the report.
pub const DELETION_DELAY_DAYS: u32 = 7;
/// Distinct signers who delete at once.
pub const SIGNERS_AT_ONCE: usize = 2;
/// Largest order file in bytes.
pub const MAX_FILE_LEN: u64 = board::MAX_IMAGE_LEN + (1 << 20);

const ORDER: &str = "order";
const BOARD: &str = "board";

random_id! {
    /// Tells one order from every other.
    OrderId
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Destroy these reports; digests ascending, distinct, 1 to [`MAX_DELETIONS`].
    Delete(Vec<Digest>),
    /// Hang the board whose header has this digest.
    Hang {
        /// Where.
        shard: Shard,
        /// Digest of the header's text.
        header: Digest,
    },
}

/// What an order says. Fill one in to make an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The founding it belongs to.
    pub instance: InstanceId,
    /// Which one it is.
    pub id: OrderId,
    /// In which its signers are slots.
    pub epoch: Epoch,
    /// The last day on which it may be applied.
    pub expires: Day,
    /// The tree its maker has imported.
    pub log: Head,
    /// What is asked.
    pub what: What,
}

/// An order of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedOrder {
    note: UntrustedNote,
    draft: Draft,
}

/// An order signed by at least one slot of the manifest it was verified with.
#[derive(Clone, Debug)]
pub struct Order {
    verified: UntrustedOrder,
    signers: BTreeSet<PublicKey>,
    slots: Vec<usize>,
}

/// What travels: an order, and the board that it hangs.
#[derive(Clone, Debug)]
pub struct OrderFile {
    /// The order.
    pub order: UntrustedOrder,
    /// Header and image, unread.
    pub board: Option<Vec<u8>>,
}

/// What was wrong with an order.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("order: {0}")]
    Line(#[from] LineError),
    /// Verified with a manifest of another epoch.
    #[error("the order is of epoch {order}, and the manifest of {manifest}")]
    OtherEpoch {
        /// The order's.
        order: Epoch,
        /// The manifest's.
        manifest: Epoch,
    },
    /// Too early: its epoch has not begun.
    #[error("the order is of epoch {0}, which has not begun")]
    NotYet(Epoch),
    /// Too late.
    #[error("the order expired on {0}: make it again")]
    Expired(Day),
    /// An expiry that no order may have.
    #[error("the order says that it is valid until {found}, and an order of its epoch is valid until {limit} at most")]
    TooLong {
        /// What it says.
        found: Day,
        /// The last day there may be.
        limit: Day,
    },
    /// The order file.
    #[error("damaged order file: {0}")]
    Archive(#[from] UstarError),
    /// A board without need, or none where one is hung.
    #[error("an order file holds a board if, and only if, its order hangs one")]
    Board,
    /// More than [`MAX_FILE_LEN`] bytes.
    #[error("an order file has at most {MAX_FILE_LEN} bytes, this has {0}")]
    TooLarge(usize),
}

impl Draft {
    /// The unsigned note.
    ///
    /// # Errors
    /// [`OrderError`], as reading it would refuse it.
    pub fn to_note(&self) -> Result<UntrustedOrder, OrderError> {
        let mut lines = Writer::new(NoteType::Order.as_str(), self.instance);
        lines.line("id", self.id);
        lines.line("epoch", self.epoch);
        lines.line("expires", self.expires);
        lines.line("log", self.log);
        match &self.what {
            What::Delete(digests) => digests.iter().for_each(|digest| lines.line("delete", digest)),
            What::Hang { shard, header } => lines.line("hang", format_args!("{shard} {header}")),
        }
        UntrustedOrder::from_note(UntrustedNote::unsigned(lines.finish())?)
    }

    /// Whether it may be applied on this day, as far as days go.
    ///
    /// # Errors
    /// [`OrderError::NotYet`], [`OrderError::Expired`], [`OrderError::TooLong`].
    pub fn check_day(&self, today: Day) -> Result<(), OrderError> {
        let limit = self.epoch.closes().plus(GRACE_DAYS);
        if self.expires > limit {
            Err(OrderError::TooLong {
                found: self.expires,
                limit,
            })
        } else if today < self.epoch.opens() {
            Err(OrderError::NotYet(self.epoch))
        } else if today > self.expires {
            Err(OrderError::Expired(self.expires))
        } else {
            Ok(())
        }
    }
}

impl UntrustedOrder {
    /// Reads an order.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, OrderError> {
        Self::from_note(UntrustedNote::parse(bytes)?)
    }

    fn from_note(note: UntrustedNote) -> Result<Self, OrderError> {
        let mut lines = note.body(NoteType::Order)?.lines();
        let id = lines.read("id", lines::parsed)?;
        let epoch = lines.read("epoch", lines::parsed)?;
        let expires = lines.read("expires", lines::parsed)?;
        let log = lines.read("log", lines::parsed)?;
        let what = if lines.next_name() == Some("hang") {
            let (shard, header) = lines.read("hang", |value| {
                let (shard, header) = value.split_once(' ').ok_or("a shard, a space and a digest")?;
                Ok::<_, String>((lines::parsed(shard)?, header.parse().map_err(shown)?))
            })?;
            What::Hang { shard, header }
        } else {
            let mut last: Option<Digest> = None;
            What::Delete(lines.read_all("delete", 1..=MAX_DELETIONS, |value| {
                let digest: Digest = value.parse().map_err(shown)?;
                if last.replace(digest).is_some_and(|last| last >= digest) {
                    return Err("digests stand in ascending order, each once".to_owned());
                }
                Ok(digest)
            })?)
        };
        lines.end()?;
        let draft = Draft {
            instance: note.instance()?,
            id,
            epoch,
            expires,
            log,
            what,
        };
        Ok(Self { note, draft })
    }

    /// What it says, unverified.
    pub const fn claims(&self) -> &Draft {
        &self.draft
    }

    /// The note.
    pub const fn note(&self) -> &UntrustedNote {
        &self.note
    }

    /// The signed note's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_bytes()
    }

    /// SHA-256 of the text. Signatures do not change it.
    pub fn digest(&self) -> Digest {
        self.note.digest()
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`OrderError::Note`] if there is no room for a signature.
    pub fn add_signature(&mut self, key: &SigningKey) -> Result<(), OrderError> {
        Ok(self.note.add_signature(key)?)
    }

    /// Verifies that at least one slot of the manifest of its epoch has signed it. Days are another question
    /// ([`Draft::check_day`]), and so is whether the manifest is the newest of its epoch.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn verify(self, manifest: &Manifest) -> Result<Order, OrderError> {
        if self.draft.epoch != manifest.epoch {
            return Err(OrderError::OtherEpoch {
                order: self.draft.epoch,
                manifest: manifest.epoch,
            });
        }
        let keys: Vec<_> = manifest.slots.iter().map(|slot| slot.signer).collect();
        self.note.verify(NoteType::Order, manifest.instance, &keys, 1)?;
        let signers = self.note.signers(&keys)?;
        let slots = (0..).zip(&keys).filter(|(_, key)| signers.contains(key));
        Ok(Order {
            slots: slots.map(|(position, _)| position).collect(),
            signers,
            verified: self,
        })
    }
}

impl Order {
    /// What it says.
    pub const fn draft(&self) -> &Draft {
        &self.verified.draft
    }

    /// The distinct signers; at least one.
    pub const fn signers(&self) -> &BTreeSet<PublicKey> {
        &self.signers
    }

    /// The positions of the slots that signed, counted from 0.
    pub fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// The day from which it deletes a report accepted on `leaf_day`; nothing, if that is at once.
    pub fn deletes_from(&self, leaf_day: Day) -> Option<Day> {
        (self.signers.len() < SIGNERS_AT_ONCE).then(|| leaf_day.plus(DELETION_DELAY_DAYS))
    }

    /// The note with one line for each signer that counts, and no other.
    pub fn trusted_note(&self) -> UntrustedNote {
        let mut note = self.verified.note.clone();
        note.keep_only(&self.signers.iter().copied().collect::<Vec<_>>());
        note
    }

    /// The order as it came.
    pub fn into_untrusted(self) -> UntrustedOrder {
        self.verified
    }
}

impl OrderFile {
    /// Reads an order file.
    ///
    /// # Errors
    /// [`OrderError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, OrderError> {
        if bytes.len() as u64 > MAX_FILE_LEN {
            return Err(OrderError::TooLarge(bytes.len()));
        }
        let mut entries = ustar::parse(bytes)?.into_iter();
        let mut named = |name: &'static str| match entries.next() {
            None => Ok(None),
            Some((entry, contents)) if entry.path == name => Ok(Some(contents)),
            Some((entry, _)) => Err(UstarError::Unexpected(entry.path)),
        };
        let order = UntrustedOrder::parse(named(ORDER)?.ok_or(UstarError::Missing(ORDER))?)?;
        let board = named(BOARD)?.map(<[u8]>::to_vec);
        // Nothing else has this name.
        named("")?;
        if board.is_some() != matches!(order.draft.what, What::Hang { .. }) {
            return Err(OrderError::Board);
        }
        Ok(Self { order, board })
    }

    /// The bytes that [`Self::parse`] reads.
    ///
    /// # Errors
    /// [`OrderError::Archive`], which no order leads to.
    pub fn to_bytes(&self) -> Result<Vec<u8>, OrderError> {
        let order = self.order.to_bytes();
        let board = self.board.as_deref().map(|board| (BOARD, board));
        let entries = [Some((ORDER, order.as_slice())), board];
        Ok(ustar::write(entries.into_iter().flatten())?)
    }
}

fn shown(error: impl fmt::Display) -> String {
    error.to_string()
}
