//! `import`: from a courier's bundle to the casebook.
//!
//! Nothing in a bundle is believed for being in it. The charter must be the one that was compared at enrolment or extend
//! it; manifests are verified by their signatures. Leaves are proven by a checkpoint, once the bundle was read to its end
//! ([`account`]); what contradicts them is named, and keeps no report out whose bytes are those of its
//! digest. A report is kept whole or not at all: its attachments are written in the transaction that ends when the last
//! byte has authenticated. So an import can be interrupted anywhere and repeated at any time.

mod body;
mod charter;
mod leaves;
pub(crate) mod orders;
mod reports;
mod summary;

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufReader, Read as _},
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::Context as _;
use marram_crypto::{
    bundle::{BundleEntry, BundleError, BundleReader},
    charter::CharterChain,
    day::{Day, Epoch},
    hybrid::Recipient,
};
use marram_terminal::{
    error::{ResultExt as _, fail},
    interrupt,
    output::Output,
};
use serde_json::json;

use self::{
    body::Counting,
    reports::Candidate,
    summary::{Line, Summary},
};
use crate::{account, casebook::outcomes::Decided, outcome::Outcome, unlock::Unlocked};

/// Outcomes that are noted together, so that noise costs no disk write each.
const PENDING: usize = 256;

/// What `import` is told.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Bundles as the courier wrote them, oldest first
    #[arg(required = true, value_name = "BUNDLE")]
    pub bundles: Vec<PathBuf>,
}

/// Imports bundles, one after the other.
///
/// # Errors
/// For a bundle that is damaged or of another organization; what came before the fault is kept. And, when everything is
/// imported, for what shows that somebody attacks, so that no script overlooks it.
pub fn import(args: &ImportArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let mut summaries = Vec::new();
    let mut result = Ok(());
    let mut alarms = BTreeMap::new();
    for path in &args.bundles {
        let (summary, imported) = import_one(path, unlocked, today, out);
        summary.print(out);
        for (name, count) in &summary.alarms {
            *alarms.entry(name.clone()).or_insert(0) += count;
        }
        summaries.push(summary);
        if imported.is_err() {
            result = imported.with_context(|| format!("the import of {} ended early", path.display()));
            break;
        }
    }
    out.json(&json!({ "bundles": summaries }));
    result?;
    if alarms.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = alarms.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    Err(fail(
        format!(
            "the import is complete, and everything that opens was kept; but somebody attacks, or makes grave mistakes: {}",
            named.join(", ")
        ),
        "read what is said of each above and in marram-casework alarms, keep the bundles as evidence, and tell the \
         keyholders; importing again is safe",
    ))
}

fn import_one(path: &Path, unlocked: &mut Unlocked, today: Day, out: &Output) -> (Summary, anyhow::Result<()>) {
    let mut summary = Summary::new(path, out.is_json());
    let imported = import_whole(path, unlocked, &mut summary, today, out);
    let counted = summary.finish(&unlocked.casebook);
    (summary, imported.and(counted))
}

fn import_whole(
    path: &Path,
    unlocked: &mut Unlocked,
    summary: &mut Summary,
    today: Day,
    out: &Output,
) -> anyhow::Result<()> {
    let raised_before = unlocked.casebook.change()?.last_alarm()?;
    let mut importer = Importer::begin(unlocked, summary, today)?;
    let walked = importer.walk(path, out);
    // Also after a fault: what came before it is true.
    let noted = importer.note_pending();
    walked.and(noted)?;
    // Only now: in a bundle that was cut, the reports behind the cut are not withheld.
    importer.end_claim()?;
    let accounted = account::account(&mut unlocked.casebook, today);
    unlocked
        .casebook
        .alarms_after(raised_before, |alarm| summary.alarm(&alarm))?;
    summary.accounted(&accounted?);
    Ok(())
}

