//! `vet`: an enrolment comes onto the keyholder's own list.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use marram_crypto::{
    day::Epoch,
    enrolment::{Enrolment, UntrustedEnrolment},
    fingerprint::Digits,
    note,
};
use marram_terminal::{
    ask::{Ask, Question},
    error::{ResultExt as _, usage},
    files,
    output::CODE,
};
use serde_json::json;

use crate::{
    batch,
    compare::Comparison,
    founding,
    keyholder::{Context, Keyholder},
    pseudonym::Pseudonym,
    vetted::{Added, VetError},
    week,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The enrolment, as the caseworker brought it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What you call the caseworker: one word, not the real name. Needed the first time
    #[arg(long, value_name = "PSEUDONYM")]
    name: Option<Pseudonym>,
    /// For scripts: the expected digits of the enrolment key, all of them
    #[arg(long, value_name = "DIGITS")]
    digits: Vec<Digits>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let bytes = files::read_bounded(&args.file, note::MAX_LEN as u64)?;
    let mut keyholder = context.open()?;
    let enrolment = read(&bytes, &args.file, &keyholder)?;
    let mut ask = Ask::stdin()?;
    let name = match (&args.name, keyholder.state.vetted.by_key(&enrolment.key)) {
        (_, Some(listed)) => listed.name.clone(),
        (Some(name), None) => name.clone(),
        (None, None) => ask_name(args, context, &mut ask)?,
    };
    let added = check(args, &keyholder, &enrolment, &name)?;
    let (first, last) = weeks(&enrolment);
    let mut comparison = Comparison::new(&args.digits, out);
    if added == Added::New {
        out.heading(format!("The enrolment of {name}"));
        out.field("keys for", span(first, last));
        if comparison.asks() {
            founding::who_reads(out, name.as_str(), "marram-casework status");
        }
        comparison.check(&mut ask, &format!("{name}'s enrolment key"), &enrolment.digits())?;
    } else if !comparison.asks() {
        // They need not be compared again; whoever gives them gets an answer all the same.
        comparison.check(&mut ask, &format!("{name}'s enrolment key"), &enrolment.digits())?;
    }
    comparison.finish()?;
    let key = enrolment.key;
    keyholder.state.vetted.add(enrolment, name.clone())?;
    keyholder.save()?;

    out.line(match added {
        Added::New => format!("\n{name} is on your list now, for {}.", span(first, last)),
        Added::Renewed => format!(
            "{name}'s further keys are on your list now, for {}. They are signed by the key that you vetted: there is \
             nothing to compare.",
            span(first, last)
        ),
        Added::Already => format!("{name} has been on your list with these keys before: nothing to do."),
    });
    if last < week::epoch_of(context.today) {
        out.warning(format!("these keys are all over since {}", last.closes()));
    }
    show_next(args, context)?;
    out.json(&json!({
        "name": name,
        "key": key,
        "digits": Digits::of_key(&key).to_string(),
        "first_epoch": first,
        "last_epoch": last,
    }));
    Ok(())
}

/// Back to the batch, if the file came with one; else on to the first.
fn show_next(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let folder = founding::folder_of(&args.file);
    if batch::files_ending(folder, batch::MANIFEST)?.is_empty() {
        out.paragraph(
            "\nNow: every other keyholder who signs vets the same file, on their own computer. Then delete it from the \
             stick: it tells which slots are somebody's. When all caseworkers are on your lists, one of you makes the \
             manifests:",
            0,
        );
        out.line(format!("\n    {CODE}marram-keyholder issue{CODE:#}"));
    } else {
        out.line("\nNow go on with the batch:\n");
        out.line(format!("    {CODE}marram-keyholder sign {}{CODE:#}", folder.display()));
    }
    Ok(())
}

fn read(bytes: &[u8], path: &Path, keyholder: &Keyholder) -> anyhow::Result<Enrolment> {
    let instance = keyholder.charter()?.newest().instance;
    UntrustedEnrolment::parse(bytes)
        .and_then(|enrolment| enrolment.verify(instance))
        .with_context(|| format!("cannot use {}", path.display()))
        .hint("ask the caseworker for the file again; it is made with marram-casework enrol and your charter.json")
}

/// The name for a new caseworker; that of the file, unless another is typed.
fn ask_name(args: &Args, context: &Context<'_>, ask: &mut Ask) -> anyhow::Result<Pseudonym> {
    if context.out.is_json() {
        return Err(usage("--json asks nothing: name the caseworker with --name PSEUDONYM"));
    }
    let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let mut question = Question::new("This caseworker is not on your list yet. Under which pseudonym?")
        .help("One word that all keyholders use for this caseworker. Not the real name.");
    if stem.parse::<Pseudonym>().is_ok() {
        question = question.default(stem);
    }
    let answer = ask.parsed(&question, |answer| {
        answer.parse::<Pseudonym>().map_err(|error| error.to_string())
    })?;
    let given = answer.given();
    given.ok_or_else(|| usage("a caseworker needs a name: --name PSEUDONYM"))
}

/// A name that was given for a caseworker who is listed must be the listed one.
fn check(args: &Args, keyholder: &Keyholder, enrolment: &Enrolment, name: &Pseudonym) -> anyhow::Result<Added> {
    let name = args.name.as_ref().unwrap_or(name);
    let checked = keyholder.state.vetted.check(enrolment, name);
    let next = match &checked {
        Err(VetError::SwappedKey { name }) => format!(
            "do not vet it. Ask {name}, face to face: either somebody swapped the file, or {name} enrolled anew, on \
             another computer. If so: marram-keyholder revoke {name}, then vet the new file under a new pseudonym"
        ),
        Err(VetError::OtherName { listed, .. }) => {
            format!("marram-keyholder vet {} --name {listed}", args.file.display())
        }
        Err(VetError::Struck { .. }) => {
            "whoever comes back enrols with a new key: marram-casework enrol in a new home".to_owned()
        }
        Err(VetError::Copied { other, .. }) => format!("do not vet it; speak with {other} and the other keyholders"),
        Err(VetError::Enrolment(_)) => "ask the caseworker for the newest enrolment file".to_owned(),
        Ok(_) => String::new(),
    };
    checked.hint(next)
}

fn weeks(enrolment: &Enrolment) -> (Epoch, Epoch) {
    let mut epochs = enrolment.pairs.keys();
    let first = epochs.next().copied().unwrap_or(Epoch::MAX);
    (first, epochs.next_back().copied().unwrap_or(first))
}

/// `2026-11-23 to 2027-05-24`: the first day, and the first day after.
fn span(first: Epoch, last: Epoch) -> String {
    format!("{} to {}", first.opens(), last.closes().minus(1))
}
