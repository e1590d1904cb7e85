//! What an import says when it is done.

use std::{collections::BTreeMap, path::Path};

use marram_crypto::digest::Digest;
use marram_terminal::{
    output::{CODE, Output},
    table::Table,
    text::visible,
};
use serde::Serialize;

use super::reports::{Fate, Sealed};
use crate::{
    account::{Accounted, Waiting},
    casebook::{Casebook, alarms::Alarm, reports::NOT_IN_LOG},
    class::Class,
    log::Log,
    outcome::Outcome,
};

/// How many remarkable reports and warnings people are shown one by one; `--json` has all reports.
const SHOWN: usize = 40;
/// How many warnings are kept: a hostile bundle could make as many as it has bytes.
const WARNINGS: usize = 1000;
/// Warnings that show that somebody attacks. Alarms of the casebook count besides.
const ALARMS: [&str; 7] = [
    "hostile leaves",
    "refused checkpoint",
    "refused canary",
    "unreadable order",
    "charter rollback",
    "manifest equivocation",
    "refused manifest",
];

/// What became of one bundle.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    bundle: String,
    pub(super) charter: CharterNews,
    pub(super) manifests: Manifests,
    pub(super) leaves: Leaves,
    /// Reports that were tried in this import.
    outcomes: BTreeMap<Outcome, u64>,
    /// Reports that were decided on before.
    before: BTreeMap<Outcome, u64>,
    partly_sealed: u64,
    /// Reports that no leaf names, as the log is known here.
    not_in_log: u64,
    /// What shows that somebody attacks, by name.
    pub(super) alarms: BTreeMap<String, u64>,
    /// How far the log is proven, in the whole casebook.
    log: Option<Log>,
    /// What became of the log's leaves, in the whole casebook.
    classes: BTreeMap<Class, u64>,
    /// Under `--json` all of them, otherwise those to be told about.
    reports: Vec<Line>,
    warnings: Vec<Warning>,
    warnings_left_out: u64,
    #[serde(skip)]
    all: bool,
    #[serde(skip)]
    left_out: usize,
}

/// What the bundle's charter was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CharterNews {
    /// The bundle has none.
    None,
    Known,
    Extended,
    Older,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Manifests {
    pub(super) new: u64,
    pub(super) known: u64,
    pub(super) refused: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Leaves {
    pub(super) new: u64,
    pub(super) known: u64,
    /// Others are proven in their places.
    pub(super) contradicting: u64,
}

#[derive(Debug, Serialize)]
struct Warning {
    name: &'static str,
    detail: String,
}

/// What became of one report.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// The place of its leaf in the log.
    leaf: Option<u64>,
    digest: Digest,
    outcome: Outcome,
    /// Whether it was decided on in an earlier import.
    before: bool,
    report: Option<i64>,
    flags: Vec<String>,
    detail: Option<String>,
}

impl Line {
    pub(super) fn new(sealed: &Sealed, fate: Fate) -> Self {
        let mut line = Self {
            leaf: sealed.leaf.map(|known| known.index),
            digest: sealed.digest,
            outcome: fate.outcome,
            before: false,
            report: fate.report,
            flags: fate.flags,
            detail: fate.detail,
        };
        if sealed.leaf.is_none() {
            line.flags.insert(0, NOT_IN_LOG.to_owned());
        }
        line
    }

    /// A report that was decided on in an earlier import.
    pub(super) fn before(sealed: &Sealed, outcome: Outcome, report: Option<i64>) -> Self {
        let mut fate = Fate::of(outcome);
        fate.report = report;
        Self {
            before: true,
            ..Self::new(sealed, fate)
        }
    }
}

impl Summary {
    /// `all`: keep a line for every report.
    pub(super) fn new(bundle: &Path, all: bool) -> Self {
        Self {
            bundle: bundle.display().to_string(),
            charter: CharterNews::None,
            manifests: Manifests::default(),
            leaves: Leaves::default(),
            outcomes: BTreeMap::new(),
            before: BTreeMap::new(),
            partly_sealed: 0,
            not_in_log: 0,
            alarms: BTreeMap::new(),
            log: None,
            classes: BTreeMap::new(),
            reports: Vec::new(),
            warnings: Vec::new(),
            warnings_left_out: 0,
            all,
            left_out: 0,
        }
    }

    pub(super) fn warn(&mut self, name: &'static str, detail: &impl ToString) {
        if ALARMS.contains(&name) {
            *self.alarms.entry(name.to_owned()).or_default() += 1;
        }
        if self.warnings.len() < WARNINGS {
            let detail = detail.to_string();
            self.warnings.push(Warning { name, detail });
        } else {
            self.warnings_left_out += 1;
        }
    }

    pub(super) fn add(&mut self, line: Line) {
        let counts = if line.before {
            &mut self.before
        } else {
            &mut self.outcomes
        };
        *counts.entry(line.outcome).or_default() += 1;
        if line.flags.iter().any(|flag| flag == "partly sealed") {
            self.partly_sealed += 1;
        }
        if line.leaf.is_none() {
            self.not_in_log += 1;
        }
        if !line.before && line.outcome.is_alarm() {
            *self.alarms.entry(line.outcome.label()).or_default() += 1;
        }
        let remarkable = !line.before && (line.outcome.is_fault() || !line.flags.is_empty());
        if self.all || (remarkable && self.reports.len() < SHOWN) {
            self.reports.push(line);
        } else if remarkable {
            self.left_out += 1;
        }
    }

