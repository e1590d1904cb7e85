//! Which digests there are, and which leaf has each.

use std::collections::HashMap;

use marram_crypto::digest::Digest;

/// From the first 8 bytes of a digest to the index of its leaf: 17 to 35 bytes of memory for each leaf, where its report
/// takes at least 32 KiB of the disk.
///
/// Whoever has two digests with the same 8 bytes (which takes 2^32 attempts) finds them one after the other: a taken key
/// is passed over, as in a table with linear probing. Nothing is ever removed.
#[derive(Default)]
pub(in crate::store) struct Digests(HashMap<u64, u64>);

impl Digests {
    /// Adds a digest and the index of its leaf. To add both again changes nothing.
    pub(in crate::store) fn insert(&mut self, digest: Digest, index: u64) {
        let mut key = key(digest);
        while *self.0.entry(key).or_insert(index) != index {
            key = key.wrapping_add(1);
        }
    }

    /// The leaves that may have this digest; most often one or none.
    pub(super) fn candidates(&self, digest: Digest) -> impl Iterator<Item = u64> {
        let first = key(digest);
        (0..).map_while(move |passed| self.0.get(&first.wrapping_add(passed)).copied())
    }
}

fn key(digest: Digest) -> u64 {
    digest
        .as_bytes()
        .first_chunk()
        .map_or(0, |first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(key: u64, rest: u8) -> Digest {
        let mut bytes = [rest; Digest::LEN];
        bytes[..8].copy_from_slice(&key.to_be_bytes());
        Digest::from_bytes(bytes)
    }

    #[test]
    fn digests_that_begin_alike_are_both_found_also_at_the_end_of_the_keys() {
        let mut digests = Digests::default();
        let alike = [
            digest(u64::MAX, 1),
            digest(u64::MAX, 2),
            digest(0, 3),
            digest(u64::MAX, 4),
        ];
        for (index, digest) in (0..).zip(alike) {
            digests.insert(digest, index);
            digests.insert(digest, index);
        }
        for (index, digest) in (0..).zip(alike) {
            assert!(digests.candidates(digest).any(|candidate| candidate == index));
        }
        assert_eq!(digests.candidates(digest(7, 1)).count(), 0);
        assert_eq!(digests.0.len(), alike.len());
    }
}
