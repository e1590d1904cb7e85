//! A strict ustar (POSIX.1-1988): regular files only, and one header for each (path, size).
//!
//! The `tar` crate writes and reads the fields; what is allowed is decided here. A header is accepted if it is, byte for
//! byte, the one this module writes for the same path and size: mode 0600, owner and group 0 without names, time 0.
//! Whatever differs is refused by the name of the fault.

use std::cmp::Ordering;

use tar::{EntryType, Header};

/// Length in bytes of a header, and of the blocks that contents are padded to with zeros.
pub const BLOCK: usize = 512;
/// The archive ends with at least this many zero bytes.
pub const END: u64 = 2 * BLOCK as u64;

/// The largest size that fits ustar's eleven octal digits.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// One entry's path and length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// ASCII, relative, at most 100 bytes.
    pub path: String,
    /// Bytes that follow the header, before the padding.
    pub size: u64,
}

/// What was wrong with an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UstarError {
    /// The header's sum is wrong.
    #[error("damaged archive header")]
    Checksum,
    /// Not ustar: an older or GNU format.
    #[error("the archive is not in ustar format")]
    NotUstar,
    /// A pax extended header.
    #[error("pax extended headers are refused")]
    Pax,
    /// A GNU extension: long names, sparse files, volumes.
    #[error("GNU extensions are refused")]
    Gnu,
    /// A symbolic or hard link.
    #[error("links are refused ({0})")]
    Link(String),
    /// A device or FIFO.
    #[error("devices and pipes are refused ({0})")]
    Device(String),
    /// A folder.
    #[error("folders are refused ({0})")]
    Folder(String),
    /// Another kind of entry.
    #[error("an entry of unknown kind is refused ({0})")]
    Kind(String),
    /// A path that begins with `/`.
    #[error("absolute paths are refused ({0})")]
    AbsolutePath(String),
    /// A path with `..`, `.`, an empty part or a backslash.
    #[error("paths that climb are refused ({0})")]
    PathTraversal(String),
    /// A path that is not printable ASCII.
    #[error("a path that is not plain ASCII is refused")]
    Path,
    /// A size that is not an octal number.
    #[error("the size of {0} is not a number")]
    Size(String),
    /// Mode, owner, time or another field differs from the fixed ones.
    #[error("the header of {0} is not in the one form that is allowed")]
    NotCanonical(String),
    /// The archive ends within an entry: a size that lies.
    #[error("the archive ends within {0}: its size lies")]
    Truncated(String),
    /// The padding after an entry's contents is not zero.
    #[error("the padding after {0} is not zero")]
    Padding(String),
    /// Bytes other than zero after the last entry.
    #[error("the fill after the last entry is not zero")]
    Fill,
    /// Bytes after the end of an archive that has no fill.
    #[error("bytes after the archive's end")]
    AfterTheEnd,
    /// Fewer than [`END`] zero bytes at the end.
    #[error("the archive's end is missing")]
    NoEnd,
    /// An entry that does not belong here, or not in this place.
    #[error("unexpected entry {0}")]
    Unexpected(String),
    /// An entry that stands there twice.
    #[error("{0} stands there twice")]
    Duplicate(String),
    /// An entry that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An entry larger than it may be.
    #[error("{path} has {size} bytes, and {limit} is the limit")]
    TooLarge {
        /// Path of the entry.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl Entry {
    /// An entry to be written.
    pub fn new(path: impl Into<String>, size: u64) -> Self {
        Self {
            path: path.into(),
            size,
        }
    }

    /// The one header for this path and size.
    ///
    /// # Errors
    /// [`UstarError::Path`] and [`UstarError::TooLarge`] for what ustar cannot say.
    pub fn header(&self) -> Result<[u8; BLOCK], UstarError> {
        if self.size > MAX_SIZE {
            return Err(UstarError::TooLarge {
                path: self.path.clone(),
                size: self.size,
                limit: MAX_SIZE,
            });
        }
        check_path(&self.path)?;
        let mut header = Header::new_ustar();
        header.set_path(&self.path).map_err(|_| UstarError::Path)?;
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(self.size);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        Ok(*header.as_bytes())
    }

    /// Reads a header. `None` for a block of zeros, the archive's end.
    ///
    /// # Errors
    /// [`UstarError`], naming the fault.
    pub fn parse(block: &[u8; BLOCK]) -> Result<Option<Self>, UstarError> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(block);
        let checksum = || -> Option<bool> {
            let fields = block[..148]
                .iter()
                .chain(&block[156..])
                .map(|byte| u32::from(*byte))
                .sum::<u32>();
            Some(fields + 8 * u32::from(b' ') == header.cksum().ok()?)
        };
        if checksum() != Some(true) {
            return Err(UstarError::Checksum);
        }
        if header.as_ustar().is_none() {
            return Err(if header.as_gnu().is_some() {
                UstarError::Gnu
            } else {
                UstarError::NotUstar
            });
        }
        let path = header.path_bytes();
        let path = std::str::from_utf8(&path).map_err(|_| UstarError::Path)?.to_owned();
        match header.entry_type() {
            EntryType::Regular if block[156] == b'0' => {}
            EntryType::XHeader | EntryType::XGlobalHeader => return Err(UstarError::Pax),
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::GNUSparse => return Err(UstarError::Gnu),
            EntryType::Link | EntryType::Symlink => return Err(UstarError::Link(shown(&path))),
            EntryType::Char | EntryType::Block | EntryType::Fifo => return Err(UstarError::Device(shown(&path))),
            EntryType::Directory => return Err(UstarError::Folder(shown(&path))),
            _ => return Err(UstarError::Kind(shown(&path))),
        }
        check_path(&path)?;
        let size = header.entry_size().map_err(|_| UstarError::Size(path.clone()))?;
        let entry = Self { path, size };
        if entry.header()? == *block {
            Ok(Some(entry))
        } else {
            Err(UstarError::NotCanonical(entry.path))
        }
    }

    /// Zero bytes that follow the contents up to a whole block.
    pub const fn padding(&self) -> u64 {
        let over = self.size % BLOCK as u64;
        if over == 0 { 0 } else { BLOCK as u64 - over }
    }

    /// Bytes that the entry takes: header, contents, padding.
    pub const fn total(&self) -> u64 {
        BLOCK as u64 + self.size + self.padding()
    }
}

