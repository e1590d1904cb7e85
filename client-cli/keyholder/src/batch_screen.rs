//! A batch, as the people see it: what it says, how far it is, and what comes next.

use std::{collections::BTreeSet, path::Path};

use marram_crypto::{
    key::PublicKey,
    manifest::{Draft, UntrustedManifest},
    note::NoteError,
};
use marram_terminal::{
    output::{CODE, HEADING, Output},
    table::Table,
};
use serde_json::json;

use crate::{batch, differences, founding, memory::Holder, state::State};

/// A manifest of a batch.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) draft: &'a Draft,
    /// None where they are not to be shown again.
    pub(crate) holders: Option<&'a [Holder]>,
    pub(crate) signers: &'a BTreeSet<PublicKey>,
}

pub(crate) fn show_table<'a>(out: &Output, state: &State, rows: impl Iterator<Item = Row<'a>>) {
    let mut table = Table::new(["week of", "epoch", "version", "who can read", "nobody's", "signed by"])
        .keep(0)
        .keep(1)
        .right(2)
        .right(4);
    for row in rows {
        let names = row.holders.map(|holders| readers(holders, state));
        let vacant = row.holders.map(|holders| {
            let vacant = holders.iter().filter(|holder| holder.caseworker().is_none());
            vacant.count().to_string()
        });
        let signers: Vec<String> = row.signers.iter().map(|root| state.keyholder_name(root)).collect();
        table.row([
            row.draft.epoch.opens().to_string(),
            row.draft.epoch.to_string(),
            row.draft.version.to_string(),
            names.map_or_else(|| "(as you agreed)".to_owned(), |names| names.join(", ")),
            vacant.unwrap_or_default(),
            if signers.is_empty() {
                "nobody".to_owned()
            } else {
                signers.join(", ")
            },
        ]);
    }
    out.table(&table);
}

/// The names of the caseworkers who have a slot, sorted: their order in the slots stays in the annex.
pub(crate) fn readers(holders: &[Holder], state: &State) -> Vec<String> {
    let keys = holders.iter().filter_map(Holder::caseworker);
    let names: BTreeSet<String> = keys.map(|key| state.caseworker_name(key)).collect();
    names.into_iter().collect()
}

/// What changes against the last manifest that this keyholder has signed; all settings if there is none.
pub(crate) fn show_settings<'a>(out: &Output, state: &State, drafts: impl Iterator<Item = &'a Draft> + Clone) {
    let Some(first) = drafts.clone().next() else { return };
    if !differences::agree(drafts.clone()) {
        out.warning("the manifests of this batch have different settings, so each of them is shown");
        for draft in drafts {
            out.line(format!(
                "\n{HEADING}Settings of the week of {}:{HEADING:#}",
                draft.epoch.opens()
            ));
            show_against(out, state, draft);
        }
        return;
    }
    out.line(format!("\n{HEADING}Settings:{HEADING:#}"));
    show_against(out, state, first);
}

fn show_against(out: &Output, state: &State, draft: &Draft) {
    let same_epoch = state.memory.get(draft.epoch).and_then(|known| known.manifest());
    let Some(before) = same_epoch.or_else(|| state.memory.last_manifest()) else {
        out.line("  This is the first manifest you sign: look at every line.\n");
        for (name, value) in differences::settings(draft) {
            out.paragraph(&format!("{name}: {value}"), 2);
        }
        out.line("");
        out.paragraph(
            "The log key must be the one that marram-server init has printed, and each courier's the one that \
             marram-courier key shows: ask those who run these computers.",
            2,
        );
        out.line("");
        return;
    };
    let before = before.claims();
    let lines = differences::between(before, draft);
    let of = format!("version {} of the week of {}", before.version, before.epoch.opens());
    if lines.is_empty() {
        out.line(format!("  the same as in the last you signed or saw, {of}\n"));
        return;
    }
    out.line(format!("  against the last you signed or saw, {of}:\n"));
    for line in lines {
        out.paragraph(&format!("- {line}"), 2);
    }
    out.line("");
}

/// The least number of valid signatures that a manifest of the batch has.
pub(crate) fn signatures(manifests: &[UntrustedManifest], roots: &[PublicKey]) -> Result<usize, NoteError> {
    let mut least = usize::MAX;
    for manifest in manifests {
        least = least.min(manifest.note().signers(roots)?.len());
    }
    Ok(if manifests.is_empty() { 0 } else { least })
}

/// How far the batch is, and who does what next.
pub(crate) fn show_progress(
    out: &Output,
    folder: &Path,
    manifests: &[UntrustedManifest],
    state: &State,
) -> Result<(), NoteError> {
    let Some(charter) = state.agreed() else { return Ok(()) };
    let roots = charter.root_keys();
    let count = signatures(manifests, &roots)?;
    let signers = match manifests.first() {
        Some(manifest) => manifest.note().signers(&roots)?,
        None => BTreeSet::new(),
    };
    let list = |signed: bool| {
        let which = roots.iter().filter(|root| signers.contains(root) == signed);
        which
            .map(|root| state.keyholder_name(root))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let folder = folder.display();
    out.line("");
    out.field("signed by", list(true));
    if count < charter.threshold {
        out.field("signatures", founding::signatures(count, charter.threshold));
        out.paragraph(
            &format!(
                "\nNow: carry the whole folder {folder} to another keyholder ({}), who runs:",
                list(false)
            ),
            0,
        );
        out.line(format!("\n    {CODE}marram-keyholder sign {folder}{CODE:#}\n"));
        out.paragraph(
            "The annex and the enrolments in it tell who reads: they are for keyholders only. Use one stick, copy it \
             nowhere else, and never give this folder to the operator or a courier as it is.",
            0,
        );
        return Ok(());
    }
    out.field("signatures", founding::signatures(count, charter.threshold));
    out.paragraph(
        "\nThe annex and the enrolments, which tell who reads, have been destroyed in this folder. Now: give these files to \
         the operator or a courier, to publish:\n",
        0,
    );
    for manifest in manifests {
        out.line(format!("    {folder}/{}", batch::file_name(manifest.claims())));
    }
    out.line(format!(
        "\nThe courier runs:\n\n    {CODE}marram-courier publish {folder}/*.manifest{CODE:#}\n\n\
         and the very first time, with the link and the charter:\n\n    \
         {CODE}marram-courier publish --link LINK charter.json {folder}/*.manifest{CODE:#}\n"
    ));
    Ok(())
}

/// What a script is told.
pub(crate) fn progress_json(
    folder: &Path,
    manifests: &[UntrustedManifest],
    state: &State,
) -> Result<serde_json::Value, NoteError> {
    let (roots, threshold) = state
        .agreed()
        .map_or((Vec::new(), 0), |charter| (charter.root_keys(), charter.threshold));
    let mut list = Vec::new();
    for manifest in manifests {
        let draft = manifest.claims();
        list.push(json!({
            "file": folder.join(batch::file_name(draft)),
            "epoch": draft.epoch,
            "version": draft.version,
            "opens": draft.epoch.opens(),
            "closes": draft.epoch.closes(),
            "hash": manifest.claimed_hash(),
            "signatures": manifest.note().signers(&roots)?.len(),
        }));
    }
    Ok(json!({
        "kind": "batch",
        "folder": folder,
        "manifests": list,
        "threshold": threshold,
        "complete": signatures(manifests, &roots)? >= threshold,
    }))
}
