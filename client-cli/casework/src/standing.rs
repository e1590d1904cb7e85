//! `standing` and `compare`: what one caseworker tells a colleague of the log, so that forks and withheld reports are seen,
//! and so that a newcomer need not begin at the first leaf.

use std::path::PathBuf;

use anyhow::Context as _;
use marram_crypto::{
    day::Day,
    note,
    standing::{Draft, MAX_RANGES, Standing, UntrustedStanding},
};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files::{Existing, atomic_write, read_bounded},
    interrupt,
    output::{CODE, Output},
    text::visible,
};
use serde_json::json;

use crate::{
    account::{self, raise_if_forked},
    alarm::Kind,
    casebook::alarms::Raised,
    class::Class,
    signer::Signer,
    unlock::Unlocked,
};

/// What `standing` is told.
#[derive(Debug, clap::Args)]
pub struct StandingArgs {
    /// Where to write it, as in heron.standing
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What `compare` is told.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// A colleague's standing
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Begin the log where the colleague's ends, instead of at its first leaf: for a newcomer, whose log is empty
    #[arg(long)]
    pub begin: bool,
}

/// Writes my standing.
///
/// # Errors
/// Each with what to do next.
pub fn standing(args: &StandingArgs, unlocked: &Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let signer = Signer::of_today(unlocked, today)?;
    let tree = unlocked.casebook.tree()?;
    let ranges = unlocked.casebook.read_ranges()?;
    // The last ones, if there are more than a standing holds: the others were compared before.
    let skipped = ranges.len().saturating_sub(MAX_RANGES);
    let opened: Vec<_> = ranges
        .iter()
        .skip(skipped)
        .map(|(first, last)| *first..=*last)
        .collect();
    let draft = Draft {
        instance: signer.instance(),
        epoch: signer.manifest.epoch,
        day: today,
        tree,
        opened,
    };
    let note = draft.sign(&signer.key)?;
    atomic_write(&args.out, &note.to_bytes(), 0o644, Existing::Keep)?;
    let size = draft.tree.size();
    let file = visible(&args.out.display().to_string());
    out.line(format!(
        "{file} says which {size} leaves I know, and which of their reports I have opened."
    ));
    if skipped > 0 {
        out.note(format!(
            "It holds the newest {MAX_RANGES} ranges; {skipped} older ones are left out."
        ));
    }
    out.line(format!(
        "A colleague runs: {CODE}marram-casework compare {file}{CODE:#}"
    ));
    out.json(&json!({ "standing": args.out, "size": size, "ranges": draft.opened.len(), "left_out": skipped }));
    Ok(())
}

/// Compares a colleague's standing with what is here, or begins with it.
///
/// # Errors
/// Each with what to do next; and, when all is compared, for what shows that somebody attacks.
pub fn compare(args: &CompareArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let standing = verified(args, unlocked)?;
    let draft = standing.draft();
    let by = format!("slot {} of epoch {}", standing.slot(), draft.epoch);
    if args.begin {
        return begin(&standing, &by, unlocked, today, out);
    }
    let head = draft.tree.head();
    let forked = raise_if_forked(&mut unlocked.casebook, head, &by, today)?;
    let size = unlocked.casebook.tree()?.size();
    let mut missing = 0_u64;
    if !forked {
        for (first, last) in draft.opened.iter().map(|range| (*range.start(), *range.end())) {
            for index in first..=last.min(size.saturating_sub(1)) {
                interrupt::check()?;
                if index >= size {
                    break;
                }
                missing += u64::from(compare_one(unlocked, index, &by, draft.day, today)?);
            }
        }
    }
    let ahead = head.size.saturating_sub(size);
    out.field("standing", format!("of {by}, made on {}", draft.day));
    out.field("their log", format!("{} leaves", head.size));
    out.field("my log", format!("{size} leaves"));
    let verdict = if forked {
        "another log than mine: forked"
    } else if ahead > 0 {
        "not compared to its end yet: mine is shorter; import the newest bundle, and it is compared by itself"
    } else {
        "the same log as mine, as far as theirs goes"
    };
    out.field("compared", verdict);
    out.field("opened by them, not by me", missing);
    out.json(&json!({
        "slot": standing.slot(), "epoch": draft.epoch, "day": draft.day, "their_size": head.size, "my_size": size,
        "forked": forked, "not_opened": missing, "not_compared": ahead,
    }));
    if forked || missing > 0 {
        return Err(fail(
            if forked {
                "the log is forked: the server shows us different logs".to_owned()
            } else {
                format!("a colleague has opened reports that I have not: {missing}")
            },
            "see marram-casework alarms, and tell the keyholders",
        ));
    }
    Ok(())
}