/// Reads a whole archive that is in memory: its entries and their contents. It ends with [`END`] zero bytes, so that nobody can
/// make another file of the same contents.
///
/// # Errors
/// [`UstarError`], naming the fault; also of what stands after the last entry.
pub fn parse(archive: &[u8]) -> Result<Vec<(Entry, &[u8])>, UstarError> {
    let mut entries = Vec::new();
    let mut rest = archive;
    loop {
        let (block, after) = rest.split_first_chunk::<BLOCK>().ok_or(UstarError::NoEnd)?;
        let Some(entry) = Entry::parse(block)? else {
            break;
        };
        let truncated = || UstarError::Truncated(entry.path.clone());
        let size = usize::try_from(entry.size).map_err(|_| truncated())?;
        let (contents, after) = after.split_at_checked(size).ok_or_else(truncated)?;
        #[expect(clippy::cast_possible_truncation, reason = "less than a block")]
        let padding = entry.padding() as usize;
        let (padding, after) = after.split_at_checked(padding).ok_or_else(truncated)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(UstarError::Padding(entry.path));
        }
        entries.push((entry, contents));
        rest = after;
    }
    match (rest.len() as u64).cmp(&END) {
        Ordering::Less => Err(UstarError::NoEnd),
        _ if rest.iter().any(|byte| *byte != 0) => Err(UstarError::Fill),
        Ordering::Equal => Ok(entries),
        Ordering::Greater => Err(UstarError::AfterTheEnd),
    }
}

/// The archive that [`parse`] reads.
///
/// # Errors
/// [`UstarError::Path`] and [`UstarError::TooLarge`] for what ustar cannot say.
pub fn write<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>, UstarError> {
    let mut archive = Vec::new();
    for (path, contents) in entries {
        archive.extend(Entry::new(path, contents.len() as u64).header()?);
        archive.extend(contents);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

fn check_path(path: &str) -> Result<(), UstarError> {
    if path.starts_with('/') {
        return Err(UstarError::AbsolutePath(shown(path)));
    }
    if path.contains('\\') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(UstarError::PathTraversal(shown(path)));
    }
    if path.len() > 100 || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UstarError::Path);
    }
    Ok(())
}

