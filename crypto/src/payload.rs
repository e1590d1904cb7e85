//! The payload of a sealed report: a strict ustar archive, filled with zeros.
//!
//! ```text
//! report.json │ report.sig │ attachments/00 │ attachments/01 │ … │ zeros to the end, at least 1,024
//! ```
//!
//! Anyone can read it without code of ours: `age -d -i identity report.age | tar xi`.

use std::io::{self, Read};

use crate::{
    digest::Aside,
    key::SigningKey,
    report::{self, Report, ReportError},
    ustar::{self, BLOCK, Entry, UstarError},
};

/// Path of the report.
pub const REPORT: &str = "report.json";
/// Path of the codename's signature over the report.
pub const SIGNATURE: &str = "report.sig";

/// Path of an attachment, counted from 0.
pub fn attachment_path(index: usize) -> String {
    format!("attachments/{index:02}")
}

/// Where the contents of attachments go as they are read. Nothing of it may be believed before the report has been
/// opened to its end; on an error the receiver forgets what it was given.
pub trait Attachments {
    /// Attachment `index` begins; `size` bytes follow.
    ///
    /// # Errors
    /// Of the receiver.
    fn begin(&mut self, index: usize, size: u64) -> io::Result<()>;

    /// The next bytes of the attachment that began last.
    ///
    /// # Errors
    /// Of the receiver.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Forgets all attachments.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Attachments for Discard {
    fn begin(&mut self, _: usize, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// What was wrong with a payload.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// With the archive.
    #[error(transparent)]
    Archive(#[from] UstarError),
    /// With `report.json`.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// `report.sig` is not 64 bytes.
    #[error("report.sig has {0} bytes, and a signature has {len}", len = SigningKey::SIGNATURE_LEN)]
    Signature(u64),
    /// An attachment is not the one that `report.json` names.
    #[error("attachment {0:02} is not the one that report.json names")]
    Attachment(usize),
    /// Reading the payload failed: damaged ciphertext, usually.
    #[error(transparent)]
    Read(io::Error),
    /// The receiver of attachments failed.
    #[error("storing an attachment failed")]
    Store(#[source] io::Error),
}

/// A payload that was read to its end.
pub(crate) struct Payload {
    pub report: Report,
    pub report_json: Vec<u8>,
    pub signature: [u8; SigningKey::SIGNATURE_LEN],
}

/// Length in bytes of the archive without its fill, its end included.
pub(crate) fn len(report_json: &[u8], attachments: impl Iterator<Item = u64>) -> u64 {
    let attachments = attachments.map(|size_bytes| Entry::new("", size_bytes).total());
    Entry::new(REPORT, report_json.len() as u64).total()
        + Entry::new(SIGNATURE, SigningKey::SIGNATURE_LEN as u64).total()
        + attachments.sum::<u64>()
        + ustar::END
}

/// Reads a payload to its end.
pub(crate) fn read(input: &mut dyn Read, attachments: &mut dyn Attachments) -> Result<Payload, PayloadError> {
    let mut archive = Archive { input };
    let report_json = archive.small(REPORT, report::MAX_LEN)?;
    let signature = archive.small(SIGNATURE, BLOCK as u64)?;
    let signature = signature
        .try_into()
        .map_err(|bytes: Vec<u8>| PayloadError::Signature(bytes.len() as u64))?;
    let report = Report::parse(&report_json)?;
    for (index, named) in report.attachments.iter().enumerate() {
        let entry = archive.expect(&attachment_path(index))?;
        if entry.size != named.size_bytes {
            return Err(PayloadError::Attachment(index));
        }
        attachments.begin(index, entry.size).map_err(PayloadError::Store)?;
        let mut hasher = Aside::new();
        let mut left = entry.size;
        while left > 0 {
            let bytes = hasher.read(archive.input, left).map_err(PayloadError::Read)?;
            if bytes.is_empty() {
                return Err(UstarError::Truncated(entry.path).into());
            }
            attachments.write(bytes).map_err(PayloadError::Store)?;
            left -= bytes.len() as u64;
        }
        archive.padding(&entry)?;
        if hasher.finish() != named.sha256 {
            return Err(PayloadError::Attachment(index));
        }
    }
    archive.end()?;
    Ok(Payload {
        report,
        report_json,
        signature,
    })
}

struct Archive<'a> {
    input: &'a mut dyn Read,
}

impl Archive<'_> {
    /// The next header; `None` at the end.
    fn next(&mut self) -> Result<Option<Entry>, PayloadError> {
        let mut block = [0; BLOCK];
        match read_full(self.input, &mut block).map_err(PayloadError::Read)? {
            BLOCK => Ok(Entry::parse(&block)?),
            _ => Err(UstarError::NoEnd.into()),
        }
    }

    /// The next entry, which must have this path.
    fn expect(&mut self, path: &str) -> Result<Entry, PayloadError> {
        match self.next()? {
            Some(entry) if entry.path == path => Ok(entry),
            Some(entry) if is_earlier(&entry.path, path) => Err(UstarError::Duplicate(entry.path).into()),
            Some(entry) => Err(UstarError::Unexpected(entry.path).into()),
            None => Err(UstarError::Missing(match path {
                REPORT => REPORT,
                SIGNATURE => SIGNATURE,
                _ => "an attachment that report.json names",
            })
            .into()),
        }
    }

    /// An entry that is kept in memory.
    fn small(&mut self, path: &'static str, limit: u64) -> Result<Vec<u8>, PayloadError> {
        let entry = self.expect(path)?;
        if entry.size > limit {
            return Err(UstarError::TooLarge {
                path: entry.path,
                size: entry.size,
                limit,
            }
            .into());
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most the limit, which memory holds")]
        let mut contents = vec![0; entry.size as usize];
        if read_full(self.input, &mut contents).map_err(PayloadError::Read)? < contents.len() {
            return Err(UstarError::Truncated(entry.path).into());
        }
        self.padding(&entry)?;
        Ok(contents)
    }

    /// An entry ends with zeros to the next block.
    fn padding(&mut self, entry: &Entry) -> Result<(), PayloadError> {
        let mut padding = [0; BLOCK];
        #[expect(clippy::cast_possible_truncation, reason = "less than a block")]
        let padding = &mut padding[..entry.padding() as usize];
        if read_full(self.input, padding).map_err(PayloadError::Read)? < padding.len() {
            return Err(UstarError::Truncated(entry.path.clone()).into());
        }
        if padding.iter().any(|byte| *byte != 0) {
            return Err(UstarError::Padding(entry.path.clone()).into());
        }
        Ok(())
    }

    /// Nothing but zeros to the end, and enough of them.
    fn end(&mut self) -> Result<(), PayloadError> {
        if let Some(entry) = self.next()? {
            let duplicate = matches!(entry.path.as_str(), REPORT | SIGNATURE);
            return Err(if duplicate {
                UstarError::Duplicate(entry.path)
            } else {
                UstarError::Unexpected(entry.path)
            }
            .into());
        }
        let mut zeros = BLOCK as u64;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let got = read_full(self.input, &mut buffer).map_err(PayloadError::Read)?;
            if buffer[..got].iter().any(|byte| *byte != 0) {
                return Err(UstarError::Fill.into());
            }
            zeros += got as u64;
            if got < buffer.len() {
                return if zeros < ustar::END {
                    Err(UstarError::NoEnd.into())
                } else {
                    Ok(())
                };
            }
        }
    }
}

/// Whether `path` stands before `expected` in a payload, and so stands there twice.
fn is_earlier(path: &str, expected: &str) -> bool {
    let place = |path: &str| match path {
        REPORT => 0,
        SIGNATURE => 1,
        _ if path.starts_with("attachments/") => 2,
        _ => 3,
    };
    place(path) < place(expected) || (place(path) == 2 && place(expected) == 2 && path < expected)
}

/// Reads until the buffer is full or the input ends.
pub(crate) fn read_full(input: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
