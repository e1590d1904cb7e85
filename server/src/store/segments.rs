//! Segments: the bodies of the reports, one after the other, in files `segments/00000001`, `00000002`, …
//!
//! A segment has no structure of its own; the ledger says which bytes are which body. What stands behind the last body
//! of which the ledger knows was never acknowledged, and is cut off on start. A body is never written over bytes that
//! the ledger knows, even if they are missing from the file: then the next segment begins, so that a file restored
//! from a backup still fits. A destroyed body leaves a hole; a segment of holes is unlinked, and its number is not used
//! again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    body::{Body, Content},
    error::{OpenError, at},
    files,
    record::Place,
};

/// How many segment files one interrupted group can leave that the ledger does not know. The committer sees to it: it
/// takes no more bodies into a group than fit into one segment, or one body that is longer.
const MAX_UNKNOWN: usize = 1;

/// What a disk is tried with, in bytes.
const PROBE_LEN: usize = 4096;

/// The segments, open for appending.
pub(super) struct Segments {
    folder: PathBuf,
    /// Kept open, as is what a roll-back needs: with no file descriptor left, reports wait, and nothing breaks.
    folder_file: File,
    /// A segment longer than this is not appended to, in bytes.
    roll_at: u64,
    current: Option<Segment>,
    /// The number of the next new segment.
    next: u32,
    /// Written to by the group under way, before `current`.
    filled: Vec<Segment>,
    /// What to go back to.
    committed: End,
    /// All their bodies were erased at some time; unlinked once they are not appended to, if that is still so.
    spent: BTreeSet<u32>,
    /// Bytes of bodies that were synced, whether they stayed or not.
    #[cfg(test)]
    pub(super) synced: u64,
}

struct Segment {
    number: u32,
    file: File,
    len: u64,
    /// Whether its name is durable.
    named: bool,
}

/// Where the bodies end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    current: Option<(u32, u64)>,
    next: u32,
}

/// The segments that the ledger knows.
pub(super) type Ends = BTreeMap<u32, Extent>;

/// What the ledger knows of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where its last body ends, in bytes.
    pub(super) end: u64,
    /// How many bodies it has had.
    pub(super) reports: u64,
    /// How many of them were erased.
    pub(super) erased: u64,
}

impl Extent {
    /// Whether nothing of it is needed any more.
    pub(super) const fn is_spent(&self) -> bool {
        self.erased >= self.reports
    }
}

impl Segments {
    /// Opens the folder, cutting off what the ledger does not know.
    pub(super) fn open(folder: &Path, ends: &Ends, roll_at: u64) -> Result<Self, OpenError> {
        files::create_folder(folder).map_err(at(folder))?;
        let mut present = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let entry = entry.map_err(at(folder))?;
            if let Some(number) = entry.file_name().to_str().and_then(number_of) {
                present.insert(number, entry.metadata().map_err(at(entry.path()))?.len());
            }
        }
        let unknown = present.keys().filter(|number| !ends.contains_key(number)).count();
        if unknown > MAX_UNKNOWN {
            return Err(OpenError::LedgerLost {
                path: folder.to_owned(),
                unknown,
            });
        }

        for (&number, &len) in &present {
            let path = path_of(folder, number);
            match ends.get(&number) {
                None => {
                    tracing::warn!(
                        segment = number,
                        cut_bytes = len,
                        "removed a segment that was never committed"
                    );
                    fs::remove_file(&path).map_err(at(&path))?;
                }
                Some(&Extent { end, .. }) if len > end => {
                    tracing::warn!(
                        segment = number,
                        cut_bytes = len - end,
                        "cut an unfinished write off a segment"
                    );
                    let file = files::open(&path).map_err(at(&path))?;
                    file.set_len(end)
                        .and_then(|()| files::truncate_times(&file))
                        .map_err(at(&path))?;
                }
                Some(_) => {}
            }
        }
        for (&number, extent) in ends {
            let (len, end) = (present.get(&number).copied().unwrap_or(0), extent.end);
            if len < end && !extent.is_spent() {
                tracing::error!(
                    segment = number,
                    missing_bytes = end - len,
                    "a segment is shorter than the ledger says: restore it from a backup; caseworkers will be alarmed"
                );
            }
        }
        let folder_file = File::open(folder).map_err(at(folder))?;
        folder_file.sync_all().map_err(at(folder))?;

