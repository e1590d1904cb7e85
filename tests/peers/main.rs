//! Sealed reports are age files and tar archives, for everyone: held against typage, the system's `tar` and the age
//! test kit.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod likeness;

use std::{io::Read, process::Command, str::FromStr};

use age::{DecryptError, Decryptor, secrecy::ExposeSecret};
use base64::{Engine, prelude::BASE64_STANDARD};
use marram_crypto::{
    codename::Codename,
    day::Epoch,
    digest::Digest,
    hybrid::Identity,
    open::open,
    payload::Discard,
    seal::{Content, Draft, Measure, Target},
};
use marram_tests::{
    organization::{Organization, rng},
    peers,
};
use serde_json::{Value, value::RawValue};

static PHOTOGRAPH: [u8; 70_000] = [0x89; 70_000];

fn sealed_here(organization: &Organization) -> (Target, Vec<u8>) {
    let epoch = Epoch::from_number(2951).unwrap();
    let target = Target::from(&organization.signed(&organization.draft(epoch, 1 << 20)));
    let content = Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string(r#"{"narrative":"他们去了我父母家"}"#.to_owned()).unwrap(),
    };
    let photograph = Measure::of(PHOTOGRAPH.as_slice()).unwrap();
    let codename = Codename::random(&mut rng());
    let mut ciphertext = Vec::new();
    Draft::new(&target, &codename, content, &[photograph])
        .unwrap()
        .seal(&mut ciphertext, |_| Ok(Box::new(PHOTOGRAPH.as_slice())))
        .unwrap();
    (target, ciphertext)
}

#[test]
fn a_report_sealed_here_is_opened_by_typage_and_unpacked_by_the_systems_tar() {
    let organization = Organization::found();
    let (_, ciphertext) = sealed_here(&organization);
    for caseworker in &organization.caseworkers {
        let identity = caseworker.to_secret_string();
        let payload = peers::node("typage.mjs", &["open", identity.expose_secret()], &ciphertext);
        for flags in ["-xi", "-x"] {
            let folder = tempfile::tempdir().unwrap();
            peers::run(Command::new("tar").arg(flags).current_dir(&folder), &payload);
            let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
            let report: Value = serde_json::from_slice(&read("report.json")).unwrap();
            assert_eq!(report["incident"]["narrative"], "他们去了我父母家");
            assert_eq!(read("report.sig").len(), 64);
            assert_eq!(read("attachments/00"), PHOTOGRAPH);
        }
    }
}

#[test]
fn a_file_sealed_by_typage_to_our_recipients_opens_here() {
    let identities: Vec<_> = (0..3).map(|_| Identity::random(&mut rng())).collect();
    let recipients: Vec<_> = identities
        .iter()
        .map(|identity| identity.recipient().to_string())
        .collect();
    let arguments: Vec<_> = std::iter::once("seal")
        .chain(recipients.iter().map(String::as_str))
        .collect();
    let plaintext = vec![0xee; 200_000];
    let ciphertext = peers::node("typage.mjs", &arguments, &plaintext);
    for identity in &identities {
        let decryptor = Decryptor::new(ciphertext.as_slice()).unwrap();
        let mut reader = decryptor
            .decrypt(std::iter::once(identity as &dyn age::Identity))
            .unwrap();
        let mut opened = Vec::new();
        reader.read_to_end(&mut opened).unwrap();
        assert_eq!(opened, plaintext);
    }
}

#[test]
fn a_report_sealed_again_by_typage_is_refused_by_its_shape() {
    // The payload of an honest report, sealed by plain typage to every slot: it lacks the grease.
    let organization = Organization::found();
    let (target, ciphertext) = sealed_here(&organization);
    let identity = organization.caseworkers[0].to_secret_string();
    let payload = peers::node("typage.mjs", &["open", identity.expose_secret()], &ciphertext);
    let epoch = Epoch::from_number(2951).unwrap();
    let slots: Vec<_> = organization
        .draft(epoch, 1 << 20)
        .slots
        .iter()
        .map(|slot| slot.recipient.to_string())
        .collect();
    let arguments: Vec<_> = std::iter::once("seal")
        .chain(slots.iter().map(String::as_str))
        .collect();
    let again = peers::node("typage.mjs", &arguments, &payload);
    let refused = open(again.as_slice(), &target, &organization.caseworkers[0], &mut Discard).unwrap_err();
    assert!(refused.to_string().contains("grease"), "{refused}");
}

#[test]
fn a_report_sealed_by_a_strangers_client_is_like_any_other() {
    let organization = Organization::found();
    let manifest = organization.signed(&organization.draft(Epoch::from_number(2951).unwrap(), 1 << 20));
    let target = Target::from(&manifest);
    let note = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(note.path(), manifest.to_bytes()).unwrap();
    let arguments = [note.path().to_str().unwrap(), r#"{"narrative":"ما حدث"}"#];
    for _ in 0..3 {
        let ciphertext = peers::node("stranger.mjs", &arguments, b"");
        assert_eq!(ciphertext.len(), 64 * 1024);
        let opened = open(
            ciphertext.as_slice(),
            &target,
            &organization.caseworkers[2],
            &mut Discard,
        )
        .unwrap();
        opened.wholly_sealed(&target).unwrap();
        assert_eq!(opened.report.incident.get(), r#"{"narrative":"ما حدث"}"#);
        assert_eq!(opened.report.attachments[0].size_bytes, 30_000);
    }
}

#[test]
fn the_age_test_kits_hybrid_vectors_pass() {
    let lines = String::from_utf8(peers::node("vectors.mjs", &[], b"")).unwrap();
    let mut names = Vec::new();
    for line in lines.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| vector[key].as_str().unwrap_or_default().to_owned();
        let file = BASE64_STANDARD.decode(text("file")).unwrap();
        let identities = vector["identities"].as_array().unwrap().iter().map(|identity| {
            let identity = identity.as_str().unwrap();
            if identity.starts_with("AGE-SECRET-KEY-PQ-1") {
                Box::new(Identity::from_str(identity).unwrap()) as Box<dyn age::Identity>
            } else {
                Box::new(age::x25519::Identity::from_str(identity).unwrap())
            }
        });
        let identities: Vec<_> = identities.collect();
        let outcome = match decrypt(&file, &identities) {
            Ok(payload) => {
                assert_eq!(Digest::of(&payload).to_string(), text("payload"), "{}", text("name"));
                "success"
            }
            Err(DecryptError::NoMatchingKeys) => "no match",
            // age does not recognize as its format what its grammar does not allow.
            Err(DecryptError::InvalidHeader | DecryptError::UnknownFormat) => "header failure",
            Err(error) => panic!("{}: {error:?}", text("name")),
        };
        assert_eq!(outcome, text("expect"), "{}", text("name"));
        names.push(text("name"));
    }
    assert_eq!(names.len(), 19, "the kit's hybrid vectors, all of them: {names:?}");
    assert!(names.iter().any(|name| name == "hybrid_low_order"));
}

fn decrypt(file: &[u8], identities: &[Box<dyn age::Identity>]) -> Result<Vec<u8>, DecryptError> {
    let decryptor = Decryptor::new(file)?;
    let mut reader = decryptor.decrypt(identities.iter().map(AsRef::as_ref))?;
    let mut payload = Vec::new();
    reader.read_to_end(&mut payload)?;
    Ok(payload)
}
