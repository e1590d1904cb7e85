//! The clean stop, and the marker that it leaves.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    sync::PoisonError,
};

use marram_crypto::digest::Digest;

use super::{committer::Committer, error::StoreError, files, shared::Shared};

const CLEAN_TYPE: &str = "marram/clean-stop/v1";

/// What a clean stop leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Clean {
    pub(super) ledger_len: u64,
    pub(super) ledger: Digest,
    pub(super) view: Digest,
}

/// The clean stop: everything is durable, then the marker says so.
pub(super) fn stop(committer: &Committer, shared: &Shared, folder: &Path) -> Result<(), StoreError> {
    let view = shared.view.write().unwrap_or_else(PoisonError::into_inner).take();
    let (Some(view), None) = (view, shared.read_only()) else {
        // What is in the ledger counts; the next start rebuilds the view.
        return Ok(());
    };
    let view = view.close()?;
    write(
        folder,
        Clean {
            ledger_len: committer.ledger.len(),
            ledger: committer.ledger.digest(),
            view,
        },
    )?;
    Ok(())
}

/// The marker of the last stop, if that was clean. One that cannot be read is none.
pub(super) fn read(folder: &Path) -> Option<Clean> {
    let text = fs::read_to_string(folder.join("clean")).ok()?;
    let mut lines = text.lines();
    let mut next = || lines.next();
    if next()? != CLEAN_TYPE {
        return None;
    }
    Some(Clean {
        ledger_len: next()?.parse().ok()?,
        ledger: next()?.parse().ok()?,
        view: next()?.parse().ok()?,
    })
}

fn write(folder: &Path, clean: Clean) -> io::Result<()> {
    let new = folder.join("clean.new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = files::create(&new)?;
    writeln!(
        file,
        "{CLEAN_TYPE}\n{}\n{}\n{}",
        clean.ledger_len, clean.ledger, clean.view
    )?;
    file.sync_all()?;
    fs::rename(&new, folder.join("clean"))?;
    files::sync_folder(folder)
}

pub(super) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join("clean")) {
        Ok(()) => files::sync_folder(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
