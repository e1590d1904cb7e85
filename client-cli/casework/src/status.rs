//! `status`: what is here, what runs out, and the commands that are due.

use std::collections::{BTreeMap, BTreeSet};

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    fingerprint::Digits,
    key::PublicKey,
    manifest::Manifest,
};
use marram_terminal::{
    output::{CODE, DIM, GOOD, Output},
    text::visible,
};
use serde::Serialize;

use crate::{
    account,
    alarm::{self, Kind},
    casebook::orders::OwnOrder,
    class::Class,
    destroy::grace_ends,
    log::{self, Log},
    show,
    unlock::Unlocked,
};

/// Epochs left at which the next batch is recommended, and at which it is urgent.
const RENEW: u32 = 5;
const RENEW_NOW: u32 = 2;

/// Shows it.
///
/// # Errors
/// Of the casebook.
pub fn status(unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    account::refresh(&mut unlocked.casebook, today)?;
    let status = Status::gather(unlocked, today)?;
    status.print(out);
    out.json(&status);
    Ok(())
}

#[derive(Serialize)]
struct Status {
    organization: String,
    charter_version: u32,
    threshold: usize,
    keyholders: usize,
    fingerprint: Digest,
    enrolment_key: PublicKey,
    digits: String,
    /// This week's epoch.
    epoch: Option<Epoch>,
    /// Whether this week's manifest has a slot of mine; none if no manifest of it is known.
    slot_this_epoch: Option<bool>,
    /// The last epoch that I have made keys for.
    last_epoch: Option<Epoch>,
    /// How many epochs are left, this one included.
    epochs_left: u32,
    /// Epochs of which the keys are here.
    keys: BTreeSet<Epoch>,
    /// Those of them that no report can come for any more.
    keys_to_destroy: Vec<Epoch>,
    manifests_until: Option<Day>,
    reports: u64,
    attachments: u64,
    attachment_bytes: u64,
    /// How far the log is proven.
    log: Log,
    /// What became of its leaves.
    leaves: BTreeMap<Class, u64>,
    /// Alarms that nobody has acknowledged.
    alarms: BTreeMap<Kind, u64>,
    /// Couriers' own reports.
    canaries: Canaries,
    /// My orders of which no bundle has shown that the server accepted them.
    orders_under_way: usize,
    /// The day of the last board that was made here.
    last_board: Option<Day>,
    /// The day on which the next one is due, by the newest manifest; none if this computer makes no boards.
    next_board: Option<Day>,
    /// Commands to run now.
    due: Vec<String>,
}

/// Reports that couriers sent themselves, to see whether they arrive.
#[derive(Clone, Copy, Serialize)]
struct Canaries {
    sent: usize,
    arrived: usize,
}

impl Status {
    fn gather(unlocked: &Unlocked, today: Day) -> anyhow::Result<Self> {
        let casebook = &unlocked.casebook;
        let chain = casebook.charter()?;
        let charter = chain.newest();
        let enrolment_key = unlocked.caseworker.enrolment_key.public();
        let epoch = Epoch::of(today);
        let enrolments = casebook.enrolments(chain.instance())?;
        let last_epoch = enrolments
            .last()
            .and_then(|batch| batch.pairs.keys().next_back().copied());
        let epochs_left = match (epoch, last_epoch) {
            (Some(this), Some(last)) if last >= this => last.number() - this.number() + 1,
            _ => 0,
        };
        let keys = unlocked.epochs.list()?;
        let over = keys.iter().copied().filter(|epoch| grace_ends(*epoch) <= today);
        let keys_to_destroy: Vec<Epoch> = over.collect();
        let (attachments, attachment_bytes) = casebook.count_attachments()?;
        let renew = (epochs_left <= RENEW).then(|| "marram-casework renew --out NAME.enrolment".to_owned());
        let destroy = keys_to_destroy
            .first()
            .map(|first| format!("marram-casework destroy-epoch {first}"));
        let alarms = casebook.open_alarms()?;
        let acknowledge = (!alarms.is_empty()).then(|| "marram-casework alarms".to_owned());
        let last_board = casebook.last_board()?;
        let cadence = match epoch {
            Some(epoch) => newest_manifest(unlocked, epoch)?.map(|manifest| manifest.board.cadence_days),
            None => None,
        };
        let next_board = last_board.zip(cadence).map(|(last, cadence)| last.plus(cadence));
        let board = next_board
            .filter(|next| *next <= today)
            .map(|_| "marram-casework board --out OUTBOX".to_owned());
        let canaries = casebook.canaries()?;
        let orders = casebook.own_orders()?;
        let under_way = |order: &&OwnOrder| !order.accepted && order.expires >= today;
        Ok(Self {
            organization: charter.name.clone(),
            charter_version: charter.version,
            threshold: charter.threshold,
            keyholders: charter.roots.len(),
            fingerprint: charter.fingerprint(),
            enrolment_key,
            digits: Digits::of_key(&enrolment_key).to_string(),
            epoch,
            slot_this_epoch: epoch.map(|epoch| slot(unlocked, epoch)).transpose()?.flatten(),
            last_epoch,
            epochs_left,
            keys,
            keys_to_destroy,
            manifests_until: casebook.last_manifest_epoch()?.map(Epoch::closes),
            reports: casebook.count_reports()?.0,
            attachments,
            attachment_bytes,
            log: Log::of(casebook)?,
            leaves: casebook.classes()?,
            canaries: Canaries {
                sent: canaries.len(),
                arrived: canaries.iter().filter(|canary| canary.arrived).count(),
            },
            orders_under_way: orders.iter().filter(under_way).count(),
            last_board,
            next_board,
            due: [acknowledge, board, renew, destroy].into_iter().flatten().collect(),
            alarms,
        })
    }

