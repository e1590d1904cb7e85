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
    casebook::{Casebook, leaves::KnownLeaf, reports::NOT_IN_LOG},
    outcome::Outcome,
};

/// How many remarkable reports and warnings people are shown one by one; `--json` has all reports.
const SHOWN: usize = 40;
/// How many warnings are kept: a hostile bundle could make as many as it has bytes.
const WARNINGS: usize = 1000;
/// Warnings that show that somebody attacks.
const ALARMS: [&str; 5] = [
    "forked",
    "hostile leaves",
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
    /// First leaf of the bundle, and the one after its last.
    #[serde(skip)]
    pub(super) range: Option<(u64, u64)>,
    /// Reports that were tried in this import.
    outcomes: BTreeMap<Outcome, u64>,
    /// Reports that were decided on before.
    before: BTreeMap<Outcome, u64>,
    partly_sealed: u64,
    /// Reports that no leaf names, as the log is known here.
    not_in_log: u64,
    /// What shows that somebody attacks, by name.
    pub(super) alarms: BTreeMap<String, u64>,
    /// Leaves of the whole casebook to which no report came yet.
    without_report: u64,
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
    /// Others were seen in their places.
    pub(super) forked: u64,
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

    fn withheld(known: &KnownLeaf) -> Self {
        Self {
            leaf: Some(known.index),
            digest: known.leaf.digest,
            outcome: Outcome::Withheld,
            before: false,
            report: None,
            flags: Vec::new(),
            detail: None,
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
            range: None,
            outcomes: BTreeMap::new(),
            before: BTreeMap::new(),
            partly_sealed: 0,
            not_in_log: 0,
            alarms: BTreeMap::new(),
            without_report: 0,
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

    /// Counts what is still missing.
    pub(super) fn finish(&mut self, casebook: &Casebook) -> anyhow::Result<()> {
        let counts = casebook.count_outcomes(None)?;
        self.without_report = counts.get(&Outcome::Withheld).copied().unwrap_or(0);
        if let Some((from, to)) = self.range.filter(|_| self.all) {
            for known in casebook.leaves_without_report(from, to)? {
                self.reports.push(Line::withheld(&known));
            }
        }
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
        let Leaves { new, known, forked } = self.leaves;
        out.field("leaves", format!("{new} new, {known} known, {forked} forked"));
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
        if self.without_report > 0 {
            out.line("");
            out.paragraph(
                &format!(
                    "Withheld: {} of the log's leaves have no report yet. Deleted and expired reports are among them; \
                     otherwise the courier brings them with the next bundle, or somebody keeps them back.",
                    self.without_report
                ),
                2,
            );
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
