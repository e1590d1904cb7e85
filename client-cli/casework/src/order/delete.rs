//! `order delete`.

use std::{collections::BTreeSet, path::PathBuf};

use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{
    day::Day,
    digest::Digest,
    order::{DELETION_DELAY_DAYS, Draft, GRACE_DAYS, MAX_DELETIONS, OrderFile, OrderId, What},
};
use marram_terminal::{
    error::fail,
    output::{CODE, Output},
    text::visible,
};
use serde_json::json;

use super::Outbox;
use crate::{show, signer::Signer, unlock::Unlocked};

/// An order is made to last this long, unless its epoch ends before.
const VALID_DAYS: u32 = 14;

/// What `order delete` is told.
#[derive(Debug, clap::Args)]
pub struct DeleteArgs {
    /// Numbers of reports, as `list` shows them, or digests of ciphertexts
    #[arg(required = true, value_name = "CASE", value_parser = parse_target)]
    pub cases: Vec<Target>,
    /// The outbox: a folder on the stick that goes to a courier
    #[arg(long, value_name = "OUTBOX")]
    pub out: PathBuf,
    /// Also what I have not opened: noise, by its digest
    #[arg(long)]
    pub even_unread: bool,
}

/// A report to destroy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A report in the casebook, and whatever else came that says the same word for word.
    Case(i64),
    /// A ciphertext.
    Digest(Digest),
}

pub(super) fn delete(args: &DeleteArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let signer = Signer::of_today(unlocked, today)?;
    let digests = digests(args, unlocked)?;
    let outbox = Outbox::open(&args.out)?;
    let head = unlocked.casebook.tree()?.head();
    let epoch = signer.manifest.epoch;
    let expires = today.plus(VALID_DAYS).min(epoch.closes().plus(GRACE_DAYS));
    let digests: Vec<Digest> = digests.into_iter().collect();
    let mut written = Vec::new();
    for some in digests.chunks(MAX_DELETIONS) {
        let draft = Draft {
            instance: signer.instance(),
            id: OrderId::random(&mut UnwrapErr(SysRng)),
            epoch,
            expires,
            log: head,
            what: What::Delete(some.to_vec()),
        };
        let mut order = draft.to_note()?;
        order.add_signature(&signer.key)?;
        let path = outbox.put(&OrderFile {
            order: order.clone(),
            board: None,
        })?;
        let changes = unlocked.casebook.change()?;
        changes.add_own_order(&order, &format!("delete {} reports", some.len()), today)?;
        changes.commit()?;
        written.push(path);
    }
    for path in &written {
        out.line(format!(
            "{} destroys reports: {}",
            visible(&path.display().to_string()),
            digests.len()
        ));
    }
    out.paragraph(
        &format!(
            "A courier must hand it in by {expires}. Each report is destroyed at the beginning of the {DELETION_DELAY_DAYS}th \
             day after it came."
        ),
        0,
    );
    out.line(format!(
        "To have it take effect at once, a colleague runs: {CODE}marram-casework order co-sign FILE{CODE:#}"
    ));
    out.json(&json!({ "orders": written, "deletes": digests, "expires": expires }));
    Ok(())
}

fn digests(args: &DeleteArgs, unlocked: &Unlocked) -> anyhow::Result<BTreeSet<Digest>> {
    let mut digests = BTreeSet::new();
    for target in &args.cases {
        match target {
            Target::Case(id) => {
                show::find(&unlocked.casebook, *id)?;
                let mut any = false;
                for digest in unlocked.casebook.ciphertexts_of(*id)? {
                    if unlocked.casebook.proven_leaf(digest)?.is_some() {
                        digests.insert(digest);
                        any = true;
                    }
                }
                if !any {
                    return Err(fail(
                        format!(
                            "the log as it is proven here does not have report #{id}: the server would refuse the order"
                        ),
                        "import the bundle that has its leaf first",
                    ));
                }
            }
            Target::Digest(digest) => {
                if unlocked.casebook.report_of(*digest)?.is_none() && !args.even_unread {
                    return Err(fail(
                        format!("I have not opened {digest}: it may be a report that a colleague can read"),
                        "--even-unread if it must go all the same; every caseworker who has not opened it is told that you \
                         ordered it",
                    ));
                }
                if unlocked.casebook.proven_leaf(*digest)?.is_none() {
                    return Err(fail(
                        format!(
                            "the log as it is proven here does not have {digest}: the server would refuse the order"
                        ),
                        "check the digest (marram-casework show CASE), and import the newest bundle",
                    ));
                }
                digests.insert(*digest);
            }
        }
    }
    Ok(digests)
}

fn parse_target(typed: &str) -> Result<Target, String> {
    if let Ok(digest) = typed.parse() {
        return Ok(Target::Digest(digest));
    }
    show::parse_id(typed)
        .map(Target::Case)
        .map_err(|error| format!("{error}; or a digest of 64 hexadecimal digits"))
}
