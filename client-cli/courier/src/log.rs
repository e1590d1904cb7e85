//! The server's log against what this courier remembers of it.
//!
//! A log only grows. The courier remembers every leaf it was ever shown, and compares those that it asks for again: each
//! time the last 1,000, in the same answer as the new ones, and with `--all` every one. So each pull catches a server
//! that forgets reports at the end or changes recent ones; one that changes an older report and keeps the length is
//! caught by `--all`. (The caseworkers' program accounts for every leaf on its own; this is the earlier alarm.)

use anyhow::Result;
use marram_crypto::leaf::Leaf;
use marram_terminal::interrupt;

use crate::server::LEAVES_PER_PAGE;

/// How many known leaves are asked for again without `--all`.
pub(crate) const OVERLAP: usize = 1_000;
/// Most leaves that are kept: 400 MB of them.
const MAX_LEAVES: usize = 10_000_000;

/// What was wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogError {
    /// Fewer leaves than before.
    #[error("rolled back: the server's log had {seen} reports when last seen, and has no more than {offered} now")]
    RolledBack {
        /// How many were seen.
        seen: usize,
        /// How many there are, at most.
        offered: usize,
    },
    /// Another leaf at a known index.
    #[error("forked: report number {index} of the server's log is another one than when last seen")]
    Forked {
        /// The first index that differs, counted from 0.
        index: usize,
    },
    /// More leaves than anybody's log has.
    #[error("the server's log has more than {MAX_LEAVES} reports, the limit")]
    TooMany,
    /// A page with more than the page's size.
    #[error("the server gave {0} leaves at once, and {LEAVES_PER_PAGE} is the limit")]
    Page(usize),
}

impl LogError {
    /// What to do next.
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::RolledBack { .. } | Self::Forked { .. } => {
                "nothing of it was taken over. Tell the keyholders and the operator at once: the server was restored \
                 from an old copy, or somebody removes reports. Keep this home folder: it is the proof"
            }
            Self::TooMany | Self::Page(_) => "nothing of it was taken over. Tell the operator of the server",
        }
    }
}

/// Adds to `known` what is new, read by `page` (which gives the leaves from an index on).
pub(crate) fn extend(
    known: &mut Vec<Leaf>,
    compare_all: bool,
    mut page: impl FnMut(u64) -> Result<Vec<Leaf>>,
) -> Result<()> {
    let seen = known.len();
    let mut index = if compare_all { 0 } else { seen.saturating_sub(OVERLAP) };
    loop {
        interrupt::check()?;
        let leaves = page(index as u64)?;
        let last_page = leaves.len() < LEAVES_PER_PAGE;
        if leaves.len() > LEAVES_PER_PAGE {
            return Err(LogError::Page(leaves.len()).into());
        }
        for leaf in leaves {
            match known.get(index) {
                Some(same) if *same == leaf => {}
                Some(_) => return Err(LogError::Forked { index }.into()),
                None => known.push(leaf),
            }
            index += 1;
        }
        if index > MAX_LEAVES {
            return Err(LogError::TooMany.into());
        }
        if last_page && index < seen {
            return Err(LogError::RolledBack { seen, offered: index }.into());
        }
        if last_page {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use marram_crypto::{day::Day, day::Epoch, digest::Digest};

    use super::*;

    fn leaves(count: usize) -> Vec<Leaf> {
        let leaf = |n: usize| Leaf {
            digest: Digest::of(&n.to_be_bytes()),
            epoch: Epoch::from_number(2951).unwrap(),
            day: Day::from_number(20_700).unwrap(),
            log2_size: 15,
        };
        (0..count).map(leaf).collect()
    }

    fn extended(known: usize, compare_all: bool, server: &[Leaf]) -> Result<Vec<Leaf>, LogError> {
        let mut known = leaves(known);
        let page = |from| {
            Ok(server
                .iter()
                .skip(usize::try_from(from).unwrap())
                .take(LEAVES_PER_PAGE)
                .copied()
                .collect())
        };
        match extend(&mut known, compare_all, page) {
            Ok(()) => Ok(known),
            Err(error) => Err(error.downcast().unwrap()),
        }
    }

    #[test]
    fn a_log_that_grows_is_followed_over_every_edge_of_a_page() {
        for known in [0, 1, OVERLAP, OVERLAP + 1, 10_000, 25_000] {
            for more in [0, 1, 9_000, 10_000, 25_000] {
                let server = leaves(known + more);
                assert_eq!(extended(known, false, &server).unwrap(), server);
                assert_eq!(extended(known, true, &server).unwrap(), server);
            }
        }
    }

    #[test]
    fn a_log_that_shrinks_is_called_rolled_back() {
        for (seen, offered) in [(1, 0), (10, 9), (2_000, 1_999), (2_000, 1_000), (20_000, 19_500)] {
            let error = extended(seen, false, &leaves(offered)).unwrap_err();
            assert_eq!(error, LogError::RolledBack { seen, offered });
        }
        // Shorter than where the courier begins to ask: it still sees that it is shorter.
        assert!(matches!(
            extended(5_000, false, &leaves(10)),
            Err(LogError::RolledBack { seen: 5_000, .. })
        ));
    }

    #[test]
    fn an_old_leaf_that_changed_is_caught_by_all_and_the_last_thousand_by_every_pull() {
        let changed = |index: usize| {
            let mut server = leaves(20_000);
            server[index].log2_size = 16;
            server
        };
        let first = 20_000 - OVERLAP;
        let forked = |index| Err(LogError::Forked { index });
        assert_eq!(extended(20_000, false, &changed(first)), forked(first));
        assert_eq!(extended(20_000, true, &changed(first - 1)), forked(first - 1));
        // What the help says is not compared without --all.
        extended(20_000, false, &changed(first - 1)).unwrap();
    }

    #[test]
    fn a_leaf_that_changed_is_called_a_fork() {
        let mut server = leaves(20_000);
        server[19_100].log2_size = 16;
        assert_eq!(
            extended(20_000, false, &server).unwrap_err(),
            LogError::Forked { index: 19_100 }
        );
        let mut server = leaves(20_000);
        server[3].log2_size = 16;
        assert_eq!(
            extended(20_000, true, &server).unwrap_err(),
            LogError::Forked { index: 3 }
        );
    }
}
