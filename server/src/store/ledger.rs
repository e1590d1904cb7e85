//! The ledger: the record of everything the server accepted, in one append-only file.
//!
//! ```text
//! "marram/ledger/v1\n"
//! group*:
//! ┌─────────┬─────────────┬─────────────┬───────────────────┐
//! │ magic 8 │ length u32  │ checksum 16 │ payload: records  │   integers are big-endian
//! └─────────┴─────────────┴─────────────┴───────────────────┘
//! checksum = SHA-256(byte of the file at which the group begins, u64 ‖ length ‖ payload)[..16]
//! ```
//!
//! A group is what one commit writes, and it is whole or it is nothing. The next group is written only after the sync
//! of the one before has succeeded, so that an interrupted write can leave one bad group at the end and no other: a bad
//! group with a whole one after it, or more bad bytes than a group can have, is damage, and the server does not start.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use marram_crypto::digest::{Digest, Hasher};

use super::{
    error::{OpenError, at},
    files,
};

const HEADER: &[u8; 17] = b"marram/ledger/v1\n";
const MAGIC: [u8; 8] = *b"\x89MRMgrp\n";
const CHECKSUM_LEN: usize = 16;
/// Length of magic, length and checksum in bytes.
pub(super) const GROUP_HEAD_LEN: usize = MAGIC.len() + 4 + CHECKSUM_LEN;

/// The longest payload of a group, in bytes. The committer stops collecting well before.
pub(super) const MAX_PAYLOAD_LEN: usize = 4 << 20;

/// The ledger, open for appending.
pub(super) struct Ledger {
    file: File,
    len: u64,
    /// Over all `len` bytes.
    hasher: Hasher,
    /// Bytes that were synced, whether they stayed or not.
    #[cfg(test)]
    pub(super) synced: u64,
}

/// Why a group was not committed.
#[derive(Debug)]
pub(super) enum CommitError {
    /// Nothing of it stayed.
    Undone(io::Error),
    /// Some of it may be in the file, or on the disk.
    Uncertain(&'static str),
}

impl Ledger {
    /// Reads the whole ledger, handing each group's payload to `each` with the byte of the file at which the payload
    /// begins; then cuts off an unfinished group. A missing file is created.
    ///
    /// `clean_len` is the length at the last stop, if that was clean.
    pub(super) fn open(
        path: &Path,
        clean_len: Option<u64>,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let mut file = files::open(path).map_err(at(path))?;
        let file_len = file.metadata().map_err(at(path))?.len();

        let mut hasher = Hasher::new();
        let mut reader = BufReader::with_capacity(1 << 18, &file);
        let mut header = vec![0; HEADER.len().min(usize::try_from(file_len).unwrap_or(usize::MAX))];
        reader.read_exact(&mut header).map_err(at(path))?;
        if header != HEADER[..header.len()] {
            return Err(OpenError::NotALedger { path: path.to_owned() });
        }
        let (mut last, mut len) = (0, 0);
        if header.len() == HEADER.len() {
            hasher.update(HEADER);
            len = HEADER.len() as u64;
            while let Some(payload) = read_group(&mut reader, len, file_len).map_err(at(path))? {
                each(len + GROUP_HEAD_LEN as u64, &payload)?;
                hasher.update(&group_head(len, &payload));
                hasher.update(&payload);
                last = len;
                len += (GROUP_HEAD_LEN + payload.len()) as u64;
            }
            refuse_damage(&file, path, len, file_len)?;
        }
        if let Some(expected) = clean_len.filter(|expected| *expected > len) {
            return Err(OpenError::Shortened {
                path: path.to_owned(),
                expected,
                found: len,
            });
        }
        if file_len > len {
            tracing::warn!(
                cut_bytes = file_len - len,
                "cut an unfinished write off the end of the ledger"
            );
            file.set_len(len).map_err(at(path))?;
        }
        if len == 0 {
            file.seek(SeekFrom::Start(0)).map_err(at(path))?;
            file.write_all_at(HEADER, 0).map_err(at(path))?;
            hasher.update(HEADER);
            len = HEADER.len() as u64;
        }
        if clean_len != Some(len) {
            // The last group may stand in the page cache only, and the kernel may take that for the disk's: after a failed
            // sync it does. What is written again is synced.
            let mut group = vec![0; usize::try_from(len - last).unwrap_or(0)];
            file.read_exact_at(&mut group, last).map_err(at(path))?;
            file.write_all_at(&group, last).map_err(at(path))?;
        }
        files::truncate_times(&file).map_err(at(path))?;
        file.sync_all().map_err(at(path))?;
        Ok(Self {
            file,
            len,
            hasher,
            #[cfg(test)]
            synced: 0,
        })
    }

