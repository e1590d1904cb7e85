//! An outbox: a folder that comes from the offline computers, with orders and what the keyholders have signed.
//!
//! Each order goes to the server by itself: one that it refuses does not keep back the others. What it took moves into
//! the folder `taken` beside it. An order is applied once, so whatever breaks off in between may be repeated.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use marram_crypto::{
    day::Day,
    instance::InstanceId,
    order::{self, OrderError, OrderFile, What},
};
use marram_online::error::OnlineError;
use marram_terminal::{
    error::{ResultExt as _, fail, tell},
    files, interrupt,
    output::Output,
};

use crate::{memory::Memory, server::Server};

const TAKEN: &str = "taken";

/// An order file that may be posted, or why it may not.
pub(crate) type Read = (PathBuf, Result<OrderFile>);

/// What came of posting.
#[derive(Debug, Default)]
pub(crate) struct Posted {
    pub(crate) taken: Vec<PathBuf>,
    pub(crate) refused: Vec<(PathBuf, anyhow::Error)>,
}

/// The files, and of each folder those that go onto the server. What else lies in a folder stays there: an annex, say.
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut expanded = Vec::new();
    for path in paths {
        if !path.is_dir() {
            expanded.push(path.clone());
            continue;
        }
        let cannot = || format!("cannot read {}", path.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(path).with_context(cannot)? {
            let entry = entry.with_context(cannot)?.path();
            let is_charter = entry.file_name().is_some_and(|name| name == "charter.json");
            if is_charter || has_extension(&entry, "manifest") || is_order(&entry) {
                found.push(entry);
            }
        }
        found.sort();
        expanded.extend(found);
    }
    if expanded.is_empty() {
        return Err(fail(
            "there is nothing to publish: no charter.json, no *.manifest and no *.order",
            "name another folder, or the files themselves. Orders that the server has taken lie in the folder taken",
        ));
    }
    Ok(expanded)
}

/// By its name.
pub(crate) fn is_order(path: &Path) -> bool {
    has_extension(path, "order")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Reads order files, and finds what the server would refuse anyway.
pub(crate) fn read(paths: &[PathBuf], instance: InstanceId, today: Day) -> Vec<Read> {
    let read = |path: &PathBuf| (path.clone(), read_one(path, instance, today));
    paths.iter().map(read).collect()
}

fn read_one(path: &Path, instance: InstanceId, today: Day) -> Result<OrderFile> {
    let bytes = files::read_bounded(path, order::MAX_FILE_LEN)?;
    let file = OrderFile::parse(&bytes).hint("copy it from the caseworker's computer again")?;
    let order = file.order.claims();
    if order.instance != instance {
        return Err(fail(
            format!("the order is for another organization (instance {})", order.instance),
            "use the courier's home folder for that organization: --home FOLDER",
        ));
    }
    let next = match order.check_day(today) {
        Err(OrderError::NotYet(_)) => "publish it again when that week has begun; it stays in the outbox",
        _ => EXPIRED,
    };
    order.check_day(today).hint(next)?;
    Ok(file)
}

const EXPIRED: &str = "it is of no use any more: have the caseworker make it again, and remove this file";

/// Posts what may be posted.
pub(crate) fn post(out: &Output, memory: &mut Memory, server: &Server<'_>, orders: Vec<Read>) -> Result<Posted> {
    let mut posted = Posted::default();
    for (path, file) in orders {
        interrupt::check()?;
        let sent = file.and_then(|file| {
            let bytes = file.to_bytes()?;
            server.post_order(&bytes).map_err(refused)?;
            Ok(file)
        });
        match sent {
            Ok(file) => {
                memory.state.taken.insert(file.order.claims().id.to_string());
                memory.save_state()?;
                out.line(format!("{}: the server has taken it: {}", path.display(), what(&file)));
                move_away(out, &path);
                posted.taken.push(path);
            }
            Err(error) => {
                interrupt::check()?;
                let error = error.context(format!("{} was not taken", path.display()));
                posted.refused.push((path, error));
            }
        }
    }
    // All but the last, which is the command's own error.
    for (_, error) in posted.refused.iter().rev().skip(1).rev() {
        tell(out, error);
    }
    Ok(posted)
}

impl Posted {
    /// The end of the command.
    pub(crate) fn end(self) -> Result<()> {
        self.refused
            .into_iter()
            .next_back()
            .map_or(Ok(()), |(_, error)| Err(error))
    }
}

fn what(file: &OrderFile) -> String {
    match &file.order.claims().what {
        What::Delete(digests) if digests.len() == 1 => "1 report to delete".to_owned(),
        What::Delete(digests) => format!("{} reports to delete", digests.len()),
        What::Hang { shard, .. } => format!("the board for shard {shard}"),
    }
}

fn refused(error: OnlineError) -> anyhow::Error {
    let next = match error.problem() {
        Some("order-expired") => EXPIRED,
        Some("order-refused") => {
            "its signatures do not count: its maker has no slot in the newest manifest of that week, or the file was \
             changed. Ask the caseworker who made it; if they are still one, publish the newest manifests first"
        }
        Some("order-conflict") => {
            "the server has another order under this id, which no honest program makes. Tell the caseworker who made it"
        }
        Some("board-older") => "leave it out and remove it: a newer board hangs already",
        Some("unknown-report") => {
            "it deletes a report that the server's log does not have. If the caseworker has imported that report from this \
             courier's bundles, tell the keyholders at once: the server has another log than before"
        }
        Some("not-an-order") => "copy it from the caseworker's computer again",
        _ => return error.explained(),
    };
    let error: Result<()> = Err(error).hint(next);
    error.err().unwrap_or_else(|| anyhow::anyhow!(next))
}

/// Into the folder `taken`. A stick that cannot be written to is no reason to fail: the server knows the order.
fn move_away(out: &Output, path: &Path) {
    let moved = || {
        let folder = path.parent().unwrap_or(Path::new("")).join(TAKEN);
        fs::create_dir_all(&folder)?;
        fs::rename(path, folder.join(path.file_name().unwrap_or_default()))
    };
    if let Err(error) = moved() {
        out.warning(format!(
            "{} could not be moved into the folder {TAKEN}: {error}. It may be published again without harm",
            path.display()
        ));
    }
}
