//! `sign FOLDER`: a batch of manifests that another keyholder has made is checked slot by slot, shown, and signed.

use std::collections::BTreeSet;

use marram_crypto::{fingerprint::Digits, key::PublicKey, manifest::UntrustedManifest};
use marram_terminal::{
    ask::Ask,
    error::{ResultExt as _, fail},
    files::{self, Existing},
    output::{CODE, HEADING},
};

use super::{agree, sign::Args};
use crate::{
    batch::{self, Batch},
    batch_screen::{self, Row},
    compare,
    keyholder::{Context, Keyholder},
    memory::Holder,
    review::{Change, Reviewed, Reviewer, Unvetted, Verdict},
    state::State,
    week,
};

pub(super) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let mut batch = Batch::read(&args.path)?;
    let mut keyholder = context.open()?;
    let mut ask = Ask::stdin()?;
    let reviews = review(context, &keyholder, &batch)?;

    let to_sign = reviews
        .iter()
        .any(|review| matches!(review.verdict, Verdict::Sign { .. }));
    let mut strike = BTreeSet::new();
    if to_sign {
        show(context, &keyholder.state, &batch, &reviews);
        let count = reviews
            .iter()
            .filter(|review| matches!(review.verdict, Verdict::Sign { .. }))
            .count();
        let question = if count == 1 {
            "Sign this manifest?".to_owned()
        } else {
            format!("Sign these {count} manifests?")
        };
        agree(context, &mut ask, args.yes, &question)?;
        for key in leaving(&reviews) {
            let name = keyholder.state.caseworker_name(&key);
            let question = format!(
                "{name} loses the slot. Strike {name} from your own list too, so that no later batch has {name} again?"
            );
            if args.yes || ask.confirm(&question, true)? {
                context.out.line(format!("{name} is struck from your own list."));
                strike.insert(key);
            }
        }
    }
    sign(context, &mut keyholder, &mut batch, reviews, &strike)?;
    let charter = keyholder.charter()?.newest();
    let signatures = batch_screen::signatures(&batch.manifests, &charter.root_keys())?;
    let complete = signatures >= charter.threshold;
    if complete {
        batch.destroy_private()?;
        let annex = batch::annex_path(&batch.folder);
        let known = keyholder.state.annexes.len();
        keyholder.state.annexes.retain(|path| *path != annex);
        if keyholder.state.annexes.len() < known {
            keyholder.save()?;
        }
    }
    batch_screen::show_progress(out, &batch.folder, &batch.manifests, &keyholder.state)?;
    out.json(&batch_screen::progress_json(
        &batch.folder,
        &batch.manifests,
        &keyholder.state,
    )?);
    Ok(())
}

/// Checks every manifest, or says what is wrong with the first that does not pass.
fn review(context: &Context<'_>, keyholder: &Keyholder, batch: &Batch) -> anyhow::Result<Vec<Reviewed>> {
    let charter = keyholder.charter()?;
    let reviewer = Reviewer {
        state: &keyholder.state,
        charter,
        own: keyholder.key().public(),
        today: context.today,
    };
    if !charter.is_complete() {
        return Err(fail(
            "as far as this computer knows, the charter is not finished",
            "run first, with the finished file: marram-keyholder sign charter.json",
        ));
    }
    let named = |manifest: &UntrustedManifest, refusal: crate::review::Refusal| {
        let next = refusal.next_step();
        let file = batch::file_name(manifest.claims());
        Err(anyhow::Error::from(refusal)
            .context(format!("not signed: {file}, {}", week::week(manifest.claims().epoch))))
        .hint(next)
    };
    for manifest in &batch.manifests {
        if let Err(refusal) = reviewer.standing(manifest) {
            return named(manifest, refusal);
        }
    }
    if let Some(annex) = &batch.annex {
        batch::check_annex_instance(annex, charter.newest().instance)?;
    }
    let unvetted = reviewer.unvetted(batch);
    if !unvetted.is_empty() {
        return Err(not_vetted(context, &unvetted));
    }
    let mut reviews = Vec::new();
    for manifest in &batch.manifests {
        marram_terminal::interrupt::check()?;
        match reviewer.review(manifest, batch.annex.as_ref()) {
            Ok(passed) => reviews.push(passed),
            Err(refusal) => return named(manifest, refusal),
        }
    }
    Ok(reviews)
}

