//! `import`: from a courier's bundle to the casebook.
//!
//! Nothing in a bundle is believed for being in it. The charter must be the one that was compared at enrolment or extend
//! it; manifests are verified by their signatures, and leaves by their order; a report counts only if a leaf promised
//! exactly its bytes. A report is kept whole or not at all: its attachments are written in the transaction that ends when
//! the last byte has authenticated. So an import can be interrupted anywhere and repeated at any time.

mod body;
mod charter;
mod leaves;
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
    day::Epoch,
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
use crate::{outcome::Outcome, unlock::Unlocked};

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
/// For a bundle that is damaged, of another organization, or forked; what came before the fault is kept.
pub fn import(args: &ImportArgs, unlocked: &mut Unlocked, out: &Output) -> anyhow::Result<()> {
    let mut summaries = Vec::new();
    let mut result = Ok(());
    for path in &args.bundles {
        let (summary, imported) = import_one(path, unlocked, out);
        summary.print(out);
        summaries.push(summary);
        if imported.is_err() {
            result = imported.with_context(|| format!("the import of {} ended early", path.display()));
            break;
        }
    }
    out.json(&json!({ "bundles": summaries }));
    result
}

fn import_one(path: &Path, unlocked: &mut Unlocked, out: &Output) -> (Summary, anyhow::Result<()>) {
    let mut summary = Summary::new(path, out.is_json());
    let imported = Importer::begin(unlocked, &mut summary).and_then(|mut importer| {
        let walked = importer.walk(path, out);
        // Also after a fault: what came before it is true.
        let noted = importer.note_pending();
        walked.and(noted)
    });
    let counted = summary.finish(&unlocked.casebook);
    (summary, imported.and(counted))
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
    candidates: HashMap<Epoch, Rc<Result<Candidate, Outcome>>>,
    /// Outcomes that are not in the casebook yet.
    pending: Vec<Pending>,
}

struct Pending {
    index: u64,
    outcome: Outcome,
    detail: Option<String>,
    report: Option<i64>,
}

impl<'a> Importer<'a> {
    fn begin(unlocked: &'a mut Unlocked, summary: &'a mut Summary) -> anyhow::Result<Self> {
        let chain = unlocked.casebook.charter()?;
        let enrolments = unlocked.casebook.enrolments(chain.instance())?;
        let pairs = enrolments.iter().flat_map(|enrolment| &enrolment.pairs);
        let own = pairs.map(|(epoch, pair)| (*epoch, pair.recipient.clone())).collect();
        Ok(Self {
            unlocked,
            summary,
            chain,
            own,
            highest: HashMap::new(),
            candidates: HashMap::new(),
            pending: Vec::new(),
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
                BundleEntry::Manifest(note) => self.manifest(&note)?,
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

    /// Notes what became of a leaf's report, now or together with others.
    fn note(&mut self, pending: Pending, line: Line) -> anyhow::Result<()> {
        self.summary.add(line);
        self.pending.push(pending);
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
        for Pending {
            index,
            outcome,
            detail,
            report,
        } in self.pending.drain(..)
        {
            changes.set_outcome(index, outcome, detail.as_deref(), report)?;
        }
        Ok(changes.commit()?)
    }
}

fn damaged<T>(error: BundleError) -> anyhow::Result<T> {
    interrupt::check()?;
    Err(error).hint("copy the bundle again: the stick may have been pulled out too early; what was read is kept")
}
