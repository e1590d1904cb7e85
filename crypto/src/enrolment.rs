//! Enrolments: the keys that a caseworker offers, made on its own offline machine.
//!
//! ```text
//! marram/enrolment/v1
//! <instance>
//! key <public key>                            the enrolment key, which signs this note
//! counter <n>                                 1, 2, … for later batches of the same caseworker
//! pair <epoch> <recipient age1pq1…> <signer>  consecutive epochs, 1 to 104 lines
//! ```
//!
//! That it is signed by its own key proves only that one holder made all of it. *Who* that is, every keyholder checks
//! by comparing the digits of the enrolment key with the caseworker ([`UntrustedEnrolment::verify`], then
//! [`Enrolment::digits`]).

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Deref,
};

use crate::{
    day::Epoch,
    fingerprint::Digits,
    hybrid::{Recipient, RecipientError},
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    lines::{LineError, Writer, number, parsed},
    note::{NoteError, NoteType, UntrustedNote},
};

/// Epochs that an enrolment covers unless asked otherwise: half a year.
pub const DEFAULT_EPOCHS: u32 = 26;
/// Largest number of epochs in one enrolment.
pub const MAX_EPOCHS: usize = 104;

/// The keys of one caseworker for one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// What reports are sealed to.
    pub recipient: Recipient,
    /// What signs orders and boards.
    pub signer: PublicKey,
}

/// What an enrolment says. Fill one in to make an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The founding it is for.
    pub instance: InstanceId,
    /// The enrolment key.
    pub key: PublicKey,
    /// Counted from 1; a later batch has a higher one.
    pub counter: u32,
    /// A pair for each of consecutive epochs.
    pub pairs: BTreeMap<Epoch, Pair>,
}

/// An enrolment of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedEnrolment {
    note: UntrustedNote,
    draft: Draft,
}

/// An enrolment signed by its own key. Reads as its [`Draft`].
#[derive(Clone, Debug)]
pub struct Enrolment(UntrustedEnrolment);

/// What was wrong with an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("enrolment: {0}")]
    Line(#[from] LineError),
    /// A recipient that a quantum computer opens.
    #[error(
        "enrolment: the recipient of epoch {0} is a classical one (age1…): what is recorded today could be read later. \
         Enrol again with a post-quantum one (age1pq1…)"
    )]
    ClassicalRecipient(Epoch),
    /// The epochs have a gap or stand in another order.
    #[error("enrolment: the epochs must follow each other: {expected} was expected, {found} found")]
    Epochs {
        /// The epoch that should stand here.
        expected: Epoch,
        /// The one that does.
        found: Epoch,
    },
    /// A key stands in two places, so that one loss would be two.
    #[error("enrolment: the {what} of epoch {epoch} stands elsewhere in it too; every epoch has keys of its own")]
    Repeated {
        /// `recipient` or `signer`.
        what: &'static str,
        /// Where it stands again.
        epoch: Epoch,
    },
    /// A later batch under another enrolment key.
    #[error("this batch is by the enrolment key {found}, and {expected} is the one that was vetted: vet it anew")]
    OtherKey {
        /// The key of the batch before.
        expected: Box<PublicKey>,
        /// The key of this one.
        found: Box<PublicKey>,
    },
    /// A batch that is not later than the one before.
    #[error("rollback: batch {seen} of this enrolment was vetted before, and this is batch {offered}")]
    Rollback {
        /// The counter seen before.
        seen: u32,
        /// The counter of this one.
        offered: u32,
    },
}

impl Draft {
    /// The note, signed by the enrolment key.
    ///
    /// # Errors
    /// [`EnrolmentError`], exactly as reading and verifying it would refuse it; so also if `key` is not the secret half
    /// of [`Draft::key`].
    pub fn sign(&self, key: &SigningKey) -> Result<Enrolment, EnrolmentError> {
        let mut lines = Writer::new(NoteType::Enrolment.as_str(), self.instance);
        lines.line("key", self.key);
        lines.line("counter", self.counter);
        for (epoch, Pair { recipient, signer }) in &self.pairs {
            lines.line("pair", format_args!("{epoch} {recipient} {signer}"));
        }
        let mut note = UntrustedNote::unsigned(lines.finish())?;
        note.add_signature(key)?;
        UntrustedEnrolment::from_note(note)?.verify(self.instance)
    }
}