    /// Length in bytes.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// SHA-256 of the whole file.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// At which byte of the file the payload of the next group will begin.
    pub(super) const fn next_payload(&self) -> u64 {
        self.len + GROUP_HEAD_LEN as u64
    }

    /// Another handle for reading.
    pub(super) fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Writes one group and syncs it. When this has returned, the group is durable.
    pub(super) fn commit(&mut self, payload: &[u8]) -> Result<(), CommitError> {
        let mut group = Vec::with_capacity(GROUP_HEAD_LEN + payload.len());
        group.extend_from_slice(&group_head(self.len, payload));
        group.extend_from_slice(payload);
        self.write_and_sync(&group)?;
        self.hasher.update(&group);
        self.len += group.len() as u64;
        Ok(())
    }

    /// Does what a commit of so long a payload does to the disk, and commits nothing: the bytes are zeros, which no
    /// start takes for a group. [`Ledger::end_rehearsal`] cuts them off.
    pub(super) fn rehearse(&mut self, payload_len: usize) -> Result<(), CommitError> {
        self.write_and_sync(&vec![0; GROUP_HEAD_LEN + payload_len])
    }

    /// Cuts off what a rehearsal wrote. The next sync makes that durable; until then a start would do it.
    pub(super) fn end_rehearsal(&mut self) -> io::Result<()> {
        self.file.set_len(self.len)?;
        files::truncate_times(&self.file)
    }

    /// Takes a group of which nobody knows whether it is on the disk away for good, and shows that the disk takes groups
    /// again.
    ///
    /// To cut it off is not enough: should that be lost with a power cut, the group would stand there again, and the
    /// bodies it names would have been written over.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        self.file.write_all_at(&[0; GROUP_HEAD_LEN], self.len)?;
        self.file.sync_data()?;
        self.file.set_len(self.len)?;
        files::truncate_times(&self.file)?;
        self.file.sync_all()
    }

    fn write_and_sync(&mut self, bytes: &[u8]) -> Result<(), CommitError> {
        if let Err(error) = self.file.write_all_at(bytes, self.len) {
            return match self.file.set_len(self.len) {
                Ok(()) => Err(CommitError::Undone(error)),
                Err(_) => Err(CommitError::Uncertain(
                    "an unfinished write could not be cut off the ledger",
                )),
            };
        }
        // All of it is written, and the kernel may have brought it to the disk already.
        files::truncate_times(&self.file).map_err(|_| CommitError::Uncertain("the ledger's times could not be set"))?;
        // After a failed sync the kernel may have dropped the pages and forgotten the error: never try again.
        self.file
            .sync_data()
            .map_err(|_| CommitError::Uncertain("the ledger could not be synced"))?;
        #[cfg(test)]
        {
            self.synced += bytes.len() as u64;
        }
        Ok(())
    }
}

fn group_head(start: u64, payload: &[u8]) -> [u8; GROUP_HEAD_LEN] {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut hasher = Hasher::new();
    hasher.update(&start.to_be_bytes());
    hasher.update(&len);
    hasher.update(payload);
    let digest = hasher.finish();
    let mut head = [0; GROUP_HEAD_LEN];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&len);
    head[12..].copy_from_slice(&digest.as_bytes()[..CHECKSUM_LEN]);
    head
}

/// The payload of the group at `start`, or `None` if no whole group stands there.
fn read_group(reader: &mut impl Read, start: u64, file_len: u64) -> io::Result<Option<Vec<u8>>> {
    let left = file_len - start;
    if left < GROUP_HEAD_LEN as u64 {
        return Ok(None);
    }
    let mut head = [0; GROUP_HEAD_LEN];
    reader.read_exact(&mut head)?;
    let len = u32::from_be_bytes([head[8], head[9], head[10], head[11]]) as usize;
    if head[..8] != MAGIC || len > MAX_PAYLOAD_LEN || left < (GROUP_HEAD_LEN + len) as u64 {
        return Ok(None);
    }
    let mut payload = vec![0; len];
    reader.read_exact(&mut payload)?;
    Ok((group_head(start, &payload) == head).then_some(payload))
}

