//! Answers: what a caseworker writes to a codename, split over cells.
//!
//! ```text
//! 0         16       17        18        22         24
//! │ id (16) │ part 1 │ parts 1 │ day (4) │ length 2 │ text, then zeros │     integers big-endian; 4,048 bytes
//! ```

use std::{collections::BTreeMap, fmt};

use zeroize::{Zeroize, Zeroizing};

use super::image::PLAIN_LEN;
use crate::{day::Day, random_id::random_id};

const HEAD_LEN: usize = AnswerId::LEN + 1 + 1 + 4 + 2;
/// Bytes of text in a cell.
///
/// ```
/// assert_eq!(marram_crypto::board::PART_LEN, 4096 - 32 - 16 - (16 + 1 + 1 + 4 + 2));
/// ```
pub const PART_LEN: usize = PLAIN_LEN - HEAD_LEN;
/// Largest number of cells that an answer takes.
pub const MAX_PARTS: usize = 8;
/// Longest answer in bytes of UTF-8.
pub const MAX_TEXT_LEN: usize = MAX_PARTS * PART_LEN;

random_id! {
    /// Holds the parts of an answer together.
    AnswerId
}

/// What a caseworker writes to a codename. `Debug` shows nothing of the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which one it is.
    pub id: AnswerId,
    /// The day it was written.
    pub day: Day,
    /// 1 to [`MAX_TEXT_LEN`] bytes.
    text: String,
}

/// What was wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nothing, or too much.
    #[error("an answer has 1 to {MAX_TEXT_LEN} bytes, this has {0}: shorten it, or write two")]
    Length(usize),
}

/// One part, as it stands in a cell.
pub(super) struct Part {
    pub(super) id: AnswerId,
    pub(super) number: u8,
    pub(super) parts: u8,
    pub(super) day: Day,
    pub(super) text: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// An answer.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn new(id: AnswerId, day: Day, text: String) -> Result<Self, AnswerError> {
        if text.is_empty() || text.len() > MAX_TEXT_LEN {
            return Err(AnswerError::Length(text.len()));
        }
        Ok(Self { id, day, text })
    }

    /// What was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many cells it takes.
    pub fn cells(&self) -> usize {
        self.text.len().div_ceil(PART_LEN)
    }

    /// The plain contents of its cells.
    pub fn parts(&self) -> impl Iterator<Item = Zeroizing<[u8; PLAIN_LEN]>> {
        let parts = u8::try_from(self.cells()).unwrap_or(u8::MAX);
        (0_u8..)
            .zip(self.text.as_bytes().chunks(PART_LEN))
            .map(move |(number, text)| {
                let mut plain = Zeroizing::new([0; PLAIN_LEN]);
                plain[..16].copy_from_slice(self.id.as_bytes());
                plain[16] = number;
                plain[17] = parts;
                plain[18..22].copy_from_slice(&self.day.number().to_be_bytes());
                plain[22..24].copy_from_slice(&u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
                plain[HEAD_LEN..HEAD_LEN + text.len()].copy_from_slice(text);
                plain
            })
    }
}

impl Part {
    /// Reads the contents of a cell. Nothing, if they are not a part of an answer in its one spelling.
    pub(super) fn parse(plain: &[u8; PLAIN_LEN]) -> Option<Self> {
        let (id, rest) = plain.split_first_chunk::<{ AnswerId::LEN }>()?;
        let ([number, parts], rest) = rest.split_first_chunk::<2>()?;
        let (day, rest) = rest.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let (text, zeros) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let is_last = number.checked_add(1)? == *parts;
        let sound = number < parts
            && usize::from(*parts) <= MAX_PARTS
            && !text.is_empty()
            && (is_last || text.len() == PART_LEN)
            && zeros.iter().all(|byte| *byte == 0);
        sound.then_some(Self {
            id: AnswerId::from_bytes(*id),
            number: *number,
            parts: *parts,
            day: Day::from_number(u32::from_be_bytes(*day))?,
            text: Zeroizing::new(text.to_vec()),
        })
    }
}

/// Joins parts. Answers by day; and of how many there was only a part, or parts that contradict each other.
pub(super) fn join(parts: Vec<Part>) -> (Vec<Answer>, usize) {
    let mut by_id: BTreeMap<AnswerId, Vec<Part>> = BTreeMap::new();
    for part in parts {
        by_id.entry(part.id).or_default().push(part);
    }
    let mut answers = Vec::new();
    let mut incomplete = 0;
    for (id, mut parts) in by_id {
        parts.sort_by_key(|part| part.number);
        let (day, count) = (parts[0].day, parts[0].parts);
        let whole = parts.len() == usize::from(count)
            && (0..)
                .zip(&parts)
                .all(|(number, part)| (part.number, part.parts, part.day) == (number, count, day));
        let mut bytes: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::new());
        for part in &parts {
            bytes.extend_from_slice(&part.text);
        }
        match std::str::from_utf8(&bytes).ok().filter(|_| whole).map(str::to_owned) {
            Some(text) => answers.push(Answer { id, day, text }),
            None => incomplete += 1,
        }
    }
    answers.sort_by_key(|answer| (answer.day, answer.id));
    (answers, incomplete)
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} bytes, {})", self.text.len(), self.day)
    }
}