impl UntrustedEnrolment {
    /// Reads an enrolment.
    ///
    /// # Errors
    /// [`EnrolmentError`], naming the line or the epoch.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnrolmentError> {
        Self::from_note(UntrustedNote::parse(bytes)?)
    }

    fn from_note(note: UntrustedNote) -> Result<Self, EnrolmentError> {
        let draft = read(&note)?;
        Ok(Self { note, draft })
    }

    /// Verifies that it is for this instance and signed by its own key.
    ///
    /// # Errors
    /// [`EnrolmentError::Note`].
    pub fn verify(self, instance: InstanceId) -> Result<Enrolment, EnrolmentError> {
        self.note.verify(NoteType::Enrolment, instance, &[self.draft.key], 1)?;
        Ok(Enrolment(self))
    }
}

impl Enrolment {
    /// The signed note.
    pub const fn note(&self) -> &UntrustedNote {
        &self.0.note
    }

    /// The digits of the enrolment key, to be compared with the caseworker before it is vetted.
    pub fn digits(&self) -> Digits {
        Digits::of_key(&self.key)
    }

    /// The keys for one epoch.
    pub fn pair(&self, epoch: Epoch) -> Option<&Pair> {
        self.pairs.get(&epoch)
    }

    /// Whether this is a later batch of the caseworker who made `before`. For epochs that both cover, the later counts.
    ///
    /// # Errors
    /// [`EnrolmentError::OtherKey`] and [`EnrolmentError::Rollback`].
    pub fn follows(&self, before: &Self) -> Result<(), EnrolmentError> {
        if self.key != before.key {
            return Err(EnrolmentError::OtherKey {
                expected: Box::new(before.key),
                found: Box::new(self.key),
            });
        }
        if self.counter <= before.counter {
            return Err(EnrolmentError::Rollback {
                seen: before.counter,
                offered: self.counter,
            });
        }
        Ok(())
    }
}

impl Deref for Enrolment {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0.draft
    }
}

/// A classical recipient, which has its own error wherever one stands.
pub(crate) enum SlotKeys {
    Classical,
    PostQuantum(Box<Pair>),
}

/// Reads `<recipient> <signer>`.
pub(crate) fn slot_keys(value: &str) -> Result<SlotKeys, String> {
    let (recipient, signer) = value
        .split_once(' ')
        .ok_or("a recipient (age1pq1…), a space and a signer's key")?;
    let signer = signer.parse().map_err(|error| format!("signer: {error}"))?;
    match recipient.parse() {
        Ok(recipient) => Ok(SlotKeys::PostQuantum(Box::new(Pair { recipient, signer }))),
        Err(RecipientError::NotPostQuantum) if recipient.starts_with("age1") => Ok(SlotKeys::Classical),
        Err(error) => Err(format!("recipient: {error}")),
    }
}

fn read(note: &UntrustedNote) -> Result<Draft, EnrolmentError> {
    let mut lines = note.body(NoteType::Enrolment)?.lines();
    let instance = note.instance()?;
    let key: PublicKey = lines.read("key", parsed)?;
    let counter = lines.read("counter", |value| number(value, 1..=u32::MAX))?;
    let in_order = lines.read_all("pair", 1..=MAX_EPOCHS, |value| {
        let (epoch, keys) = value
            .split_once(' ')
            .ok_or("an epoch, a recipient (age1pq1…) and a signer's key")?;
        let epoch: Epoch = epoch
            .parse()
            .map_err(|error: crate::day::EpochError| error.to_string())?;
        Ok::<_, String>((epoch, slot_keys(keys)?))
    })?;
    lines.end()?;

    let mut pairs = BTreeMap::<Epoch, Pair>::new();
    let mut recipients = HashSet::new();
    let mut signers = HashSet::from([key]);
    for (epoch, keys) in in_order {
        let SlotKeys::PostQuantum(pair) = keys else {
            return Err(EnrolmentError::ClassicalRecipient(epoch));
        };
        if let Some((last, _)) = pairs.last_key_value()
            && epoch.previous() != Some(*last)
        {
            return Err(EnrolmentError::Epochs {
                expected: last.plus(1),
                found: epoch,
            });
        }
        let repeated = |what| Err(EnrolmentError::Repeated { what, epoch });
        if !recipients.insert(pair.recipient.clone()) {
            return repeated("recipient");
        }
        if !signers.insert(pair.signer) {
            return repeated("signer");
        }
        pairs.insert(epoch, *pair);
    }
    Ok(Draft {
        instance,
        key,
        counter,
        pairs,
    })
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.recipient, self.signer)
    }
}
