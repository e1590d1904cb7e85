//! The class of each leaf.

use std::collections::HashMap;

use marram_crypto::{
    charter::CharterChain,
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
    manifest::GRACE_DAYS,
    order::Order,
};
use marram_terminal::interrupt;

use super::orders::{Verdict, judged_order, slots};
use crate::{
    alarm::Kind,
    casebook::{Casebook, alarms::Raised, log::ProvenLeaf, reports::Sealed},
    class::Class,
    outcome::Outcome,
};

/// Leaves that are classified together, so that a long log costs few disk writes and little memory.
const TOGETHER: usize = 4096;
/// Orders and epochs that are remembered while leaves are classified.
const REMEMBERED: usize = 1024;

/// Classifies every leaf that has no class, and those whose class changes with the day.
pub(super) fn classify(casebook: &mut Casebook, today: Day) -> anyhow::Result<()> {
    let Some((newest, _)) = casebook.newest_checkpoint()? else {
        return Ok(());
    };
    let mut classifier = Classifier {
        chain: casebook.charter()?,
        newest,
        orders: HashMap::new(),
        retentions: HashMap::new(),
    };
    let changes = casebook.change()?;
    changes.account_again_for_due_orders()?;
    changes.tick_canaries()?;
    changes.commit()?;
    loop {
        interrupt::check()?;
        let leaves = casebook.unaccounted(TOGETHER)?;
        if leaves.is_empty() {
            break;
        }
        let mut judged = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            judged.push((leaf, classifier.judge(casebook, &leaf)?));
        }
        let changes = casebook.change()?;
        for (leaf, judged) in &judged {
            let index = leaf.known.index;
            let subject = format!("leaf {index}");
            let now = judged.alarms.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
            for (kind, old) in changes.alarms_about(index)? {
                // What a colleague has opened is compared when the colleague's standing is, and only then.
                if !now.contains(&kind) && (kind != Kind::OpenedByColleague || judged.class.is_read()) {
                    changes.is_over(kind, &old, today)?;
                }
            }
            for (kind, detail) in &judged.alarms {
                let raised = Raised {
                    kind: *kind,
                    subject: &subject,
                    leaf: Some(index),
                    detail,
                    evidence: None,
                };
                changes.raise(&raised, today)?;
            }
            if matches!(judged.class, Class::Deleted | Class::DeletedUnopened) {
                changes.set_deletion_done(leaf.known.leaf.digest)?;
            }
        }
        for alike in judged.chunk_by(|(_, one), (_, next)| one.class == next.class) {
            if let [(first, judged), ..] = alike
                && let [.., (last, _)] = alike
            {
                changes.set_class(first.known.index, last.known.index, judged.class)?;
            }
        }
        changes.commit()?;
    }
    for epoch in casebook.epochs_with_opened()? {
        if let Some(retention) = classifier.retention(casebook, epoch)? {
            let changes = casebook.change()?;
            changes.expire_before(epoch, newest.minus(retention))?;
            changes.commit()?;
        }
    }
    Ok(())
}

struct Judged {
    class: Class,
    alarms: Vec<(Kind, String)>,
}

struct Classifier {
    chain: CharterChain,
    /// The newest checkpoint's day.
    newest: Day,
    orders: HashMap<Digest, Option<Box<Order>>>,
    /// Of the newest manifest of each epoch; none if there is no manifest.
    retentions: HashMap<Epoch, Option<u32>>,
}

impl Classifier {
    fn judge(&mut self, casebook: &Casebook, proven: &ProvenLeaf) -> anyhow::Result<Judged> {
        let leaf = &proven.known.leaf;
        let (digest, epoch) = (leaf.digest, leaf.epoch);
        let outcome = casebook.outcome(digest)?;
        let retention = self.retention(casebook, epoch)?;
        let mut alarms = Vec::new();
        let (class, why) = match outcome {
            Some((Outcome::Opened | Outcome::Repeat, report)) => {
                if let Some(report) = report
                    && let Some(sealed) = casebook.sealed(report, digest)?
                    && let Some(contradiction) = contradiction(leaf, &sealed)
                {
                    alarms.push((Kind::Foreign, contradiction));
                }
                (self.read(casebook, leaf, retention)?, String::new())
            }
            Some((outcome, _)) if outcome.is_noise() => (Class::NotForMe, String::new()),
            Some((outcome, _)) if outcome.is_refused() => (Class::Refused, String::new()),
            Some((Outcome::NoManifest, _)) if retention.is_none() => (Class::Foreign, without_manifest(epoch)),
            Some((outcome, _)) if outcome != Outcome::Swapped => (
                Class::Unopened,
                format!(
                    "Its body is there ({}), and what is needed to open it is not. Once the key file or the manifest is \
                     back, import the bundle again.",
                    outcome.label()
                ),
            ),
            _ => self.unread(casebook, proven, retention)?,
        };
        alarms.extend(impossible_day(leaf).map(|impossible| (Kind::Foreign, impossible)));
        if let Some(earlier) = casebook
            .proven_leaf(digest)?
            .filter(|first| *first < proven.known.index)
        {
            let repeated = format!("It names the same report as leaf {earlier}. A log takes a report once.");
            alarms.push((Kind::Foreign, repeated));
        }
        alarms.extend(Kind::of(class).map(|kind| (kind, why)));
        alarms.sort_by_key(|(kind, _)| *kind);
        alarms.dedup_by_key(|(kind, _)| *kind);
        Ok(Judged { class, alarms })
    }

