//! Leaves: what the log says about one accepted report.

use crate::{
    day::{Day, Epoch},
    digest::Digest,
};

/// One accepted report, as the log knows it.
///
/// ```text
/// 0        32      36    40        41
/// | digest | epoch | day | log2size |     integers big-endian
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// The epoch the submitter named; the server checked that its manifest was open, nobody could check more.
    pub epoch: Epoch,
    /// The day on which the server accepted it.
    pub day: Day,
    /// Base-2 logarithm of the ciphertext's length in bytes, which is always a bucket.
    pub log2_size: u8,
}

/// What was wrong with a leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not [`Leaf::LEN`] bytes.
    #[error("a leaf is {len} bytes, this is {0}", len = Leaf::LEN)]
    Length(usize),
    /// The epoch or the day lies after the year 9999, or the size after 2^63.
    #[error("a leaf's {0} is out of range")]
    Range(&'static str),
}

impl Leaf {
    /// Length in bytes.
    ///
    /// ```
    /// assert_eq!(marram_crypto::leaf::Leaf::LEN, 32 + 4 + 4 + 1);
    /// ```
    pub const LEN: usize = Digest::LEN + 4 + 4 + 1;

    /// The bytes as drawn above.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(self.digest.as_bytes());
        bytes[32..36].copy_from_slice(&self.epoch.number().to_be_bytes());
        bytes[36..40].copy_from_slice(&self.day.number().to_be_bytes());
        bytes[40] = self.log2_size;
        bytes
    }

    /// Reads the bytes as drawn above.
    ///
    /// # Errors
    /// [`LeafError`], naming the field.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LeafError> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().map_err(|_| LeafError::Length(bytes.len()))?;
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut digest = [0; Digest::LEN];
        digest.copy_from_slice(&bytes[..32]);
        if bytes[40] > 63 {
            return Err(LeafError::Range("size"));
        }
        Ok(Self {
            digest: Digest::from_bytes(digest),
            epoch: Epoch::from_number(word(32)).ok_or(LeafError::Range("epoch"))?,
            day: Day::from_number(word(36)).ok_or(LeafError::Range("day"))?,
            log2_size: bytes[40],
        })
    }

    /// Length of the ciphertext in bytes.
    pub const fn size(&self) -> u64 {
        1 << self.log2_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_reads_back_and_refuses_what_is_out_of_range() {
        let leaf = Leaf {
            digest: Digest::of(b"x"),
            epoch: Epoch::MAX,
            day: Day::MAX,
            log2_size: 15,
        };
        assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf));
        assert_eq!(Leaf::from_bytes(&leaf.to_bytes()[1..]), Err(LeafError::Length(40)));
        let mut bytes = leaf.to_bytes();
        bytes[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(Leaf::from_bytes(&bytes), Err(LeafError::Range("epoch")));
        bytes = leaf.to_bytes();
        bytes[40] = 64;
        assert_eq!(Leaf::from_bytes(&bytes), Err(LeafError::Range("size")));
    }
}