    fn print(&self, out: &Output) {
        out.heading(visible(&self.organization));
        let keyholders = format!("{} of {} keyholders", self.threshold, self.keyholders);
        out.field("charter", format!("version {}, {keyholders}", self.charter_version));
        print_digits("its fingerprint", &Digits::of(&self.fingerprint), out);
        print_digits("my enrolment key", &Digits::of_key(&self.enrolment_key), out);
        out.heading("Keys");
        let until = self
            .last_epoch
            .map(|last| format!("epoch {last}, which closes on {}", last.closes()));
        out.field("made until", until.as_deref().unwrap_or("none"));
        out.field(
            "this week",
            match (self.epoch, self.slot_this_epoch) {
                (Some(this), Some(true)) => format!("epoch {this}, with a slot of mine"),
                (Some(this), Some(false)) => format!("epoch {this}, without a slot of mine"),
                (Some(this), None) => format!("epoch {this}, of which no manifest was imported yet"),
                (None, _) => "in no epoch: check this computer's date".to_owned(),
            },
        );
        let signed = self.manifests_until.map(|day| day.to_string());
        out.field("manifests until", signed.as_deref().unwrap_or("none imported yet"));
        out.field("keys here", ranges(self.keys.iter().copied()));
        out.heading("Casebook");
        out.field("reports", self.reports);
        out.field(
            "attachments",
            format!("{} ({})", self.attachments, show::size(self.attachment_bytes)),
        );
        out.heading("Log");
        self.log.print(out);
        log::print_classes(&self.leaves, out);
        let Canaries { sent, arrived } = self.canaries;
        if sent > 0 {
            out.field("canaries", format!("{arrived} of {sent} arrived"));
        }
        if self.orders_under_way > 0 {
            out.field("orders under way", self.orders_under_way);
        }
        out.heading("Board");
        match (self.last_board, self.next_board) {
            (Some(last), Some(next)) => out.field("made", format!("on {last}; the next is due on {next}")),
            (Some(last), None) => out.field(
                "made",
                format!("on {last}; no manifest of this week says when the next is due"),
            ),
            (None, _) => out.field("made", "never on this computer"),
        }
        if !self.alarms.is_empty() {
            out.warning(format!(
                "alarms that nobody has acknowledged: {}",
                alarm::counted(&self.alarms)
            ));
        }
        self.warn(out);
        out.heading("Due now");
        for command in &self.due {
            out.line(format!("  {CODE}{command}{CODE:#}"));
        }
        if self.due.is_empty() {
            let import = format!("{CODE}marram-casework import BUNDLE{CODE:#}");
            out.line(format!("  {GOOD}nothing{GOOD:#}; when a courier comes: {import}"));
        }
    }

    fn warn(&self, out: &Output) {
        let left = self.epochs_left;
        if left == 0 {
            out.warning("your keys have run out: nothing new can be sealed to you. Renew today");
        } else if left <= RENEW_NOW {
            out.warning(format!(
                "your keys run out in {left} epochs: after that nothing is sealed to you. Renew today"
            ));
        } else if left <= RENEW {
            out.warning(format!(
                "your keys run out in {left} epochs: renew at the next meeting of the keyholders"
            ));
        }
        if !self.keys_to_destroy.is_empty() {
            let word = if self.keys_to_destroy.len() == 1 {
                "epoch"
            } else {
                "epochs"
            };
            out.warning(format!(
                "{word} {}: over, and the keys are still here. Whoever takes this computer opens with them what was \
                 recorded on the way. Import the last bundle, then destroy them",
                ranges(self.keys_to_destroy.iter().copied())
            ));
        }
    }
}

/// Twelve groups in three rows, as they are read aloud.
fn print_digits(name: &str, digits: &Digits, out: &Output) {
    out.line(format!("  {DIM}{name}:{DIM:#}"));
    for row in digits.groups().chunks(4) {
        out.line(format!("    {}", row.join("  ")));
    }
}

fn newest_manifest(unlocked: &Unlocked, epoch: Epoch) -> anyhow::Result<Option<Manifest>> {
    let chain = unlocked.casebook.charter()?;
    Ok(unlocked.casebook.manifests_of(epoch, &chain)?.into_iter().next())
}

/// Whether this epoch's newest manifest has a slot of mine; none if no manifest is known.
fn slot(unlocked: &Unlocked, epoch: Epoch) -> anyhow::Result<Option<bool>> {
    let chain = unlocked.casebook.charter()?;
    let Some(manifest) = newest_manifest(unlocked, epoch)? else {
        return Ok(None);
    };
    let enrolments = unlocked.casebook.enrolments(chain.instance())?;
    let mut pairs = enrolments.iter().filter_map(|enrolment| enrolment.pair(epoch));
    Ok(Some(pairs.any(|pair| {
        manifest.recipients().any(|recipient| *recipient == pair.recipient)
    })))
}

/// `2951, 2953 to 2960`.
fn ranges(epochs: impl Iterator<Item = Epoch>) -> String {
    let mut ranges: Vec<(Epoch, Epoch)> = Vec::new();
    for epoch in epochs {
        match ranges.last_mut() {
            Some((_, last)) if last.plus(1) == epoch => *last = epoch,
            _ => ranges.push((epoch, epoch)),
        }
    }
    if ranges.is_empty() {
        return "none".to_owned();
    }
    let shown = ranges.iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first} to {last}")
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_in_a_row_are_shown_as_one_range() {
        let shown = |numbers: &[u32]| ranges(numbers.iter().map(|number| Epoch::from_number(*number).unwrap()));
        assert_eq!(shown(&[]), "none");
        assert_eq!(shown(&[7]), "7");
        assert_eq!(shown(&[1, 3, 4, 5, 9]), "1, 3 to 5, 9");
    }
}
