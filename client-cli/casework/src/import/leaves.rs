//! The leaves of a bundle: the log without a gap, and never another leaf where one was seen.

use std::io::Read;

use marram_crypto::{bundle::Leaves, instance::InstanceId};
use marram_terminal::{error::fail, interrupt};

use super::{Importer, damaged};

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
        let known = self.unlocked.casebook.leaf_count()?;
        if from > known {
            return Err(fail(
                format!("this bundle begins with leaf {from}, and the casebook knows the log up to leaf {known}"),
                "import the bundle before it first; if it is lost, the courier makes a whole one: marram-courier pull --all",
            ));
        }
        self.summary.range = Some((from, from.saturating_add(count)));
        let mut index = from;
        loop {
            let casebook = &mut self.unlocked.casebook;
            if index < known {
                let Some(leaf) = leaves.next().transpose().or_else(damaged)? else {
                    return Ok(());
                };
                let seen = casebook.leaf_at(index)?.map(|seen| seen.leaf);
                if seen != Some(leaf) {
                    let what = format!(
                        "leaf {index} of the log was another when last seen: this server, or this courier, shows \
                         different people different logs. This leaf and those after it are refused; keep the bundle as \
                         evidence and tell the other caseworkers"
                    );
                    self.summary.warn("forked", &what);
                    return Ok(());
                }
                self.summary.leaves.known += 1;
                index += 1;
                continue;
            }
            interrupt::check()?;
            let changes = casebook.change()?;
            for _ in 0..TOGETHER {
                let Some(leaf) = leaves.next().transpose().or_else(damaged)? else {
                    return Ok(changes.commit()?);
                };
                if let Some(earlier) = changes.index_of(leaf.digest)? {
                    let what =
                        format!("leaf {index} names the same report as leaf {earlier}; a log takes a report once");
                    self.summary.warn("repeated leaf", &what);
                }
                changes.add_leaf(index, &leaf)?;
                self.summary.leaves.new += 1;
                index += 1;
            }
            changes.commit()?;
        }
    }
}
