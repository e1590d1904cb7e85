//! `sign charter.json`: every other keyholder checks who the others are and signs.

use marram_crypto::charter::CharterError;
use marram_terminal::{
    ask::Ask,
    error::{ResultExt as _, fail},
    files::Existing,
};

use super::{agree, sign::Args};
use crate::{
    charter_file::CharterFile,
    compare::{self, Comparison},
    founding,
    keyholder::{Context, Keyholder},
    root_file::RootFile,
};

pub(super) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let mut charter = CharterFile::read(&args.path).hint(
        "check the name, and that the stick is plugged in; if this is the right file, ask for charter.json again",
    )?;
    let mut keyholder = context.open()?;
    let mut ask = Ask::stdin()?;
    let own = keyholder.state.root_file();

    let known = keyholder.state.charter.as_ref();
    if known.is_some_and(|known| known.fingerprint() == charter.fingerprint()) {
        return signed_before(args, context, &mut keyholder, charter);
    }
    if charter.newest().version > 1 {
        return changed(args, context, &mut keyholder, &charter);
    }
    if let Some(known) = known {
        may_forget(context, &mut ask, known, args.begin_again)?;
    }
    check_founding(args, &charter, &own)?;

    let folder = founding::folder_of(&args.path);
    keyholder.state.keyholders = founding::names_beside(folder, charter.newest());
    founding::show_steps(context.out, 2);
    founding::show_charter(context.out, charter.newest(), &keyholder.state);
    context.out.paragraph(
        "Whoever holds one of these root keys has a say in who can read. So you compare each of them yourself, with its \
         keyholder, whatever the others have done.",
        0,
    );
    compare_roots(args, context, &mut ask, &charter, &keyholder, &own)?;
    agree(context, &mut ask, args.yes, "Is all of this right? Sign it?")?;

    charter.sign(&keyholder.key())?;
    keyholder.state.charter = Some(charter.clone());
    keyholder.save()?;
    charter.write(&args.path, Existing::Replace)?;
    context.out.line("\nYou have signed the charter.");
    tell(args, context, &keyholder, &charter)
}

/// An unfinished founding may be given up for another; one that is finished is for good.
pub(super) fn may_forget(
    context: &Context<'_>,
    ask: &mut Ask,
    known: &CharterFile,
    begin_again: bool,
) -> anyhow::Result<()> {
    let name = &known.newest().name;
    if known.is_complete() {
        return Err(fail(
            format!("your root key belongs to {name} already, whose charter is finished"),
            "one root key is for one organization: for another, use another home, as in --home ~/another",
        ));
    }
    agree(
        context,
        ask,
        begin_again,
        &format!(
            "You have signed a charter of {name} before, and as far as this computer knows it is not finished. Forget it \
             and begin again?"
        ),
    )
}

fn check_founding(args: &Args, charter: &CharterFile, own: &RootFile) -> anyhow::Result<()> {
    let draft = charter.newest();
    let one_is_enough = args.one_keyholder_can_betray_everyone;
    founding::check_threshold(draft.threshold, draft.roots.len(), one_is_enough)?;
    charter
        .signers()
        .hint("do not sign: ask for charter.json again, from hand to hand")?;
    if !draft.roots.contains(&own.root) {
        return Err(fail(
            "your root key is not in this charter: it was drafted without your .root file, or with a swapped one",
            format!(
                "do not sign; give {} to the one who drafts, and let the digits be compared",
                own.file_name()
            ),
        ));
    }
    Ok(())
}

fn compare_roots(
    args: &Args,
    context: &Context<'_>,
    ask: &mut Ask,
    charter: &CharterFile,
    keyholder: &Keyholder,
    own: &RootFile,
) -> anyhow::Result<()> {
    let mut comparison = Comparison::new(&args.digits, context.out);
    if comparison.asks() {
        let whose = "your own root key, when the others want to hear them";
        compare::show(context.out, whose, &own.digits());
    }
    for (number, root) in (1..).zip(charter.newest().roots.iter().filter(|root| **root != own.root)) {
        let named = keyholder.state.keyholders.iter().find(|file| file.root == *root);
        let whose = named.map_or_else(
            || format!("root key {number} of the others (find out whose it is)"),
            |file| format!("{}'s root key", file.name),
        );
        if comparison.asks() {
            let who = named.map_or("the keyholder", |file| file.name.as_str());
            founding::who_reads(context.out, who, "marram-keyholder status");
        }
        let digits = marram_crypto::fingerprint::Digits::of_key(root);
        comparison.check(ask, &whose, &digits)?;
    }
    comparison.finish()
}

/// The charter that this keyholder has signed comes back, with more signatures or without one's own.
fn signed_before(
    args: &Args,
    context: &Context<'_>,
    keyholder: &mut Keyholder,
    mut charter: CharterFile,
) -> anyhow::Result<()> {
    charter
        .signers()
        .hint("do not use this file; ask for charter.json again")?;
    let learned = keyholder.learn(&charter)?;
    if learned {
        keyholder.save()?;
    }
    let signatures = charter.signers()?.len();
    charter.gather(keyholder.charter()?)?;
    if charter.signers()?.len() > signatures {
        charter.write(&args.path, Existing::Replace)?;
    }
    context.out.paragraph(
        if learned {
            "You signed this charter before. It has more signatures now, and this computer knows them."
        } else {
            "You signed this charter before; there is nothing to sign."
        },
        0,
    );
    tell(args, context, keyholder, &charter)
}

/// A later version, complete: it is taken over if it follows the one that was agreed to.
fn changed(args: &Args, context: &Context<'_>, keyholder: &mut Keyholder, charter: &CharterFile) -> anyhow::Result<()> {
    match charter.chain(charter.fingerprint()) {
        Ok(_) => {}
        Err(error @ (CharterError::Note(_) | CharterError::OldKeysDidNotSign { .. })) => {
            return Err(error).hint(
                "this changes the charter, and not enough keyholders have signed it. This program does not sign changes \
                 of a charter yet",
            );
        }
        Err(error) => return Err(error).hint("do not use this file; ask for charter.json again"),
    }
    if keyholder.learn(charter)? {
        keyholder.save()?;
        context
            .out
            .line("The charter was changed; this computer knows the new one now.");
    }
    tell(args, context, keyholder, charter)
}

fn tell(args: &Args, context: &Context<'_>, keyholder: &Keyholder, charter: &CharterFile) -> anyhow::Result<()> {
    founding::show_progress(context.out, &args.path, charter, &keyholder.state)?;
    context.out.json(&founding::progress_json(&args.path, charter)?);
    Ok(())
}
