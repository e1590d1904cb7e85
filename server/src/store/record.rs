//! The records of the ledger.
//!
//! ```text
//! ┌────────┬─────────────┬───────────────┐
//! │ kind 1 │ length u32  │ fields        │   integers are big-endian
//! └────────┴─────────────┴───────────────┘
//! kind 1, leaf       leaf 41 │ segment u32 │ offset u64
//! kind 2, charter    version u64 │ digest 32 │ signed note
//! kind 3, manifest   epoch u32 │ version u64 │ digest 32 │ signed note
//! kind 4, order      id 16 │ digest 32 │ signed note
//! kind 5, hang       shard u16 │ day u32 │ digest 32       the board with this header hangs from now on
//! kind 6, deletion   index u64 │ 0                         the report of this leaf is destroyed: its retention is over,
//!                    index u64 │ 1 │ order u64             or an order says so
//! kind 7, erased     index u64 │ segment u32               and its bytes are gone
//! ```
//!
//! A kind's number is never used again for something else. A program that meets a kind it does not know does not start:
//! an older version must not serve a ledger in which something was, say, deleted.

use marram_crypto::{
    board::Shard,
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
    order::OrderId,
};

use super::{Why, state::Hung};

const LEAF: u8 = 1;
const CHARTER: u8 = 2;
const MANIFEST: u8 = 3;
const ORDER: u8 = 4;
const HANG: u8 = 5;
const DELETION: u8 = 6;
const ERASED: u8 = 7;

const EXPIRED: u8 = 0;
const ORDERED: u8 = 1;

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
    Order {
        id: OrderId,
        digest: Digest,
        note: &'a [u8],
    },
    Hang {
        shard: Shard,
        hung: Hung,
    },
    Deletion {
        index: u64,
        why: Why,
    },
    Erased {
        index: u64,
        segment: u32,
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
            Self::Order { id, digest, note } => {
                out.extend_from_slice(id.as_bytes());
                out.extend_from_slice(digest.as_bytes());
                note_at = out.len();
                out.extend_from_slice(note);
                ORDER
            }
            Self::Hang { shard, hung } => {
                out.extend_from_slice(&shard.number().to_be_bytes());
                out.extend_from_slice(&hung.day.number().to_be_bytes());
                out.extend_from_slice(hung.digest.as_bytes());
                HANG
            }
            Self::Deletion { index, why } => {
                out.extend_from_slice(&index.to_be_bytes());
                match why {
                    Why::Expired => out.push(EXPIRED),
                    Why::Ordered { order } => {
                        out.push(ORDERED);
                        out.extend_from_slice(&order.to_be_bytes());
                    }
                }
                DELETION
            }
            Self::Erased { index, segment } => {
                out.extend_from_slice(&index.to_be_bytes());
                out.extend_from_slice(&segment.to_be_bytes());
                ERASED
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
        ORDER => {
            let (id, fields) = fields.split_first_chunk::<{ OrderId::LEN }>()?;
            let (digest, note) = fields.split_first_chunk::<{ Digest::LEN }>()?;
            Record::Order {
                id: OrderId::from_bytes(*id),
                digest: Digest::from_bytes(*digest),
                note,
            }
        }
        HANG => {
            let (shard, fields) = fields.split_first_chunk::<2>()?;
            let (day, digest) = fields.split_first_chunk::<4>()?;
            Record::Hang {
                shard: Shard::from_number(u16::from_be_bytes(*shard))?,
                hung: Hung {
                    day: Day::from_number(u32::from_be_bytes(*day))?,
                    digest: Digest::from_bytes(digest.try_into().ok()?),
                },
            }
        }
        DELETION => {
            let (index, fields) = fields.split_first_chunk::<8>()?;
            let why = match fields.split_first()? {
                (&EXPIRED, []) => Why::Expired,
                (&ORDERED, order) => Why::Ordered {
                    order: u64::from_be_bytes(order.try_into().ok()?),
                },
                _ => return None,
            };
            Record::Deletion {
                index: u64::from_be_bytes(*index),
                why,
            }
        }
        ERASED => {
            let (index, segment) = fields.split_first_chunk::<8>()?;
            Record::Erased {
                index: u64::from_be_bytes(*index),
                segment: u32::from_be_bytes(segment.try_into().ok()?),
            }
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
            Record::Order {
                id: OrderId::from_bytes([7; OrderId::LEN]),
                digest: Digest::of(b"order"),
                note: b"order",
            },
            Record::Hang {
                shard: Shard::from_number(0xabc).unwrap(),
                hung: Hung {
                    day: leaf.day,
                    digest: Digest::of(b"header"),
                },
            },
            Record::Deletion {
                index: 1 << 40,
                why: Why::Expired,
            },
            Record::Deletion {
                index: 0,
                why: Why::Ordered { order: 9 },
            },
            Record::Erased { index: 5, segment: 3 },
        ];
        let mut bytes = Vec::new();
        for record in &records {
            let at = record.write(&mut bytes);
            if let Record::Note { note, .. } | Record::Order { note, .. } = record {
                assert_eq!(&bytes[at..], *note);
            }
        }
        let read: Vec<_> = read_all(&bytes).map(|read| read.unwrap().1).collect();
        assert_eq!(read, records);

        let mut one = Vec::new();
        for record in &records {
            one.clear();
            record.write(&mut one);
            for cut in 1..one.len() {
                assert_eq!(read_all(&one[..cut]).last(), Some(Err(UnknownRecord)), "{cut}");
            }
        }
        one[0] = 200;
        assert_eq!(read_all(&one).next(), Some(Err(UnknownRecord)));
    }
}
