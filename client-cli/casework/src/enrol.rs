//! `enrol` and `renew`: a caseworker's keys, made here, and the note that brings their public halves to the keyholders.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{
    charter::{CharterChain, MAX_CHAIN_LEN, UntrustedCharterChain},
    day::{Day, Epoch},
    digest::Digest,
    enrolment::{DEFAULT_EPOCHS, Draft, Enrolment},
    fingerprint::Digits,
    instance::InstanceId,
};
use marram_terminal::{
    ask::Ask,
    error::{ResultExt as _, fail},
    files::{Existing, atomic_write, read_bounded},
    home::HomeArgs,
    output::{CODE, Output},
    passphrase::PassphraseArgs,
    secret_file::WorkFactor,
    text::visible,
};
use serde_json::json;

use crate::{
    casebook::{self, Casebook},
    epochs::{EpochKeys, Epochs, FOLDER},
    identity::{self, Caseworker},
    unlock::{PROGRAM, Unlocked},
};

const WRITE_AGAIN: &str = "the keys are made: write the note with marram-casework renew --again --out FILE";

/// What `enrol` is told.
#[derive(Debug, clap::Args)]
pub struct EnrolArgs {
    /// The organization's charter.json, from a keyholder or the server
    #[arg(long, value_name = "FILE")]
    pub charter: PathBuf,
    /// Where to write the enrolment for the keyholders, as in alice.enrolment
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Number of epochs (weeks) to make keys for
    #[arg(long, value_name = "N", default_value_t = DEFAULT_EPOCHS, value_parser = clap::value_parser!(u32).range(1..=104))]
    pub epochs: u32,
    /// The first epoch [default: this week's]
    #[arg(long, value_name = "EPOCH")]
    pub from: Option<Epoch>,
    /// The charter's fingerprint, 64 hexadecimal digits, if it was compared already: nothing is asked then
    #[arg(long, value_name = "HEX")]
    pub fingerprint: Option<Digest>,
}

/// What `renew` is told.
#[derive(Debug, clap::Args)]
pub struct RenewArgs {
    /// Where to write the enrolment for the keyholders
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Number of epochs (weeks) to make keys for
    #[arg(long, value_name = "N", default_value_t = DEFAULT_EPOCHS, value_parser = clap::value_parser!(u32).range(1..=104))]
    pub epochs: u32,
    /// Make no new keys; write the last enrolment once more, if its file was lost
    #[arg(long, conflicts_with = "epochs")]
    pub again: bool,
}

/// Makes a caseworker's identity and the keys of its first epochs.
///
/// # Errors
/// Each with what to do next. Nothing that was there is overwritten.
pub fn enrol(
    args: &EnrolArgs,
    home: &HomeArgs,
    passphrase: &PassphraseArgs,
    today: Day,
    out: &Output,
) -> anyhow::Result<()> {
    let home = home.create(PROGRAM)?;
    let identity_file = home.file(identity::FILE);
    refuse_existing(&identity_file, &args.out)?;
    let epochs = Epochs::open(home.path())?;
    if home.file(casebook::FILE).exists() || !epochs.list()?.is_empty() {
        let what = format!(
            "{} holds a casebook or keys of epochs, but no identity.age",
            home.path().display()
        );
        return Err(fail(
            what,
            "if identity.age was moved, put it back; if an enrolment was interrupted here before its note was handed \
             out, remove the folder and enrol again",
        ));
    }
    let chain = pinned_charter(args)?;
    let charter = chain.newest();
    out.note(format!(
        "The charter is verified: {}, version {}, signed by {} of {} keyholders.",
        visible(&charter.name),
        charter.version,
        charter.threshold,
        charter.roots.len()
    ));

    let mut rng = UnwrapErr(SysRng);
    let passphrase = passphrase.new_one("your caseworker identity", &mut rng)?;
    let caseworker = Caseworker::random(&mut rng);
    let first = args.from.or_else(|| Epoch::of(today)).context("today is in no epoch")?;
    let enrolment = batch(&caseworker, &epochs, chain.instance(), 1, first, args.epochs)?;
    let mut casebook = Casebook::create(&home.file(casebook::FILE), &caseworker.casebook_key)?;
    let changes = casebook.change()?;
    changes.set_charter(&chain)?;
    changes.add_enrolment(&enrolment)?;
    changes.commit()?;
    // Last of all: without it everything before is noise, with it everything is there.
    caseworker.write(&identity_file, &passphrase, WorkFactor::Recommended)?;

    hand_out(&enrolment, &args.out).hint(WRITE_AGAIN)?;
    tell(&enrolment, &chain, &args.out, out);
    out.line("");
    out.paragraph(
        &format!(
            "For a backup copy {} and casebook together. Never copy the folder {FOLDER}: what is destroyed there must \
             be gone everywhere.",
            identity::FILE
        ),
        0,
    );
    Ok(())
}

/// Makes the keys of the next epochs.
///
/// # Errors
/// Each with what to do next.
pub fn renew(
    args: &RenewArgs,
    home: &HomeArgs,
    passphrase: &PassphraseArgs,
    today: Day,
    out: &Output,
) -> anyhow::Result<()> {
    check_place(&args.out)?;
    let mut unlocked = Unlocked::open(home, passphrase)?;
    let chain = unlocked.casebook.charter()?;
    let last = unlocked.casebook.enrolments(chain.instance())?.pop();
    let last = last.context("the casebook holds no enrolment")?;
    let enrolment = if args.again {
        last
    } else {
        let next = last.pairs.last_key_value().map(|(epoch, _)| epoch.plus(1));
        let first = next.max(Epoch::of(today)).context("today is in no epoch")?;
        let counter = last
            .counter
            .checked_add(1)
            .context("this enrolment key has made too many batches")?;
        let (caseworker, epochs) = (&unlocked.caseworker, &unlocked.epochs);
        let enrolment = batch(caseworker, epochs, chain.instance(), counter, first, args.epochs)?;
        let changes = unlocked.casebook.change()?;
        changes.add_enrolment(&enrolment)?;
        changes.commit()?;
        enrolment
    };
    hand_out(&enrolment, &args.out).hint(WRITE_AGAIN)?;
    tell(&enrolment, &chain, &args.out, out);
    Ok(())
}

