//! From claims to proof: the tree grows by what a checkpoint signs, and by nothing else.

use std::collections::BTreeSet;

use marram_crypto::{
    charter::CharterChain,
    checkpoint::{Checkpoint, UntrustedCheckpoint},
    day::{Day, Epoch},
    digest::Digest,
    key::PublicKey,
    tree::Head,
};
use marram_terminal::interrupt;

use super::{Accounted, about};
use crate::{
    alarm::Kind,
    casebook::{
        Casebook, Changes,
        alarms::Raised,
        log::{Built, Claim},
    },
};

/// A claim that could not be proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Leaves before it never came.
    Gap {
        /// The first leaf that is missing.
        missing: u64,
        /// The size of the checkpoint that waits.
        size: u64,
    },
    /// The manifest of the checkpoint's day never came.
    Manifest(Day),
    /// Its bundle had no checkpoint.
    NoCheckpoint {
        /// Its first leaf.
        first: u64,
        /// How many it has.
        count: u64,
    },
}

/// Proves what can be proven, names what is contradicted, and says what waits.
pub(super) fn settle(casebook: &mut Casebook, today: Day) -> anyhow::Result<Accounted> {
    let chain = casebook.charter()?;
    let mut refused = Vec::new();
    loop {
        let mut waiting = Vec::new();
        let mut progress = false;
        for claim in casebook.claims()? {
            interrupt::check()?;
            match settle_one(casebook, &chain, &claim, today)? {
                Settled::Proven => progress = true,
                Settled::Dropped => {}
                Settled::Refused(why) => refused.push(why),
                Settled::Waits(why) => waiting.push(why),
            }
        }
        if !progress {
            return Ok(Accounted { waiting, refused });
        }
    }
}

enum Settled {
    /// The tree has grown.
    Proven,
    /// It says nothing that is not known, or was named.
    Dropped,
    /// Its checkpoint is nobody's.
    Refused(String),
    Waits(Waiting),
}

fn settle_one(casebook: &mut Casebook, chain: &CharterChain, claim: &Claim, today: Day) -> anyhow::Result<Settled> {
    let (first, end) = (claim.first, claim.first.saturating_add(claim.count));
    let proven = casebook.tree()?.size();
    if claim.note.is_empty() {
        if end > proven {
            let count = claim.count;
            return Ok(Settled::Waits(Waiting::NoCheckpoint { first, count }));
        }
        let changes = casebook.change()?;
        if let Some(at) = changes.contradiction(claim.id)? {
            false_leaves(&changes, claim, at, "nobody, for its bundle had no checkpoint", today)?;
        }
        changes.drop_claim(claim.id)?;
        changes.commit()?;
        return Ok(Settled::Dropped);
    }
    let checkpoint = match verified(casebook, chain, &claim.note)? {
        Ok(checkpoint) => checkpoint,
        Err(Unverified::Manifest(day)) => return Ok(Settled::Waits(Waiting::Manifest(day))),
        Err(Unverified::Refused(why)) => {
            let changes = casebook.change()?;
            changes.drop_claim(claim.id)?;
            changes.commit()?;
            return Ok(Settled::Refused(why));
        }
    };
    let head = checkpoint.head();
    let changes = casebook.change()?;
    remember(&changes, &checkpoint, today)?;
    if end > head.size {
        false_leaves(&changes, claim, head.size, &leads_to(head), today)?;
        changes.drop_claim(claim.id)?;
        changes.commit()?;
        return Ok(Settled::Dropped);
    }
    let contradiction = changes.contradiction(claim.id)?;
    let settled = if head.size <= proven {
        Settled::Dropped
    } else {
        match changes.build(claim.id, None, head.size)? {
            Built::Gap(missing) => {
                changes.commit()?;
                let size = head.size;
                return Ok(Settled::Waits(Waiting::Gap { missing, size }));
            }
            Built::Tree(grown) if grown.tree.root() == head.root => {
                changes.grow(claim.id, &grown, checkpoint.day())?;
                Settled::Proven
            }
            // With leaves of other bundles: those may be the wrong ones, and the right ones may come.
            Built::Tree(_) if contradiction.is_none() && (first > proven || end < head.size) => {
                changes.commit()?;
                let size = head.size;
                return Ok(Settled::Waits(Waiting::Gap { missing: proven, size }));
            }
            Built::Tree(_) => {
                if contradiction.is_none() {
                    contradicts(&changes, claim, proven, head, today)?;
                }
                Settled::Dropped
            }
        }
    };
    match contradiction {
        Some(at) => contradicts(&changes, claim, at, head, today)?,
        None => changes.show_leaves(first, end.min(proven), checkpoint.day())?,
    }
    changes.drop_claim(claim.id)?;
    changes.commit()?;
    Ok(settled)
}

enum Unverified {
    Manifest(Day),
    Refused(String),
}

/// The log key is that of a manifest of the checkpoint's day.
fn verified(casebook: &Casebook, chain: &CharterChain, note: &[u8]) -> anyhow::Result<Result<Checkpoint, Unverified>> {
    let refused = |error: &dyn std::fmt::Display| Unverified::Refused(error.to_string());
    let checkpoint = match UntrustedCheckpoint::parse(note) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Ok(Err(refused(&error))),
    };
    let day = checkpoint.claimed_day();
    let manifests = match Epoch::of(day) {
        Some(epoch) => casebook.manifests_of(epoch, chain)?,
        None => Vec::new(),
    };
    if manifests.is_empty() {
        return Ok(Err(Unverified::Manifest(day)));
    }
    let keys: BTreeSet<PublicKey> = manifests.iter().map(|manifest| manifest.log).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    Ok(checkpoint
        .verify(chain.instance(), &keys)
        .map_err(|error| refused(&error)))
}

