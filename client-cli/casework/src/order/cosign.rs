//! `order co-sign`.

use std::path::PathBuf;

use anyhow::Context as _;
use marram_crypto::{
    day::Day,
    order::{MAX_FILE_LEN, OrderFile, What},
};
use marram_terminal::{
    ask::Ask,
    error::{ResultExt as _, fail},
    files::{Existing, atomic_write, read_bounded},
    output::Output,
    table::Table,
    text::visible,
};
use serde_json::json;

use crate::{account::raise_if_forked, signer::Signer, unlock::Unlocked};

/// What `order co-sign` is told.
#[derive(Debug, clap::Args)]
pub struct CoSignArgs {
    /// The colleague's order, as in 0f….order; the signature is added to it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Also what I have not opened
    #[arg(long)]
    pub even_unread: bool,
}

pub(super) fn cosign(args: &CoSignArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let shown = visible(&args.file.display().to_string());
    let bytes = read_bounded(&args.file, MAX_FILE_LEN)?;
    let mut file = OrderFile::parse(&bytes)
        .with_context(|| format!("cannot use {shown}"))
        .hint("ask the colleague for the file again")?;
    let claims = file.order.claims().clone();
    let What::Delete(digests) = &claims.what else {
        return Err(fail(
            "this order hangs a board: it needs no second signature",
            "give it to a courier as it is",
        ));
    };
    let signer = Signer::of(unlocked, claims.epoch)?;
    let verified = file
        .order
        .clone()
        .verify(&signer.manifest)
        .context("no slot of the newest manifest has signed this order")
        .hint("do not sign it: ask who made it")?;
    claims.check_day(today).hint("ask the colleague to make it again")?;
    if verified.signers().contains(&signer.key.public()) {
        return Err(fail(
            "I have signed this order already",
            "a second caseworker must sign it, on another computer",
        ));
    }
    let by = format!("order {}", claims.id);
    if raise_if_forked(&mut unlocked.casebook, claims.log, &by, today)? {
        return Err(fail(
            format!(
                "whoever made this order has imported another log of {} leaves than is proven here: the log is forked",
                claims.log.size
            ),
            "do not sign it; see marram-casework alarms, and compare with the colleague",
        ));
    }
    let mut table = Table::new(["case", "digest", "what"]).keep(0);
    let (mut unread, mut cases) = (0_usize, Vec::new());
    for digest in digests {
        let report = unlocked.casebook.report_of(*digest)?;
        let kept = report.map(|id| unlocked.casebook.report(id)).transpose()?.flatten();
        let what = if let Some(kept) = &kept {
            cases.push(kept.listed.id);
            kept.listed.headline.clone()
        } else {
            unread += 1;
            "not opened by me".to_owned()
        };
        let case = kept.map(|kept| format!("#{}", kept.listed.id)).unwrap_or_default();
        let short: String = digest.to_string().chars().take(12).collect();
        table.row([case, short, what]);
    }
    out.line(format!("{shown} destroys reports: {}", digests.len()));
    out.table(&table);
    if unread > 0 && !args.even_unread {
        return Err(fail(
            format!("of these reports I have not opened: {unread}"),
            "import the newest bundle and read them first; --even-unread if they must go unread",
        ));
    }
    let question = "With your signature they are destroyed as soon as a courier hands the order in. Sign?";
    if !Ask::stdin()?.confirm(question, false)? {
        return Err(fail(
            "not signed: nothing was changed",
            "run the command again if you want to",
        ));
    }
    file.order.add_signature(&signer.key)?;
    atomic_write(&args.file, &file.to_bytes()?, 0o644, Existing::Replace)?;
    let changes = unlocked.casebook.change()?;
    changes.add_own_order(
        &file.order,
        &format!("co-signed: delete {} reports", digests.len()),
        today,
    )?;
    changes.commit()?;
    out.line(format!(
        "Signed. Give {shown} to a courier; it is valid until {}.",
        claims.expires
    ));
    out.json(&json!({ "order": args.file, "cases": cases, "unread": unread, "expires": claims.expires }));
    Ok(())
}
