//! The board: the signed image in which acknowledgements and answers hang.
//!
//! ```text
//! marram/board/v1
//! <instance>
//! epoch <n>                     in which it was made
//! day <YYYY-MM-DD>
//! shard <3 hex>
//! salt <32 hex>                 goes into every tag
//! image <SHA-256 of the image>
//!
//! — marram …                    two signatures: the maker's in this epoch, and in the next
//! — marram …
//! tags (16 bytes each) ‖ cells (4,096 bytes each)
//! ```
//!
//! Whatever is unused is random, and everything is made anew for every board, so that two boards tell nothing. A reader
//! downloads a whole shard and tries its key on everything ([`Board::acknowledged`], [`Board::answers`]); who has no
//! words cannot tell tags and cells from noise.

mod answer;
mod image;

use std::{fmt, str::FromStr};

use crate::{
    codename::ReplyKey,
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
    labels,
    lines::{self, LineError, Writer},
    manifest::{BoardShape, Manifest},
    note::{NoteError, NoteType, UntrustedNote},
    random_id::random_id,
};

pub use answer::{Answer, AnswerError, AnswerId, MAX_PARTS, MAX_TEXT_LEN, PART_LEN};
pub use image::{CELL_LEN, Composition, Found, LeftOut, MAX_COUNT, PLAIN_LEN, TAG_LEN, compose, read};

/// Largest image in bytes.
pub const MAX_IMAGE_LEN: u64 = 1 << 24;
/// Largest board in bytes: an image, and a header that has less than a kilobyte.
pub const MAX_LEN: u64 = MAX_IMAGE_LEN + 1024;
/// Signatures on a header.
pub const SIGNATURES: usize = 2;

/// Which part of the board: its number, below the manifest's number of shards. Written as three hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u16);

random_id! {
    /// Goes into every tag, so that two boards share none.
    Salt
}

/// What a header says. Fill one in to make a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The founding it belongs to.
    pub instance: InstanceId,
    /// In which it was made.
    pub epoch: Epoch,
    /// The day for which it was made.
    pub day: Day,
    /// Which part of the board.
    pub shard: Shard,
    /// What its tags were made with.
    pub salt: Salt,
    /// SHA-256 of the image.
    pub image: Digest,
}

/// A board of which nothing was verified but its form.
#[derive(Clone, Debug)]
pub struct UntrustedBoard {
    note: UntrustedNote,
    header: Header,
    image: Vec<u8>,
}

/// A board that a slot of the manifest signed it was verified with.
#[derive(Clone, Debug)]
pub struct Board {
    board: UntrustedBoard,
    shape: BoardShape,
}

/// What was wrong with a board.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// More than [`MAX_LEN`] bytes, or no image behind the header.
    #[error("a board is a signed header and an image of at most {MAX_IMAGE_LEN} bytes; this has {0} bytes")]
    Length(usize),
    /// The header as a note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("board: {0}")]
    Line(#[from] LineError),
    /// Not exactly [`SIGNATURES`] signature lines: boards would have different lengths.
    #[error("a board has exactly {SIGNATURES} signatures, this has {0}")]
    Signatures(usize),
    /// The image is not the one that was signed.
    #[error("the board's image is not the one that was signed: it was changed, or damaged on the way")]
    Image,
    /// Not the shard that was asked for, or one there is not.
    #[error("this is shard {found} of the board, and {expected} was asked for")]
    OtherShard {
        /// Asked for.
        expected: Shard,
        /// Came.
        found: Shard,
    },
    /// Made neither in the manifest's epoch nor in the one before.
    #[error("the board was made in epoch {board}, and the manifest is of {manifest}: it is out of date")]
    OtherEpoch {
        /// The board's.
        board: Epoch,
        /// The manifest's.
        manifest: Epoch,
    },
    /// The image is not as large as the manifest says.
    #[error("the board's image has {found} bytes, and {expected} are right")]
    Shape {
        /// By the manifest.
        expected: u64,
        /// It has.
        found: usize,
    },
    /// Dated after tomorrow.
    #[error("the board is dated {day}, and today is {today}: the maker's clock or this computer's is wrong")]
    Future {
        /// The board's day.
        day: Day,
        /// Today.
        today: Day,
    },
}

impl Shard {
    /// The shard with this number, if there can be one.
    pub fn from_number(number: u16) -> Option<Self> {
        (number < 1 << 12).then_some(Self(number))
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The shard in which what is for this reply key hangs.
    pub fn of(reply_key: &ReplyKey, shape: BoardShape) -> Self {
        let [high, low] = *labels::derive::<2>(labels::SHARD, reply_key.expose(), b"").expose();
        // A power of two, at most 2^12.
        let bits = shape.shards.trailing_zeros().min(12);
        Self(u16::try_from(u32::from(u16::from_be_bytes([high, low])) >> (16 - bits)).unwrap_or_default())
    }

    /// Every shard there is.
    pub fn all(shape: BoardShape) -> impl Iterator<Item = Self> {
        (0..1 << 12).take(shape.shards as usize).map(Self)
    }
}

impl BoardShape {
    /// Length of an image in bytes.
    pub const fn image_len(&self) -> u64 {
        self.tags as u64 * TAG_LEN as u64 + self.cells as u64 * CELL_LEN as u64
    }

