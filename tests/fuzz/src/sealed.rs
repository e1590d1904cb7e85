//! Sealed reports: their header, and what is inside.

use std::io::{self, Write as _};

use age::Encryptor;
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use marram_crypto::{
    header::{SealedHeader, prefix_len},
    open::{self, OpenError, Opened},
    payload::{self, Attachments},
    report::Report,
    ustar::{BLOCK, END, Entry},
};

use crate::world::{WORLD, codename};

/// In the first byte of a [`payload`]: every header of the archive is given the right sum.
pub(crate) const SUMS: u8 = 1;
/// In the first byte of a [`payload`]: `report.sig` is made anew.
pub(crate) const SIGNATURE: u8 = 2;

/// The header of a sealed report.
pub(crate) fn header(bytes: &[u8]) -> bool {
    let mut accepted = false;
    for slots in 1..=3 {
        let parsed = SealedHeader::parse(bytes, slots);
        let checked = SealedHeader::check(bytes, slots);
        assert_eq!(checked.as_ref().err(), parsed.as_ref().err(), "both readers agree");
        let Ok(header) = parsed else { continue };
        assert_eq!(header.stanzas.len(), slots);
        assert!(header.len <= bytes.len().min(prefix_len(slots)));
        let mut again = b"age-encryption.org/v1\n".to_vec();
        for stanza in &header.stanzas {
            let body = BASE64_STANDARD_NO_PAD.encode(&stanza.body);
            writeln!(again, "-> {} {}\n{body}", stanza.tag, stanza.args.join(" ")).unwrap();
        }
        assert!(bytes.starts_with(&again), "a slot has one spelling");
        accepted = true;
    }
    accepted
}

/// A file that claims to be a sealed report.
pub(crate) fn open(bytes: &[u8]) -> bool {
    let mut kept = Kept::default();
    let opened = open::open(bytes, &WORLD.target, &WORLD.identity, &mut kept);
    if let Ok(opened) = &opened {
        drop(opened.wholly_sealed(&WORLD.target));
    }
    opened.is_ok()
}

/// What a hostile submitter seals. The first byte says what is put right, so that the fuzzer gets past sums and signatures;
/// the rest is the archive.
pub(crate) fn payload(bytes: &[u8]) -> bool {
    let Some((&help, archive)) = bytes.split_first() else {
        return false;
    };
    let mut archive = archive.to_vec();
    if help & SIGNATURE != 0 {
        sign(&mut archive);
    }
    if help & SUMS != 0 {
        right_sums(&mut archive);
    }
    archive.extend_from_slice(&[0; 2 * BLOCK]);

    let mut kept = Kept::default();
    match open::open(seal(&archive).as_slice(), &WORLD.target, &WORLD.identity, &mut kept) {
        Ok(opened) => {
            assert_eq!(opened.wholly_sealed(&WORLD.target), Ok(()));
            let again = archived(&opened, &kept.0);
            assert!(archive.starts_with(&again) && archive.len() as u64 >= again.len() as u64 + END);
            assert!(
                archive[again.len()..].iter().all(|byte| *byte == 0),
                "the fill says nothing"
            );
            true
        }
        Err(
            OpenError::Payload(_)
            | OpenError::Forged
            | OpenError::AnotherInstance(_)
            | OpenError::AnotherEpoch(_)
            | OpenError::AnotherManifest(_),
        ) => false,
        Err(error) => panic!("sealed to this slot, and yet: {error}"),
    }
}

/// `report.json`.
pub(crate) fn report(bytes: &[u8]) -> bool {
    let Ok(report) = Report::parse(bytes) else {
        return false;
    };
    // Written anew it may be shorter, and never says anything else.
    let written = report.to_json().unwrap();
    assert_eq!(Report::parse(&written).unwrap().to_json().unwrap(), written);
    true
}

/// Seals a payload as it is.
pub(crate) fn seal(payload: &[u8]) -> Vec<u8> {
    let recipients = WORLD.manifest.recipients().map(|recipient| recipient as _);
    let encryptor = Encryptor::with_recipients(recipients).unwrap();
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed).unwrap();
    writer.write_all(payload).unwrap();
    writer.finish().unwrap();
    sealed
}

/// Walks the archive as tar would, and puts the right sum into every header.
fn right_sums(archive: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = archive.get_mut(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            return;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        let size = octal(&header[124..136]);
        at = at.saturating_add(BLOCK).saturating_add(size.next_multiple_of(BLOCK));
    }
}

/// Puts the codename's signature over the first entry into the second.
fn sign(archive: &mut [u8]) {
    let Some((header, rest)) = archive.split_at_mut_checked(BLOCK) else {
        return;
    };
    let size = octal(&header[124..136]);
    let Some(signature_at) = size
        .checked_next_multiple_of(BLOCK)
        .and_then(|padded| padded.checked_add(BLOCK))
    else {
        return;
    };
    let Some(signature) = rest.get(..size).map(|report| codename().signing_key().sign(report)) else {
        return;
    };
    if let Some(place) = rest.get_mut(signature_at..signature_at + signature.len()) {
        place.copy_from_slice(&signature);
    }
}

/// A number as tar reads it, and at most what one would wait for.
fn octal(digits: &[u8]) -> usize {
    let digits = digits.iter().take_while(|digit| (b'0'..=b'7').contains(digit));
    digits.fold(0, |number: usize, digit| number << 3 | usize::from(digit - b'0')) & 0xFFFF_FFFF
}

/// The archive that says what was opened.
pub(crate) fn archived(opened: &Opened, attachments: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut add = |path: &str, contents: &[u8]| {
        let entry = Entry::new(path, contents.len() as u64);
        archive.extend_from_slice(&entry.header().unwrap());
        archive.extend_from_slice(contents);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    };
    add(payload::REPORT, &opened.report_json);
    add(payload::SIGNATURE, &opened.signature);
    for (index, attachment) in attachments.iter().enumerate() {
        add(&payload::attachment_path(index), attachment);
    }
    archive
}

/// Keeps attachments in memory.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Vec<u8>>);

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
