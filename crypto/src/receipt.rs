//! Receipts: the server's signed promise that it has a report.
//!
//! ```text
//! marram/receipt/v1
//! <instance>
//! leaf <base64 of the leaf's 41 bytes>
//!
//! — marram <base64 of key id ‖ signature>
//! ```
//!
//! One signature, by the log key. Every receipt has exactly [`LEN`] bytes.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    leaf::Leaf,
    lines::{LineError, Writer},
    note::{NoteError, NoteType, UntrustedNote},
};

/// Length in bytes.
///
/// ```
/// let text = "marram/receipt/v1\n".len() + 32 + 1 + "leaf ".len() + 56 + 1;
/// let signature = "— marram ".len() + (4_usize + 64).div_ceil(3) * 4 + 1;
/// assert_eq!(marram_crypto::receipt::LEN, text + 1 + signature);
/// ```
pub const LEN: usize = 218;

/// Days for which the server answers the same bytes with the same receipt.
pub const SAME_RECEIPT_DAYS: u32 = 2;

/// A receipt of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedReceipt {
    note: UntrustedNote,
    leaf: Leaf,
}

/// A receipt signed by the log key.
#[derive(Clone, Debug)]
pub struct Receipt(UntrustedReceipt);

/// What was wrong with a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not [`LEN`] bytes.
    #[error("a receipt has {LEN} bytes, this has {0}: something between here and the server answered instead of it")]
    Length(usize),
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("receipt: {0}")]
    Line(#[from] LineError),
    /// A receipt for something else than what was sent.
    #[error(
        "this is the receipt of another report ({what} differs): the server has not confirmed yours; send it again"
    )]
    OtherReport {
        /// `digest`, `epoch` or `size`.
        what: &'static str,
    },
    /// A day that cannot be.
    #[error("the receipt is dated {day}, and today is {today}: the server's clock or this computer's is wrong")]
    Day {
        /// The receipt's day.
        day: Day,
        /// The day it came.
        today: Day,
    },
}

/// Makes a receipt.
///
/// # Errors
/// [`ReceiptError`], exactly as reading it would refuse it: a leaf with numbers out of range.
pub fn sign(instance: InstanceId, leaf: &Leaf, log_key: &SigningKey) -> Result<Receipt, ReceiptError> {
    let mut lines = Writer::new(NoteType::Receipt.as_str(), instance);
    lines.line("leaf", BASE64_STANDARD.encode(leaf.to_bytes()));
    let mut note = UntrustedNote::unsigned(lines.finish())?;
    note.add_signature(log_key)?;
    // Signed just now: verifying costs more than signing, and a server does this for every report.
    UntrustedReceipt::parse(&note.to_bytes()).map(Receipt)
}

impl UntrustedReceipt {
    /// Reads a receipt.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() != LEN {
            return Err(ReceiptError::Length(bytes.len()));
        }
        let note = UntrustedNote::parse(bytes)?;
        let mut lines = note.body(NoteType::Receipt)?.lines();
        let leaf = lines.read("leaf", |value| {
            let bytes = BASE64_STANDARD
                .decode(value)
                .map_err(|_| "the base64 of a leaf".to_owned())?;
            Leaf::from_bytes(&bytes).map_err(|error| error.to_string())
        })?;
        lines.end()?;
        Ok(Self { note, leaf })
    }

    /// What it says, unverified: which tells whose log key must have signed it.
    pub const fn claimed_leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// Verifies the log key's signature.
    ///
    /// # Errors
    /// [`ReceiptError::Note`].
    pub fn verify(self, instance: InstanceId, log: &PublicKey) -> Result<Receipt, ReceiptError> {
        self.note.verify(NoteType::Receipt, instance, &[*log], 1)?;
        Ok(Receipt(self))
    }
}

impl Receipt {
    /// What the server promises to have.
    pub const fn leaf(&self) -> &Leaf {
        &self.0.leaf
    }

    /// The [`LEN`] bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.note.to_bytes()
    }

    /// Whether it is for the ciphertext that was sent: its digest, the epoch it was sealed for, its size in bytes; and
    /// dated today, give or take a day of time zones and wrong clocks, or when the same bytes were sent before.
    ///
    /// # Errors
    /// [`ReceiptError::OtherReport`] and [`ReceiptError::Day`].
    pub fn check_for(&self, digest: Digest, epoch: Epoch, size: u64, today: Day) -> Result<(), ReceiptError> {
        let leaf = self.leaf();
        for (what, same) in [
            ("digest", leaf.digest == digest),
            ("epoch", leaf.epoch == epoch),
            ("size", leaf.size() == size),
        ] {
            if !same {
                return Err(ReceiptError::OtherReport { what });
            }
        }
        if !(today.minus(SAME_RECEIPT_DAYS + 1)..=today.plus(1)).contains(&leaf.day) {
            return Err(ReceiptError::Day { day: leaf.day, today });
        }
        Ok(())
    }
}
