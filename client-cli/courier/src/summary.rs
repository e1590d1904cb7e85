//! What a pull says at its end.

use std::{collections::BTreeSet, fmt::Display, path::Path};

use marram_crypto::digest::Digest;
use marram_online::clock::today;
use marram_terminal::{
    output::{CODE, Output},
    text,
};

use crate::{
    alarm::Alarm,
    bundle::Bundle,
    memory::{MAX_MISSING, Memory},
    status,
};

/// Most of a kind that are named one by one: a hostile server can make up any number.
const NAMED: usize = 20;

/// What was left out of a bundle.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    pub(crate) destroyed: BTreeSet<Digest>,
    pub(crate) gone: BTreeSet<Digest>,
    pub(crate) damaged: BTreeSet<Digest>,
    /// How many of them will not be asked for again.
    pub(crate) forgotten: usize,
}

/// What a pull has brought.
#[derive(Debug)]
pub(crate) struct Brought<'a> {
    pub(crate) path: &'a Path,
    pub(crate) bundle: &'a Bundle,
    /// Of the bundle, in bytes.
    pub(crate) size: u64,
    pub(crate) left_out: &'a LeftOut,
    /// Manifests that the keyholders did not sign: how many.
    pub(crate) refused_manifests: usize,
    pub(crate) alarms: &'a [Alarm],
}

impl LeftOut {
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        [&self.destroyed, &self.gone, &self.damaged]
            .iter()
            .any(|set| set.contains(digest))
    }

    fn warn(&self, out: &Output) {
        let gone = self.gone.iter().map(|digest| {
            format!(
                "the server does not have report {digest} any more, though its log names it; it is not in the bundle"
            )
        });
        warn_of_each(out, gone, "more reports that it does not have");
        let damaged = self.damaged.iter().map(|digest| {
            format!(
                "what the server gives for report {digest} is not that report (its digest or size differs); it is not \
                 in the bundle"
            )
        });
        warn_of_each(out, damaged, "more that are not the report that the log names");
        if self.forgotten > 0 {
            out.warning(format!(
                "the log names more reports without giving them than this courier remembers ({MAX_MISSING}): {} of them \
                 are asked for again by pull --all only. No honest server does this: tell the keyholders and the operator",
                self.forgotten
            ));
        }
        if !self.gone.is_empty() || !self.damaged.is_empty() {
            out.note(
                "The caseworkers' program will say whether that is as it should be (an expired or deleted report) or an \
                 alarm. The next pull asks for them again.",
            );
        }
        if !self.destroyed.is_empty() {
            out.note(format!(
                "The server says that it destroyed {} reports, by a caseworker's order or past their retention: they are \
                 not in the bundle. The caseworkers' program says whether an order or the retention accounts for each.",
                self.destroyed.len()
            ));
        }
    }
}

impl Brought<'_> {
    pub(crate) fn report(&self, out: &Output, memory: &Memory) {
        let today = today();
        let (leaves, reports) = (self.bundle.leaves.len(), self.bundle.reports.len());
        let (orders, canaries) = (self.bundle.orders.len(), self.bundle.canaries.len());
        let name = self.path.display();
        let is_empty = leaves + reports + orders + canaries == 0;
        out.line(if is_empty {
            format!("Nothing new. {name} holds the charter, a checkpoint and the manifests only.")
        } else {
            let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
            let mut what = format!("{} ({leaves} new in the log)", counted(reports, "sealed report"));
            for (count, one) in [(orders, "order"), (canaries, "canary receipt")] {
                if count > 0 {
                    what = format!("{what}, {}", counted(count, one));
                }
            }
            format!("{name}: {what}, {} in all", human_size(self.size))
        });
        self.left_out.warn(out);
        let alarms: Vec<_> = self
            .alarms
            .iter()
            .map(|alarm| serde_json::json!({"kind": alarm.kind, "what": alarm.what}))
            .collect();
        let checkpoint = memory.checkpoint.as_ref();
        out.json(&serde_json::json!({
            "bundle": self.path,
            "size_bytes": self.size,
            "new_leaves": leaves,
            "reports": reports,
            "orders": orders,
            "canaries": canaries,
            "position": memory.state.position,
            "checkpoint": checkpoint.map(|seen| serde_json::json!({"size": seen.head().size, "day": seen.day()})),
            "destroyed": self.left_out.destroyed,
            "gone": self.left_out.gone,
            "damaged": self.left_out.damaged,
            "forgotten": self.left_out.forgotten,
            "refused_manifests": self.refused_manifests,
            "alarms": alarms,
            "signed_until": memory.signed_until(today),
        }));
        status::warn_about_closing(out, memory, today);
        if is_empty {
            return;
        }
        out.note(format!(
            "next: carry it to the offline computers, and there: {CODE}marram-casework import {}{CODE:#}",
            self.path.file_name().unwrap_or_default().to_string_lossy()
        ));
    }
}

/// Names what a server did, as far as somebody will read.
pub(crate) fn warn_of_each<T: Display>(out: &Output, what: impl IntoIterator<Item = T>, others: &str) {
    let mut what = what.into_iter();
    for named in what.by_ref().take(NAMED) {
        out.warning(text::visible_lines(&named.to_string()));
    }
    let rest = what.count();
    if rest > 0 {
        out.warning(format!("and {rest} {others}"));
    }
}

fn human_size(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20)
    }
}