/// A hostile path as it may stand in an error.
fn shown(path: &str) -> String {
    path.chars().take(100).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: impl FnOnce(&mut Header)) -> Result<Option<Entry>, UstarError> {
        let mut header = Header::from_byte_slice(&Entry::new("report.json", 3).header().unwrap()).clone();
        change(&mut header);
        header.set_cksum();
        Entry::parse(header.as_bytes())
    }

    #[test]
    fn an_entry_reads_back() {
        let entry = Entry::new("attachments/07", 1 << 28);
        assert_eq!(Entry::parse(&entry.header().unwrap()), Ok(Some(entry)));
        assert_eq!(Entry::parse(&[0; BLOCK]), Ok(None));
        assert_eq!(Entry::new("x", 513).total(), 512 * 3);
    }

    #[test]
    fn an_archive_has_one_spelling() {
        let archive = write([("order", b"note".as_slice())]).unwrap();
        assert_eq!(parse(&archive).unwrap().len(), 1);
        let longer = |byte: u8| parse(&[archive.as_slice(), &[byte]].concat()).map(|_| ());
        assert_eq!(longer(0), Err(UstarError::AfterTheEnd));
        assert_eq!(longer(1), Err(UstarError::Fill));
        assert_eq!(parse(&archive[..archive.len() - 1]).map(|_| ()), Err(UstarError::NoEnd));
    }

    #[test]
    fn every_hostile_header_is_refused_by_the_name_of_its_fault() {
        let name = || "report.json".to_owned();
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::Symlink)),
            Err(UstarError::Link(name()))
        );
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::Link)),
            Err(UstarError::Link(name()))
        );
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::Char)),
            Err(UstarError::Device(name()))
        );
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::Fifo)),
            Err(UstarError::Device(name()))
        );
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::Directory)),
            Err(UstarError::Folder(name()))
        );
        assert_eq!(changed(|h| h.set_entry_type(EntryType::XHeader)), Err(UstarError::Pax));
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::XGlobalHeader)),
            Err(UstarError::Pax)
        );
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::GNULongName)),
            Err(UstarError::Gnu)
        );
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::GNUSparse)),
            Err(UstarError::Gnu)
        );
        assert_eq!(
            changed(|h| h.as_old_mut().linkflag = [0]),
            Err(UstarError::Kind(name()))
        );
        assert_eq!(
            changed(|h| h.set_entry_type(EntryType::new(b'?'))),
            Err(UstarError::Kind(name()))
        );
        assert_eq!(changed(|h| h.set_mode(0o4755)), Err(UstarError::NotCanonical(name())));
        assert_eq!(changed(|h| h.set_mtime(1)), Err(UstarError::NotCanonical(name())));
        assert_eq!(changed(|h| h.set_uid(1000)), Err(UstarError::NotCanonical(name())));
        assert_eq!(
            changed(|h| h.set_size(1 << 40)),
            Err(UstarError::TooLarge {
                path: name(),
                size: 1 << 40,
                limit: MAX_SIZE
            })
        );
        let path = |text: &str| {
            changed(|h| {
                h.as_old_mut().name = [0; 100];
                h.as_old_mut().name[..text.len()].copy_from_slice(text.as_bytes());
            })
        };
        assert_eq!(path("/etc/passwd"), Err(UstarError::AbsolutePath("/etc/passwd".into())));
        assert_eq!(
            path("attachments/../../x"),
            Err(UstarError::PathTraversal("attachments/../../x".into()))
        );
        assert_eq!(path("a\\..\\b"), Err(UstarError::PathTraversal("a\\\\..\\\\b".into())));
        assert_eq!(
            path("./report.json"),
            Err(UstarError::PathTraversal("./report.json".into()))
        );
        assert_eq!(path("a\u{1b}[2J"), Err(UstarError::Path));
        let gnu = Header::new_gnu();
        let mut gnu = gnu.clone();
        gnu.set_cksum();
        assert_eq!(Entry::parse(gnu.as_bytes()), Err(UstarError::Gnu));
        let mut block = Entry::new("x", 1).header().unwrap();
        block[0] ^= 1;
        assert_eq!(Entry::parse(&block), Err(UstarError::Checksum));
    }
}