/// The import of one bundle.
struct Importer<'a> {
    unlocked: &'a mut Unlocked,
    summary: &'a mut Summary,
    chain: CharterChain,
    /// My recipient in each epoch, from my enrolments.
    own: BTreeMap<Epoch, Recipient>,
    /// The highest version of each epoch's manifest before this bundle.
    highest: HashMap<Epoch, u32>,
    /// How each epoch's reports are opened, or why they are not.
    candidates: HashMap<Epoch, Rc<Result<Vec<Candidate>, Outcome>>>,
    /// Epochs whose keys are here, newest first.
    with_keys: Vec<Epoch>,
    /// Outcomes that are not in the casebook yet.
    pending: Vec<Decided>,
    /// The bundle's checkpoint; empty if it has none.
    checkpoint: Vec<u8>,
    /// What the bundle says of the log.
    claim: Option<i64>,
    today: Day,
}

impl<'a> Importer<'a> {
    fn begin(unlocked: &'a mut Unlocked, summary: &'a mut Summary, today: Day) -> anyhow::Result<Self> {
        let chain = unlocked.casebook.charter()?;
        let enrolments = unlocked.casebook.enrolments(chain.instance())?;
        let pairs = enrolments.iter().flat_map(|enrolment| &enrolment.pairs);
        let own = pairs.map(|(epoch, pair)| (*epoch, pair.recipient.clone())).collect();
        let with_keys = unlocked.epochs.list()?.into_iter().rev().collect();
        Ok(Self {
            unlocked,
            summary,
            chain,
            own,
            highest: HashMap::new(),
            candidates: HashMap::new(),
            with_keys,
            pending: Vec::new(),
            checkpoint: Vec::new(),
            claim: None,
            today,
        })
    }

    fn walk(&mut self, path: &Path, out: &Output) -> anyhow::Result<()> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()));
        let file = file.hint("check the name, and that the stick is plugged in")?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(fail(
                format!("{} is not a file", path.display()),
                "name a bundle, as in bundle-1.tar",
            ));
        }
        let progress = out.bytes("importing", found.len());
        let counting = Counting::new(BufReader::with_capacity(1 << 18, progress.reader(&file)));
        let position = counting.position();
        let mut bundle = BundleReader::new(counting);
        while let Some(entry) = bundle.next_entry().or_else(damaged)? {
            interrupt::check()?;
            match entry {
                BundleEntry::Charter(chain) => self.charter(&chain)?,
                BundleEntry::Checkpoint(note) => self.checkpoint = note,
                BundleEntry::Manifest(note) => self.manifest(&note)?,
                BundleEntry::Order { index, note } => self.order(index, &note)?,
                BundleEntry::Canary { name, receipt } => self.canary(&name, &receipt)?,
                BundleEntry::Leaves {
                    instance,
                    from,
                    count,
                    leaves,
                } => self.leaves(instance, from, count, leaves)?,
                BundleEntry::Report { digest, size, content } => {
                    let again = body::At::new(&file, position.get());
                    self.report(digest, size, content, again.take(size))?;
                }
            }
        }
        Ok(())
    }

    fn end_claim(&mut self) -> anyhow::Result<()> {
        let claim = match self.claim {
            Some(claim) => claim,
            None if self.checkpoint.is_empty() => return Ok(()),
            None => self.claim(0, 0)?,
        };
        let changes = self.unlocked.casebook.change()?;
        changes.end_claim(claim)?;
        Ok(changes.commit()?)
    }

    /// Notes what became of a report, now or together with others.
    fn note(&mut self, decided: Decided, line: Line) -> anyhow::Result<()> {
        self.summary.add(line);
        self.pending.push(decided);
        if self.pending.len() >= PENDING {
            self.note_pending()?;
        }
        Ok(())
    }

    fn note_pending(&mut self) -> anyhow::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let changes = self.unlocked.casebook.change()?;
        for decided in self.pending.drain(..) {
            changes.set_outcome(&decided)?;
        }
        Ok(changes.commit()?)
    }
}

fn damaged<T>(error: BundleError) -> anyhow::Result<T> {
    interrupt::check()?;
    Err(error).hint("copy the bundle again: the stick may have been pulled out too early; what was read is kept")
}
