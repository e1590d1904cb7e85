//! `issue`: the manifests of the coming weeks.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use marram_crypto::{
    day::{Day, Epoch},
    enrolment::Pair,
    key::PublicKey,
};
use marram_terminal::{
    ask::Ask,
    error::{ResultExt as _, fail, usage},
};

use super::agree;
use crate::{
    batch,
    batch_screen::{self, Row},
    charter_file::CharterFile,
    differences::counted,
    keyholder::Context,
    making::{self, Made},
    memory::Memory,
    rng,
    settings::{Place, Settings},
    slots::Slots,
    state::State,
    week,
};

/// Weeks in a batch unless asked otherwise.
pub(crate) const DEFAULT_EPOCHS: u32 = 4;
/// The charter that is looked at unless another is named.
const CHARTER: &str = "charter.json";
/// Weeks after the end of a batch in which an enrolment that runs out is already worth a word.
const RUNS_OUT_SOON: u32 = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the organization decides
    #[arg(long, value_name = "FILE", default_value = "organization.toml")]
    settings: PathBuf,
    /// A page that the server may show, besides those of the settings: build it from the source (client-web/build), or compare
    /// its SHA-256 with other keyholders'. May be given several times
    #[arg(long, value_name = "FILE")]
    page: Vec<PathBuf>,
    /// The finished charter [default: charter.json, if it is in this folder]
    #[arg(long, value_name = "FILE")]
    charter: Option<PathBuf>,
    /// How many weeks [default: 4, or fewer at the limit of five weeks ahead]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// The first epoch; one that you have signed before gets a new version [default: the first that you have not signed]
    #[arg(long, value_name = "EPOCH")]
    from: Option<Epoch>,
    /// The folder to write [default: batch- and the day on which its first week begins]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// For scripts: sign without asking
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let mut settings = Settings::read(&args.settings)?;
    for page in &args.page {
        settings.name_page(page)?;
    }
    let charter = charter(args)?;
    let mut keyholder = context.open()?;
    if let Some(charter) = &charter {
        keyholder.learn(charter)?;
    }
    let agreed = keyholder.charter()?.clone();
    if !agreed.is_complete() {
        return Err(fail(
            "as far as this computer knows, the charter is not finished",
            "bring the finished file here and name it: marram-keyholder issue --charter charter.json",
        ));
    }
    if making::finish_interrupted(context, &keyholder)? {
        return Ok(());
    }
    let epochs = epochs(args, &keyholder.state.memory, context.today)?;
    let folder = args.out.clone().unwrap_or_else(|| batch::default_folder(epochs[0]));
    let mut made = Vec::new();
    for epoch in &epochs {
        made.push(make(&settings, &keyholder.state, &agreed, *epoch)?);
    }

    out.heading(format!("{} to sign", counted(made.len() as u64, "manifest")));
    out.line(format!("  Today is {} by this computer's clock.\n", context.today));
    let nobody = BTreeSet::new();
    let rows = made.iter().map(|made| Row {
        draft: made.manifest.claims(),
        holders: Some(&made.slots.holders),
        signers: &nobody,
    });
    batch_screen::show_table(out, &keyholder.state, rows);
    warn(context, &keyholder.state, &epochs);
    let drafts = made.iter().map(|made| made.manifest.claims());
    batch_screen::show_settings(out, &keyholder.state, drafts);
    let mut ask = Ask::stdin()?;
    agree(context, &mut ask, args.yes, "Sign them, as the first?")?;
    making::sign_and_write(context, &mut keyholder, &folder, made)
}

fn charter(args: &Args) -> anyhow::Result<Option<CharterFile>> {
    let (path, named) = match &args.charter {
        Some(path) => (path.as_path(), true),
        None => (Path::new(CHARTER), false),
    };
    if !named && !path.exists() {
        return Ok(None);
    }
    CharterFile::read(path)
        .map(Some)
        .hint("name the finished charter with --charter FILE")
}