fn refuse_existing(identity: &Path, out: &Path) -> anyhow::Result<()> {
    if identity.exists() {
        return Err(fail(
            format!("{} is there already: this caseworker is enrolled", identity.display()),
            "for the next epochs: marram-casework renew --out NAME.enrolment   (for another person: another --home FOLDER)",
        ));
    }
    check_place(out)
}

/// Before any key is made: the note must have a place, or keys would lie here that nobody was told of.
fn check_place(out: &Path) -> anyhow::Result<()> {
    if out.exists() {
        return Err(fail(
            format!("{} is already there", out.display()),
            "choose another name with --out FILE",
        ));
    }
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => Err(fail(
            format!("there is no folder {} for the enrolment", folder.display()),
            "check --out, and that the stick is plugged in; no keys were made",
        )),
        _ => Ok(()),
    }
}

/// Reads the charter chain and verifies it from the fingerprint that the person has compared.
fn pinned_charter(args: &EnrolArgs) -> anyhow::Result<CharterChain> {
    let again = "get charter.json from a keyholder, and compare the digits with another one";
    let bytes = read_bounded(&args.charter, MAX_CHAIN_LEN as u64)?;
    let chain = UntrustedCharterChain::parse(&bytes)
        .with_context(|| format!("cannot use {}", args.charter.display()))
        .hint(again)?;
    let pinned = if let Some(fingerprint) = args.fingerprint {
        fingerprint
    } else {
        let claimed = chain.claimed_fingerprint().context("the charter chain is empty")?;
        let whose = format!("the charter in {}", args.charter.display());
        if !Ask::stdin()?.same_digits(&whose, &Digits::of(&claimed).to_string())? {
            return Err(fail(
                "the digits were not confirmed: this may be another organization's charter, or a forged one",
                again,
            ));
        }
        claimed
    };
    chain
        .verify(pinned)
        .with_context(|| format!("the charter in {} is refused", args.charter.display()))
        .hint(again)
}

/// Draws the keys of `count` epochs from `first` on, stores them, and signs their public halves.
fn batch(
    caseworker: &Caseworker,
    epochs: &Epochs,
    instance: InstanceId,
    counter: u32,
    first: Epoch,
    count: u32,
) -> anyhow::Result<Enrolment> {
    let mut rng = UnwrapErr(SysRng);
    let home = caseworker.home_identity.recipient();
    let mut draft = Draft {
        instance,
        key: caseworker.enrolment_key.public(),
        counter,
        pairs: [].into(),
    };
    for epoch in (0..count).map(|n| first.plus(n)) {
        // Keys that are there already are of a batch that was interrupted, or of one that a restored casebook has
        // forgotten and a manifest may name: they stay.
        let keys = if let Some(keys) = epochs.read(epoch, &caseworker.home_identity)? {
            keys
        } else {
            let keys = EpochKeys::random(&mut rng);
            epochs.write(epoch, &keys, &home)?;
            keys
        };
        draft.pairs.insert(epoch, keys.pair());
    }
    Ok(draft.sign(&caseworker.enrolment_key)?)
}

fn hand_out(enrolment: &Enrolment, path: &Path) -> anyhow::Result<()> {
    Ok(atomic_write(path, &enrolment.note().to_bytes(), 0o644, Existing::Keep)?)
}

/// What the person does next, in the words of the meeting with the keyholders.
fn tell(enrolment: &Enrolment, chain: &CharterChain, path: &Path, out: &Output) {
    let (first, last) = (enrolment.pairs.keys().next(), enrolment.pairs.keys().next_back());
    let digits = enrolment.digits();
    let file = visible(&path.display().to_string());
    out.line("");
    out.heading(format!("Your enrolment is written to {file}"));
    out.field("organization", &chain.newest().name);
    out.field("batch", enrolment.counter);
    if let (Some(first), Some(last)) = (first, last) {
        let count = enrolment.pairs.len();
        out.field(
            "epochs",
            format!(
                "{first} to {last} ({} to {}, {count} weeks)",
                first.opens(),
                last.closes()
            ),
        );
    }
    out.heading("The digits of your enrolment key");
    out.line("");
    for row in digits.groups().chunks(4) {
        out.line(format!("    {}", row.join("  ")));
    }
    out.heading("What to do next");
    out.paragraph(
        &format!("1. Carry {file} to every keyholder, on a stick. It holds no secret."),
        2,
    );
    out.paragraph(
        "2. Read the twelve groups above aloud to each of them, from this screen, face to face or in a call in which \
         they know your voice. Their program shows the digits of the file they got; if one digit differs, somebody \
         has changed the file on its way.",
        2,
    );
    out.line(format!(
        "  3. They run:  {CODE}marram-keyholder vet {file} --name PSEUDONYM{CODE:#}"
    ));
    out.line(format!(
        "  4. When a courier brings a bundle:  {CODE}marram-casework import bundle-1.tar{CODE:#}"
    ));
    out.json(&json!({
        "enrolment": path,
        "key": enrolment.key,
        "digits": digits.to_string(),
        "counter": enrolment.counter,
        "first_epoch": first,
        "last_epoch": last,
    }));
}
