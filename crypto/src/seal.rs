//! Sealing: from an incident and its attachments to a ciphertext of exactly one bucket.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    io::{self, Read, Write},
};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    bucket::{self, TooLarge},
    codename::Codename,
    day::Epoch,
    digest::{Digest, Hasher},
    hybrid::Recipient,
    instance::InstanceId,
    key::SigningKey,
    manifest::Manifest,
    payload::{self, read_full},
    report::{self, Attachment, Report, ReportError},
    ustar::{Entry, UstarError},
};

/// Whom reports are sealed to: what sealing and opening need of a manifest.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) instance: InstanceId,
    pub(crate) epoch: Epoch,
    pub(crate) manifest: Digest,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) limit: u64,
}

/// What a submitter says.
#[derive(Clone)]
pub struct Content {
    /// Whether it continues an earlier report under the same codename.
    pub continues: bool,
    /// Answers to the organization's own questions, by the question's id.
    pub answers: BTreeMap<String, String>,
    /// The incident, as JSON.
    pub incident: Box<RawValue>,
}

/// A report that is ready to be sealed: its length is known.
pub struct Draft<'a> {
    target: &'a Target,
    report_json: Zeroizing<Vec<u8>>,
    signature: [u8; SigningKey::SIGNATURE_LEN],
    attachments: Vec<Measure>,
    bucket: u64,
}

