//! `reply`, `fold` and `unfold`: what goes back to whoever wrote a report.
//!
//! An answer lies in the casebook and hangs on every board that is made from then on, until it is as old as the manifest
//! lets reports become.

use std::path::PathBuf;

use anyhow::Context as _;
use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{
    board::{Answer, AnswerId, MAX_TEXT_LEN, PART_LEN},
    day::Day,
};
use marram_terminal::{
    ask::{Ask, Question},
    error::{ResultExt as _, fail},
    files::read_bounded,
    output::{CODE, Output},
};
use serde_json::json;

use crate::{
    casebook::reports::{Continuity, Kept},
    show,
    unlock::Unlocked,
};

/// What `reply` is told.
#[derive(Debug, clap::Args)]
pub struct ReplyArgs {
    /// The report's number, as `list` shows it
    #[arg(value_name = "CASE", value_parser = show::parse_id)]
    pub case: i64,
    /// A file with the answer, plain text [default: asked]
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
}

/// What `fold` and `unfold` are told.
#[derive(Debug, clap::Args)]
pub struct FoldArgs {
    /// The report's number, as `list` shows it
    #[arg(value_name = "CASE", value_parser = show::parse_id)]
    pub case: i64,
}

/// Keeps an answer for the next board.
///
/// # Errors
/// Each with what to do next. A report that must not be answered is refused.
pub fn reply(args: &ReplyArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let kept = show::find(&unlocked.casebook, args.case)?;
    may_be_answered(&kept)?;
    if unlocked.casebook.is_folded(args.case)? {
        return Err(fail(
            format!("#{} is folded away as abuse, and is not answered", args.case),
            format!("marram-casework unfold {} first", args.case),
        ));
    }
    let text = match &args.text {
        Some(file) => {
            let bytes = read_bounded(file, MAX_TEXT_LEN as u64 + 2)?;
            String::from_utf8(bytes)
                .with_context(|| format!("{} is not UTF-8 text", file.display()))
                .hint("save it as plain text (UTF-8)")?
        }
        None => Ask::stdin()?
            .long_text(&Question::new("Your answer").max_bytes(MAX_TEXT_LEN))?
            .given()
            .unwrap_or_default(),
    };
    let answer = Answer::new(AnswerId::random(&mut UnwrapErr(SysRng)), today, text.trim().to_owned())
        .hint("write it again; several short answers are read as well as a long one")?;
    let cells = answer.cells();
    let changes = unlocked.casebook.change()?;
    changes.add_answer(args.case, &answer)?;
    changes.commit()?;
    out.line(format!(
        "The answer to #{} is kept; on a board it takes {cells} of the cells, of {PART_LEN} bytes each.",
        args.case
    ));
    out.line(format!(
        "It hangs on the next board: {CODE}marram-casework board --out OUTBOX{CODE:#}"
    ));
    out.json(&json!({ "case": args.case, "cells": cells, "bytes": answer.text().len(), "day": today }));
    Ok(())
}

/// Folds a report away as abuse: it is not acknowledged, and not answered.
///
/// # Errors
/// If there is no such report.
pub fn fold(args: &FoldArgs, folded: bool, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    show::find(&unlocked.casebook, args.case)?;
    let changes = unlocked.casebook.change()?;
    let is_new = changes.set_folded(args.case, folded, today)?;
    changes.commit()?;
    let case = args.case;
    out.line(match (folded, is_new) {
        (true, true) => format!("#{case} is folded away: the next board does not acknowledge it."),
        (true, false) => format!("#{case} was folded away before."),
        (false, true) => format!("#{case} is unfolded: the next board acknowledges it."),
        (false, false) => format!("#{case} was not folded away."),
    });
    out.json(&json!({ "case": case, "folded": folded, "changed": is_new }));
    Ok(())
}

/// Whether whoever wrote it, and nobody else, reads an answer, and learns nothing by it.
fn may_be_answered(kept: &Kept) -> anyhow::Result<()> {
    let id = kept.listed.id;
    if !kept.listed.unsealed_slots.is_empty() {
        return Err(fail(
            format!(
                "#{id} is partly sealed: whoever made it wants to see who answers, and so learn which slots are live"
            ),
            format!("do not answer it by any way; marram-casework show {id} says more"),
        ));
    }
    if matches!(
        kept.listed.continuity,
        Continuity::AnotherReplyKey | Continuity::AnotherCodename
    ) {
        let first = kept.listed.first_report.unwrap_or_default();
        return Err(fail(
            format!("#{id} bears keys of #{first} and is not from whoever wrote that: an answer would go astray"),
            format!("answer #{first}, if you have something to say to whoever wrote it"),
        ));
    }
    Ok(())
}
