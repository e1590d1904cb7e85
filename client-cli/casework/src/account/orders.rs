//! Whether the orders that the server is said to have accepted are ones that somebody could give.

use marram_crypto::{
    charter::CharterChain,
    day::{Day, Epoch},
    digest::Digest,
    order::{Order, OrderId, UntrustedOrder},
};
use marram_terminal::interrupt;

use super::{about, proof::forked};
use crate::{
    alarm::Kind,
    casebook::{Casebook, Changes, alarms::Raised},
};

/// Orders that are judged together.
const TOGETHER: usize = 256;

/// Judges each new order by the newest manifest of its epoch: who signed it, and whether its maker saw the same log.
pub(super) fn judge(casebook: &mut Casebook, today: Day) -> anyhow::Result<()> {
    let chain = casebook.charter()?;
    let newest = casebook.newest_checkpoint()?;
    loop {
        interrupt::check()?;
        let unjudged = casebook.unjudged_orders(TOGETHER)?;
        if unjudged.is_empty() {
            return Ok(());
        }
        let mut judged = Vec::new();
        for (digest, epoch) in unjudged {
            let until = newest.and_then(|(day, _)| Epoch::of(day)).unwrap_or(epoch);
            let replaced = casebook.replaced_between(epoch.plus(1), until)?;
            judged.push((digest, judged_order(casebook, &chain, digest)?, replaced));
        }
        let changes = casebook.change()?;
        for (digest, verdict, replaced) in judged {
            match verdict {
                Some(Verdict::Valid(order)) => compare(&changes, &order, replaced, today)?,
                Some(Verdict::Invalid { order, why }) => {
                    let detail = format!(
                        "The server is said to have accepted this order, and nobody could give it: {why}. Either the server \
                         obeys whom it must not, or the courier has made it up. If it hangs a board, what that says is \
                         nobody's word."
                    );
                    let note = String::from_utf8_lossy(&order.to_bytes()).into_owned();
                    invalid(&changes, order.claims().id, &detail, &note, today)?;
                }
                None => {}
            }
            changes.set_judged(digest)?;
        }
        changes.commit()?;
    }
}

/// What a valid order tells: the log that its maker saw; and whether it may have come after its maker was dropped.
fn compare(changes: &Changes<'_>, order: &Order, replaced: Option<(Epoch, u32)>, today: Day) -> anyhow::Result<()> {
    let draft = order.draft();
    let note = String::from_utf8_lossy(&order.trusted_note().to_bytes()).into_owned();
    let source = format!("order {}", draft.id);
    if let Some((other, by)) = changes.add_head(draft.log, &source, None)? {
        let sources = format!("{by}, and {source}");
        forked(changes, draft.log, other, &sources, Some(&note), today)?;
    }
    if let Some((epoch, version)) = replaced {
        let detail = format!(
            "Slot {} of epoch {} has signed it. That week was over when version {version} of epoch {epoch} dropped somebody, and \
             slots do not say whom: from then on the server must refuse it. If it was handed in before, all is well: ask the \
             courier, and whoever holds the slot. If it hangs a board, believe nothing that it says until then.",
            slots(order.slots()),
            draft.epoch
        );
        invalid(changes, draft.id, &detail, &note, today)?;
    }
    Ok(())
}

fn invalid(changes: &Changes<'_>, id: OrderId, detail: &str, note: &str, today: Day) -> anyhow::Result<()> {
    let subject = format!("order {id}");
    let raised = Raised {
        evidence: Some(note),
        ..about(Kind::InvalidOrder, &subject, detail)
    };
    changes.raise(&raised, today)?;
    Ok(())
}

/// What an order is worth.
pub(super) enum Verdict {
    /// Slots of the newest manifest have signed it.
    Valid(Box<Order>),
    /// Nobody who could.
    Invalid { order: UntrustedOrder, why: String },
}

/// None if no manifest of its epoch is known.
pub(super) fn judged_order(
    casebook: &Casebook,
    chain: &CharterChain,
    digest: Digest,
) -> anyhow::Result<Option<Verdict>> {
    let Some(order) = casebook.accepted_order(digest)? else {
        return Ok(None);
    };
    let mut manifests = casebook.manifests_of(order.claims().epoch, chain)?.into_iter();
    let Some(newest) = manifests.next() else {
        return Ok(None);
    };
    Ok(Some(match order.clone().verify(&newest) {
        Ok(valid) => Verdict::Valid(Box::new(valid)),
        Err(error) => {
            let dropped = manifests.find_map(|older| {
                let signed = order.clone().verify(&older).ok()?;
                Some(format!(
                    "slot {} of version {} signed it, who was dropped since (version {} is the newest)",
                    slots(signed.slots()),
                    older.version,
                    newest.version
                ))
            });
            let why = dropped.unwrap_or_else(|| error.to_string());
            Verdict::Invalid { order, why }
        }
    }))
}

/// `3 and 6`, counted from 0.
pub(super) fn slots(slots: &[usize]) -> String {
    let named: Vec<_> = slots.iter().map(ToString::to_string).collect();
    named.join(" and ")
}
