//! `revoke`: a caseworker who turned, left, or lost the computer.

use std::path::PathBuf;

use marram_crypto::{day::Epoch, key::PublicKey};
use marram_terminal::{
    ask::Ask,
    error::fail,
    output::{CODE, HEADING},
};
use serde_json::json;

use super::agree;
use crate::{
    charter_file::CharterFile,
    differences::counted,
    keyholder::Context,
    making::{self, Made},
    memory::Remembered,
    rng,
    state::State,
    week,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What you call the caseworker
    #[arg(value_name = "PSEUDONYM")]
    name: String,
    /// The folder to write [default: revoke- and today's date]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// For scripts: strike and sign without asking
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let mut keyholder = context.open()?;
    let agreed = keyholder.charter()?.clone();
    if making::finish_interrupted(context, &keyholder)? {
        return Ok(());
    }
    let Some(caseworker) = keyholder.state.vetted.by_name(&args.name) else {
        return Err(unknown(&args.name, &keyholder.state));
    };
    let (name, key) = (caseworker.name.clone(), caseworker.key);
    let was_struck = caseworker.struck;
    let now = week::epoch_of(context.today);
    let holding: Vec<Epoch> = open_epochs(&keyholder.state, now)
        .filter(|known| known.holds(&key))
        .map(|known| known.epoch)
        .collect();
    let unknown: Vec<String> = open_epochs(&keyholder.state, now)
        .filter(|known| known.holders.is_none())
        .map(|known| known.epoch.opens().to_string())
        .collect();

    out.heading(format!("Revoke {name}"));
    if let Some(since) = was_struck {
        out.line(format!("  {name} was struck from your list on {since}."));
    }
    out.line(if holding.is_empty() {
        format!("  {name} has no slot in any manifest that you have signed and that is not over.")
    } else {
        let weeks: Vec<String> = holding.iter().map(|epoch| epoch.opens().to_string()).collect();
        format!(
            "  {name} has a slot in {}: the weeks of {}.",
            counted(holding.len() as u64, "manifest"),
            weeks.join(", ")
        )
    });
    if !unknown.is_empty() {
        out.warning(format!(
            "this computer does not know the slots of the weeks of {}: let a keyholder who signed them revoke {name} there",
            unknown.join(", ")
        ));
    }
    keyholder.state.vetted.strike(&key, context.today);
    // Made before anything is asked: what cannot be made must not be half done.
    let mut made = Vec::new();
    for epoch in &holding {
        made.push(make(&keyholder.state, &agreed, *epoch, &key)?);
    }
    let question = if made.is_empty() {
        format!("Strike {name} from your list for good?")
    } else {
        format!("Strike {name} from your list for good, and sign new manifests without {name}?")
    };
    let mut ask = Ask::stdin()?;
    if made.is_empty() && was_struck.is_some() {
        out.line("\nThere is nothing left to do here.");
        out.json(&json!({"kind": "batch", "folder": null, "manifests": []}));
        return Ok(());
    }
    agree(context, &mut ask, args.yes, &question)?;
    if made.is_empty() {
        keyholder.save()?;
        out.line(format!(
            "\n{name} is struck from your list. Every other keyholder runs the same command:\n"
        ));
        out.line(format!("    {CODE}marram-keyholder revoke {name}{CODE:#}"));
        out.json(&json!({"kind": "batch", "folder": null, "manifests": []}));
        return Ok(());
    }
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("revoke-{}", context.today)));
    making::sign_and_write(context, &mut keyholder, &folder, made)?;
    out.line(format!("{HEADING}Be quick:{HEADING:#}"));
    out.paragraph(
        &format!(
            "{name} can read what is sent until {} have signed and the new manifests are published; and whatever was sent \
             before, for ever. If {name} may still hold a caseworker's computer, tell the other caseworkers today.",
            counted(agreed.newest().threshold as u64, "keyholder")
        ),
        2,
    );
    Ok(())
}

/// What this keyholder knows of epochs that are not over.
fn open_epochs(state: &State, now: Epoch) -> impl Iterator<Item = &Remembered> {
    state.memory.all().iter().filter(move |known| known.epoch >= now)
}

/// The next version of an epoch's manifest: the same in everything but the slots of those who are struck.
fn make(state: &State, charter: &CharterFile, epoch: Epoch, key: &PublicKey) -> anyhow::Result<Made> {
    let known = state.memory.get(epoch).filter(|known| known.holds(key));
    let Some((known, before)) = known.and_then(|known| Some((known, known.manifest()?.claims()))) else {
        return Err(fail(
            format!("the manifest of epoch {epoch} is not remembered"),
            "let another keyholder revoke",
        ));
    };
    let stays = |key: &PublicKey| state.vetted.by_key(key).is_some_and(|one| one.struck.is_none());
    let slots = making::known_slots(known)?.after(epoch, stays, &[], &mut rng())?;
    if slots.holders.iter().all(|holder| holder.caseworker().is_none()) {
        return Err(fail(
            format!("then nobody could read in the {}", week::week(epoch)),
            format!(
                "vet another caseworker and give out the week anew (marram-keyholder issue --from {epoch}), then revoke \
                 again. If it cannot wait, let the operator stop the server"
            ),
        ));
    }
    let mut draft = before.clone();
    draft.version = known.version.saturating_add(1);
    draft.charter = charter.fingerprint();
    draft.slots.clone_from(&slots.keys);
    Made::new(&draft, slots)
}

fn unknown(name: &str, state: &State) -> anyhow::Error {
    let names: Vec<String> = state.vetted.all().iter().map(|one| one.name.to_string()).collect();
    let next = if names.is_empty() {
        "nobody is on it yet; a keyholder who vetted the caseworker has to revoke".to_owned()
    } else {
        format!("on it are: {}", names.join(", "))
    };
    fail(format!("there is no {name} on your list"), next)
}
