//! `board`: the next board, whole, for every shard, whether or not anything is new.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{
    board::{Composition, Header, MAX_COUNT, Salt, Shard, UntrustedBoard, compose},
    codename::ReplyKey,
    day::Day,
    digest::Digest,
    key::{PublicKey, SigningKey},
    manifest::Manifest,
    order::{Draft, GRACE_DAYS, OrderFile, OrderId, What},
    report::Report,
    tree::Head,
};
use marram_terminal::{
    error::ResultExt as _,
    output::{CODE, Output},
    text::visible,
};
use serde_json::json;

use crate::{
    casebook::{Casebook, answers::KeptAnswer},
    order::Outbox,
    signer::{self, Signer},
    unlock::Unlocked,
};

/// An acknowledgement hangs for so many days after the codename's last report came.
const ACKNOWLEDGED_DAYS: u32 = 56;
/// How orders of boards begin among my orders.
const HANG: &str = "hang the board of";

/// What `board` is told.
#[derive(Debug, clap::Args)]
pub struct BoardArgs {
    /// The outbox: a folder on the stick that goes to a courier
    #[arg(long, value_name = "OUTBOX")]
    pub out: PathBuf,
}

/// What hangs, and for whom.
struct Hanging {
    reply_key: ReplyKey,
    shard: Shard,
    /// How many reports were read; 0 if only answers hang.
    count: u32,
    /// The day on which the last of them came.
    last: Day,
}

/// Makes the next board.
///
/// # Errors
/// Each with what to do next; then no board was made.
pub fn board(args: &BoardArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let signer = Signer::of_today(unlocked, today)?;
    let next = signer::key(unlocked, signer.manifest.epoch.plus(1))
        .hint("a board is signed for the next week too, so that it outlives Monday: marram-casework renew")?;
    let manifest = signer.manifest;
    let signers = [signer.key, next];

    let changes = unlocked.casebook.change()?;
    let forgotten = changes.forget_answers_before(today.minus(manifest.retention_days))?;
    changes.commit()?;
    let hanging = acknowledged(&unlocked.casebook, &manifest, today)?;
    let answers = answers(&unlocked.casebook, &manifest)?;
    let head = unlocked.casebook.tree()?.head();

    let outbox = Outbox::open(&args.out)?;
    let made = Made::of(&manifest, head, &signers, &hanging, &answers, today)?;
    // A courier would hand in both, in any order.
    for old in unlocked.casebook.own_orders()? {
        if !old.accepted && old.what.starts_with(HANG) {
            outbox.take_back(&old.id)?;
        }
    }
    let mut written = Vec::new();
    for file in &made.orders {
        written.push(outbox.put(file)?);
    }
    let changes = unlocked.casebook.change()?;
    changes.forget_own_orders(HANG)?;
    for file in &made.orders {
        changes.add_own_order(&file.order, &format!("{HANG} {today}"), today)?;
    }
    changes.set_board(today)?;
    changes.commit()?;

    if forgotten > 0 {
        out.line(format!(
            "Answers that were as old as reports may become, and are gone: {forgotten}."
        ));
    }
    let next_due = today.plus(manifest.board.cadence_days);
    let acknowledged = hanging.len() - made.unacknowledged;
    let answered = answers.len() - made.left_out;
    out.line(format!(
        "The board of {today} lies in {}: shards {}, codenames acknowledged {acknowledged}, answers {answered}.",
        visible(&args.out.display().to_string()),
        written.len(),
    ));
    made.warn(out);
    out.line(format!(
        "Give the folder to a courier. The next is due on {next_due}, also if nothing is new: {CODE}marram-casework status{CODE:#}"
    ));
    out.json(&json!({
        "orders": written,
        "shards": written.len(),
        "acknowledged": acknowledged,
        "not_acknowledged": made.unacknowledged,
        "answers": answered,
        "answers_left_out": made.cases_left_out,
        "day": today,
        "next": next_due,
    }));
    Ok(())
}

/// A board for every shard, and what did not fit.
#[derive(Default)]
struct Made {
    orders: Vec<OrderFile>,
    unacknowledged: usize,
    left_out: usize,
    cases_left_out: BTreeSet<i64>,
}

