//! A report's body on its way into the store: in memory, or in a file without a name.

use std::{fmt, fs::File};

use marram_crypto::digest::Digest;

/// A sealed report with its digest. Its length is a power of two.
pub struct Body {
    pub(super) digest: Digest,
    pub(super) log2_size: u8,
    pub(super) content: Content,
}

pub(super) enum Content {
    Memory(Vec<u8>),
    File(File),
}

/// What was wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sealed report's length is a power of two, this one has {len} bytes")]
pub struct BodyError {
    /// Its length in bytes.
    pub len: u64,
}

impl Body {
    /// A body in memory.
    ///
    /// # Errors
    /// [`BodyError`] unless the length is a power of two.
    pub fn in_memory(bytes: Vec<u8>) -> Result<Self, BodyError> {
        Ok(Self {
            digest: Digest::of(&bytes),
            log2_size: log2(bytes.len() as u64)?,
            content: Content::Memory(bytes),
        })
    }

    /// A body in an unnamed temporary file, from its first byte, already digested while it was written.
    ///
    /// # Errors
    /// [`BodyError`] unless the length is a power of two.
    pub fn in_file(file: File, digest: Digest, len: u64) -> Result<Self, BodyError> {
        Ok(Self {
            digest,
            log2_size: log2(len)?,
            content: Content::File(file),
        })
    }

    /// Its digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Length in bytes.
    pub const fn size(&self) -> u64 {
        1 << self.log2_size
    }

    /// Bytes of memory it holds until it is committed.
    pub(super) fn memory(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::File(_) => 0,
        }
    }
}

fn log2(len: u64) -> Result<u8, BodyError> {
    if len.is_power_of_two() {
        // At most 63.
        Ok(u8::try_from(len.ilog2()).unwrap_or(u8::MAX))
    } else {
        Err(BodyError { len })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.size())
    }
}