/// Why a report could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The report or an attachment is too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The report is malformed, or has too many attachments.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// An attachment is too large for the archive.
    #[error(transparent)]
    Archive(#[from] UstarError),
    /// An attachment changed between being measured and being sealed.
    #[error("attachment {0:02} changed while it was being sealed: leave it alone and seal again")]
    AttachmentChanged(usize),
    /// Reading attachment {0} failed.
    #[error("attachment {0:02} could not be read")]
    Attachment(usize, #[source] io::Error),
    /// age refused.
    #[error("sealing failed: {0}")]
    Age(#[from] age::EncryptError),
    /// Writing the ciphertext failed.
    #[error("the sealed report could not be written")]
    Write(#[source] io::Error),
}

impl From<&Manifest> for Target {
    fn from(manifest: &Manifest) -> Self {
        Self {
            instance: manifest.instance,
            epoch: manifest.epoch,
            manifest: manifest.hash(),
            recipients: manifest.recipients().cloned().collect(),
            limit: manifest.limit,
        }
    }
}

/// Of an attachment: what the report says of it, and by what sealing knows it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Its length and digest.
    pub attachment: Attachment,
    /// CRC-32. A second digest would take longer than encrypting, and against nobody: whoever could replace the file by
    /// one with the same checksum could also have given that one in the first place.
    checksum: u32,
}

impl Measure {
    /// Measures an attachment.
    ///
    /// # Errors
    /// Of reading it.
    pub fn of(mut content: impl Read) -> io::Result<Self> {
        let mut hasher = Hasher::new();
        let mut checksum = crc32fast::Hasher::new();
        let mut size_bytes = 0;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let got = read_full(&mut content, &mut buffer)?;
            hasher.update(&buffer[..got]);
            checksum.update(&buffer[..got]);
            size_bytes += got as u64;
            if got < buffer.len() {
                return Ok(Self {
                    attachment: Attachment {
                        sha256: hasher.finish(),
                        size_bytes,
                    },
                    checksum: checksum.finalize(),
                });
            }
        }
    }
}

impl<'a> Draft<'a> {
    /// Binds what a submitter says to the target, signs it with the codename's key and finds its bucket.
    ///
    /// # Errors
    /// [`SealError::TooLarge`] and [`SealError::Report`].
    pub fn new(
        target: &'a Target,
        codename: &Codename,
        content: Content,
        attachments: &[Measure],
    ) -> Result<Self, SealError> {
        let key = codename.signing_key();
        let report = Report {
            kind: report::TYPE.to_owned(),
            instance: target.instance,
            epoch: target.epoch,
            manifest: target.manifest,
            codename_key: key.public(),
            reply_key: codename.reply_key(),
            continues: content.continues,
            attachments: attachments.iter().map(|measure| measure.attachment).collect(),
            answers: content.answers,
            incident: content.incident,
        };
        let report_json = Zeroizing::new(report.to_json()?);
        let signature = key.sign(&report_json);
        Self::of_parts(target, report_json, signature, attachments.to_vec())
    }

    /// Also for what only an attacker would seal: the tests of opening make their reports here.
    pub(crate) fn of_parts(
        target: &'a Target,
        report_json: Zeroizing<Vec<u8>>,
        signature: [u8; SigningKey::SIGNATURE_LEN],
        attachments: Vec<Measure>,
    ) -> Result<Self, SealError> {
        let sizes = attachments.iter().map(|measure| measure.attachment.size_bytes);
        let payload = payload::len(&report_json, sizes);
        let bucket = bucket::for_payload(payload, target.recipients.len(), target.limit)?;
        Ok(Self {
            target,
            report_json,
            signature,
            attachments,
            bucket,
        })
    }

    /// Length in bytes that the ciphertext will have.
    pub const fn bucket(&self) -> u64 {
        self.bucket
    }

    /// Seals to `output`, which is given exactly [`bucket`](Self::bucket) bytes. `open` gives the contents of attachment
    /// `index`.
    ///
    /// # Errors
    /// [`SealError`]; what was written until then opens for nobody.
    pub fn seal<W: Write>(
        &self,
        output: W,
        mut open: impl FnMut(usize) -> io::Result<Box<dyn Read>>,
    ) -> Result<(), SealError> {
        seal_to_bucket(&self.target.recipients, self.bucket, output, |payload| {
            self.write_entry(payload, payload::REPORT, &self.report_json)?;
            self.write_entry(payload, payload::SIGNATURE, &self.signature)?;
            for (index, measure) in self.attachments.iter().enumerate() {
                let content = open(index).map_err(|error| SealError::Attachment(index, error))?;
                write_attachment(payload, index, measure, content)?;
            }
            Ok(())
        })
    }

    #[expect(clippy::unused_self, reason = "reads as part of the draft")]
    fn write_entry(&self, payload: &mut dyn Write, path: &str, contents: &[u8]) -> Result<(), SealError> {
        let entry = Entry::new(path, contents.len() as u64);
        payload.write_all(&entry.header()?).map_err(SealError::Write)?;
        payload.write_all(contents).map_err(SealError::Write)?;
        write_zeros(payload, entry.padding()).map_err(SealError::Write)
    }
}

fn write_attachment(
    payload: &mut dyn Write,
    index: usize,
    measure: &Measure,
    mut content: Box<dyn Read>,
) -> Result<(), SealError> {
    let size_bytes = measure.attachment.size_bytes;
    let entry = Entry::new(payload::attachment_path(index), size_bytes);
    payload.write_all(&entry.header()?).map_err(SealError::Write)?;
    let mut checksum = crc32fast::Hasher::new();
    let mut left = size_bytes;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let got = read_full(&mut content, &mut buffer).map_err(|error| SealError::Attachment(index, error))?;
        left = left
            .checked_sub(got as u64)
            .ok_or(SealError::AttachmentChanged(index))?;
        checksum.update(&buffer[..got]);
        payload.write_all(&buffer[..got]).map_err(SealError::Write)?;
        if got < buffer.len() {
            break;
        }
    }
    if left != 0 || checksum.finalize() != measure.checksum {
        return Err(SealError::AttachmentChanged(index));
    }
    write_zeros(payload, entry.padding()).map_err(SealError::Write)
}

