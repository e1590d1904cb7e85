//! The server's log against what this courier remembers of it.
//!
//! A log only grows. The courier remembers every leaf that a checkpoint has proven to it, and the last checkpoint. Each
//! pull asks for a checkpoint first and for the leaves up to its size: the last 1,000 known ones again (with `--all`
//! every one), and what is new. Then the tree of what was known and what is new must have the checkpoint's root. So a
//! server that forgets reports, changes one, or has two logs is caught by the next pull, however old the report is.
//!
//! What contradicts the memory does not get into it: a home stays what it was. The reports that come with it are
//! fetched all the same.

use anyhow::Result;
use marram_crypto::{
    checkpoint::{Checkpoint, UntrustedCheckpoint},
    day::Day,
    digest::Digest,
    instance::InstanceId,
    key::PublicKey,
    leaf::Leaf,
    tree::Tree,
};
use marram_terminal::interrupt;

use crate::{alarm::Alarm, server::LEAVES_PER_PAGE};

/// How many known leaves are asked for again without `--all`.
pub(crate) const OVERLAP: usize = 1_000;
/// Most leaves that are kept: 400 MB of them.
const MAX_LEAVES: usize = 10_000_000;
/// Days by which the server's clock and this one may differ.
const TOLERANCE_DAYS: u32 = 1;

/// What was wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogFault {
    /// Fewer leaves than before.
    #[error("rolled back: the server's log had {seen} reports when last seen, and has {offered} now")]
    RolledBack {
        /// How many were seen.
        seen: usize,
        /// How many there are.
        offered: usize,
    },
    /// Another leaf at a known index.
    #[error("forked: report number {index} of the server's log is another one than when last seen")]
    Forked {
        /// The first index that differs, counted from 0.
        index: usize,
    },
    /// Two roots of one size, both signed.
    #[error(
        "forked: the server has signed two logs of {size} reports: root {seen} when last seen, and {offered} now. The two \
         checkpoints prove it to anybody"
    )]
    TwoRoots {
        /// Of both.
        size: u64,
        /// Signed first.
        seen: Digest,
        /// Signed now.
        offered: Digest,
    },
    /// The leaves are not those of the checkpoint.
    #[error(
        "the root does not match: the checkpoint of {size} reports is not that of the reports that the server lists"
    )]
    Root {
        /// Of the checkpoint.
        size: u64,
    },
    /// Fewer leaves than the checkpoint speaks of.
    #[error("withheld: the checkpoint speaks of {promised} reports, and the server lists {shown}")]
    Short {
        /// Of the checkpoint.
        promised: usize,
        /// How many came.
        shown: usize,
    },
    /// The day of the checkpoint is over.
    #[error("frozen: the checkpoint is of {day}, and today is {today}: it does not say what came since")]
    Frozen {
        /// Of the checkpoint.
        day: Day,
        /// By this computer's clock.
        today: Day,
    },
    /// A day that has not come.
    #[error("the checkpoint is dated {day}, and today is {today}: the server's clock or this computer's is wrong")]
    Future {
        /// Of the checkpoint.
        day: Day,
        /// By this computer's clock.
        today: Day,
    },
    /// Signed by another key than the manifest names.
    #[error("the checkpoint of {day} is not signed by the log key that the manifest of that day names")]
    Unsigned {
        /// Of the checkpoint.
        day: Day,
    },
    /// Nobody can tell who should have signed it.
    #[error("the checkpoint is of {day}, and there is no manifest of that day to verify it with")]
    NoManifest {
        /// Of the checkpoint.
        day: Day,
    },
    /// None, or no checkpoint.
    #[error("the server gives no checkpoint: {0}")]
    NoCheckpoint(String),
    /// More leaves than anybody's log has.
    #[error("the server's log has more than {MAX_LEAVES} reports, the limit")]
    TooMany,
}

/// What the server lists up to the checkpoint's size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Behind the known ones, in order.
    pub(crate) new: Vec<Leaf>,
    /// In the place of known ones.
    pub(crate) other: Vec<Leaf>,
    /// The first thing that was wrong.
    pub(crate) fault: Option<LogFault>,
}

/// What is to be believed of it.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// A checkpoint whose tree is that of the known leaves and the new ones.
    pub(crate) proven: Option<Checkpoint>,
    /// What was wrong.
    pub(crate) faults: Vec<LogFault>,
}