        let last = ends.last_key_value().map(|(&number, extent)| (number, extent.end));
        let current = match last {
            Some((number, end)) if present.get(&number).is_some_and(|len| *len >= end) => {
                let path = path_of(folder, number);
                Some(Segment {
                    number,
                    file: files::open(&path).map_err(at(&path))?,
                    len: end,
                    named: true,
                })
            }
            _ => None,
        };
        let next = last.map_or(1, |(number, _)| number.saturating_add(1));
        let spent = present
            .keys()
            .filter(|number| ends.get(number).is_some_and(Extent::is_spent));
        let spent = spent.copied().collect();
        let mut segments = Self {
            spent,
            folder: folder.to_owned(),
            folder_file,
            roll_at,
            committed: End {
                current: current.as_ref().map(|segment| (segment.number, segment.len)),
                next,
            },
            current,
            next,
            filled: Vec::new(),
            #[cfg(test)]
            synced: 0,
        };
        segments.unlink_spent(ends).map_err(at(folder))?;
        Ok(segments)
    }

    /// Writes a body. It is durable after [`Segments::sync`].
    pub(super) fn append(&mut self, body: &mut Body) -> io::Result<Place> {
        let len = body.size();
        if self
            .current
            .as_ref()
            .is_none_or(|segment| segment.len > 0 && segment.len + len > self.roll_at)
        {
            let number = self.next;
            let file = files::create(&path_of(&self.folder, number))?;
            self.next = number
                .checked_add(1)
                .ok_or_else(|| io::Error::other("no segment number is left"))?;
            self.filled.extend(self.current.replace(Segment {
                number,
                file,
                len: 0,
                named: false,
            }));
        }
        let Some(segment) = &mut self.current else {
            return Err(io::Error::other("no segment"));
        };
        let written = match &mut body.content {
            Content::Memory(bytes) => {
                segment.file.write_all_at(bytes, segment.len)?;
                bytes.len() as u64
            }
            Content::File(file) => {
                segment.file.seek(SeekFrom::Start(segment.len))?;
                file.seek(SeekFrom::Start(0))?;
                // Two files: the standard library lets the kernel copy, or share, the bytes.
                io::copy(&mut Read::by_ref(file).take(len), &mut segment.file)?
            }
        };
        if written != len {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the body was shorter than announced",
            ));
        }
        let place = Place {
            segment: segment.number,
            offset: segment.len,
        };
        segment.len += len;
        Ok(place)
    }

    /// Makes all bodies durable that were appended since the last time.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let mut new_name = false;
        for segment in self.filled.iter_mut().chain(&mut self.current) {
            files::truncate_times(&segment.file)?;
            segment.file.sync_data()?;
            new_name |= !std::mem::replace(&mut segment.named, true);
            #[cfg(test)]
            {
                let known = self.committed.current.filter(|(number, _)| *number == segment.number);
                self.synced += segment.file.metadata()?.len() - known.map_or(0, |(_, len)| len);
            }
        }
        if new_name {
            files::truncate_times(&self.folder_file)?;
            self.folder_file.sync_all()?;
        }
        Ok(())
    }

    /// Where the bodies end now.
    pub(super) fn end(&self) -> End {
        End {
            current: self.current.as_ref().map(|segment| (segment.number, segment.len)),
            next: self.next,
        }
    }

    /// The group is in the ledger: what was written up to `end` stays.
    pub(super) fn keep(&mut self, end: End) {
        self.filled.clear();
        self.committed = end;
    }

    /// Takes away what does not stay.
    pub(super) fn roll_back(&mut self) -> io::Result<()> {
        let mut written = std::mem::take(&mut self.filled);
        written.extend(self.current.take());
        if self.committed.next < self.next {
            for number in self.committed.next..self.next {
                match fs::remove_file(path_of(&self.folder, number)) {
                    // An earlier attempt came so far.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
            files::truncate_times(&self.folder_file)?;
            self.next = self.committed.next;
        }
        if let Some((number, len)) = self.committed.current {
            let kept = written.into_iter().find(|segment| segment.number == number);
            let file = kept.map_or_else(|| files::open(&path_of(&self.folder, number)), |kept| Ok(kept.file))?;
            file.set_len(len)?;
            files::truncate_times(&file)?;
            self.current = Some(Segment {
                number,
                file,
                len,
                named: true,
            });
        }
        Ok(())
    }

    /// All bodies of a segment were erased.
    pub(super) fn spend(&mut self, number: u32) {
        self.spent.insert(number);
    }

    /// Unlinks the segments of which nothing is needed any more, as `ends` says. The one that is appended to stays.
    pub(super) fn unlink_spent(&mut self, ends: &Ends) -> io::Result<()> {
        let current = self.committed.current.map(|(number, _)| number);
        // One that was appended to since has a report again.
        self.spent
            .retain(|number| ends.get(number).is_some_and(Extent::is_spent));
        let unlinked: Vec<u32> = self
            .spent
            .iter()
            .copied()
            .filter(|number| Some(*number) != current)
            .collect();
        if unlinked.is_empty() {
            return Ok(());
        }
        for number in unlinked {
            match fs::remove_file(path_of(&self.folder, number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
            self.spent.remove(&number);
        }
        files::truncate_times(&self.folder_file)?;
        self.folder_file.sync_all()
    }

    /// Takes away what does not stay, and shows that the disk takes bodies again.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        self.roll_back()?;
        self.folder_file.sync_all()?;
        if let Some(segment) = &self.current {
            segment.file.write_all_at(&[0; PROBE_LEN], segment.len)?;
            segment.file.sync_data()?;
        }
        self.roll_back()
    }
}

/// The path of a segment.
pub(super) fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:08}"))
}

