//! The leaves of a bundle, and the checkpoint that they lead to. They wait as one claim until the bundle was imported to
//! its end; then the accounting proves them, or names what contradicts. Neither keeps any report out.

use std::io::Read;

use marram_crypto::{bundle::Leaves, instance::InstanceId};
use marram_terminal::{error::fail, interrupt};

use super::{Importer, damaged};
use crate::casebook::log::have_places;

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
        let claim = self.claim(from, count)?;
        let proven = self.unlocked.casebook.tree()?.size();
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
                if index < proven && changes.leaf_at(index)?.is_none_or(|known| known == leaf) {
                    self.summary.leaves.known += 1;
                } else {
                    changes.claim_leaf(claim, index, &leaf)?;
                    let leaves = &mut self.summary.leaves;
                    *(if index < proven {
                        &mut leaves.contradicting
                    } else {
                        &mut leaves.new
                    }) += 1;
                }
                index += 1;
            }
            changes.commit()?;
        }
    }

    /// What this bundle says of the log; begun once.
    pub(super) fn claim(&mut self, first: u64, count: u64) -> anyhow::Result<i64> {
        let changes = self.unlocked.casebook.change()?;
        let claim = changes.begin_claim(first, count, &self.checkpoint)?;
        changes.commit()?;
        self.claim = Some(claim);
        Ok(claim)
    }
}