/// The epochs to make manifests for; never none.
fn epochs(args: &Args, memory: &Memory, today: Day) -> anyhow::Result<Vec<Epoch>> {
    let last = week::last_signable(today);
    let from = args.from.unwrap_or_else(|| first_unsigned(memory, today));
    if args.epochs == Some(0) {
        return Err(usage("--epochs 0 makes nothing"));
    }
    if args.from.is_none() && from > last {
        return Err(fail(
            format!(
                "everything up to {} is signed, and nothing further ahead may be signed today",
                from.opens().minus(1)
            ),
            format!(
                "come back on {} or later; to change weeks that are signed: marram-keyholder issue --from EPOCH",
                from.opens().minus(week::MAX_AHEAD * Epoch::DAYS)
            ),
        ));
    }
    let wanted = args.epochs.unwrap_or_else(|| {
        let possible = last.number().saturating_sub(from.number()) + 1;
        DEFAULT_EPOCHS.min(possible)
    });
    let epochs: Vec<Epoch> = (0..wanted.min(week::MAX_AHEAD + 2))
        .map(|number| from.plus(number))
        .collect();
    for epoch in &epochs {
        week::check(*epoch, today).hint(format!(
            "epochs {} to {last} may be signed today; choose with --from and --epochs",
            week::epoch_of(today)
        ))?;
    }
    Ok(epochs)
}

/// The first epoch from today's on for which nothing is remembered.
pub(crate) fn first_unsigned(memory: &Memory, today: Day) -> Epoch {
    let mut epoch = week::epoch_of(today);
    while memory.get(epoch).is_some() && epoch < Epoch::MAX {
        epoch = epoch.plus(1);
    }
    epoch
}

/// The manifest of an epoch: the first, or the next version of one that this keyholder knows.
fn make(settings: &Settings, state: &State, charter: &CharterFile, epoch: Epoch) -> anyhow::Result<Made> {
    let ready: Vec<(PublicKey, Pair)> = state
        .vetted
        .ready(epoch)
        .map(|(caseworker, pair)| (caseworker.key, pair.clone()))
        .collect();
    if ready.is_empty() {
        return Err(fail(
            format!(
                "nobody could read in the {}: no caseworker on your list has keys for it",
                week::week(epoch)
            ),
            "vet an enrolment (marram-keyholder vet FILE --name PSEUDONYM), or ask for one that covers that week: \
             marram-casework renew --out NAME.enrolment",
        ));
    }
    let (version, slots) = match state.memory.get(epoch) {
        None => (1, Slots::new(epoch, settings.slots, &ready, &mut rng())),
        Some(known) => {
            let before = making::known_slots(known)?;
            if before.holders.len() != settings.slots {
                return Err(fail(
                    format!(
                        "the {} has {} slots already, and slots = {} in the settings: their number is fixed within a week",
                        week::week(epoch),
                        before.holders.len(),
                        settings.slots
                    ),
                    "change the number for weeks that nobody has signed yet: marram-keyholder issue without --from",
                ));
            }
            let stays = |key: &PublicKey| state.vetted.by_key(key).is_some_and(|one| one.struck.is_none());
            let slots = before.after(epoch, stays, &ready, &mut rng());
            (known.version.saturating_add(1), slots)
        }
    };
    let slots = slots.hint("raise slots in the settings, for weeks that nobody has signed yet")?;
    let place = Place {
        instance: charter.newest().instance,
        charter: charter.fingerprint(),
        epoch,
        version,
    };
    let draft = settings.draft(place, slots.keys.clone())?;
    Made::new(&draft, slots).hint("correct the settings")
}

/// Who is missing in which week, and whose keys run out soon.
fn warn(context: &Context<'_>, state: &State, epochs: &[Epoch]) {
    let (Some(first), Some(last)) = (epochs.first(), epochs.last()) else {
        return;
    };
    for caseworker in state.vetted.standing() {
        let missing: Vec<String> = epochs
            .iter()
            .filter(|epoch| caseworker.pair(**epoch).is_none())
            .map(|epoch| epoch.opens().to_string())
            .collect();
        let name = &caseworker.name;
        let renew = format!("ask for new ones: marram-casework renew --out {name}.enrolment");
        if !missing.is_empty() {
            context.out.warning(format!(
                "{name} has no keys for the weeks of {}, and will not read what is sent then; {renew}",
                missing.join(", ")
            ));
            continue;
        }
        let end = caseworker.runs_out(*first);
        if end <= last.plus(RUNS_OUT_SOON) {
            context
                .out
                .warning(format!("{name}'s keys run out on {}; {renew}", end.opens()));
        }
    }
    let alone = |epoch: &&Epoch| state.vetted.ready(**epoch).count() == 1;
    if let Some(epoch) = epochs.iter().find(alone) {
        context.out.warning(format!(
            "only one caseworker can read in the {}: if that computer is lost, so are the reports",
            week::week(*epoch)
        ));
    }
}
