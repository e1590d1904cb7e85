//! Making a batch: manifests signed by the one who makes them, the annex, and the enrolments for the other keyholders.

use std::path::Path;

use marram_crypto::{
    annex::Annex,
    day::Epoch,
    manifest::{Draft, UntrustedManifest},
};
use marram_terminal::error::{ResultExt as _, fail};

use crate::{
    batch::{self, NewBatch, Private},
    batch_screen,
    keyholder::{Context, Keyholder},
    memory::Remembered,
    slots::Slots,
    state::State,
};

/// A manifest that nobody has signed yet, and what its slots are.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) manifest: UntrustedManifest,
    pub(crate) slots: Slots,
}

impl Made {
    pub(crate) fn new(draft: &Draft, slots: Slots) -> anyhow::Result<Self> {
        Ok(Self {
            manifest: UntrustedManifest::from_note(draft.to_note()?)?,
            slots,
        })
    }
}

/// The slots of a manifest that this keyholder has checked.
pub(crate) fn known_slots(known: &Remembered) -> anyhow::Result<Slots> {
    match (&known.holders, known.manifest()) {
        (Some(holders), Some(manifest)) => Ok(Slots {
            holders: holders.clone(),
            keys: manifest.claims().slots.clone(),
        }),
        _ => Err(fail(
            format!(
                "you have seen version {} of epoch {}, but not its annex: this computer does not know whose slots are whose",
                known.version, known.epoch
            ),
            "let a keyholder who has signed that version do it, and sign what that one makes",
        )),
    }
}

/// Finishes a batch whose writing was cut off after it was signed. Says whether there was one.
pub(crate) fn finish_interrupted(context: &Context<'_>, keyholder: &Keyholder) -> anyhow::Result<bool> {
    let state = &keyholder.state;
    for folder in state.annexes.iter().filter_map(|annex| annex.parent()) {
        let known = |manifest: &UntrustedManifest| {
            let known = state.memory.get(manifest.claims().epoch);
            known.is_some_and(|known| known.hash == manifest.claimed_hash())
        };
        if folder.parent().is_some_and(Path::exists) && NewBatch::resume(folder, known)? {
            let batch = batch::Batch::read(folder)?;
            context
                .out
                .line("The writing of a batch was cut off last time. It is finished now; nothing new was made.");
            batch_screen::show_progress(context.out, folder, &batch.manifests, state)?;
            context
                .out
                .json(&batch_screen::progress_json(folder, &batch.manifests, state)?);
            return Ok(true);
        }
    }
    Ok(false)
}

/// Signs a batch, remembers it, and writes it.
pub(crate) fn sign_and_write(
    context: &Context<'_>,
    keyholder: &mut Keyholder,
    folder: &Path,
    made: Vec<Made>,
) -> anyhow::Result<()> {
    let key = keyholder.key();
    let charter = keyholder.charter()?.newest();
    let (instance, alone) = (charter.instance, charter.threshold <= 1);
    let mut parts = Vec::new();
    let mut manifests = Vec::new();
    for Made { mut manifest, slots } in made {
        parts.push(slots.part(manifest.claimed_hash(), &keyholder.state));
        manifest.add_signature(&key)?;
        keyholder.state.memory.remember(manifest.clone(), Some(slots.holders))?;
        manifests.push(manifest);
    }
    let annex = Annex { instance, parts };
    let private = Private {
        annex: &annex,
        enrolments: enrolments(&keyholder.state, &manifests),
    };
    // Written beside its place, remembered, and only then given its name: no signature leaves that is not remembered.
    let new = NewBatch::write(folder, &manifests, (!alone).then_some(&private))?;
    if !alone {
        keyholder.state.annex_written(batch::annex_path(folder));
    }
    if let Err(error) = keyholder.save() {
        new.discard()?;
        return Err(error).hint("nothing was signed; make room for the state file and begin again");
    }
    new.commit()?;
    batch_screen::show_progress(context.out, folder, &manifests, &keyholder.state)?;
    context
        .out
        .json(&batch_screen::progress_json(folder, &manifests, &keyholder.state)?);
    Ok(())
}

/// The enrolments of those who have a slot, for keyholders who have not vetted them yet.
fn enrolments(state: &State, manifests: &[UntrustedManifest]) -> Vec<(String, Vec<u8>)> {
    let epochs: Vec<Epoch> = manifests.iter().map(|manifest| manifest.claims().epoch).collect();
    let mut files = Vec::new();
    for caseworker in state.vetted.standing() {
        let notes = caseworker.notes(&epochs);
        let several = notes.len() > 1;
        for (counter, note) in notes {
            let name = if several {
                format!("{}-{counter}", caseworker.name)
            } else {
                caseworker.name.to_string()
            };
            files.push((name, note.to_bytes()));
        }
    }
    files
}