/// Accepts what an interrupted write can have left from `start` to the end of the file, and nothing else.
fn refuse_damage(file: &File, path: &Path, start: u64, file_len: u64) -> Result<(), OpenError> {
    let damaged = |intact| OpenError::Damaged {
        path: path.to_owned(),
        offset: start,
        intact,
    };
    let tail_len = file_len - start;
    if tail_len > (GROUP_HEAD_LEN + MAX_PAYLOAD_LEN) as u64 {
        return Err(damaged(0));
    }
    let mut tail = vec![0; usize::try_from(tail_len).unwrap_or(0)];
    file.read_exact_at(&mut tail, start).map_err(at(path))?;
    for skipped in 1..tail.len() {
        let candidate = start + skipped as u64;
        if tail[skipped..].starts_with(&MAGIC)
            && read_group(&mut &tail[skipped..], candidate, file_len)
                .map_err(at(path))?
                .is_some()
        {
            return Err(damaged(file_len - candidate));
        }
    }
    Ok(())
}

/// The ledger's file name in the store's folder.
pub(super) fn path_in(folder: &Path) -> PathBuf {
    folder.join("ledger")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Result<(Ledger, Vec<Vec<u8>>), OpenError> {
        let mut payloads = Vec::new();
        let ledger = Ledger::open(path, None, |_, payload| {
            payloads.push(payload.to_vec());
            Ok(())
        })?;
        Ok((ledger, payloads))
    }

    fn three_groups(path: &Path) -> Vec<u64> {
        let mut ledger = open(path).unwrap().0;
        let mut ends = vec![ledger.len()];
        for payload in [&b"first"[..], b"second group", b"third"] {
            ledger.commit(payload).unwrap();
            ends.push(ledger.len());
        }
        ends
    }

    #[test]
    fn a_ledger_cut_at_any_byte_keeps_every_whole_group_before_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ends = three_groups(&path);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut ledger, payloads) = open(&path).unwrap();
            let survived = ends[1..].iter().filter(|end| **end <= cut as u64).count();
            assert_eq!(payloads.len(), survived, "cut at {cut}");
            // And it can be written to again.
            ledger.commit(b"more").unwrap();
            assert_eq!(open(&path).unwrap().1.len(), survived + 1);
        }
    }

    #[test]
    fn noise_in_any_byte_is_a_torn_tail_in_the_last_group_and_refused_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ends = three_groups(&path);
        let whole = std::fs::read(&path).unwrap();
        for byte in 0..whole.len() {
            let mut noisy = whole.clone();
            noisy[byte] ^= 0x10;
            std::fs::write(&path, &noisy).unwrap();
            let opened = open(&path);
            if (byte as u64) < ends[0] {
                assert!(matches!(opened, Err(OpenError::NotALedger { .. })), "{byte}");
            } else if (byte as u64) < ends[2] {
                let Err(OpenError::Damaged { offset, .. }) = opened else {
                    panic!("noise at {byte} was accepted")
                };
                assert!(ends.contains(&offset));
                assert_eq!(std::fs::read(&path).unwrap(), noisy, "a refused ledger is not touched");
            } else {
                assert_eq!(opened.unwrap().1.len(), 2, "{byte}");
            }
        }
    }

    #[test]
    fn a_group_copied_to_another_place_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ends = three_groups(&path);
        let mut bytes = std::fs::read(&path).unwrap();
        let first = bytes[usize::try_from(ends[0]).unwrap()..usize::try_from(ends[1]).unwrap()].to_vec();
        bytes.extend_from_slice(&first);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(open(&path).unwrap().1.len(), 3);
    }

    #[test]
    fn more_bad_bytes_than_one_write_can_leave_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        three_groups(&path);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() + 2 * MAX_PAYLOAD_LEN as u64)
            .unwrap();
        assert!(matches!(open(&path), Err(OpenError::Damaged { intact: 0, .. })));
    }

    #[test]
    fn a_ledger_shorter_than_at_its_clean_stop_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ends = three_groups(&path);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(ends[3] - 1)
            .unwrap();
        let opened = Ledger::open(&path, Some(ends[3]), |_, _| Ok(()));
        assert!(matches!(opened, Err(OpenError::Shortened { .. })));
    }
}