/// Keeps a checkpoint, and names it if it cannot stand beside another.
fn remember(changes: &Changes<'_>, checkpoint: &Checkpoint, today: Day) -> anyhow::Result<()> {
    let (head, day) = (checkpoint.head(), checkpoint.day());
    let note = String::from_utf8_lossy(&checkpoint.to_bytes()).into_owned();
    if let Some((other, source)) = changes.add_head(head, &format!("the checkpoint of {day}"), Some(day))? {
        forked(changes, head, other, &source, Some(&note), today)?;
    }
    if let Some((other_day, other_size)) = changes.rolled_back(day, head.size)? {
        let ((early, larger), (late, smaller)) = if other_day < day {
            ((other_day, other_size), (day, head.size))
        } else {
            ((day, head.size), (other_day, other_size))
        };
        let subject = format!("size {smaller} of {late}");
        let detail = format!(
            "The log had {larger} leaves on {early}, and has {smaller} in the checkpoint of {late}. A log only grows: the \
             server has forgotten reports, by an old backup or on purpose. Those that were imported stay here. Call the \
             operator, and keep the bundles as evidence."
        );
        let raised = Raised {
            evidence: Some(&note),
            ..about(Kind::RolledBack, &subject, &detail)
        };
        changes.raise(&raised, today)?;
    }
    Ok(())
}

/// Names whoever signed that the log has another root than the proven tree at this size.
pub(super) fn compare_heads(casebook: &mut Casebook, today: Day) -> anyhow::Result<()> {
    let size = casebook.tree()?.size();
    let changes = casebook.change()?;
    for (head, source) in changes.heads_reached(size)? {
        if let Some(own) = changes.root_at(head.size)?.filter(|own| *own != head.root) {
            forked(
                &changes,
                head,
                own,
                &format!("the tree that was imported here, against {source}"),
                None,
                today,
            )?;
        }
    }
    Ok(changes.commit()?)
}

/// Raises a fork: two roots at one size.
pub(crate) fn forked(
    changes: &Changes<'_>,
    head: Head,
    other: Digest,
    source: &str,
    evidence: Option<&str>,
    today: Day,
) -> anyhow::Result<()> {
    let subject = format!("size {}", head.size);
    let (one, two) = if head.root < other {
        (head.root, other)
    } else {
        (other, head.root)
    };
    let detail = format!(
        "Two different logs of {} leaves are signed: one has the root {one}, the other {two} ({source}). The server shows \
         different people different logs, so that somebody lacks reports that others have. Everything that opens is kept. \
         Compare with the other caseworkers (marram-casework standing, compare), keep the bundles as evidence, and tell the \
         keyholders.",
        head.size
    );
    let raised = Raised {
        evidence,
        ..about(Kind::Forked, &subject, &detail)
    };
    changes.raise(&raised, today)?;
    Ok(())
}

/// A claim that does not fit the proven tree from leaf `at` on. If its own leaves lead to its checkpoint, the server has
/// signed two logs; otherwise somebody changed its leaves on their way.
fn contradicts(changes: &Changes<'_>, claim: &Claim, at: u64, head: Head, today: Day) -> anyhow::Result<()> {
    let proven = changes.tree()?.size();
    if at < proven {
        let own = changes.build(claim.id, Some(at), head.size)?;
        if matches!(own, Built::Tree(grown) if grown.tree.root() == head.root) {
            let mut own_at = None;
            if let Built::Tree(grown) = changes.build(claim.id, Some(at), proven.min(head.size))? {
                own_at = Some(grown.tree.head());
            }
            if let Some((own_at, other)) = own_at.zip(changes.root_at(proven.min(head.size))?) {
                let note = String::from_utf8_lossy(&claim.note);
                return forked(
                    changes,
                    own_at,
                    other,
                    "the tree that was imported here",
                    Some(&note),
                    today,
                );
            }
        }
    }
    false_leaves(changes, claim, at, &leads_to(head), today)
}

fn leads_to(head: Head) -> String {
    format!("the checkpoint of {} leaves that they came with", head.size)
}

fn false_leaves(changes: &Changes<'_>, claim: &Claim, at: u64, leads_to: &str, today: Day) -> anyhow::Result<()> {
    let subject = format!(
        "leaves {} to {}",
        claim.first,
        claim.first.saturating_add(claim.count).saturating_sub(1)
    );
    let detail = format!(
        "From leaf {at} on, the leaves of a bundle do not lead to {leads_to}, and contradict the log that is proven here. \
         Whoever carried the bundle has changed them; or the server has signed another log, which a bundle of all leaves \
         would prove (marram-courier pull --all). The bundle's reports were tried all the same. Keep it as evidence."
    );
    let note = String::from_utf8_lossy(&claim.note);
    let raised = Raised {
        evidence: Some(&note).filter(|note| !note.is_empty()).map(|note| &**note),
        ..about(Kind::FalseLeaves, &subject, &detail)
    };
    changes.raise(&raised, today)?;
    Ok(())
}