impl LogFault {
    const fn kind(&self) -> &'static str {
        match self {
            Self::RolledBack { .. } => "rolled-back",
            Self::Forked { .. } | Self::TwoRoots { .. } => "forked",
            Self::Root { .. } => "root",
            Self::Short { .. } => "withheld",
            Self::Frozen { .. } => "frozen",
            Self::Future { .. } => "clock",
            Self::Unsigned { .. } | Self::NoManifest { .. } | Self::NoCheckpoint(_) => "no-checkpoint",
            Self::TooMany => "too-many",
        }
    }

    pub(crate) fn alarm(&self) -> Alarm {
        let next = match self {
            Self::RolledBack { .. }
            | Self::Forked { .. }
            | Self::TwoRoots { .. }
            | Self::Root { .. }
            | Self::Short { .. } => {
                "nothing of it was taken over. Tell the keyholders and the operator at once: the server was restored from \
                 an old copy, or somebody removes reports. Keep this home folder, and in it the folder evidence: it is the \
                 proof. If the keyholders know the reason, go on with a new home folder"
            }
            Self::Frozen { .. } => {
                "look at this computer's date. If it is right, tell the operator: the server's clock stands still, or \
                 somebody shows you an old log so that new reports do not come out"
            }
            Self::Future { .. } => {
                "set this computer's clock. If it is right, tell the operator that the server's is wrong"
            }
            Self::NoManifest { .. } => {
                "the keyholders sign the next manifests, and marram-courier publish puts them on the server"
            }
            Self::Unsigned { .. } | Self::NoCheckpoint(_) => {
                "nothing of its log was taken over. Tell the operator: the server is of an older version, has another log \
                 key than the manifest says, or something answers in its place"
            }
            Self::TooMany => "nothing of it was taken over. Tell the operator of the server",
        };
        Alarm {
            kind: self.kind(),
            what: self.to_string(),
            next,
        }
    }
}

/// Reads the leaves up to `size` (or to the end, if nothing says how many there are); `page` gives the leaves from an
/// index on.
pub(crate) fn list(
    known: &[Leaf],
    size: Option<u64>,
    compare_all: bool,
    mut page: impl FnMut(u64) -> Result<Vec<Leaf>>,
) -> Result<Listed> {
    let seen = known.len();
    let mut listed = Listed::default();
    let size = size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if size.is_some_and(|size| size > MAX_LEAVES) {
        listed.fault = Some(LogFault::TooMany);
        return Ok(listed);
    }
    let end = size.unwrap_or(MAX_LEAVES);
    if end < seen {
        listed.fault = Some(LogFault::RolledBack { seen, offered: end });
    }
    let mut index = if compare_all {
        0
    } else {
        seen.min(end).saturating_sub(OVERLAP)
    };
    while index < end {
        interrupt::check()?;
        let leaves = page(index as u64)?;
        let is_last = leaves.len() < LEAVES_PER_PAGE;
        for leaf in leaves.into_iter().take(end - index) {
            match known.get(index) {
                Some(same) if *same == leaf => {}
                Some(_) => {
                    listed.fault.get_or_insert(LogFault::Forked { index });
                    listed.other.push(leaf);
                }
                None => listed.new.push(leaf),
            }
            index += 1;
        }
        if is_last {
            break;
        }
    }
    if index < seen.min(end) && size.is_none() {
        listed
            .fault
            .get_or_insert(LogFault::RolledBack { seen, offered: index });
    }
    if let Some(promised) = size.filter(|size| index < *size) {
        listed.fault.get_or_insert(LogFault::Short { promised, shown: index });
    }
    Ok(listed)
}

/// Holds a checkpoint against what is remembered, what was listed, and today. `log_key` says whose signature counts on a
/// day; `seen` is the checkpoint remembered.
pub(crate) fn judge(
    known: &[Leaf],
    seen: Option<&Checkpoint>,
    listed: &Listed,
    shown: Result<UntrustedCheckpoint, String>,
    instance: InstanceId,
    log_key: impl Fn(Day) -> Option<PublicKey>,
    today: Day,
) -> Judged {
    let mut judged = Judged::default();
    let mut faults = Vec::new();
    let checkpoint = shown
        .map_err(LogFault::NoCheckpoint)
        .and_then(|shown| verified(shown, instance, log_key));
    match checkpoint {
        Err(fault) => faults.push(fault),
        Ok(checkpoint) => {
            let (head, day) = (checkpoint.head(), checkpoint.day());
            let seen = seen.map(Checkpoint::head).filter(|seen| seen.size == head.size);
            if let Some(seen) = seen.filter(|seen| seen.root != head.root) {
                faults.push(LogFault::TwoRoots {
                    size: head.size,
                    seen: seen.root,
                    offered: head.root,
                });
            } else if listed.fault.is_none() {
                let tree: Tree = known.iter().chain(&listed.new).collect();
                if tree.head() == head {
                    judged.proven = Some(checkpoint);
                } else {
                    faults.push(LogFault::Root { size: head.size });
                }
            }
            if day.plus(TOLERANCE_DAYS) < today {
                faults.push(LogFault::Frozen { day, today });
            } else if day > today.plus(TOLERANCE_DAYS) {
                faults.push(LogFault::Future { day, today });
            }
        }
    }
    judged.faults = listed.fault.iter().cloned().chain(faults).collect();
    judged
}

