//! `destroy-epoch`: the keys of an epoch, gone for good, and with them every ciphertext that was recorded on the way.

use marram_crypto::{
    day::{Day, Epoch},
    manifest::GRACE_DAYS,
};
use marram_terminal::{
    ask::{Ask, Question},
    error::{ResultExt as _, fail},
    output::Output,
};
use serde_json::json;

use crate::{account, alarm, casebook::Casebook, class::Class, log::Log, unlock::Unlocked};

/// What `destroy-epoch` is told.
#[derive(Debug, clap::Args)]
pub struct DestroyArgs {
    /// The epoch's number, as `status` shows it
    #[arg(value_name = "EPOCH")]
    pub epoch: Epoch,
    /// Also while reports of that epoch may still come in, or are not accounted for
    #[arg(long)]
    pub even_unread: bool,
}

/// The first day on which the server accepts no more reports of an epoch.
pub fn grace_ends(epoch: Epoch) -> Day {
    epoch.closes().plus(GRACE_DAYS)
}

/// Asks, and destroys the keys of an epoch.
///
/// # Errors
/// Each with what to do next; then nothing was destroyed.
pub fn destroy_epoch(args: &DestroyArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let epoch = args.epoch;
    if !unlocked.epochs.list()?.contains(&epoch) {
        let destroyed = unlocked.casebook.destroyed_epochs()?;
        let what = match destroyed.get(&epoch) {
            Some(day) => format!("the keys of epoch {epoch} were destroyed on {day}"),
            None => format!("there are no keys of epoch {epoch} here"),
        };
        return Err(fail(
            what,
            "marram-casework status shows the epochs whose keys are here",
        ));
    }
    let end = grace_ends(epoch);
    if today < end && !args.even_unread {
        return Err(fail(
            format!(
                "epoch {epoch} is not over: it closes on {}, and the server accepts reports that were begun in it until \
                 {end}",
                epoch.closes()
            ),
            format!(
                "import what comes until then, and destroy its keys from {end} on; --even-unread if they must go now"
            ),
        ));
    }
    // Also what an interrupted import left undone.
    account::account(&mut unlocked.casebook, today)?;
    let unaccounted = unaccounted(&unlocked.casebook, epoch, end)?;
    if let Some((what, next)) = &unaccounted
        && !args.even_unread
    {
        return Err(fail(
            format!("epoch {epoch} is not accounted for: {what}"),
            format!("{next}; --even-unread if its keys must go now"),
        ));
    }
    let counts = unlocked.casebook.classes_of(epoch)?;
    let count = |wanted: fn(Class) -> bool| {
        let counts = counts.iter().filter(|(class, _)| wanted(**class));
        counts.map(|(_, count)| count).sum::<u64>()
    };
    let missing = count(Class::is_alarm);

    // On stderr, with the question: also when the answer comes through a pipe, the person has read this.
    out.note(format!(
        "Epoch {epoch} ({} to {}): {} reports of it are in the casebook and stay readable.",
        epoch.opens(),
        epoch.closes(),
        count(Class::is_read)
    ));
    if let Some((what, _)) = unaccounted {
        out.warning(format!("it is not accounted for: {what}"));
    }
    if missing > 0 {
        out.warning(format!(
            "reports of it that are in the log and were never opened: {missing}. They become unreadable for good"
        ));
    }
    out.note(
        "Reports of this epoch that were not imported yet become unreadable for you forever: in bundles, at the\n\
         server, and to whoever recorded them. That is what this is for. Nothing brings the keys back.\n\
         On SSDs, snapshots and backups an overwritten file may survive; the folder must not be in any.",
    );
    let typed = Ask::stdin()?.line(&Question::new(
        "Type the number of the epoch to destroy its keys, or anything else to keep them.",
    ))?;
    if typed.given().as_deref() != Some(epoch.to_string().as_str()) {
        return Err(fail(
            "the number was not typed: nothing was destroyed",
            "run the command again if you want to",
        ));
    }
    unlocked
        .epochs
        .destroy(epoch)
        .hint("the file may be there still: try again, or destroy the disk")?;
    let changes = unlocked.casebook.change()?;
    changes.set_destroyed(epoch, today)?;
    changes.commit()?;
    out.line(format!("The keys of epoch {epoch} are destroyed."));
    out.json(&json!({ "destroyed": epoch, "not_imported": missing }));
    Ok(())
}

/// Why the keys of an epoch should not go yet: what is missing, and what to do.
fn unaccounted(casebook: &Casebook, epoch: Epoch, grace_ends: Day) -> anyhow::Result<Option<(String, String)>> {
    let log = Log::of(casebook)?;
    let import = "import what the couriers bring";
    let covered = casebook.covered_until()?;
    if covered.is_none_or(|covered| covered < grace_ends) {
        let what = match covered {
            None => format!("no checkpoint of {grace_ends} or later was imported"),
            Some(covered) => format!(
                "the log is known here as it was on {covered}, and reports of that epoch were taken until {grace_ends}"
            ),
        };
        return Ok(Some((what, import.to_owned())));
    }
    if log.newest_size > log.size {
        let (size, newest) = (log.size, log.newest_size);
        let what = format!("{newest} leaves are signed, and {size} of them are proven here");
        return Ok(Some((
            what,
            format!("{import}; if a bundle is lost: marram-courier pull --all"),
        )));
    }
    let alarms = casebook.open_alarms_about(epoch)?;
    if !alarms.is_empty() {
        let what = format!("alarms that nobody has acknowledged: {}", alarm::counted(&alarms));
        return Ok(Some((
            what,
            "see marram-casework alarms, find out, and acknowledge them".to_owned(),
        )));
    }
    Ok(None)
}
