//! Checkpoints: what the server says of the whole log (C2SP tlog-checkpoint).
//!
//! ```text
//! marram/log/v1/<instance>                  the origin
//! <size>
//! <base64 of the root, 32 bytes>
//! day <YYYY-MM-DD>                          an extension line
//!
//! — marram <base64 of key id ‖ signature>
//! ```
//!
//! Signed by the log key of the manifest of its day. Two checkpoints of one size with different roots prove a fork.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    day::Day,
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    lines::{self, LineError},
    note::{NoteError, NoteType, UntrustedNote},
    tree::Head,
};

/// A checkpoint of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedCheckpoint {
    note: UntrustedNote,
    head: Head,
    day: Day,
}

/// A checkpoint signed by the log key.
#[derive(Clone, Debug)]
pub struct Checkpoint(UntrustedCheckpoint);

/// What was wrong with a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("checkpoint: {0}")]
    Line(#[from] LineError),
}

/// Makes a checkpoint.
///
/// # Errors
/// [`CheckpointError`], as reading it would refuse it.
pub fn sign(instance: InstanceId, head: Head, day: Day, log_key: &SigningKey) -> Result<Checkpoint, CheckpointError> {
    let (origin, root) = (
        NoteType::Checkpoint.as_str(),
        BASE64_STANDARD.encode(head.root.as_bytes()),
    );
    let text = format!("{origin}/{instance}\n{}\n{root}\nday {day}\n", head.size);
    let mut note = UntrustedNote::unsigned(text)?;
    note.add_signature(log_key)?;
    UntrustedCheckpoint::from_note(note).map(Checkpoint)
}

impl UntrustedCheckpoint {
    /// Reads a checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Self::from_note(UntrustedNote::parse(bytes)?)
    }

    fn from_note(note: UntrustedNote) -> Result<Self, CheckpointError> {
        let mut lines = note.body(NoteType::Checkpoint)?.lines();
        let size = lines.read_bare("size", |value| lines::number(value, 0..=u64::MAX))?;
        let root = lines.read_bare("root", root)?;
        let day = lines.read("day", lines::parsed)?;
        lines.end()?;
        Ok(Self {
            head: Head { size, root },
            note,
            day,
        })
    }

    /// The day it says it was made: which tells whose log key must have signed it.
    pub const fn claimed_day(&self) -> Day {
        self.day
    }

    /// The size it says the log has: how many leaves to ask for.
    pub const fn claimed_size(&self) -> u64 {
        self.head.size
    }

    /// Verifies that one of `log_keys` signed it.
    ///
    /// # Errors
    /// [`CheckpointError::Note`].
    pub fn verify(self, instance: InstanceId, log_keys: &[PublicKey]) -> Result<Checkpoint, CheckpointError> {
        self.note.verify(NoteType::Checkpoint, instance, log_keys, 1)?;
        Ok(Checkpoint(self))
    }
}

impl Checkpoint {
    /// Size and root.
    pub const fn head(&self) -> Head {
        self.0.head
    }

    /// The server's day.
    pub const fn day(&self) -> Day {
        self.0.day
    }

    /// The signed note.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.note.to_bytes()
    }
}

fn root(value: &str) -> Result<Digest, &'static str> {
    let bytes = BASE64_STANDARD.decode(value).ok();
    let bytes: Option<[u8; Digest::LEN]> = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(Digest::from_bytes).ok_or("32 bytes in base64")
}
