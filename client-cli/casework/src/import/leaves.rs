//! The leaves of a bundle. Nothing authenticates them yet, so one that contradicts what was seen is named and kept as
//! evidence, and keeps nothing else out: neither the leaves after it nor any report.

use std::io::Read;

use marram_crypto::{bundle::Leaves, instance::InstanceId, leaf::Leaf};
use marram_terminal::{error::fail, interrupt};

use super::{Importer, damaged};
use crate::casebook::leaves::have_places;

/// Leaves that are kept together, so that a long log costs few disk writes.
const TOGETHER: usize = 4096;

impl Importer<'_> {
    pub(super) fn leaves<R: Read>(
        &mut self,
        instance: InstanceId,
        from: u64,
        count: u64,
        mut leaves: Leaves<'_, R>,
    ) -> anyhow::Result<()> {
        let own = self.chain.instance();
        if instance != own {
            return Err(fail(
                format!("the leaves in this bundle are of another instance: {instance} instead of {own}"),
                "ask the courier where this bundle comes from",
            ));
        }
        if !have_places(from, count) {
            let what = format!("no log has a leaf {from}: these leaves were passed over");
            self.summary.warn("hostile leaves", &what);
            return Ok(());
        }
        let missing = self.unlocked.casebook.missing_before(from)?;
        if missing > 0 {
            let what = format!(
                "this bundle begins with leaf {from}, and {missing} leaves before it never came. Its reports are tried all \
                 the same. Import the bundle before it, too; if it is lost, the courier makes a whole one: \
                 marram-courier pull --all"
            );
            self.summary.warn("gap", &what);
        }
        self.summary.range = Some((from, from.saturating_add(count)));
        let mut forks = Forks::default();
        let added = self.add_leaves(from, &mut leaves, &mut forks);
        if let Some(what) = forks.told() {
            self.summary.warn("forked", &what);
        }
        added
    }

    fn add_leaves<R: Read>(&mut self, from: u64, leaves: &mut Leaves<'_, R>, forks: &mut Forks) -> anyhow::Result<()> {
        let mut index = from;
        loop {
            interrupt::check()?;
            let changes = self.unlocked.casebook.change()?;
            for _ in 0..TOGETHER {
                let leaf = match leaves.next().transpose() {
                    Ok(Some(leaf)) => leaf,
                    Ok(None) => return Ok(changes.commit()?),
                    Err(error) => {
                        changes.commit()?;
                        return damaged(error);
                    }
                };
                match changes.leaf_at(index)? {
                    Some(seen) if seen == leaf => self.summary.leaves.known += 1,
                    Some(seen) => {
                        changes.add_forked_leaf(index, &leaf)?;
                        self.summary.leaves.forked += 1;
                        forks.add(index, seen, leaf);
                    }
                    None => {
                        if let Some(earlier) = changes.index_of(leaf.digest)? {
                            let what = format!(
                                "leaf {index} names the same report as leaf {earlier}; a log takes a report once"
                            );
                            self.summary.warn("repeated leaf", &what);
                        }
                        changes.add_leaf(index, &leaf)?;
                        self.summary.leaves.new += 1;
                    }
                }
                index += 1;
            }
            changes.commit()?;
        }
    }
}

/// The leaves of one bundle that are not those that were seen in their places.
#[derive(Default)]
struct Forks {
    first: Option<(u64, Leaf, Leaf)>,
    last: u64,
    count: u64,
}

impl Forks {
    fn add(&mut self, index: u64, seen: Leaf, shown: Leaf) {
        self.first.get_or_insert((index, seen, shown));
        self.last = index;
        self.count += 1;
    }

    fn told(&self) -> Option<String> {
        let (index, seen, shown) = self.first?;
        let more = match self.count {
            1 => String::new(),
            count => format!("; so are {} more, up to leaf {}", count - 1, self.last),
        };
        Some(format!(
            "leaf {index} of the log is another than was seen in its place (seen first: {}; now: {}){more}. The server, or \
             a courier, shows different people different logs: now, or when it was seen first. Both versions are kept, and \
             every report is tried all the same; keep the bundle as evidence and tell the other caseworkers",
            words(&seen),
            words(&shown)
        ))
    }
}

fn words(leaf: &Leaf) -> String {
    let Leaf {
        digest,
        epoch,
        day,
        log2_size,
    } = leaf;
    format!("{digest}, epoch {epoch}, {day}, 2^{log2_size} bytes")
}
