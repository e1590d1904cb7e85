//! Making the view anew from the ledger.

use std::{fs, path::Path};

use super::{
    error::{OpenError, StoreError, at},
    ledger::{self, Ledger},
    record::{self, Record},
    state::State,
    view::{self, Batch, NotePlace, View},
};

/// How many leaves are handed to the view at a time.
const REBUILD_BATCH: usize = 10_000;

pub(super) fn unknown_record(ledger: &Path, payload_at: u64) -> OpenError {
    OpenError::UnknownRecord {
        path: ledger.to_owned(),
        offset: payload_at - ledger::GROUP_HEAD_LEN as u64,
    }
}

/// Makes a new view from the ledger, and what is held beside it. `put` is [`View::write`], or [`View::apply`] for one that shall know the digests.
pub(super) fn rebuild(
    folder: &Path,
    len: u64,
    put: fn(&View, &Batch) -> Result<(), StoreError>,
) -> Result<(View, State), OpenError> {
    let (ledger_path, view_path) = (&ledger::path_in(folder), &view::folder_in(folder));
    let failed = |error: StoreError| OpenError::View {
        path: view_path.to_owned(),
        reason: error.to_string(),
    };
    if view_path.exists() {
        fs::remove_dir_all(view_path).map_err(at(view_path))?;
    }
    if len > 0 {
        tracing::info!(reports = len, "rebuilding the view from the ledger");
    }
    let view = View::open(view_path).map_err(failed)?;
    let (mut batch, mut state) = (Batch::default(), State::default());
    let hand_over = |batch: &mut Batch| {
        let first = batch.first + batch.leaves.len() as u64;
        if first > 0 && first / 1_000_000 > batch.first / 1_000_000 {
            tracing::info!(reports = first, of = len, "rebuilding the view");
        }
        let next = Batch {
            first,
            first_order: batch.first_order + batch.orders.len() as u64,
            ..Batch::default()
        };
        put(&view, &std::mem::replace(batch, next)).map_err(failed)
    };
    Ledger::open(ledger_path, None, |payload_at, payload| {
        for read in record::read_all(payload) {
            let (end, record) = read.map_err(|_| unknown_record(ledger_path, payload_at))?;
            state.apply(&record);
            let place = |digest, note: &[u8]| NotePlace {
                digest,
                offset: payload_at + (end - note.len()) as u64,
                len: u32::try_from(note.len()).unwrap_or(u32::MAX),
            };
            match record {
                Record::Leaf(stored) => batch.leaves.push(stored),
                Record::Note { key, digest, note } => batch.notes.push((key, place(digest, note))),
                Record::Order { id, digest, note } => batch.orders.push((id, place(digest, note))),
                Record::Hang { .. } | Record::Deletion { .. } | Record::Erased { .. } => {}
            }
        }
        if batch.leaves.len() >= REBUILD_BATCH {
            hand_over(&mut batch)?;
        }
        Ok(())
    })?;
    hand_over(&mut batch)?;
    Ok((view, state))
}
