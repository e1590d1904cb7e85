//! The sample reports are valid, their attachments are what they say, and they show what they are there to show.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use marram_incident::{Act, Incident, Method};

fn samples() -> Vec<(PathBuf, Incident)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples");
    let mut folders: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let json = fs::read_to_string(folder.join("report.json")).unwrap();
        let incident = Incident::parse(&json).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        (folder, incident)
    };
    folders.into_iter().map(read).collect()
}

#[test]
fn there_are_twenty_and_each_is_valid() {
    assert_eq!(samples().len(), 20);
}

#[test]
fn every_attachment_has_the_digest_and_length_that_its_report_gives_and_none_is_left_over() {
    for (folder, incident) in samples() {
        let mut files: BTreeSet<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "report.json")
            .collect();
        for evidence in &incident.evidence {
            let name = evidence.original_filename.as_deref().expect("a file name");
            let content = fs::read(folder.join(name)).unwrap();
            let digest = ring::digest::digest(&ring::digest::SHA256, &content);
            assert_eq!(evidence.sha256.to_string(), hex::encode(digest), "{name}");
            assert_eq!(evidence.size_bytes, content.len() as u64, "{name}");
            let start: &[u8] = match evidence.mime.as_deref().unwrap() {
                "image/png" => b"\x89PNG",
                "image/jpeg" => b"\xff\xd8\xff",
                "application/pdf" => b"%PDF-",
                "audio/wav" => b"RIFF",
                other => panic!("{other}"),
            };
            assert!(content.starts_with(start), "{name}");
            assert!(files.remove(name), "{name} stands twice");
        }
        assert!(files.is_empty(), "{files:?} in {} is in no evidence", folder.display());
    }
}

#[test]
fn an_image_a_document_and_a_recording_are_among_them_and_all_is_small() {
    let samples = samples();
    let evidence = || samples.iter().flat_map(|(_, incident)| &incident.evidence);
    let kinds: BTreeSet<_> = evidence().filter_map(|evidence| evidence.mime.as_deref()).collect();
    assert!(
        ["image/png", "image/jpeg", "application/pdf", "audio/wav"]
            .iter()
            .all(|kind| kinds.contains(kind))
    );
    assert!(evidence().map(|evidence| evidence.size_bytes).sum::<u64>() < 900_000);
}

#[test]
fn every_language_of_the_page_is_written_by_somebody() {
    let samples = samples();
    let spoken: BTreeSet<_> = samples
        .iter()
        .filter_map(|(_, incident)| incident.reporter.language.as_ref())
        .map(marram_incident::Language::as_str)
        .collect();
    for language in [
        "en", "zh-Hans", "zh-Hant", "ug", "bo", "fa", "ar", "tr", "ru", "vi", "es", "fr",
    ] {
        assert!(spoken.contains(language), "{language}");
    }
}

#[test]
fn three_reporters_speak_of_one_person_without_saying_the_same() {
    let samples = samples();
    let [himself, cousin, organization] = [0, 1, 2].map(|n| &samples[n].1);
    let name = |incident: &Incident| {
        incident
            .target
            .as_ref()
            .and_then(|target| target.name.as_deref().map(str::to_owned))
    };
    assert_eq!(name(himself), name(organization));
    assert!(name(himself).is_some() && name(cousin).is_none());
    let roles: BTreeSet<_> = [himself, cousin, organization]
        .iter()
        .map(|incident| incident.reporter.role)
        .collect();
    assert_eq!(roles.len(), 3);
}

#[test]
fn pressure_on_one_person_is_told_as_a_chain_of_several_methods() {
    let length = |act: &[Act], mut n: usize| {
        let mut length = 1;
        while let Some(earlier) = act[n].follows {
            n = usize::try_from(earlier).unwrap();
            length += 1;
        }
        length
    };
    let samples = samples();
    let longest = samples
        .iter()
        .flat_map(|(_, i)| (0..i.act.len()).map(|n| length(&i.act, n)))
        .max()
        .unwrap();
    assert!(longest >= 5, "{longest}");
    let methods: BTreeSet<Method> = samples.iter().flat_map(|(_, incident)| incident.methods()).collect();
    assert!(methods.len() >= 20, "{}", methods.len());
}
