//! The records of the ledger.
//!
//! ```text
//! ┌────────┬─────────────┬───────────────┐
//! │ kind 1 │ length u32  │ fields        │   integers are big-endian
//! └────────┴─────────────┴───────────────┘
//! kind 1, leaf       leaf 41 │ segment u32 │ offset u64
//! kind 2, charter    version u64 │ digest 32 │ signed note
//! kind 3, manifest   epoch u32 │ version u64 │ digest 32 │ signed note
//! ```
//!
//! A kind's number is never used again for something else. A program that meets a kind it does not know does not start:
//! an older version must not serve a ledger in which something was, say, deleted.

use marram_crypto::{day::Epoch, digest::Digest, leaf::Leaf};

const LEAF: u8 = 1;
const CHARTER: u8 = 2;
const MANIFEST: u8 = 3;

/// Length of kind and length in bytes.
const HEAD_LEN: usize = 1 + 4;

/// A leaf and where its body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredLeaf {
    pub(super) leaf: Leaf,
    pub(super) place: Place,
}

/// Where a body begins; its length is the leaf's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u32,
    pub(super) offset: u64,
}

/// Which charter or manifest. Ordered by family, then version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NoteKey {
    pub(super) family: Family,
    pub(super) version: u64,
}

/// Notes among which versions only rise: the charters, or the manifests of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Charter,
    Manifest(Epoch),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Leaf(StoredLeaf),
    Note {
        key: NoteKey,
        digest: Digest,
        note: &'a [u8],
    },
}

/// The bytes are not a record this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownRecord;

impl StoredLeaf {
    pub(super) const LEN: usize = Leaf::LEN + 4 + 8;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..Leaf::LEN].copy_from_slice(&self.leaf.to_bytes());
        bytes[Leaf::LEN..Leaf::LEN + 4].copy_from_slice(&self.place.segment.to_be_bytes());
        bytes[Leaf::LEN + 4..].copy_from_slice(&self.place.offset.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (leaf, rest) = bytes.split_at_checked(Leaf::LEN)?;
        let (segment, offset) = rest.split_at_checked(4)?;
        Some(Self {
            leaf: Leaf::from_bytes(leaf).ok()?,
            place: Place {
                segment: u32::from_be_bytes(segment.try_into().ok()?),
                offset: u64::from_be_bytes(offset.try_into().ok()?),
            },
        })
    }

    /// Where its body ends in the segment.
    pub(super) fn end(&self) -> u64 {
        self.place.offset.saturating_add(self.leaf.size())
    }
}

impl Record<'_> {
    /// Appends the record's bytes. Returns at which byte of `out` a note's own bytes begin.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_LEN]);
        let mut note_at = start;
        let kind = match self {
            Self::Leaf(stored) => {
                out.extend_from_slice(&stored.to_bytes());
                LEAF
            }
            Self::Note { key, digest, note } => {
                let kind = match key.family {
                    Family::Charter => CHARTER,
                    Family::Manifest(epoch) => {
                        out.extend_from_slice(&epoch.number().to_be_bytes());
                        MANIFEST
                    }
                };
                out.extend_from_slice(&key.version.to_be_bytes());
                out.extend_from_slice(digest.as_bytes());
                note_at = out.len();
                out.extend_from_slice(note);
                kind
            }
        };
        // A note has at most NOTE_MAX_LEN bytes.
        let len = u32::try_from(out.len() - start - HEAD_LEN).unwrap_or(u32::MAX);
        out[start] = kind;
        out[start + 1..start + HEAD_LEN].copy_from_slice(&len.to_be_bytes());
        note_at
    }
}

/// Reads all records of a group's payload. Each comes with the byte of `payload` at which it ends.
pub(super) fn read_all(payload: &[u8]) -> impl Iterator<Item = Result<(usize, Record<'_>), UnknownRecord>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= payload.len() {
            return None;
        }
        let read = read_one(&payload[at..]).map(|(len, record)| {
            at += len;
            (at, record)
        });
        if read.is_none() {
            at = payload.len();
        }
        Some(read.ok_or(UnknownRecord))
    })
}

fn read_one(bytes: &[u8]) -> Option<(usize, Record<'_>)> {
    let (&kind, rest) = bytes.split_first()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let fields = rest.get(..len)?;
    let record = match kind {
        LEAF => Record::Leaf(StoredLeaf::from_bytes(fields)?),
        CHARTER => read_note(Family::Charter, fields)?,
        MANIFEST => {
            let (epoch, fields) = fields.split_first_chunk::<4>()?;
            read_note(
                Family::Manifest(Epoch::from_number(u32::from_be_bytes(*epoch))?),
                fields,
            )?
        }
        _ => return None,
    };
    Some((HEAD_LEN + len, record))
}

fn read_note(family: Family, fields: &[u8]) -> Option<Record<'_>> {
    let (version, fields) = fields.split_first_chunk::<8>()?;
    let (digest, note) = fields.split_first_chunk::<{ Digest::LEN }>()?;
    Some(Record::Note {
        key: NoteKey {
            family,
            version: u64::from_be_bytes(*version),
        },
        digest: Digest::from_bytes(*digest),
        note,
    })
}

#[cfg(test)]
mod tests {
    use marram_crypto::day::Day;
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    /// Payloads that begin as records do.
    fn payload() -> impl Strategy<Value = Vec<u8>> {
        let record = (0..5_u8, vec(any::<u8>(), 0..90)).prop_map(|(kind, fields)| {
            let len = u32::try_from(fields.len()).unwrap().to_be_bytes();
            [&[kind][..], &len, &fields].concat()
        });
        vec(record, 0..4).prop_map(|records| records.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_read_as_records_is_written_as_the_same_bytes(
            payload in payload(), at in any::<Index>(), byte in any::<u8>(),
        ) {
            let mut payload = payload;
            if !payload.is_empty() {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            let (mut written, mut end) = (Vec::new(), 0);
            for read in read_all(&payload) {
                let Ok((at, record)) = read else { break };
                record.write(&mut written);
                end = at;
            }
            prop_assert_eq!(&written, &payload[..end]);
        }
    }

    #[test]
    fn records_read_back_and_every_cut_of_one_is_refused() {
        let epoch = Epoch::from_number(2951).unwrap();
        let leaf = Leaf {
            digest: Digest::of(b"body"),
            epoch,
            day: Day::from_number(20_000).unwrap(),
            log2_size: 15,
        };
        let records = [
            Record::Leaf(StoredLeaf {
                leaf,
                place: Place {
                    segment: 3,
                    offset: 1 << 40,
                },
            }),
            Record::Note {
                key: NoteKey {
                    family: Family::Charter,
                    version: 2,
                },
                digest: Digest::of(b"charter"),
                note: b"charter",
            },
            Record::Note {
                key: NoteKey {
                    family: Family::Manifest(epoch),
                    version: 1,
                },
                digest: Digest::of(b"manifest"),
                note: b"manifest",
            },
        ];
        let mut bytes = Vec::new();
        for record in &records {
            let at = record.write(&mut bytes);
            if let Record::Note { note, .. } = record {
                assert_eq!(&bytes[at..], *note);
            }
        }
        let read: Vec<_> = read_all(&bytes).map(|read| read.unwrap().1).collect();
        assert_eq!(read, records);

        let mut one = Vec::new();
        records[0].write(&mut one);
        for cut in 1..one.len() {
            assert_eq!(read_all(&one[..cut]).last(), Some(Err(UnknownRecord)), "{cut}");
        }
        one[0] = 200;
        assert_eq!(read_all(&one).next(), Some(Err(UnknownRecord)));
    }
}
