//! Destroying reports: the ciphertext goes, the leaf stays.
//!
//! In this order, each step durable before the next: a deletion record, from which on nobody is given the report; zeros
//! over its bytes; a hole in the file where they were; an erased record. Whatever interrupts that, the next start does
//! what is left. A segment without a report left in it is unlinked.
//!
//! On a disk that writes elsewhere than where it was told (an SSD, a copy-on-write file system) the bytes may survive
//! below the file. What is certain is only that the keys of the epoch are destroyed; see `docs/threat-model.md`.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, path::Path};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use super::{
    Why,
    committer::Committer,
    error::StoreError,
    files,
    ledger::CommitError,
    record::{Record, StoredLeaf},
    segments,
};

/// How many reports are erased, and recorded as erased, at a time.
const ERASED_AT_ONCE: usize = 1024;
/// How many bytes of zeros are written at a time.
const ZEROS_LEN: usize = 1 << 20;

impl Committer {
    /// Destroys reports by the indexes of their leaves; those that are destroyed already, or unknown, are passed over.
    /// Then tries to erase whatever is not yet.
    ///
    /// Unlike a report, this is not refused for want of space: it makes some.
    pub(super) fn destroy(&mut self, targets: &BTreeMap<u64, Why>) -> Result<(), StoreError> {
        if let Some(reason) = self.shared.read_only() {
            return Err(StoreError::ReadOnly(reason));
        }
        let mut records = Vec::new();
        {
            let state = self.shared.state();
            for (&index, &why) in targets {
                if index < state.size() && !state.is_destroyed(index) {
                    Record::Deletion { index, why }.write(&mut records);
                }
            }
        }
        self.commit_records(&records)?;
        self.erase()
    }

    /// Erases what was destroyed and may still be there.
    pub(super) fn erase(&mut self) -> Result<(), StoreError> {
        let unerased: Vec<u64> = self.shared.state().unerased().iter().copied().collect();
        for indexes in unerased.chunks(ERASED_AT_ONCE) {
            let bodies = self.with_view(|view| {
                let stored = indexes.iter().map(|index| view.stored(*index));
                stored.collect::<Result<Vec<_>, _>>()
            })?;
            erase(&segments::folder_in(&self.folder), &bodies)?;
            let mut records = Vec::new();
            for (&index, stored) in indexes.iter().zip(&bodies) {
                let segment = stored.place.segment;
                Record::Erased { index, segment }.write(&mut records);
            }
            self.commit_records(&records)?;
            let state = self.shared.state();
            for stored in &bodies {
                let number = stored.place.segment;
                if state.segments().get(&number).is_some_and(segments::Extent::is_spent) {
                    self.segments.spend(number);
                }
            }
        }
        let state = self.shared.state();
        Ok(self.segments.unlink_spent(state.segments())?)
    }

    /// Commits records that need nothing but the ledger.
    fn commit_records(&mut self, records: &[u8]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        match self.ledger.commit(records) {
            Ok(()) => {
                self.shared.state_mut().apply_all(records);
                Ok(())
            }
            Err(CommitError::Undone(error)) => Err(error.into()),
            Err(CommitError::Uncertain(reason)) => Err(self.shared.stop_writing(reason)),
        }
    }
}

/// Overwrites bodies and punches holes where they were. What is missing needs no erasing.
fn erase(folder: &Path, bodies: &[StoredLeaf]) -> io::Result<()> {
    let mut by_segment = BTreeMap::<u32, Vec<&StoredLeaf>>::new();
    for body in bodies {
        by_segment.entry(body.place.segment).or_default().push(body);
    }
    for (number, bodies) in by_segment {
        let opened = File::options()
            .read(true)
            .write(true)
            .open(segments::path_of(folder, number));
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        // A segment that was damaged does not grow by this.
        let len = file.metadata()?.len();
        for body in &bodies {
            let overwritten = overwrite(&file, body.place.offset, body.end().min(len));
            match overwritten.as_ref().map_err(io::Error::kind) {
                // Where overwriting takes space, there may be none: then there is still the hole.
                Ok(()) | Err(io::ErrorKind::StorageFull) => {}
                Err(_) => return overwritten,
            }
        }
        // Or the zeros would never reach the disk: a hole takes them out of memory.
        files::truncate_times(&file)?;
        file.sync_data()?;
        for body in &bodies {
            punch(&file, body.place.offset, body.end().min(len))?;
        }
        files::truncate_times(&file)?;
        file.sync_all()?;
    }
    Ok(())
}

fn overwrite(file: &File, mut from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_LEN.min(usize::try_from(to.saturating_sub(from)).unwrap_or(ZEROS_LEN))];
    while from < to {
        let len = zeros.len().min(usize::try_from(to - from).unwrap_or(usize::MAX));
        file.write_all_at(&zeros[..len], from)?;
        from += len as u64;
    }
    Ok(())
}

fn punch(file: &File, from: u64, to: u64) -> io::Result<()> {
    if from >= to {
        return Ok(());
    }
    match fallocate(
        file,
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        from,
        to - from,
    ) {
        // Not every file system has holes; then the zeros stay.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use marram_crypto::{
        day::{Day, Epoch},
        digest::Digest,
        leaf::Leaf,
    };

    use super::*;
    use crate::store::{record::Place, survival::SmallDisk};

    #[test]
    fn where_files_have_no_holes_the_zeros_are_what_is_left() {
        let disk = SmallDisk::without_holes();
        let path = segments::path_of(disk.0.path(), 1);
        let len = 4 << 20;
        std::fs::write(&path, vec![7; len]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let punched = fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, 1);
        assert_eq!(punched, Err(Errno::OPNOTSUPP), "this file system has holes");
        let body = |offset, log2_size| StoredLeaf {
            leaf: Leaf {
                digest: Digest::of(b"x"),
                epoch: Epoch::MAX,
                day: Day::MAX,
                log2_size,
            },
            place: Place { segment: 1, offset },
        };
        // Longer than what is written at a time, in the middle; a short one; one of which the end is missing.
        let bodies = [body(100, 21), body(3_000_000, 4), body(len as u64 - 10, 6)];
        erase(disk.0.path(), &bodies).unwrap();
        let mut expected = vec![7; len];
        for body in &bodies {
            let range = usize::try_from(body.place.offset).unwrap()..usize::try_from(body.end()).unwrap().min(len);
            expected[range].fill(0);
        }
        assert!(std::fs::read(&path).unwrap() == expected);
    }
}
