//! What can be wrong with a manifest.

use super::MAX_LIMIT;
use crate::{
    day::{Day, Epoch},
    digest::Digest,
    note::{LineError, NoteError},
};

/// What was wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("manifest: {0}")]
    Line(#[from] LineError),
    /// `opens` or `closes` is not the epoch's.
    #[error("manifest: `{name} {found}` does not belong to epoch {epoch}, which {name} on {expected}")]
    Dates {
        /// `opens` or `closes`.
        name: &'static str,
        /// The epoch it is for.
        epoch: Epoch,
        /// The epoch's day.
        expected: Day,
        /// The day it gives.
        found: Day,
    },
    /// The limit is no power of two, or below the smallest bucket of this many slots.
    #[error("manifest: `limit {limit}` must be a power of two from {smallest} (the smallest bucket) to {MAX_LIMIT}")]
    Limit {
        /// The limit in bytes.
        limit: u64,
        /// The least there may be.
        smallest: u64,
    },
    /// The same key, page or question twice.
    #[error("manifest: {what} number {second} is the same as number {first} (counted from 0)")]
    Repeated {
        /// `slot recipient`, `slot signer`, `courier`, `page` or `question`.
        what: &'static str,
        /// Where it stands first.
        first: usize,
        /// Where it stands again.
        second: usize,
    },
    /// A recipient that a quantum computer opens.
    #[error(
        "manifest: the recipient of slot {position} is a classical one (age1…): what is recorded today could be read \
         later. Send nothing under this manifest; the keyholders must issue one with age1pq1… recipients only"
    )]
    ClassicalRecipient {
        /// The slot, counted from 0.
        position: usize,
    },
    /// It names an older charter of the same organization.
    #[error(
        "the manifest of epoch {epoch} is signed under charter {named}, and charter {newest} is valid: \
         the keyholders must sign it again"
    )]
    SupersededCharter {
        /// The manifest's epoch.
        epoch: Epoch,
        /// Version of the charter it names.
        named: u32,
        /// The newest version.
        newest: u32,
    },
    /// It names a charter that is not in the chain.
    #[error("the manifest names a charter that is not in the organization's chain ({0}): do not use it")]
    UnknownCharter(Digest),
    /// Its epoch has not begun.
    #[error("the manifest of epoch {epoch} opens on {opens}, and today is {today}: check this computer's date")]
    NotYetOpen {
        /// The manifest's epoch.
        epoch: Epoch,
        /// Its first day.
        opens: Day,
        /// The day it was asked for.
        today: Day,
    },
    /// Its epoch is over: a server that still shows it withholds the newer one, or has none.
    #[error(
        "the manifest of epoch {epoch} closed on {closes}, and today is {today}: check this computer's date; if it is \
         right, the server shows old keys. Send nothing, and tell the organization"
    )]
    Closed {
        /// The manifest's epoch.
        epoch: Epoch,
        /// The first day after it.
        closes: Day,
        /// The day it was asked for.
        today: Day,
    },
    /// An older version than one seen before.
    #[error("rollback: version {seen} of the manifest of epoch {epoch} was seen before, and this is version {offered}")]
    Rollback {
        /// The manifest's epoch.
        epoch: Epoch,
        /// The highest version seen.
        seen: u32,
        /// The version of this one.
        offered: u32,
    },
    /// It was to replace a manifest of another epoch or instance, or changes the number of slots.
    #[error("this manifest cannot replace version {version} of epoch {epoch}: {what} is different")]
    Replaces {
        /// Version of the manifest to be replaced.
        version: u32,
        /// Its epoch.
        epoch: Epoch,
        /// What must stay the same.
        what: &'static str,
    },
}