    /// A report that is in the casebook: what became of it on the server by the newest checkpoint's day.
    fn read(&mut self, casebook: &Casebook, leaf: &Leaf, retention: Option<u32>) -> anyhow::Result<Class> {
        for digest in casebook.orders_naming(leaf.digest)? {
            if let Some(order) = self.order(casebook, digest)?
                && order.deletes_from(leaf.day).is_none_or(|from| self.newest >= from)
            {
                return Ok(Class::Deleted);
            }
        }
        Ok(if is_expired(leaf, retention, self.newest) {
            Class::Expired
        } else {
            Class::Opened
        })
    }

    /// A leaf without a body: why, as far as the first bundle that showed it can tell.
    fn unread(
        &mut self,
        casebook: &Casebook,
        proven: &ProvenLeaf,
        retention: Option<u32>,
    ) -> anyhow::Result<(Class, String)> {
        let (leaf, seen) = (&proven.known.leaf, proven.seen);
        let orders = casebook.orders_naming(leaf.digest)?;
        let mut too_early = None;
        for digest in &orders {
            let Some(order) = self.order(casebook, *digest)? else {
                continue;
            };
            let signed_by = format!("order {}, signed by slot {}", order.draft().id, slots(order.slots()));
            match order.deletes_from(leaf.day).filter(|from| seen < *from) {
                None => {
                    return Ok((
                        Class::DeletedUnopened,
                        format!(
                            "The server destroyed it by {signed_by} of epoch {}. I never saw what it said. Ask whoever \
                             holds this slot (the keyholders know) what it was and why it had to go.",
                            order.draft().epoch
                        ),
                    ));
                }
                Some(from) => {
                    let early = format!("{signed_by}, takes effect on {from}, and it was gone on {seen}");
                    too_early = Some(early);
                }
            }
        }
        if is_expired(leaf, retention, seen) {
            let what = format!(
                "It came on {}, and its {} days at the server were over before a bundle brought it here. Import more often.",
                leaf.day,
                retention.unwrap_or_default()
            );
            return Ok((Class::ExpiredUnopened, what));
        }
        if !orders.is_empty() {
            let why = too_early.unwrap_or_else(|| "no order that names it is signed by whoever may".to_owned());
            return Ok((
                Class::Destroyed,
                format!(
                    "It came on {}, and no bundle has it: {why}. The server destroys what it must keep, or keeps it back.",
                    leaf.day
                ),
            ));
        }
        if retention.is_none() {
            return Ok((Class::Foreign, without_manifest(leaf.epoch)));
        }
        Ok((
            Class::Withheld,
            format!(
                "The log has it since {}, and no bundle has brought it. If the courier says that the server did not give it \
                 out, the server keeps it back. Ask the courier for a whole bundle: marram-courier pull --all",
                leaf.day
            ),
        ))
    }

    fn order(&mut self, casebook: &Casebook, digest: Digest) -> anyhow::Result<Option<&Order>> {
        if self.orders.len() >= REMEMBERED {
            self.orders.clear();
        }
        if !self.orders.contains_key(&digest) {
            let order = match judged_order(casebook, &self.chain, digest)? {
                Some(Verdict::Valid(order)) => Some(order),
                _ => None,
            };
            self.orders.insert(digest, order);
        }
        Ok(self.orders.get(&digest).and_then(Option::as_deref))
    }

    fn retention(&mut self, casebook: &Casebook, epoch: Epoch) -> anyhow::Result<Option<u32>> {
        if let Some(known) = self.retentions.get(&epoch) {
            return Ok(*known);
        }
        if self.retentions.len() >= REMEMBERED {
            self.retentions.clear();
        }
        let newest = casebook.manifests_of(epoch, &self.chain)?.into_iter().next();
        let retention = newest.map(|manifest| manifest.retention_days);
        self.retentions.insert(epoch, retention);
        Ok(retention)
    }
}

fn is_expired(leaf: &Leaf, retention: Option<u32>, day: Day) -> bool {
    retention.is_some_and(|retention| day > leaf.day.plus(retention))
}

fn without_manifest(epoch: Epoch) -> String {
    format!(
        "It names epoch {epoch}, of which no manifest has come here. Either the keyholders have signed none, and the server \
         makes leaves up; or somebody keeps the manifest back, and with it what the report says."
    )
}

/// What a leaf says of a report that is open can be checked.
fn contradiction(leaf: &Leaf, sealed: &Sealed) -> Option<String> {
    if leaf.epoch.number().abs_diff(sealed.epoch.number()) >= 2 {
        Some(format!(
            "The leaf names epoch {}, and the report was sealed for epoch {}. Whoever sent it has named a false week, or the \
             server wanted it to be passed over as noise.",
            leaf.epoch, sealed.epoch
        ))
    } else if leaf.size() != sealed.size_bytes {
        Some(format!(
            "The leaf says {} bytes, and the report has {}. The server measures what it takes: it has written something else.",
            leaf.size(),
            sealed.size_bytes
        ))
    } else {
        None
    }
}

/// The server takes reports of an epoch from its first day until two days after its last.
fn impossible_day(leaf: &Leaf) -> Option<String> {
    let (opens, ends) = (leaf.epoch.opens(), leaf.epoch.closes().plus(GRACE_DAYS));
    (leaf.day < opens || leaf.day >= ends).then(|| {
        format!(
            "The leaf says that it came on {} in epoch {}, whose reports are taken from {opens} until {ends}. No honest server \
             writes this.",
            leaf.day, leaf.epoch
        )
    })
}