/// Whom to vet first: whose digits, which file, which command.
fn not_vetted(context: &Context<'_>, unvetted: &[Unvetted]) -> anyhow::Error {
    let out = context.out;
    let mut names = Vec::new();
    for one in unvetted {
        let pseudonym = marram_terminal::text::visible(&one.pseudonym);
        let weeks = one
            .epochs
            .iter()
            .map(|epoch| epoch.opens().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let file = one.file.as_ref().map(|path| path.display().to_string());
        if let Some(name) = &one.known_as {
            out.heading(format!("{name} has enrolled further keys, which are not on your list"));
            out.field("needed for the weeks of", weeks);
            out.paragraph(
                "They are signed by the enrolment key that you vetted, so there is nothing to compare. Run:",
                2,
            );
            let file = file.unwrap_or_else(|| format!("{name}.enrolment"));
            out.line(format!("\n    {CODE}marram-keyholder vet {file}{CODE:#}"));
            names.push(format!("{name} (further keys)"));
        } else {
            out.heading(format!("{pseudonym} is not on your list"));
            out.field("has slots in the weeks of", weeks);
            compare::show(
                out,
                &format!("the enrolment key that {pseudonym} has in this batch"),
                &Digits::of_key(&one.key),
            );
            out.line("");
            out.paragraph(
                &format!(
                    "{pseudonym} reads them aloud; on {pseudonym}'s computer, marram-casework status shows them. {} If they are the same:",
                    if file.is_some() {
                        "The enrolment came with the batch, and is believed only once you have vetted it."
                    } else {
                        "Ask the caseworker, or the keyholder who made the batch, for the enrolment file."
                    }
                ),
                2,
            );
            let file = file.unwrap_or_else(|| format!("{pseudonym}.enrolment"));
            out.line(format!(
                "\n    {CODE}marram-keyholder vet {file} --name {pseudonym}{CODE:#}"
            ));
            names.push(pseudonym);
        }
    }
    out.line("");
    fail(
        format!(
            "not signed: not on your own list of vetted caseworkers: {}",
            names.join(", ")
        ),
        "vet them as shown, then sign again. If you do not know who it is, do not sign: somebody may want to read in secret",
    )
}

fn show(context: &Context<'_>, state: &State, batch: &Batch, reviews: &[Reviewed]) {
    let out = context.out;
    out.heading(format!("The batch {}", batch.folder.display()));
    out.line(format!("  Today is {} by this computer's clock.\n", context.today));
    let rows = batch.manifests.iter().zip(reviews).map(|(manifest, review)| Row {
        draft: manifest.claims(),
        holders: match &review.verdict {
            Verdict::Sign { holders, .. } => Some(holders.as_slice()),
            Verdict::Signed | Verdict::Seen => None,
        },
        signers: &review.signers,
    });
    batch_screen::show_table(out, state, rows);
    out.paragraph(
        "\nChecked: every slot belongs to a caseworker on your own list, or to nobody at all.",
        0,
    );
    show_changes(context, state, batch, reviews);
    batch_screen::show_settings(out, state, batch.manifests.iter().map(UntrustedManifest::claims));
}

fn show_changes(context: &Context<'_>, state: &State, batch: &Batch, reviews: &[Reviewed]) {
    let out = context.out;
    let mut lines = Vec::new();
    for (manifest, review) in batch.manifests.iter().zip(reviews) {
        let Verdict::Sign { changes, missing, .. } = &review.verdict else {
            continue;
        };
        let week = manifest.claims().epoch.opens();
        for change in changes {
            let name = |key: &PublicKey| state.caseworker_name(key);
            lines.push(match change {
                Change::Leaves { position, key } => {
                    format!(
                        "week of {week}: {} loses slot {} and can no longer read",
                        name(key),
                        position + 1
                    )
                }
                Change::Joins { position, key } => format!("week of {week}: {} gets slot {}", name(key), position + 1),
                Change::NewKeys { position, key } => {
                    format!("week of {week}: {} gets new keys in slot {}", name(key), position + 1)
                }
            });
        }
        let leaves = |name: &str| {
            changes
                .iter()
                .any(|change| matches!(change, Change::Leaves { key, .. } if state.caseworker_name(key) == name))
        };
        for name in missing.iter().filter(|name| !leaves(name.as_str())) {
            lines.push(format!(
                "week of {week}: {name} is on your list and has no slot: {name} could not read what is sent that week. Ask \
                 why"
            ));
        }
    }
    if !lines.is_empty() {
        out.line(format!("\n{HEADING}Who can read changes:{HEADING:#}"));
        for line in &lines {
            out.paragraph(&format!("- {line}"), 2);
        }
    }
}

fn leaving(reviews: &[Reviewed]) -> BTreeSet<PublicKey> {
    let changes = reviews.iter().filter_map(|review| match &review.verdict {
        Verdict::Sign { changes, .. } => Some(changes),
        Verdict::Signed | Verdict::Seen => None,
    });
    changes
        .flatten()
        .filter_map(|change| match change {
            Change::Leaves { key, .. } => Some(*key),
            Change::Joins { .. } | Change::NewKeys { .. } => None,
        })
        .collect()
}

/// Signs what is to be signed. The memory is written before the first signature is: what was cut off in between is
/// finished by signing again, and can never be followed by a signature on something else.
fn sign(
    context: &Context<'_>,
    keyholder: &mut Keyholder,
    batch: &mut Batch,
    reviews: Vec<Reviewed>,
    strike: &BTreeSet<PublicKey>,
) -> anyhow::Result<()> {
    let key = keyholder.key();
    let own = key.public();
    let mut changed = false;
    for (manifest, review) in batch.manifests.iter_mut().zip(reviews) {
        let holders: Option<Vec<Holder>> = match review.verdict {
            Verdict::Sign { holders, .. } => Some(holders),
            Verdict::Signed => None,
            Verdict::Seen => {
                keyholder.state.memory.remember(manifest.clone(), None)?;
                changed = true;
                continue;
            }
        };
        let had = manifest.note().signed_by(&own);
        if !had {
            manifest.add_signature(&key)?;
        }
        keyholder.state.memory.remember(manifest.clone(), holders)?;
        changed = true;
    }
    for struck in strike {
        keyholder.state.vetted.strike(struck, context.today);
    }
    if changed {
        keyholder.save()?;
    }
    for manifest in &batch.manifests {
        let path = batch.folder.join(batch::file_name(manifest.claims()));
        files::atomic_write(&path, &manifest.note().to_bytes(), 0o644, Existing::Replace)?;
    }
    Ok(())
}
