//! `marram-submit check`: whether a report was read, and what was answered.
//!
//! A poll is the same three requests for everybody: charter, manifest, one shard of the board, whole. The words stay
//! here; what they open is tried on everything that hangs there. So neither network nor server learns whether there is
//! an answer. Nothing is written to a disk.

use anyhow::{Context as _, Result};
use marram_crypto::{
    board::{Board, BoardError, Found, MAX_COUNT, Shard, UntrustedBoard},
    codename::ReplyKey,
    day::Day,
    fingerprint::Link,
};
use marram_online::{client::Client, clock::today, error::OnlineError, retry::retry};
use marram_terminal::{ask::Ask, error::ResultExt as _, output::Output, text};

use crate::{CheckArgs, OrganizationArgs, codename, dialogue, organization::Organization, screen::Screen};

/// A header has less than this, in bytes.
const MAX_HEADER_LEN: u64 = 1_024;

const DO_NOT_BELIEVE: &str = "it says nothing, for or against: the server shows what no caseworker of the organization has \
    signed, or it was damaged on the way. Try again later, from another network or through Tor (--proxy). If it happens \
    again, tell the organization by another way than this server";

/// What hangs in the shard.
enum Hanging {
    Nothing,
    /// Made so long ago that the keys to verify it with are no longer shown.
    OutOfDate,
    Board(Board),
}

/// `marram-submit check`
pub(crate) fn check(out: &Output, args: &CheckArgs) -> Result<()> {
    let codename = codename::earlier(args.codename_fd)?;
    let link = match &args.link {
        Some(link) => link.clone(),
        None => dialogue::ask_for_link(&mut Ask::stdin()?)?,
    };
    let reply_key = codename.reply_key();
    let args_for_find = OrganizationArgs {
        link: Some(link.clone()),
        online: args.online.clone(),
        charter: None,
        manifest: None,
    };
    let organization = Organization::find(out, &link, &args_for_find)?;
    let today = today();
    let hanging = fetch(out, &link, args, &organization, &reply_key, today)?;
    say(out, &organization, &hanging, &reply_key, today);
    let screen = Screen::new(out);
    if args.codename_fd.is_none() && !out.is_json() && screen.is_terminal() {
        dialogue::clear_window(&mut Ask::stdin()?, screen)?;
    }
    Ok(())
}

fn fetch(
    out: &Output,
    link: &Link,
    args: &CheckArgs,
    organization: &Organization,
    reply_key: &ReplyKey,
    today: Day,
) -> Result<Hanging> {
    let manifest = &organization.manifest;
    let shard = Shard::of(reply_key, manifest.board);
    let client = Client::new(link, &args.online).map_err(OnlineError::explained)?;
    let path = format!("/v1/board/{shard}");
    let answer = retry(
        || client.get(&path, None, manifest.board.image_len() + MAX_HEADER_LEN),
        |error| out.note(text::wrap(&format!("{error}. Trying again."), out.width(), 0)),
    );
    let bytes = match answer {
        Err(error) if error.status() == Some(404) => return Ok(Hanging::Nothing),
        answer => answer.map_err(OnlineError::explained)?,
    };
    let board = UntrustedBoard::parse(&bytes).and_then(|board| board.verify(manifest, shard, today));
    match board {
        Ok(board) => Ok(Hanging::Board(board)),
        Err(BoardError::OtherEpoch { board, manifest }) if board < manifest => Ok(Hanging::OutOfDate),
        Err(error) => Err(error).context("the board cannot be trusted").hint(DO_NOT_BELIEVE),
    }
}

fn say(out: &Output, organization: &Organization, hanging: &Hanging, reply_key: &ReplyKey, today: Day) {
    let manifest = &organization.manifest;
    let again = format!(
        "If you sent more than {} days ago, send it again: marram-submit add.",
        manifest.promise_days
    );
    let (read, found, day, stale) = match hanging {
        Hanging::Board(board) => {
            let day = board.header().day;
            let stale = manifest.board.is_stale(day, today);
            (
                board.acknowledged(reply_key),
                board.answers(reply_key),
                Some(day),
                stale,
            )
        }
        Hanging::OutOfDate => (0, Found::default(), None, true),
        Hanging::Nothing => (0, Found::default(), None, false),
    };
    out.heading(format!("Under your words, at {}", text::visible(organization.name())));
    let count = match read {
        1 => "1 report was read".to_owned(),
        MAX_COUNT => format!("{MAX_COUNT} reports or more were read"),
        read => format!("{read} reports were read"),
    };
    match hanging {
        Hanging::Nothing => out.paragraph(
            &format!("No board hangs there. That says nothing about your report, for or against. {again}"),
            2,
        ),
        Hanging::OutOfDate => out.paragraph(
            &format!(
                "The board that hangs there is out of date: of another week, whose keys are no longer shown. It says \
                 nothing about your report, for or against. {again}"
            ),
            2,
        ),
        Hanging::Board(board) => {
            let day = board.header().day;
            if read > 0 {
                out.paragraph(&format!("{count}, as of {day}."), 2);
            } else if !stale {
                out.paragraph(&format!("No report was read, as of {day}. {again}"), 2);
            }
            if stale {
                out.paragraph(
                    &format!("The board is of {day}, and out of date: what is not on it says nothing. {again}"),
                    2,
                );
            } else if found.answers.is_empty() && found.incomplete == 0 {
                out.paragraph("There is no answer.", 2);
            }
        }
    }
    for answer in &found.answers {
        out.heading(format!("An answer of {}", answer.day));
        out.paragraph(answer.text(), 2);
    }
    if found.incomplete > 0 {
        out.paragraph(
            &format!(
                "Of {} only a part hangs there: look again when the next board is made, within {} days.",
                if found.incomplete == 1 {
                    "one answer".to_owned()
                } else {
                    format!("{} answers", found.incomplete)
                },
                manifest.board.cadence_days
            ),
            2,
        );
    }
    let answers: Vec<_> = found
        .answers
        .iter()
        .map(|answer| serde_json::json!({"day": answer.day, "text": answer.text()}))
        .collect();
    let board = match hanging {
        Hanging::Nothing => "none",
        _ if stale => "stale",
        _ => "current",
    };
    out.json(&serde_json::json!({
        "board": board,
        "day": day,
        "read": read,
        "answers": answers,
        "incomplete": found.incomplete,
        "promise_days": manifest.promise_days,
    }));
}