    /// An alarm that this import has raised.
    pub(super) fn alarm(&mut self, alarm: &Alarm) {
        let name = alarm.kind.label();
        *self.alarms.entry(name.to_owned()).or_default() += 1;
        if self.warnings.len() < WARNINGS {
            let detail = format!("alarm {}, {}. {}", alarm.id, alarm.subject, alarm.detail);
            self.warnings.push(Warning { name, detail });
        } else {
            self.warnings_left_out += 1;
        }
    }

    /// What could not be proven, and why.
    pub(super) fn accounted(&mut self, accounted: &Accounted) {
        for why in &accounted.refused {
            self.warn("refused checkpoint", why);
        }
        for waiting in &accounted.waiting {
            match waiting {
                Waiting::Gap { missing, size } => {
                    let what = format!(
                        "a checkpoint of {size} leaves waits for leaf {missing}, which never came, or not as it was signed. \
                         Reports are opened all the same. Import the bundle before it, too; if it is lost, the courier makes a \
                         whole one: marram-courier pull --all"
                    );
                    self.warn("gap", &what);
                }
                Waiting::Manifest(day) => {
                    let what = format!(
                        "a checkpoint of {day} waits for the manifest of that week, whose log key must have signed it; the \
                         next bundle may bring it"
                    );
                    self.warn("checkpoint without manifest", &what);
                }
                Waiting::NoCheckpoint { first, count } => {
                    let what = format!(
                        "{count} leaves from leaf {first} on came without a checkpoint: they are nobody's word, and nothing is \
                         accounted for by them; reports are opened all the same"
                    );
                    self.warn("no checkpoint", &what);
                }
            }
        }
    }

    /// Says how the whole casebook stands.
    pub(super) fn finish(&mut self, casebook: &Casebook) -> anyhow::Result<()> {
        self.log = Some(Log::of(casebook)?);
        self.classes = casebook.classes()?;
        Ok(())
    }

    pub(super) fn print(&self, out: &Output) {
        out.heading(visible(&self.bundle));
        out.field(
            "charter",
            match self.charter {
                CharterNews::None => "none in this bundle",
                CharterNews::Known => "known",
                CharterNews::Extended => "a newer version, signed by the keyholders",
                CharterNews::Older => "an older version; the newer one stays",
            },
        );
        let Manifests { new, known, refused } = self.manifests;
        out.field("manifests", format!("{new} new, {known} known, {refused} refused"));
        let Leaves {
            new,
            known,
            contradicting,
        } = self.leaves;
        out.field(
            "leaves",
            format!("{new} new, {known} known, {contradicting} contradicting"),
        );
        if let Some(log) = &self.log {
            log.print(out);
        }
        if self.not_in_log > 0 {
            out.field(
                "not in the log",
                format!("{} reports, as this casebook knows it", self.not_in_log),
            );
        }
        self.print_table(out);
        let told: Vec<_> = self.reports.iter().filter(|line| !line.before).collect();
        if !told.is_empty() {
            out.line("");
        }
        for line in told {
            print_line(line, out);
        }
        if self.left_out > 0 {
            out.line(format!("  … and {} more; --json names each", self.left_out));
        }
        for Warning { name, detail } in self.warnings.iter().take(SHOWN) {
            out.warning(format!("{name}: {}", visible(detail)));
        }
        let more = self.warnings.len().saturating_sub(SHOWN) as u64 + self.warnings_left_out;
        if more > 0 {
            out.warning(format!("… and {more} more warnings; --json names them"));
        }
        if self.outcomes.get(&Outcome::Opened).is_some_and(|opened| *opened > 0) {
            out.line(format!("  next: {CODE}marram-casework list{CODE:#}"));
        }
    }

    fn print_table(&self, out: &Output) {
        let mut table = Table::new(["reports", "now", "before"]).right(1).right(2).keep(0);
        for outcome in Outcome::ALL {
            let count = |counts: &BTreeMap<Outcome, u64>| counts.get(&outcome).copied().unwrap_or(0);
            let (now, before) = (count(&self.outcomes), count(&self.before));
            if now + before > 0 || outcome == Outcome::Opened {
                table.row([outcome.label(), now.to_string(), before.to_string()]);
            }
        }
        out.line("");
        out.table(&table);
    }
}

fn print_line(line: &Line, out: &Output) {
    let place = match (line.report, line.leaf) {
        (Some(id), _) if line.outcome == Outcome::Opened => format!("#{id}"),
        (_, Some(leaf)) => format!("leaf {leaf}"),
        (_, None) => line.digest.to_string().chars().take(12).collect(),
    };
    let mut said = if line.outcome == Outcome::Opened {
        String::new()
    } else {
        line.outcome.label()
    };
    for part in line.flags.iter().chain(&line.detail) {
        // Many faults begin with their own name.
        let part = part
            .strip_prefix(&said)
            .map_or(part.as_str(), |rest| rest.trim_start_matches([':', ' ']));
        if !said.is_empty() && !part.is_empty() {
            said.push_str(": ");
        }
        said.push_str(part);
    }
    out.paragraph(&format!("{place}  {}", visible(&said)), 2);
}
