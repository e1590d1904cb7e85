//! Standings: what a caseworker tells a colleague of the log, so that forks and withheld reports are seen, and so that a
//! newcomer need not begin at the first leaf.
//!
//! ```text
//! marram/standing/v1
//! <instance>
//! epoch <n>                     in which the signer is a slot
//! day <YYYY-MM-DD>
//! log <size> <root>             the tree that was imported
//! node <digest>                 its edge, largest subtree first
//! opened <first>-<last>         0 to 10,000 ranges of indices, ascending, with a gap between them
//! ```

use std::ops::RangeInclusive;

use crate::{
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
    lines::{self, LineError, Writer},
    manifest::Manifest,
    note::{NoteError, NoteType, UntrustedNote},
    tree::{Head, Tree, TreeError},
};

/// Largest number of ranges.
pub const MAX_RANGES: usize = 10_000;
const MAX_NODES: usize = 64;

/// What a standing says. Fill one in to make a standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The founding it belongs to.
    pub instance: InstanceId,
    /// In which its signer is a slot.
    pub epoch: Epoch,
    /// The day it was made.
    pub day: Day,
    /// The tree that was imported.
    pub tree: Tree,
    /// Indices of the leaves whose reports were opened: ascending, with a gap between ranges, below the tree's size.
    pub opened: Vec<RangeInclusive<u64>>,
}

/// A standing of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedStanding {
    note: UntrustedNote,
    draft: Draft,
}

/// A standing signed by a slot of the manifest it was verified with.
#[derive(Clone, Debug)]
pub struct Standing {
    draft: Draft,
    slot: usize,
}

/// What was wrong with a standing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StandingError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("standing: {0}")]
    Line(#[from] LineError),
    /// Nodes that do not go with the size.
    #[error("standing: {0}")]
    Tree(#[from] TreeError),
    /// Nodes that do not give the root.
    #[error("the standing's nodes do not give its root: it is damaged, or was made to deceive")]
    Root,
    /// More ranges than a standing holds, out of order, or beyond the tree.
    #[error("the standing names opened reports out of order, beyond the log, or in more than {MAX_RANGES} ranges")]
    Ranges,
    /// Verified with a manifest of another epoch.
    #[error("the standing is of epoch {standing}, and the manifest of {manifest}")]
    OtherEpoch {
        /// The standing's.
        standing: Epoch,
        /// The manifest's.
        manifest: Epoch,
    },
}

impl Draft {
    /// The note, signed by its maker.
    ///
    /// # Errors
    /// [`StandingError`], as reading it would refuse it.
    pub fn sign(&self, signer: &SigningKey) -> Result<UntrustedStanding, StandingError> {
        let mut lines = Writer::new(NoteType::Standing.as_str(), self.instance);
        lines.line("epoch", self.epoch);
        lines.line("day", self.day);
        lines.line("log", self.tree.head());
        for node in self.tree.peaks() {
            lines.line("node", node);
        }
        for range in &self.opened {
            lines.line("opened", format_args!("{}-{}", range.start(), range.end()));
        }
        let mut note = UntrustedNote::unsigned(lines.finish())?;
        note.add_signature(signer)?;
        UntrustedStanding::from_note(note)
    }
}

impl UntrustedStanding {
    /// Reads a standing.
    ///
    /// # Errors
    /// [`StandingError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, StandingError> {
        Self::from_note(UntrustedNote::parse(bytes)?)
    }

    fn from_note(note: UntrustedNote) -> Result<Self, StandingError> {
        let mut lines = note.body(NoteType::Standing)?.lines();
        let epoch = lines.read("epoch", lines::parsed)?;
        let day = lines.read("day", lines::parsed)?;
        let head: Head = lines.read("log", lines::parsed)?;
        let nodes = lines.read_all("node", 0..=MAX_NODES, lines::parsed::<Digest>)?;
        let opened = lines.read_all("opened", 0..=MAX_RANGES, range)?;
        lines.end()?;
        let tree = Tree::from_parts(head.size, nodes)?;
        if tree.root() != head.root {
            return Err(StandingError::Root);
        }
        let apart = |pair: &[RangeInclusive<u64>]| pair[0].end().saturating_add(1) < *pair[1].start();
        let within = opened.last().is_none_or(|range| *range.end() < head.size);
        if !within || !opened.windows(2).all(apart) || opened.iter().any(RangeInclusive::is_empty) {
            return Err(StandingError::Ranges);
        }
        let draft = Draft {
            instance: note.instance()?,
            epoch,
            day,
            tree,
            opened,
        };
        Ok(Self { note, draft })
    }

    /// What it says, unverified.
    pub const fn claims(&self) -> &Draft {
        &self.draft
    }

    /// The signed note.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.note.to_bytes()
    }

    /// Verifies that a slot of the manifest of its epoch signed it.
    ///
    /// # Errors
    /// [`StandingError`].
    pub fn verify(self, manifest: &Manifest) -> Result<Standing, StandingError> {
        if self.draft.epoch != manifest.epoch {
            return Err(StandingError::OtherEpoch {
                standing: self.draft.epoch,
                manifest: manifest.epoch,
            });
        }
        let keys: Vec<_> = manifest.slots.iter().map(|slot| slot.signer).collect();
        self.note.verify(NoteType::Standing, manifest.instance, &keys, 1)?;
        let signers = self.note.signers(&keys)?;
        Ok(Standing {
            slot: keys.iter().position(|key| signers.contains(key)).unwrap_or_default(),
            draft: self.draft,
        })
    }
}

impl Standing {
    /// What it says.
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The position of the slot that signed it.
    pub const fn slot(&self) -> usize {
        self.slot
    }
}

fn range(value: &str) -> Result<RangeInclusive<u64>, String> {
    let (first, last) = value.split_once('-').ok_or("two indices and a hyphen between them")?;
    Ok(lines::number(first, 0..=u64::MAX)?..=lines::number(last, 0..=u64::MAX)?)
}
