//! Opening: from a ciphertext to a report that is bound to this instance, epoch and manifest and signed by its codename.
//!
//! The caseworker's own slot is the only one tried, so that opening costs one decapsulation however many slots there
//! are. Nothing is believed before the last chunk has authenticated: attachments are handed out as they come, and whoever
//! takes them forgets them if opening fails.

use std::{
    cell::RefCell,
    fmt,
    io::{self, BufRead, BufReader, Read},
    mem,
};

use age::{DecryptError, secrecy::ExposeSecret};
use age_core::format::{FileKey, Stanza};

use crate::{
    day::Epoch,
    digest::Digest,
    header::{self, SealedHeader, ShapeError},
    hybrid::Identity,
    instance::InstanceId,
    key::SigningKey,
    payload::{self, Attachments, PayloadError, read_full},
    report::Report,
    seal::Target,
};

/// How much ciphertext is read at once, in bytes.
const BUFFER_LEN: usize = 64 << 10;

/// A report that was opened to its end and verified.
pub struct Opened {
    /// What it says.
    pub report: Report,
    /// The bytes of `report.json`, which the signature is over.
    pub report_json: Vec<u8>,
    /// The codename's signature.
    pub signature: [u8; SigningKey::SIGNATURE_LEN],
    stanzas: Vec<Stanza>,
    file_key: FileKey,
}