fn verified(
    shown: UntrustedCheckpoint,
    instance: InstanceId,
    log_key: impl Fn(Day) -> Option<PublicKey>,
) -> Result<Checkpoint, LogFault> {
    let day = shown.claimed_day();
    let key = log_key(day).ok_or(LogFault::NoManifest { day })?;
    shown.verify(instance, &[key]).map_err(|_| LogFault::Unsigned { day })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use getrandom::rand_core::UnwrapErr;
    use marram_crypto::{checkpoint, day::Epoch, key::SigningKey};

    use super::*;

    fn leaves(count: usize) -> Vec<Leaf> {
        let leaf = |n: usize| Leaf {
            digest: Digest::of(&n.to_be_bytes()),
            epoch: Epoch::from_number(2951).unwrap(),
            day: day(),
            log2_size: 15,
        };
        (0..count).map(leaf).collect()
    }

    fn day() -> Day {
        Day::from_number(20_700).unwrap()
    }

    fn listed(known: usize, size: usize, compare_all: bool, server: &[Leaf]) -> Listed {
        let page = |from| {
            Ok(server
                .iter()
                .skip(usize::try_from(from).unwrap())
                .take(LEAVES_PER_PAGE)
                .copied()
                .collect())
        };
        list(&leaves(known), Some(size as u64), compare_all, page).unwrap()
    }

    #[test]
    fn a_log_that_grows_is_followed_over_every_edge_of_a_page_and_not_behind_the_checkpoint() {
        for known in [0, 1, OVERLAP, OVERLAP + 1, 10_000, 25_000] {
            for more in [0, 1, 9_000, 10_000, 25_000] {
                // More came while the courier asked.
                let server = leaves(known + more + 3);
                for all in [false, true] {
                    let listed = listed(known, known + more, all, &server);
                    assert_eq!(listed.fault, None);
                    assert_eq!(listed.new, server[known..known + more]);
                }
            }
        }
    }

    #[test]
    fn a_log_that_shrinks_is_called_rolled_back() {
        for (seen, offered) in [
            (1, 0),
            (10, 9),
            (2_000, 1_999),
            (2_000, 1_000),
            (20_000, 19_500),
            (5_000, 10),
        ] {
            let listed = listed(seen, offered, false, &leaves(offered));
            assert_eq!(listed.fault, Some(LogFault::RolledBack { seen, offered }));
        }
        // Without a checkpoint, too.
        let listed = list(&leaves(10), None, false, |_| Ok(leaves(9))).unwrap();
        assert_eq!(listed.fault, Some(LogFault::RolledBack { seen: 10, offered: 9 }));
    }

    #[test]
    fn a_list_that_ends_before_the_checkpoint_is_called_withheld() {
        let listed = listed(3, 10, false, &leaves(9));
        assert_eq!(listed.fault, Some(LogFault::Short { promised: 10, shown: 9 }));
    }

    #[test]
    fn a_leaf_that_changed_is_called_a_fork_and_what_is_shown_in_its_place_is_kept() {
        for (index, all) in [(19_100, false), (3, true)] {
            let mut server = leaves(20_002);
            server[index].log2_size = 16;
            let listed = listed(20_000, 20_002, all, &server);
            assert_eq!(listed.fault, Some(LogFault::Forked { index }));
            assert_eq!(listed.other, [server[index]]);
            assert_eq!(listed.new, server[20_000..]);
        }
    }

    #[test]
    fn a_leaf_older_than_what_is_compared_is_caught_by_the_root() {
        let key = SigningKey::random(&mut UnwrapErr(getrandom::SysRng));
        let instance = "00112233445566778899aabbccddeeff".parse().unwrap();
        let mut server = leaves(2_500);
        server[3].log2_size = 16;
        let listed = listed(2_000, 2_500, false, &server);
        assert_eq!(listed.fault, None, "it is not asked for again");
        let judged = |leaves: &[Leaf], day: Day| {
            let head = leaves.iter().collect::<Tree>().head();
            let shown = checkpoint::sign(instance, head, day, &key).unwrap();
            let shown = UntrustedCheckpoint::parse(&shown.to_bytes()).map_err(|error| error.to_string());
            let key = |_| Some(key.public());
            judge(
                &super::tests::leaves(2_000),
                None,
                &listed,
                shown,
                instance,
                key,
                super::tests::day(),
            )
        };
        let forged = judged(&server, day());
        assert!(forged.proven.is_none());
        assert_eq!(forged.faults, [LogFault::Root { size: 2_500 }]);
        for (honest, faults) in [
            (day(), 0),
            (day().plus(1), 0),
            (day().minus(1), 0),
            (day().minus(2), 1),
            (day().plus(2), 1),
        ] {
            let judged = judged(&leaves(2_500), honest);
            assert!(judged.proven.is_some());
            assert_eq!(judged.faults.len(), faults);
        }
    }
}