    /// Whether a board of `day` is too old on `today` for what it lacks to mean anything.
    pub fn is_stale(&self, day: Day, today: Day) -> bool {
        today > day.plus(self.cadence_days.saturating_mul(2))
    }
}

impl UntrustedBoard {
    /// Makes a board of an image ([`compose`]), signed with the maker's signers of this epoch and of the next.
    ///
    /// # Errors
    /// [`BoardError`], as reading it would refuse it.
    pub fn sign(header: Header, image: Vec<u8>, signers: &[SigningKey; SIGNATURES]) -> Result<Self, BoardError> {
        let mut lines = Writer::new(NoteType::Board.as_str(), header.instance);
        lines.line("epoch", header.epoch);
        lines.line("day", header.day);
        lines.line("shard", header.shard);
        lines.line("salt", header.salt);
        lines.line("image", header.image);
        let mut note = UntrustedNote::unsigned(lines.finish())?;
        for signer in signers {
            note.add_signature(signer)?;
        }
        Self::from_parts(note, image)
    }

    /// Reads a board. Where the header ends, it says itself.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BoardError> {
        let length = || BoardError::Length(bytes.len());
        if bytes.len() as u64 > MAX_LEN {
            return Err(length());
        }
        // An empty line, then the signature lines.
        let text_end = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or_else(length)?;
        let mut line_ends = (text_end + 2..)
            .zip(&bytes[text_end + 2..])
            .filter(|(_, byte)| **byte == b'\n');
        let (last, _) = line_ends.nth(SIGNATURES - 1).ok_or_else(length)?;
        let (header, image) = bytes.split_at(last + 1);
        Self::from_parts(UntrustedNote::parse(header)?, image.to_vec())
    }

    fn from_parts(note: UntrustedNote, image: Vec<u8>) -> Result<Self, BoardError> {
        if note.signatures() != SIGNATURES {
            return Err(BoardError::Signatures(note.signatures()));
        }
        let mut lines = note.body(NoteType::Board)?.lines();
        let header = Header {
            instance: note.instance()?,
            epoch: lines.read("epoch", lines::parsed)?,
            day: lines.read("day", lines::parsed)?,
            shard: lines.read("shard", lines::parsed)?,
            salt: lines.read("salt", lines::parsed)?,
            image: lines.read("image", lines::parsed)?,
        };
        lines.end()?;
        if Digest::of(&image) != header.image {
            return Err(BoardError::Image);
        }
        Ok(Self { note, header, image })
    }

    /// What its header says, unverified.
    pub const fn claims(&self) -> &Header {
        &self.header
    }

    /// SHA-256 of the header's text: what an order names.
    pub fn header_digest(&self) -> Digest {
        self.note.digest()
    }

    /// Header and image.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.note.to_bytes();
        bytes.extend(&self.image);
        bytes
    }

    /// Verifies that a slot of `manifest` signed it, that it is the `shard` that was asked for, that its size is right, and
    /// that it is not dated after tomorrow. How old it is is another question ([`BoardShape::is_stale`]).
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn verify(self, manifest: &Manifest, shard: Shard, today: Day) -> Result<Board, BoardError> {
        let header = &self.header;
        if ![header.epoch, header.epoch.plus(1)].contains(&manifest.epoch) {
            return Err(BoardError::OtherEpoch {
                board: header.epoch,
                manifest: manifest.epoch,
            });
        }
        let signers: Vec<_> = manifest.slots.iter().map(|slot| slot.signer).collect();
        self.note.verify(NoteType::Board, manifest.instance, &signers, 1)?;
        if header.shard != shard || u32::from(shard.0) >= manifest.board.shards {
            return Err(BoardError::OtherShard {
                expected: shard,
                found: header.shard,
            });
        }
        if header.day > today.plus(1) {
            return Err(BoardError::Future { day: header.day, today });
        }
        let expected = manifest.board.image_len();
        if self.image.len() as u64 != expected {
            return Err(BoardError::Shape {
                expected,
                found: self.image.len(),
            });
        }
        Ok(Board {
            shape: manifest.board,
            board: self,
        })
    }
}

impl Board {
    /// What its header says.
    pub const fn header(&self) -> &Header {
        &self.board.header
    }

    /// Its shape, by the manifest it was verified with.
    pub const fn shape(&self) -> BoardShape {
        self.shape
    }

    /// Header and image.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.board.to_bytes()
    }

    /// How many reports were read under the codename of this reply key: up to [`MAX_COUNT`], which means that many or more.
    pub fn acknowledged(&self, reply_key: &ReplyKey) -> u32 {
        image::acknowledged(self.tags(), self.header().salt, reply_key)
    }

    /// The answers to the codename of this reply key.
    pub fn answers(&self, reply_key: &ReplyKey) -> Found {
        image::answers(self.cells(), self.header().instance, reply_key)
    }

    fn tags(&self) -> &[u8] {
        &self.board.image[..self.shape.tags as usize * TAG_LEN]
    }

    fn cells(&self) -> &[u8] {
        &self.board.image[self.shape.tags as usize * TAG_LEN..]
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03x}", self.0)
    }
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shard = u16::from_str_radix(text, 16).ok().and_then(Self::from_number);
        shard
            .filter(|shard| shard.to_string() == text)
            .ok_or("three lower-case hexadecimal digits")
    }
}
