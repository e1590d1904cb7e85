//! Accounting: every leaf of the log gets exactly one class, and whatever must not vanish quietly becomes an alarm.
//!
//! It runs when a bundle was imported to its end, and looks only at what the bundle changed: leaves that are new or of
//! which a body, an order or a manifest has come. So each added report costs the same, however long the log is, and the
//! order in which bundles come does not matter: where days decide, the earliest day on which a bundle showed a leaf
//! counts, or the newest checkpoint.

mod leaves;
mod orders;
mod proof;

use marram_crypto::{day::Day, tree::Head};

pub use proof::Waiting;

use crate::{
    alarm::Kind,
    casebook::{Casebook, alarms::Raised},
};

/// A checkpoint that is more than this old is stale.
pub const STALE_AFTER_DAYS: u32 = 7;
/// An order that a bundle does not show among the accepted ones so many days after it was made is named.
pub const ORDER_APPLIED_WITHIN_DAYS: u32 = 14;

/// What came of an accounting.
#[derive(Debug, Default)]
pub struct Accounted {
    /// Claims that could not be proven yet, and why.
    pub waiting: Vec<Waiting>,
    /// Checkpoints that are refused: in words.
    pub refused: Vec<String>,
}

/// Accounts for everything that was imported.
///
/// # Errors
/// Of the casebook.
pub fn account(casebook: &mut Casebook, today: Day) -> anyhow::Result<Accounted> {
    casebook.at_hand(|casebook| {
        let accounted = proof::settle(casebook, today)?;
        orders::judge(casebook, today)?;
        proof::compare_heads(casebook, today)?;
        leaves::classify(casebook, today)?;
        refresh(casebook, today)?;
        Ok(accounted)
    })
}

/// Raises what comes of time passing: a checkpoint that has become stale, orders that were not applied, canaries that did
/// not arrive.
///
/// # Errors
/// Of the casebook.
pub fn refresh(casebook: &mut Casebook, today: Day) -> anyhow::Result<()> {
    let newest = casebook.newest_checkpoint()?;
    let covered = casebook.covered_until()?;
    let orders = casebook.own_orders()?;
    let canaries = casebook.canaries()?;
    let mut lost = Vec::new();
    for canary in canaries.iter().filter(|canary| !canary.arrived) {
        let in_log = casebook.proven_leaf(canary.digest)?;
        if covered.is_some_and(|covered| covered > canary.day) || in_log.is_some() {
            lost.push((canary, in_log));
        }
    }
    let changes = casebook.change()?;
    if let Some((day, _)) = newest {
        let subject = format!("checkpoint of {day}");
        let fresh = today.days_since(day) <= STALE_AFTER_DAYS;
        for old in changes.subjects_of(Kind::Stale)? {
            if fresh || old != subject {
                changes.is_over(Kind::Stale, &old, today)?;
            }
        }
        if !fresh {
            let detail = format!(
                "The newest checkpoint was made on {day}, {} days ago. Reports that came since then are unknown here: no \
                 courier came, or the server signs nothing new. Ask the couriers.",
                today.days_since(day)
            );
            changes.raise(&about(Kind::Stale, &subject, &detail), today)?;
        }
    }
    for order in &orders {
        let subject = format!("order {}", order.id);
        let late =
            newest.is_some_and(|(day, _)| day > order.expires || day > order.made.plus(ORDER_APPLIED_WITHIN_DAYS));
        if order.accepted {
            changes.is_over(Kind::OrderNotApplied, &subject, today)?;
        } else if late {
            let detail = format!(
                "I signed it on {} ({}), valid until {}. Newer bundles have come since, and none shows it among the orders \
                 that the server accepted: no courier has handed it in, or the server did not take it. Ask the couriers, \
                 and make it again.",
                order.made, order.what, order.expires
            );
            changes.raise(&about(Kind::OrderNotApplied, &subject, &detail), today)?;
        }
    }
    for canary in &canaries {
        let subject = format!("canary {}", canary.name);
        if canary.arrived {
            changes.is_over(Kind::LostCanary, &subject, today)?;
        } else if let Some((_, in_log)) = lost.iter().find(|(lost, _)| lost.digest == canary.digest) {
            let detail = match in_log {
                Some(leaf) => format!(
                    "The courier sent it on {} as a stranger would. It is in the log as leaf {leaf}, and did not open here \
                     under this name.",
                    canary.day
                ),
                None => format!(
                    "The courier sent it on {} as a stranger would, and the server signed a receipt. A checkpoint of a later \
                     day does not have it: the server drops reports that it has promised to keep.",
                    canary.day
                ),
            };
            let evidence = String::from_utf8_lossy(&canary.receipt);
            let raised = Raised {
                evidence: Some(&evidence),
                ..about(Kind::LostCanary, &subject, &detail)
            };
            changes.raise(&raised, today)?;
        }
    }
    Ok(changes.commit()?)
}

/// An alarm that is about no leaf.
fn about<'a>(kind: Kind, subject: &'a str, detail: &'a str) -> Raised<'a> {
    Raised {
        kind,
        subject,
        leaf: None,
        detail,
        evidence: None,
    }
}

/// Compares what somebody has signed of the log with what is known here, now or once the tree is large enough. Whether
/// it is a fork.
///
/// # Errors
/// Of the casebook.
pub(crate) fn raise_if_forked(casebook: &mut Casebook, head: Head, by: &str, today: Day) -> anyhow::Result<bool> {
    let changes = casebook.change()?;
    let mut other = changes
        .add_head(head, by, None)?
        .map(|(root, source)| (root, format!("{source}, and {by}")));
    if let Some(own) = changes.root_at(head.size)?.filter(|own| *own != head.root) {
        other = Some((own, format!("the tree that was imported here, and {by}")));
    }
    if let Some((root, source)) = &other {
        proof::forked(&changes, head, *root, source, None, today)?;
    }
    changes.commit()?;
    Ok(other.is_some())
}
