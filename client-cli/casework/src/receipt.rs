//! `receipt`: whether what a receipt promises was kept.

use std::path::PathBuf;

use marram_crypto::{
    day::Day,
    leaf::Leaf,
    receipt::{self, Receipt},
};
use marram_terminal::{
    error::fail,
    files::read_bounded,
    output::{CODE, Output},
};
use serde_json::json;

use crate::{
    account, alarm::Kind, casebook::alarms::Raised, class::Class, import::orders::verified, outcome::Outcome,
    unlock::Unlocked,
};

/// What `receipt` is told.
#[derive(Debug, clap::Args)]
pub struct ReceiptArgs {
    /// A receipt that somebody kept, 218 bytes
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Says what became of the report of a receipt.
///
/// # Errors
/// Each with what to do next; also if the server has broken its promise.
pub fn receipt(args: &ReceiptArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let bytes = read_bounded(&args.file, receipt::LEN as u64)?;
    let chain = unlocked.casebook.charter()?;
    let receipt = match verified(&unlocked.casebook, &chain, &bytes)? {
        Ok(receipt) => receipt,
        Err(why) => {
            return Err(fail(
                format!("{} proves nothing: {why}", args.file.display()),
                "if it is the right file, import the newest bundle and try again",
            ));
        }
    };
    account::refresh(&mut unlocked.casebook, today)?;
    let leaf = *receipt.leaf();
    let index = unlocked.casebook.proven_leaf(leaf.digest)?;
    let outcome = unlocked.casebook.outcome(leaf.digest)?;
    let covered = unlocked.casebook.covered_until()?;
    let class = index
        .map(|index| unlocked.casebook.class_of(index))
        .transpose()?
        .flatten();
    let case = outcome.and_then(|(_, report)| report);
    let verdict = match (case, outcome, index) {
        (Some(_), _, _) => "opened",
        (None, _, Some(_)) if class.is_some_and(Class::is_alarm) => "in_log_unopened",
        (None, Some(_), Some(_)) => "not_for_me",
        (None, _, Some(_)) => "in_log_unopened",
        (None, _, None) if covered.is_some_and(|covered| covered > leaf.day) => "withheld",
        (None, _, None) => "not_covered",
    };
    out.field(
        "receipt",
        format!("of {}, epoch {}, {} bytes", leaf.day, leaf.epoch, leaf.size()),
    );
    out.field("digest", leaf.digest);
    let place = index.map_or("the log as it is proven here does not have it".to_owned(), |index| {
        format!("leaf {index} of the log")
    });
    out.field("log", place);
    match verdict {
        "opened" => {
            let case = case.unwrap_or_default();
            out.line(format!("  It was opened: {CODE}marram-casework show {case}{CODE:#}"));
        }
        "not_for_me" => out.paragraph(
            &format!(
                "It was imported, and is not a report to me: {}.",
                outcome.map(|(outcome, _)| Outcome::label(outcome)).unwrap_or_default()
            ),
            2,
        ),
        "not_covered" => out.paragraph(
            &match covered {
                Some(covered) => format!(
                    "No checkpoint of a later day was imported yet: the log is known here as it was on {covered}. Import \
                     the next bundle, and ask again."
                ),
                None => "No checkpoint was imported yet. Import a bundle, and ask again.".to_owned(),
            },
            2,
        ),
        _ => {}
    }
    out.json(&json!({
        "verdict": verdict, "case": case, "leaf": index, "class": class, "digest": leaf.digest, "day": leaf.day,
        "covered_until": covered,
    }));
    match verdict {
        "withheld" => broken(unlocked, &receipt, &bytes, covered.unwrap_or(leaf.day), today),
        "in_log_unopened" => Err(fail(
            format!(
                "the log has it, and it was not opened here: {}",
                class.map_or("its bundle was not imported to the end", Class::label)
            ),
            "see marram-casework alarms",
        )),
        _ => Ok(()),
    }
}

/// The server's promise, and a log that does not keep it.
fn broken(unlocked: &mut Unlocked, receipt: &Receipt, bytes: &[u8], covered: Day, today: Day) -> anyhow::Result<()> {
    let Leaf { digest, day, .. } = receipt.leaf();
    let detail = format!(
        "The server has signed on {day} that it has logged {digest}, and its log as it was on {covered} does not have it. \
         Receipt and checkpoint together prove that it broke its promise. Keep both, and ask whoever gave you the receipt to \
         send the report again."
    );
    let changes = unlocked.casebook.change()?;
    let raised = Raised {
        kind: Kind::ReceiptWithheld,
        subject: &format!("report {digest}"),
        leaf: None,
        detail: &detail,
        evidence: Some(&String::from_utf8_lossy(bytes)),
    };
    changes.raise(&raised, today)?;
    changes.commit()?;
    Err(fail(
        format!("withheld: the log as it was on {covered} does not have what the server promised on {day}"),
        "see marram-casework alarms; keep the receipt, and have the report sent again",
    ))
}