/// Why a report could not be opened, or must not be believed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The identity has no slot in this manifest.
    #[error("this identity has no slot in the manifest of epoch {0}")]
    NoSlot(Epoch),
    /// It was not sealed to this slot: noise, or sealed to others only.
    #[error("not for me: my slot does not open it")]
    NotForMe,
    /// It does not have the shape of a sealed report.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// It was changed or cut after sealing.
    #[error("damaged: {0}")]
    Damaged(#[source] DecryptError),
    /// The ciphertext ends early, or a chunk does not authenticate.
    #[error("damaged: a part does not authenticate, or the end is missing")]
    DamagedPayload,
    /// The payload is not what an honest sender makes.
    #[error("hostile payload: {0}")]
    Payload(#[source] PayloadError),
    /// It was written for another organization.
    #[error("moved here from another instance ({0})")]
    AnotherInstance(InstanceId),
    /// It was written for another epoch.
    #[error("written for epoch {0}, not for this one")]
    AnotherEpoch(Epoch),
    /// It was written under another manifest of the same epoch.
    #[error("written under another manifest ({0})")]
    AnotherManifest(Digest),
    /// The signature is not its codename's: somebody else wrote it, under a codename that is not theirs.
    #[error("forged: not signed by the codename it names")]
    Forged,
    /// Reading the ciphertext failed.
    #[error("the sealed report could not be read")]
    Read(#[source] io::Error),
    /// An attachment could not be stored.
    #[error("an attachment could not be stored")]
    Store(#[source] io::Error),
}

/// A report that some slots cannot open. Who answers it would show which slots are live: it is never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("partly sealed: slots {slots:?} were not given the key")]
pub struct PartlySealed {
    /// Positions of the slots, from 0.
    pub slots: Vec<usize>,
}

/// A follow-up that does not belong to the report it is said to continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAFollowUp {
    /// Another codename signed it.
    #[error("a follow-up under another codename")]
    AnotherCodename,
    /// The same codename, but another reply key: answers would go to somebody else.
    #[error("a follow-up with another reply key")]
    AnotherReplyKey,
}

/// Opens a sealed report with the caseworker's own slot. Which one it is, by the digest of its ciphertext, is for who reads
/// that to see: it must be read to its end for that, also when it does not open.
///
/// # Errors
/// [`OpenError`], naming the fault.
pub fn open<R: Read>(
    mut ciphertext: R,
    target: &Target,
    identity: &Identity,
    attachments: &mut dyn Attachments,
) -> Result<Opened, OpenError> {
    let own = identity.recipient();
    let position = target.recipients.iter().position(|recipient| *recipient == own);
    let position = position.ok_or(OpenError::NoSlot(target.epoch))?;
    let slots = target.recipients.len();

    let mut start = vec![0; header::prefix_len(slots)];
    let start_len = read_full(&mut ciphertext, &mut start).map_err(OpenError::Read)?;
    start.truncate(start_len);
    let header = SealedHeader::parse(&start, slots)?;

    let decryptor = age::Decryptor::new_buffered(HeaderAsLine {
        left: header.len,
        ciphertext: BufReader::with_capacity(BUFFER_LEN, start.as_slice().chain(ciphertext)),
    })
    .map_err(read_or_damaged)?;
    let slot = OwnSlot {
        identity,
        position,
        file_key: RefCell::new(None),
    };
    let mut plaintext = match decryptor.decrypt(std::iter::once(&slot as &dyn age::Identity)) {
        Ok(plaintext) => plaintext,
        Err(DecryptError::NoMatchingKeys) => return Err(OpenError::NotForMe),
        Err(error) => return Err(read_or_damaged(error)),
    };
    let payload = match payload::read(&mut plaintext, attachments) {
        Ok(payload) => payload,
        Err(PayloadError::Read(_)) => return Err(OpenError::DamagedPayload),
        Err(PayloadError::Store(error)) => return Err(OpenError::Store(error)),
        Err(fault) => {
            // Only what authenticates to its end may be called hostile; otherwise it is damaged.
            return Err(match io::copy(&mut plaintext, &mut io::sink()) {
                Ok(_) => OpenError::Payload(fault),
                Err(_) => OpenError::DamagedPayload,
            });
        }
    };
    drop(plaintext);
    let report = payload.report;
    if report.instance != target.instance {
        return Err(OpenError::AnotherInstance(report.instance));
    }
    if report.epoch != target.epoch {
        return Err(OpenError::AnotherEpoch(report.epoch));
    }
    if report.manifest != target.manifest {
        return Err(OpenError::AnotherManifest(report.manifest));
    }
    if !report.codename_key.verifies(&payload.report_json, &payload.signature) {
        return Err(OpenError::Forged);
    }
    Ok(Opened {
        report,
        report_json: payload.report_json,
        signature: payload.signature,
        stanzas: header.stanzas,
        file_key: slot.file_key.into_inner().ok_or(OpenError::NotForMe)?,
    })
}

impl Opened {
    /// Proves that every slot was given the file key, by making each slot's stanza again.
    ///
    /// # Errors
    /// [`PartlySealed`], naming the slots.
    pub fn wholly_sealed(&self, target: &Target) -> Result<(), PartlySealed> {
        let slots: Vec<usize> = (target.recipients.iter().zip(&self.stanzas).enumerate())
            .filter(|(_, (recipient, stanza))| recipient.wrap(&self.file_key).ok().as_ref() != Some(*stanza))
            .map(|(position, _)| position)
            .collect();
        if slots.is_empty() {
            Ok(())
        } else {
            Err(PartlySealed { slots })
        }
    }
}

impl Report {
    /// Whether this report continues `first`: both were signed by the same codename (which opening verified).
    ///
    /// # Errors
    /// [`NotAFollowUp`].
    pub fn follows(&self, first: &Self) -> Result<(), NotAFollowUp> {
        if self.codename_key != first.codename_key {
            return Err(NotAFollowUp::AnotherCodename);
        }
        if self.reply_key != first.reply_key {
            return Err(NotAFollowUp::AnotherReplyKey);
        }
        Ok(())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

fn read_or_damaged(error: DecryptError) -> OpenError {
    match error {
        DecryptError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => OpenError::Read(error),
        error => OpenError::Damaged(error),
    }
}

/// Hands age the whole header, whose length is known, as the first line. Line by line, age would parse all of the header
/// anew after each of its lines: a fifth of what opening a text report costs.
struct HeaderAsLine<R> {
    left: usize,
    ciphertext: R,
}

impl<R: BufRead> Read for HeaderAsLine<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.ciphertext.read(bytes)
    }
}

impl<R: BufRead> BufRead for HeaderAsLine<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.ciphertext.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.ciphertext.consume(amount);
    }

    fn read_until(&mut self, delimiter: u8, bytes: &mut Vec<u8>) -> io::Result<usize> {
        match mem::take(&mut self.left) {
            0 => self.ciphertext.read_until(delimiter, bytes),
            header => self.ciphertext.by_ref().take(header as u64).read_to_end(bytes),
        }
    }
}

