//! The founding, as the people see it: where they are in it, what the charter says, and what comes next.

use std::path::Path;

use marram_crypto::{charter::Draft, key::PublicKey};
use marram_terminal::{
    error::fail,
    output::{CODE, DIM, GOOD, HEADING, Output},
};

use crate::{charter_file::CharterFile, compare, root_file::RootFile, state::State};

/// What one keyholder could do alone.
const ONE_KEYHOLDER: &str = "with a threshold of 1, one keyholder alone says who can read: whoever steals that one key, \
                             or forces that one person, reads every report sealed from then on, and nobody notices";

/// The four steps, with the one that was just done.
pub(crate) fn show_steps(out: &Output, done: usize) {
    out.heading("Founding, in four steps");
    let steps = [
        "key      every keyholder, each on their own offline computer",
        "found    one of you, with everybody's .root file: drafts the charter",
        "sign     each of the others in turn: checks the charter and signs it",
        "publish  the finished charter.json goes to operator and caseworkers",
    ];
    for (number, step) in (1..).zip(steps) {
        if number <= done {
            out.line(format!("  {GOOD}✓{GOOD:#} {DIM}{number}. {step}{DIM:#}"));
        } else if number == done + 1 {
            out.line(format!("  {HEADING}> {number}. {step}{HEADING:#}"));
        } else {
            out.line(format!("    {number}. {step}"));
        }
    }
}

/// Before the digits of `whose` are compared: who reads them, from which screen. `own` says where they stand there.
pub(crate) fn who_reads(out: &Output, whose: &str, own: &str) {
    out.line("");
    out.paragraph(
        &format!(
            "Now {whose} reads the digits aloud; on {whose}'s computer, {own} shows them. You follow here, group by group:"
        ),
        0,
    );
    out.line("");
}

/// Refuses thresholds with which the organization would be lost from the start.
pub(crate) fn check_threshold(threshold: usize, roots: usize, one_is_enough: bool) -> anyhow::Result<()> {
    if threshold > roots {
        return Err(fail(
            format!("{threshold} of {roots} keyholders cannot sign: the threshold is more than there are keyholders"),
            "collect the missing .root files, or choose a lower --threshold",
        ));
    }
    if threshold == 0 || (threshold == 1 && !one_is_enough) {
        return Err(fail(
            ONE_KEYHOLDER,
            "choose 2 or more; if you want it nevertheless, say so with --one-keyholder-can-betray-everyone",
        ));
    }
    Ok(())
}

/// What the charter says, before it is signed.
pub(crate) fn show_charter(out: &Output, draft: &Draft, state: &State) {
    out.heading("The charter");
    out.field("organization", &draft.name);
    out.field("contact", &draft.contact);
    let names: Vec<String> = draft.roots.iter().map(|root| state.keyholder_name(root)).collect();
    out.field("keyholders", names.join(", "));
    out.field(
        "must sign together",
        format!("{} of {}", draft.threshold, draft.roots.len()),
    );
    out.field("instance", draft.instance);
    if draft.threshold == 1 {
        out.warning(ONE_KEYHOLDER);
    } else if draft.threshold == draft.roots.len() {
        out.warning(format!(
            "all {} keyholders must sign everything: if one of you loses the key or is taken away, nobody can sign any \
             more, and you must found again and spread a new link. 2 of 3 survives one loss",
            draft.roots.len()
        ));
    }
    out.line("");
}

/// How far the charter is, and who does what next.
pub(crate) fn show_progress(out: &Output, path: &Path, charter: &CharterFile, state: &State) -> anyhow::Result<()> {
    let draft = charter.newest();
    let signers = charter.signers()?;
    let name = |root: &PublicKey| state.keyholder_name(root);
    let (signed, waiting): (Vec<&PublicKey>, Vec<_>) = draft.roots.iter().partition(|root| signers.contains(root));
    let list = |roots: &[&PublicKey]| roots.iter().map(|root| name(root)).collect::<Vec<_>>().join(", ");
    let complete = charter.is_complete();

    show_steps(out, if complete { 3 } else { 2 });
    out.line("");
    out.field("signed by", list(&signed));
    if !waiting.is_empty() {
        out.field("not yet by", list(&waiting));
    }
    out.field("signatures", signatures(signers.len(), draft.threshold));
    let file = path.display();
    if !complete {
        out.paragraph(
            &format!(
                "\nNow: carry {file}, with all .root files beside it, to the next keyholder ({}), who runs in that folder:",
                list(&waiting)
            ),
            0,
        );
        out.line(format!("\n    {CODE}marram-keyholder sign charter.json{CODE:#}"));
        return Ok(());
    }
    compare::show(out, "the charter (the same on every screen)", &charter.digits());
    out.line("");
    if !waiting.is_empty() {
        out.paragraph(
            &format!(
                "It is valid. Let {} run marram-keyholder sign charter.json all the same: every keyholder's program has to \
                 know the charter.",
                list(&waiting)
            ),
            0,
        );
        out.line("");
    }
    out.line(format!("{HEADING}Now:{HEADING:#} give {file}"));
    out.line("  - back to the keyholders who signed before you, for their computers to know");
    out.line(format!(
        "    that it is finished: {CODE}marram-keyholder sign charter.json{CODE:#} once more;"
    ));
    out.line("  - to the operator, for the server;");
    out.line("  - to every caseworker, who compares the digits above with you and enrols:");
    out.line(format!(
        "    {CODE}marram-casework enrol --charter charter.json --out NAME.enrolment{CODE:#}"
    ));
    out.line("\nThe link to publish, with the address of your server for YOUR-SERVER:\n");
    out.line(format!("    https://YOUR-SERVER/#{}\n", charter.fingerprint()));
    out.line("Then, on every keyholder's computer, for every enrolment that a caseworker\nbrings:\n");
    out.line(format!(
        "    {CODE}marram-keyholder vet NAME.enrolment --name NAME{CODE:#}"
    ));
    Ok(())
}

/// `2 (2 are needed): complete`.
pub(crate) fn signatures(count: usize, threshold: usize) -> String {
    let end = if count >= threshold { ": complete" } else { "" };
    format!("{count} ({threshold} are needed){end}")
}

/// What a script is told.
pub(crate) fn progress_json(path: &Path, charter: &CharterFile) -> anyhow::Result<serde_json::Value> {
    Ok(serde_json::json!({
        "kind": "charter",
        "file": path,
        "fingerprint": charter.fingerprint(),
        "digits": charter.digits().to_string(),
        "instance": charter.newest().instance,
        "signatures": charter.signers()?.len(),
        "threshold": charter.newest().threshold,
        "complete": charter.is_complete(),
    }))
}

/// The root files in `folder` that say what the keyholders of `draft` are called. Digits decide whether it is so.
pub(crate) fn names_beside(folder: &Path, draft: &Draft) -> Vec<RootFile> {
    let found = RootFile::beside(folder).unwrap_or_default();
    let files = found.into_iter().map(|(_, file)| file);
    files.filter(|file| draft.roots.contains(&file.root)).collect()
}

/// The folder in which a file lies.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