impl Made {
    fn of(
        manifest: &Manifest,
        head: Head,
        signers: &[SigningKey; 2],
        hanging: &[Hanging],
        answers: &[(ReplyKey, KeptAnswer, Shard)],
        today: Day,
    ) -> anyhow::Result<Self> {
        let mut rng = UnwrapErr(SysRng);
        let mut made = Self::default();
        for shard in Shard::all(manifest.board) {
            let here: Vec<_> = hanging.iter().filter(|hanging| hanging.shard == shard).collect();
            let mine: Vec<_> = answers.iter().filter(|(_, _, of)| *of == shard).collect();
            let composition = Composition {
                acknowledged: here.iter().map(|hanging| (&hanging.reply_key, hanging.count)).collect(),
                answers: mine.iter().map(|(key, kept, _)| (key, &kept.answer)).collect(),
            };
            let salt = Salt::random(&mut rng);
            let (image, too_much) = compose(manifest.board, manifest.instance, salt, &composition, &mut rng);
            made.unacknowledged += too_much.acknowledged.len();
            made.left_out += too_much.answers.len();
            let left_out = too_much.answers.iter().filter_map(|at| mine.get(*at));
            made.cases_left_out.extend(left_out.map(|(_, kept, _)| kept.report));
            let header = Header {
                instance: manifest.instance,
                epoch: manifest.epoch,
                day: today,
                shard,
                salt,
                image: Digest::of(&image),
            };
            let board = UntrustedBoard::sign(header, image, signers)?;
            let mut order = hang(manifest, head, &board, today).to_note()?;
            order.add_signature(&signers[0])?;
            made.orders.push(OrderFile {
                order,
                board: Some(board.to_bytes()),
            });
        }
        Ok(made)
    }

    fn warn(&self, out: &Output) {
        if self.unacknowledged > 0 {
            out.warning(format!(
                "codenames that did not fit and are not acknowledged: {}, those whose reports came longest ago; the \
                 keyholders can give the board more tags or shards",
                self.unacknowledged
            ));
        }
        if self.left_out > 0 {
            let cases: Vec<_> = self.cases_left_out.iter().map(|id| format!("#{id}")).collect();
            out.warning(format!(
                "answers that did not fit, the oldest: {}, to {}. Shorten them, or ask the keyholders for more cells or \
                 shards",
                self.left_out,
                cases.join(", ")
            ));
        }
    }
}

fn hang(manifest: &Manifest, head: Head, board: &UntrustedBoard, today: Day) -> Draft {
    let valid = manifest.board.cadence_days.saturating_mul(2);
    Draft {
        instance: manifest.instance,
        id: OrderId::random(&mut UnwrapErr(SysRng)),
        epoch: manifest.epoch,
        expires: today.plus(valid).min(manifest.epoch.closes().plus(GRACE_DAYS)),
        log: head,
        what: What::Hang {
            shard: board.claims().shard,
            header: board.header_digest(),
        },
    }
}

/// Every codename with reports that count, last come first.
fn acknowledged(casebook: &Casebook, manifest: &Manifest, today: Day) -> anyhow::Result<Vec<Hanging>> {
    let mut by_codename: BTreeMap<PublicKey, Hanging> = BTreeMap::new();
    casebook.acknowledged(|acknowledged| {
        let reply_key = acknowledged.report.reply_key;
        let hanging = by_codename
            .entry(acknowledged.report.codename_key)
            .or_insert_with(|| Hanging {
                shard: Shard::of(&reply_key, manifest.board),
                reply_key,
                count: 0,
                last: acknowledged.day,
            });
        hanging.count = (hanging.count + 1).min(MAX_COUNT);
        hanging.last = hanging.last.max(acknowledged.day);
    })?;
    let mut hanging: Vec<_> = by_codename.into_values().collect();
    hanging.retain(|hanging| today.days_since(hanging.last) <= ACKNOWLEDGED_DAYS);
    hanging.sort_by_key(|hanging| Reverse(hanging.last));
    Ok(hanging)
}

/// Every answer to a report that may be answered, newest first.
fn answers(casebook: &Casebook, manifest: &Manifest) -> anyhow::Result<Vec<(ReplyKey, KeptAnswer, Shard)>> {
    let mut answers = Vec::new();
    for kept in casebook.answers(None)?.into_iter().rev() {
        if casebook.is_folded(kept.report)? {
            continue;
        }
        if let Some(report) = casebook.report(kept.report)? {
            let reply_key = Report::parse(&report.report_json)?.reply_key;
            let shard = Shard::of(&reply_key, manifest.board);
            answers.push((reply_key, kept, shard));
        }
    }
    Ok(answers)
}