/// Shows age the one stanza that may be ours, and keeps the file key for the proof that all slots have it.
struct OwnSlot<'a> {
    identity: &'a Identity,
    position: usize,
    file_key: RefCell<Option<FileKey>>,
}

impl age::Identity for OwnSlot<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.identity.unwrap(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let opened = self.unwrap_stanza(stanzas.get(self.position)?)?;
        if let Ok(file_key) = &opened {
            let copy = FileKey::init_with_mut(|key| key.copy_from_slice(file_key.expose_secret()));
            self.file_key.replace(Some(copy));
        }
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        codename::Codename,
        payload::Discard,
        report::ReportError,
        seal::{Content, Draft, Measure, seal_to_bucket},
        secret::SecretBytes,
        ustar::{Entry, UstarError},
    };

    const SLOTS: u8 = 4;
    const LIMIT: u64 = 1 << 22;

    fn identity(slot: u8) -> Identity {
        Identity::from_seed(SecretBytes::from([slot; 32]))
    }

    fn target() -> Target {
        Target {
            instance: "00112233445566778899aabbccddeeff".parse().unwrap(),
            epoch: Epoch::from_number(2951).unwrap(),
            manifest: Digest::of(b"manifest"),
            recipients: (0..SLOTS).map(|slot| identity(slot).recipient()).collect(),
            limit: LIMIT,
        }
    }

    fn codename(seed: u8) -> Codename {
        Codename::from_entropy(SecretBytes::from([seed; 16]))
    }

    fn content() -> Content {
        Content {
            continues: false,
            answers: [].into(),
            incident: RawValue::from_string(r#"{"narrative":"…"}"#.to_owned()).unwrap(),
        }
    }

    fn sealed_with(target: &Target, attachments: &[&'static [u8]]) -> Vec<u8> {
        let measured: Vec<_> = attachments.iter().map(|bytes| Measure::of(*bytes).unwrap()).collect();
        let draft = Draft::new(target, &codename(1), content(), &measured).unwrap();
        let mut out = Vec::new();
        draft
            .seal(&mut out, |index| Ok(Box::new(attachments[index]) as Box<dyn Read>))
            .unwrap();
        assert_eq!(out.len() as u64, draft.bucket());
        out
    }

    fn open_as(slot: u8, ciphertext: &[u8]) -> Result<Opened, OpenError> {
        open(ciphertext, &target(), &identity(slot), &mut Discard)
    }

    /// Keeps attachments in memory.
    #[derive(Default)]
    struct Kept(Vec<Vec<u8>>);

    impl Attachments for Kept {
        fn begin(&mut self, index: usize, _: u64) -> io::Result<()> {
            assert_eq!(index, self.0.len());
            self.0.push(Vec::new());
            Ok(())
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.last_mut().unwrap().extend_from_slice(bytes);
            Ok(())
        }
    }

    #[test]
    fn every_slot_opens_a_report_and_proves_that_it_was_wholly_sealed() {
        static RECORDING: [u8; 100_000] = [7; 100_000];
        let attachments: [&[u8]; 2] = [b"a photograph", &RECORDING];
        let ciphertext = sealed_with(&target(), &attachments);
        for slot in 0..SLOTS {
            let mut kept = Kept::default();
            let opened = open(ciphertext.as_slice(), &target(), &identity(slot), &mut kept).unwrap();
            assert_eq!(kept.0, attachments);
            assert_eq!(opened.report.codename_key, codename(1).signing_key().public());
            assert_eq!(opened.report.reply_key, codename(1).reply_key());
            assert_eq!(opened.wholly_sealed(&target()), Ok(()));
        }
        assert!(matches!(open_as(SLOTS, &ciphertext), Err(OpenError::NoSlot(_))));
    }

    #[test]
    fn a_report_that_only_some_slots_can_open_is_named() {
        let mut narrowed = target();
        narrowed.recipients[2] = identity(99).recipient();
        let ciphertext = sealed_with(&narrowed, &[]);
        let opened = open_as(0, &ciphertext).unwrap();
        assert_eq!(opened.wholly_sealed(&target()), Err(PartlySealed { slots: vec![2] }));
        assert!(matches!(open_as(2, &ciphertext), Err(OpenError::NotForMe)));
    }

    #[test]
    fn a_report_moved_from_another_instance_epoch_or_manifest_is_named() {
        let mut other = target();
        other.instance = "ffffffffffffffffffffffffffffffff".parse().unwrap();
        assert!(matches!(
            open_as(0, &sealed_with(&other, &[])),
            Err(OpenError::AnotherInstance(_))
        ));
        let mut other = target();
        other.epoch = Epoch::from_number(2950).unwrap();
        assert!(matches!(
            open_as(0, &sealed_with(&other, &[])),
            Err(OpenError::AnotherEpoch(_))
        ));
        let mut other = target();
        other.manifest = Digest::of(b"another version");
        assert!(matches!(
            open_as(0, &sealed_with(&other, &[])),
            Err(OpenError::AnotherManifest(_))
        ));
    }

    #[test]
    fn a_forged_signature_is_named() {
        let target = target();
        let honest = open_as(0, &sealed_with(&target, &[])).unwrap();
        let mallory = codename(2).signing_key().sign(&honest.report_json);
        let draft = Draft::of_parts(&target, Zeroizing::new(honest.report_json), mallory, vec![]).unwrap();
        let mut out = Vec::new();
        draft.seal(&mut out, |_| unreachable!()).unwrap();
        assert!(matches!(open_as(0, &out), Err(OpenError::Forged)));
    }

    #[test]
    fn a_follow_up_is_one_of_the_same_codename_and_reply_key() {
        let first = open_as(0, &sealed_with(&target(), &[])).unwrap().report;
        assert_eq!(first.follows(&first), Ok(()));
        let mut other = first.clone();
        other.codename_key = codename(2).signing_key().public();
        assert_eq!(other.follows(&first), Err(NotAFollowUp::AnotherCodename));
        let mut other = first.clone();
        other.reply_key = codename(2).reply_key();
        assert_eq!(other.follows(&first), Err(NotAFollowUp::AnotherReplyKey));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let ciphertext = sealed_with(&target(), &[]);
        for at in (0..ciphertext.len()).step_by(61) {
            let mut damaged = ciphertext.clone();
            damaged[at] ^= 0x10;
            assert!(open_as(0, &damaged).is_err(), "byte {at}");
            assert!(open_as(0, &ciphertext[..at]).is_err(), "cut at {at}");
        }
        let mut longer = ciphertext.clone();
        longer.push(0);
        assert!(open_as(0, &longer).is_err());
    }

    /// What is written of a hostile payload, and the length of its bucket.
    type Hostile<'a> = (&'a [(Entry, &'a [u8])], &'a [u8]);

    fn open_hostile((entries, tail): Hostile<'_>) -> PayloadError {
        let mut out = Vec::new();
        seal_to_bucket(&target().recipients, 1 << 18, &mut out, |payload| {
            for (entry, contents) in entries {
                payload.write_all(&entry.header().unwrap()).unwrap();
                payload.write_all(contents).unwrap();
                payload
                    .write_all(&vec![0; usize::try_from(entry.padding()).unwrap()])
                    .unwrap();
            }
            payload.write_all(tail).unwrap();
            Ok(())
        })
        .unwrap();
        match open_as(0, &out) {
            Err(OpenError::Payload(fault)) => fault,
            other => panic!("{other:?}"),
        }
    }

    fn archive_fault(hostile: Hostile<'_>) -> UstarError {
        match open_hostile(hostile) {
            PayloadError::Archive(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_hostile_payload_is_refused_by_the_name_of_its_fault() {
        let honest = open_as(0, &sealed_with(&target(), &[])).unwrap();
        let json = honest.report_json.as_slice();
        let sig = honest.signature.as_slice();
        let entry = |path: &str, bytes: &[u8]| Entry::new(path, bytes.len() as u64);
        let report = (entry(payload::REPORT, json), json);
        let signature = (entry(payload::SIGNATURE, sig), sig);
        let extra: (Entry, &[u8]) = (entry("attachments/00", b"x"), b"x");
        let (r, s, x) = (|| report.clone(), || signature.clone(), || extra.clone());

        assert_eq!(archive_fault((&[], b"")), UstarError::Missing("report.json"));
        assert_eq!(
            archive_fault((&[s()], b"")),
            UstarError::Unexpected("report.sig".into())
        );
        assert_eq!(archive_fault((&[r()], b"")), UstarError::Missing("report.sig"));
        assert_eq!(
            archive_fault((&[r(), r()], b"")),
            UstarError::Duplicate("report.json".into())
        );
        assert_eq!(
            archive_fault((&[r(), s(), r()], b"")),
            UstarError::Duplicate("report.json".into())
        );
        assert_eq!(
            archive_fault((&[r(), s(), x()], b"")),
            UstarError::Unexpected("attachments/00".into())
        );
        assert_eq!(
            archive_fault((&[r(), s()], &[[0; 512], [1; 512]].concat())),
            UstarError::Fill
        );
        assert_eq!(
            archive_fault((&[r(), s()], b"not a header".repeat(100).as_slice())),
            UstarError::Checksum
        );
        let lying = Entry::new(payload::REPORT, 1 << 19);
        assert_eq!(
            archive_fault((&[(lying, json)], b"")),
            UstarError::Truncated("report.json".into())
        );
        let bomb = Entry::new(payload::REPORT, 4 << 30);
        assert!(matches!(
            archive_fault((&[(bomb, json)], b"")),
            UstarError::TooLarge { .. }
        ));
        let short_signature: (Entry, &[u8]) = (Entry::new(payload::SIGNATURE, 3), b"abc");
        assert!(matches!(
            open_hostile((&[r(), short_signature], b"")),
            PayloadError::Signature(3)
        ));

        let with_json = |json: &[u8]| match open_hostile((&[(entry(payload::REPORT, json), json), s()], b"")) {
            PayloadError::Report(fault) => fault,
            other => panic!("{other:?}"),
        };
        let text = std::str::from_utf8(json).unwrap();
        let twice = text.replacen(r#""continues":false"#, r#""continues":false,"continues":true"#, 1);
        assert!(with_json(twice.as_bytes()).to_string().contains("stands twice"));
        let deep = text.replacen(r#""narrative""#, r#""a":1,"a":2,"narrative""#, 1);
        assert!(with_json(deep.as_bytes()).to_string().contains("stands twice"));
        let unknown = text.replacen(r#""continues""#, r#""surprise":1,"continues""#, 1);
        assert!(with_json(unknown.as_bytes()).to_string().contains("surprise"));
        let version = text.replacen("marram/report/v1", "marram/report/v2", 1);
        assert!(matches!(with_json(version.as_bytes()), ReportError::Type(_)));
        assert!(matches!(with_json(b"\xff\xfe"), ReportError::Utf8));

        let claims = Measure::of(b"y".as_slice()).unwrap();
        let draft = Draft::new(&target(), &codename(1), content(), &[claims]).map(|_| ());
        assert!(draft.is_ok());
        let claiming = text.replacen(
            r#""attachments":[]"#,
            &format!(
                r#""attachments":[{}]"#,
                serde_json::to_string(&claims.attachment).unwrap()
            ),
            1,
        );
        let claiming = claiming.as_bytes();
        let claiming = || (entry(payload::REPORT, claiming), claiming);
        assert!(matches!(
            open_hostile((&[claiming(), s(), x()], b"")),
            PayloadError::Attachment(0)
        ));
        assert!(matches!(
            open_hostile((&[claiming(), s()], b"")),
            PayloadError::Archive(UstarError::Missing("an attachment that report.json names"))
        ));
    }

    #[test]
    fn non_zero_padding_is_refused() {
        let honest = open_as(0, &sealed_with(&target(), &[])).unwrap();
        let mut out = Vec::new();
        seal_to_bucket(&target().recipients, 1 << 15, &mut out, |payload| {
            let entry = Entry::new(payload::REPORT, honest.report_json.len() as u64);
            payload.write_all(&entry.header().unwrap()).unwrap();
            payload.write_all(&honest.report_json).unwrap();
            payload
                .write_all(&vec![b'!'; usize::try_from(entry.padding()).unwrap()])
                .unwrap();
            Ok(())
        })
        .unwrap();
        match open_as(0, &out) {
            Err(OpenError::Payload(PayloadError::Archive(UstarError::Padding(path)))) => {
                assert_eq!(path, "report.json");
            }
            other => panic!("{other:?}"),
        }
    }
}