/// Seals what `write` writes, filled with zeros so that the ciphertext has exactly `bucket` bytes.
pub(crate) fn seal_to_bucket<W: Write>(
    recipients: &[Recipient],
    bucket: u64,
    output: W,
    write: impl FnOnce(&mut dyn Write) -> Result<(), SealError>,
) -> Result<(), SealError> {
    let state = RefCell::new(Output {
        inner: output,
        held: Some(Vec::new()),
    });
    // The header's length varies with the grease that age draws; the fill is computed from the header as it came out.
    // Very rarely no fill gives the exact length (age has no empty last chunk): then another header is drawn.
    let (mut writer, payload_len) = loop {
        let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as _))?;
        let writer = encryptor.wrap_output(Tap(&state)).map_err(SealError::Write)?;
        let header_len = state.borrow().held.as_ref().map_or(0, Vec::len) as u64;
        if let Some(payload_len) = bucket.checked_sub(header_len).and_then(bucket::payload_len) {
            state.borrow_mut().release().map_err(SealError::Write)?;
            break (writer, payload_len);
        }
        state.borrow_mut().held = Some(Vec::new());
    };
    let mut payload = Counted {
        inner: &mut writer,
        written: 0,
    };
    write(&mut payload)?;
    let fill = payload_len.checked_sub(payload.written).ok_or(TooLarge {
        needs: payload.written,
        limit: payload_len,
    })?;
    write_zeros(&mut payload, fill).map_err(SealError::Write)?;
    writer
        .finish()
        .and_then(|mut tap| tap.flush())
        .map_err(SealError::Write)
}

fn write_zeros(output: &mut dyn Write, mut count: u64) -> io::Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let part = usize::try_from(count).map_or(ZEROS.len(), |count| count.min(ZEROS.len()));
        output.write_all(&ZEROS[..part])?;
        count -= part as u64;
    }
    Ok(())
}

/// Where the ciphertext goes: the header is held back until it is known to fit.
struct Output<W> {
    inner: W,
    held: Option<Vec<u8>>,
}

impl<W: Write> Output<W> {
    fn release(&mut self) -> io::Result<()> {
        let header = self.held.take().unwrap_or_default();
        self.inner.write_all(&header)
    }
}

/// age takes its output by value; this lets it and us see the same one.
struct Tap<'a, W>(&'a RefCell<Output<W>>);

impl<W: Write> Write for Tap<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut output = self.0.borrow_mut();
        if let Some(held) = &mut output.held {
            held.extend_from_slice(bytes);
            Ok(bytes.len())
        } else {
            output.inner.write(bytes)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().inner.flush()
    }
}

