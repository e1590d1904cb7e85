//! The state: what the ledger says, as far as it is held in memory.
//!
//! A pure function of the ledger's records, in their order: a start applies all of them, and the committer those of each
//! group once it is durable. So what a reader sees never depends on what happened between two starts.

use std::collections::{BTreeMap, BTreeSet};

use marram_crypto::{board::Shard, day::Day, digest::Digest, tree::Tree};

use super::{
    record::{self, Record},
    segments::Ends,
};

/// What the records say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Over all leaves.
    tree: Tree,
    /// How many orders were accepted.
    orders: u64,
    boards: BTreeMap<Shard, Hung>,
    destroyed: Marks,
    /// Destroyed, and their bytes may still be there.
    unerased: BTreeSet<u64>,
    segments: Ends,
}

/// A board that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hung {
    /// The day it is made for.
    pub(super) day: Day,
    /// Of its header.
    pub(super) digest: Digest,
}

impl State {
    /// Takes in the next record.
    pub(super) fn apply(&mut self, record: &Record<'_>) {
        match *record {
            Record::Leaf(stored) => {
                self.tree.push(&stored.leaf);
                let extent = self.segments.entry(stored.place.segment).or_default();
                extent.end = extent.end.max(stored.end());
                extent.reports += 1;
            }
            Record::Note { .. } => {}
            Record::Order { .. } => self.orders += 1,
            Record::Hang { shard, hung } => drop(self.boards.insert(shard, hung)),
            Record::Deletion { index, .. } => {
                if index < self.size() && self.destroyed.insert(index) {
                    self.unerased.insert(index);
                }
            }
            Record::Erased { index, segment } => {
                if self.unerased.remove(&index)
                    && let Some(extent) = self.segments.get_mut(&segment)
                {
                    extent.erased += 1;
                }
            }
        }
    }

    /// Takes in the records of a group that this program wrote.
    pub(super) fn apply_all(&mut self, payload: &[u8]) {
        for (_, record) in record::read_all(payload).flatten() {
            self.apply(&record);
        }
    }

    pub(super) const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How many leaves there are.
    pub(super) const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// How many orders there are.
    pub(super) const fn orders(&self) -> u64 {
        self.orders
    }

    /// The boards that hang.
    pub(super) const fn boards(&self) -> &BTreeMap<Shard, Hung> {
        &self.boards
    }

    /// Whether the report of a leaf was destroyed.
    pub(super) fn is_destroyed(&self, index: u64) -> bool {
        self.destroyed.has(index)
    }

    /// The indexes from `from` on of reports that were not destroyed.
    pub(super) fn kept(&self, from: u64) -> impl Iterator<Item = u64> {
        self.destroyed.missing(from..self.size())
    }

    /// Reports whose bytes may still be there though they were destroyed.
    pub(super) const fn unerased(&self) -> &BTreeSet<u64> {
        &self.unerased
    }

    /// The segments and what is in them.
    pub(super) const fn segments(&self) -> &Ends {
        &self.segments
    }
}

/// A set of indexes: a bit for each, since in the end nearly all are in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Marks(Vec<u64>);

impl Marks {
    /// Adds an index. Returns whether it is new.
    fn insert(&mut self, index: u64) -> bool {
        let (word, bit) = place_of(index);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    fn has(&self, index: u64) -> bool {
        let (word, bit) = place_of(index);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn missing(&self, mut range: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
        std::iter::from_fn(move || {
            // Whole words at once, where all are in it.
            while !range.is_empty()
                && range.start.is_multiple_of(64)
                && self.0.get(place_of(range.start).0) == Some(&u64::MAX)
            {
                range.start += 64;
            }
            range.find(|index| !self.has(*index))
        })
    }
}

fn place_of(index: u64) -> (usize, u64) {
    (usize::try_from(index / 64).unwrap_or(usize::MAX), 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_marked_is_found_and_passed_over() {
        let mut marks = Marks::default();
        let missing = |marks: &Marks, range| marks.missing(range).collect::<Vec<_>>();
        assert_eq!(missing(&marks, 3..6), [3, 4, 5]);
        for index in (0..200).filter(|index| ![5, 64, 191].contains(index)) {
            assert!(marks.insert(index), "{index}");
            assert!(!marks.insert(index), "{index}");
            assert!(marks.has(index), "{index}");
        }
        assert_eq!(missing(&marks, 0..202), [5, 64, 191, 200, 201]);
        assert_eq!(missing(&marks, 6..191), [64]);
        assert!(missing(&marks, 64..64).is_empty());
    }
}