/// The folder of segments in the store's folder.
pub(super) fn folder_in(folder: &Path) -> PathBuf {
    folder.join("segments")
}

fn number_of(name: &str) -> Option<u32> {
    let number = name.parse().ok()?;
    (format!("{number:08}") == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(byte: u8) -> Body {
        Body::in_memory(vec![byte; 64]).unwrap()
    }

    #[test]
    fn a_group_that_fails_leaves_no_byte_and_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut segments = Segments::open(folder.path(), &Ends::new(), 128).unwrap();
        let first = segments.append(&mut body(1)).unwrap();
        segments.sync().unwrap();
        segments.keep(segments.end());
        for n in 0..5 {
            segments.append(&mut body(n)).unwrap();
        }
        assert!(path_of(folder.path(), 3).exists());
        segments.roll_back().unwrap();
        assert_eq!(fs::read(path_of(folder.path(), 1)).unwrap(), [1; 64]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(first, Place { segment: 1, offset: 0 });
        assert_eq!(segments.append(&mut body(2)).unwrap(), Place { segment: 1, offset: 64 });
        assert_eq!(segments.append(&mut body(2)).unwrap(), Place { segment: 2, offset: 0 });
    }

    #[test]
    fn bodies_without_a_ledger_are_not_cut_but_refused() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=3 {
            fs::write(path_of(folder.path(), number), [0; 64]).unwrap();
        }
        let opened = Segments::open(folder.path(), &Ends::new(), 128);
        assert!(matches!(opened, Err(OpenError::LedgerLost { unknown: 3, .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_shortened_segment_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(path_of(folder.path(), 1), [7; 63]).unwrap();
        let extent = Extent {
            end: 64,
            reports: 1,
            erased: 0,
        };
        let ends = Ends::from([(1, extent)]);
        let mut segments = Segments::open(folder.path(), &ends, 1 << 20).unwrap();
        assert_eq!(segments.append(&mut body(2)).unwrap(), Place { segment: 2, offset: 0 });
        assert_eq!(fs::read(path_of(folder.path(), 1)).unwrap(), [7; 63]);
    }
}