struct Counted<'a, W> {
    inner: &'a mut W,
    written: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(redacted)")
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft(bucket {})", self.bucket)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{header::SealedHeader, hybrid::Identity, open::open, payload::Discard, secret::SecretBytes};

    const SLOTS: u8 = 8;

    fn identity(slot: u8) -> Identity {
        Identity::from_seed(SecretBytes::from([slot; 32]))
    }

    fn target(limit: u64) -> Target {
        Target {
            instance: "00112233445566778899aabbccddeeff".parse().unwrap(),
            epoch: Epoch::from_number(2951).unwrap(),
            manifest: Digest::of(b"manifest"),
            recipients: (0..SLOTS).map(|slot| identity(slot).recipient()).collect(),
            limit,
        }
    }

    fn content(narrative: &str) -> Content {
        let incident = serde_json::json!({ "narrative": narrative }).to_string();
        Content {
            continues: false,
            answers: [].into(),
            incident: RawValue::from_string(incident).unwrap(),
        }
    }

    fn codename() -> Codename {
        Codename::from_entropy(SecretBytes::from([1; 16]))
    }

    /// Not cryptographic; a fixed series, so that a failure can be repeated.
    fn next(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn a_thousand_random_reports_have_the_lengths_of_buckets_and_no_other() {
        let target = target(1 << 18);
        let mut state = 7;
        let (mut headers, mut buckets) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..1000 {
            let narrative = "ئ".repeat(usize::try_from(next(&mut state) % 40_000).unwrap());
            let draft = Draft::new(&target, &codename(), content(&narrative), &[]).unwrap();
            let mut out = Vec::new();
            draft.seal(&mut out, |_| unreachable!()).unwrap();
            let size = out.len() as u64;
            assert_eq!(size, draft.bucket());
            assert!(bucket::is_bucket(size, SLOTS.into(), target.limit), "{}", size);
            headers.insert(SealedHeader::parse(&out, SLOTS.into()).unwrap().len);
            buckets.insert(size);
        }
        assert_eq!(buckets, [1 << 15, 1 << 16, 1 << 17].into());
        assert!(
            headers.len() > 50,
            "the fill makes up for {} lengths of header",
            headers.len()
        );
    }

    #[test]
    fn on_either_side_of_every_edge_a_report_has_its_bucket_and_opens() {
        let target = target(1 << 21);
        let base = payload::len(
            &Draft::new(&target, &codename(), content(""), &[Measure::of(io::empty()).unwrap()])
                .unwrap()
                .report_json,
            std::iter::empty(),
        );
        let mut bucket = bucket::smallest(SLOTS.into());
        while bucket < target.limit {
            // The largest attachment that fits, in whole blocks, and one byte more.
            let room = bucket::capacity(bucket, SLOTS.into()) - base - 512;
            let fits = room - room % 512;
            for (size, expected) in [(fits - 1, bucket), (fits, bucket), (fits + 1, bucket * 2)] {
                let attachment = vec![0xa5; usize::try_from(size).unwrap()];
                let measured = Measure::of(attachment.as_slice()).unwrap();
                let draft = Draft::new(&target, &codename(), content(""), &[measured]).unwrap();
                let mut out = Vec::new();
                draft
                    .seal(&mut out, |_| Ok(Box::new(io::Cursor::new(attachment.clone()))))
                    .unwrap();
                assert_eq!(
                    (draft.bucket(), out.len() as u64),
                    (expected, expected),
                    "attachment of {size}"
                );
                open(out.as_slice(), &target, &identity(3), &mut Discard).unwrap();
            }
            bucket *= 2;
        }
        let too_large = Measure::of(io::repeat(0).take(target.limit)).unwrap();
        let refused = Draft::new(&target, &codename(), content(""), &[too_large]).unwrap_err();
        assert!(matches!(refused, SealError::TooLarge(TooLarge { limit, .. }) if limit < target.limit));
    }

    #[test]
    fn an_attachment_that_changes_while_it_is_sealed_is_named() {
        let target = target(1 << 21);
        let measured = Measure::of(b"as it was".as_slice()).unwrap();
        let draft = Draft::new(&target, &codename(), content(""), &[measured]).unwrap();
        for changed in [b"as it is!".as_slice(), b"shorter", b"longer than before"] {
            let refused = draft.seal(io::sink(), |_| Ok(Box::new(changed))).unwrap_err();
            assert!(matches!(refused, SealError::AttachmentChanged(0)), "{refused}");
        }
        let gone = draft
            .seal(io::sink(), |_| Err(io::ErrorKind::NotFound.into()))
            .unwrap_err();
        assert!(matches!(gone, SealError::Attachment(0, _)));
    }

    #[test]
    fn where_no_fill_gives_the_exact_length_another_header_is_drawn() {
        // One slot, and a bucket such that some lengths of grease leave a last chunk of 1 to 16 bytes.
        let recipients = [identity(0).recipient()];
        let shortest = crate::header::max_len(1) as u64 - 177;
        let bucket = shortest + bucket::NONCE_LEN + 65_552 + 16;
        for _ in 0..200 {
            let mut out = Vec::new();
            seal_to_bucket(&recipients, bucket, &mut out, |_| Ok(())).unwrap();
            assert_eq!(out.len() as u64, bucket);
        }
    }
}