fn verified(args: &CompareArgs, unlocked: &Unlocked) -> anyhow::Result<Standing> {
    let bytes = read_bounded(&args.file, note::MAX_LEN as u64)?;
    let shown = args.file.display();
    let untrusted = UntrustedStanding::parse(&bytes)
        .with_context(|| format!("cannot use {shown}"))
        .hint("ask the colleague for the file again")?;
    let epoch = untrusted.claims().epoch;
    let chain = unlocked.casebook.charter()?;
    let Some(manifest) = unlocked.casebook.manifests_of(epoch, &chain)?.into_iter().next() else {
        return Err(fail(
            format!(
                "no manifest of epoch {epoch} was imported, so nobody can say whether a colleague has signed {shown}"
            ),
            "import a bundle first, also if its leaves must wait; then run this again",
        ));
    };
    untrusted
        .verify(&manifest)
        .with_context(|| format!("{shown} is not signed by a caseworker"))
        .hint("do not use it: ask the colleague, face to face")
}

/// Raises what a colleague has opened and I have not. Whether that is so.
fn compare_one(unlocked: &mut Unlocked, index: u64, by: &str, day: Day, today: Day) -> anyhow::Result<bool> {
    // Before the leaf at which I began, nothing is known here.
    let Some(class) = unlocked.casebook.class_of(index)?.filter(|class| !class.is_read()) else {
        return Ok(false);
    };
    let why = match class {
        Class::NotForMe => {
            "here it is not for me: it was sealed to some slots only, or my copy of it is another. Look for it in both \
             casebooks by its leaf"
        }
        Class::Refused => "here it was refused, for what is inside",
        class => class.label(),
    };
    let detail = format!("By {day}, {by} has opened it; {why}.");
    let subject = format!("leaf {index}");
    let changes = unlocked.casebook.change()?;
    let raised = Raised {
        kind: Kind::OpenedByColleague,
        subject: &subject,
        leaf: Some(index),
        detail: &detail,
        evidence: None,
    };
    changes.raise(&raised, today)?;
    changes.commit()?;
    Ok(true)
}

fn begin(standing: &Standing, by: &str, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let size = unlocked.casebook.tree()?.size();
    if size > 0 {
        return Err(fail(
            format!("{size} leaves are proven here already: there is nothing to begin"),
            "compare without --begin",
        ));
    }
    let draft = standing.draft();
    let changes = unlocked.casebook.change()?;
    changes.add_mark(&draft.tree)?;
    changes.add_head(draft.tree.head(), by, None)?;
    changes.commit()?;
    let before = draft.tree.size();
    let accounted = account::account(&mut unlocked.casebook, today)?;
    let now = unlocked.casebook.tree()?.size();
    out.line(format!(
        "The log begins at leaf {before}, on the word of {by}. Leaves behind it that are proven now: {}.",
        now - before
    ));
    out.paragraph(
        "What came before is not accounted for on this computer: the colleague has done that. Reports of it that a bundle \
         brings are opened all the same.",
        0,
    );
    out.json(&json!({ "begins": before, "size": now, "waiting": accounted.waiting.len() }));
    Ok(())
}
