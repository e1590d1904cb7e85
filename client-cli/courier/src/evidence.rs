//! What a server signed that contradicts itself, kept in the home for whoever has to judge it.

use std::fs;

use anyhow::{Context as _, Result};
use marram_crypto::{checkpoint::Checkpoint, day::Day};
use marram_terminal::files::{Existing, FileError, atomic_write};

use crate::{alarm::Alarm, memory::Memory};

pub(crate) const FOLDER: &str = "evidence";

/// Keeps the checkpoint seen before and the one shown now: one pair for each day and kind of alarm, so that a server that
/// goes on and on does not fill the home.
pub(crate) fn keep(memory: &Memory, alarms: &[Alarm], shown: &[u8], today: Day) -> Result<()> {
    if alarms.is_empty() {
        return Ok(());
    }
    let folder = memory.folder(FOLDER)?;
    let seen = memory.checkpoint.as_ref().map(Checkpoint::to_bytes);
    for alarm in alarms {
        for (which, note) in [("seen", seen.as_deref()), ("shown", Some(shown))] {
            let Some(note) = note.filter(|note| !note.is_empty()) else {
                continue;
            };
            let path = folder.join(format!("{today}-{}.{which}", alarm.kind));
            match atomic_write(&path, note, 0o600, Existing::Keep) {
                Ok(()) | Err(FileError::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// How many pieces there are.
pub(crate) fn count(memory: &Memory) -> Result<usize> {
    let folder = memory.home.file(FOLDER);
    match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        entries => Ok(entries
            .with_context(|| format!("cannot read {}", folder.display()))?
            .count()),
    }
}
