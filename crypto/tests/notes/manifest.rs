use marram_crypto::{
    charter::{CharterChain, UntrustedCharter},
    day::{Day, Epoch},
    digest::Digest,
    key::SigningKey,
    manifest::{Contact, Draft, ManifestError, UntrustedManifest},
    note::{LineError, NoteError, NoteType, UntrustedNote},
};

use crate::world::{EPOCH, TestRng, World, edited, sign, signed};

fn verify(draft: &Draft, keys: &[SigningKey], chain: &CharterChain) -> Result<(), ManifestError> {
    let bytes = sign(draft, keys).into_note().to_bytes();
    UntrustedManifest::parse(&bytes)?.verify(chain).map(|_| ())
}

/// The refusal of a manifest's text with one change.
fn refused(from: &str, to: &str) -> ManifestError {
    let text = World::new().manifest().note().text().to_owned();
    UntrustedManifest::from_note(edited(&text, from, to)).unwrap_err()
}

fn too_few(valid: usize) -> Result<(), ManifestError> {
    Err(ManifestError::Note(NoteError::TooFewSignatures {
        kind: NoteType::Manifest,
        valid,
        needed: 2,
    }))
}

/// The chain with a second charter that has other keys.
fn succeeded(world: &World, new: &[SigningKey]) -> CharterChain {
    let mut next = world.chain.newest().successor();
    next.roots = new.iter().map(SigningKey::public).collect();
    let note = signed(signed(next.to_note().unwrap(), &world.roots), new);
    world.chain.append(UntrustedCharter::from_note(note).unwrap()).unwrap()
}

#[test]
fn a_manifest_reads_back() {
    let mut world = World::new();
    let (draft, _) = world.draft();
    let manifest = sign(&draft, &world.roots[1..]).verify(&world.chain).unwrap();
    assert_eq!(*manifest, draft);
    let again = UntrustedManifest::parse(&manifest.to_bytes())
        .unwrap()
        .verify(&world.chain)
        .unwrap();
    assert_eq!((again.hash(), &*again), (manifest.hash(), &draft));
    assert_eq!(manifest.recipients().len(), 8);
    // More signatures are the same manifest.
    assert_eq!(
        sign(&draft, &world.roots).verify(&world.chain).unwrap().hash(),
        manifest.hash()
    );
}

#[test]
fn one_signature_where_two_are_required_is_refused_and_so_is_the_same_key_twice() {
    let mut world = World::new();
    let (draft, _) = world.draft();
    assert_eq!(verify(&draft, &world.roots[..2], &world.chain), Ok(()));
    assert_eq!(verify(&draft, &world.roots[..1], &world.chain), too_few(1));
    let text = String::from_utf8(sign(&draft, &world.roots[..1]).into_note().to_bytes()).unwrap();
    let line = text.rsplit_once("\n\n").unwrap().1.to_owned();
    let twice = UntrustedManifest::parse(format!("{text}{line}").as_bytes()).unwrap();
    assert_eq!(twice.verify(&world.chain).map(|_| ()), too_few(1));
    // Neither do strangers or the log key help.
    let stranger = world.rng.key();
    let note = signed(draft.to_note().unwrap(), &[stranger, world.log]);
    let strangers = UntrustedManifest::from_note(note).unwrap();
    assert_eq!(strangers.verify(&world.chain).map(|_| ()), too_few(0));
}

#[test]
fn a_manifest_that_was_changed_after_signing_is_refused() {
    let world = &mut World::new();
    let bytes = String::from_utf8(world.manifest().to_bytes()).unwrap();
    let changed = UntrustedManifest::parse(bytes.replacen("promise 14", "promise 15", 1).as_bytes()).unwrap();
    assert!(matches!(
        changed.verify(&world.chain),
        Err(ManifestError::Note(NoteError::BadSignature(..)))
    ));
}

#[test]
fn a_note_of_another_type_is_no_manifest_whoever_signed_it() {
    let world = &mut World::new();
    let charter = world.chain.newest().note().to_bytes();
    assert_eq!(
        UntrustedManifest::parse(&charter).unwrap_err(),
        ManifestError::Note(NoteError::WrongType {
            expected: NoteType::Manifest,
            found: NoteType::Charter
        })
    );
    let board = edited(world.manifest().note().text(), "marram/manifest/v1", "marram/board/v1");
    assert!(matches!(
        UntrustedManifest::parse(&signed(board, &world.roots).to_bytes()),
        Err(ManifestError::Note(NoteError::WrongType { .. }))
    ));
    let later = edited(
        world.manifest().note().text(),
        "marram/manifest/v1",
        "marram/manifest/v2",
    );
    assert!(matches!(
        UntrustedManifest::from_note(later),
        Err(ManifestError::Note(NoteError::UnknownVersion(_)))
    ));
}

#[test]
fn a_manifest_of_another_instance_is_refused_even_with_the_same_root_keys() {
    let mut world = World::new();
    let (mut draft, _) = world.draft();
    draft.instance = marram_crypto::instance::InstanceId::random(&mut world.rng);
    assert!(matches!(
        verify(&draft, &world.roots, &world.chain),
        Err(ManifestError::Note(NoteError::WrongInstance { .. }))
    ));
}

#[test]
fn a_manifest_under_a_superseded_charter_is_good_for_opening_only() {
    let mut world = World::new();
    let new: Vec<_> = (0..3).map(|_| world.rng.key()).collect();
    let chain = succeeded(&world, &new);
    let (draft, _) = world.draft();
    assert_eq!(
        verify(&draft, &world.roots, &chain),
        Err(ManifestError::SupersededCharter {
            epoch: draft.epoch,
            named: 1,
            newest: 2
        })
    );
    assert!(sign(&draft, &world.roots).verify_for_opening(&chain).is_ok());
    // The keys of the one charter do not sign under the other.
    assert!(sign(&draft, &new).verify_for_opening(&chain).is_err());
    let renamed = Draft {
        charter: chain.newest().fingerprint(),
        ..draft
    };
    assert_eq!(verify(&renamed, &new[..2], &chain), Ok(()));
    assert_eq!(verify(&renamed, &world.roots, &chain), too_few(0));
    // To whoever does not know the new charter, it is unknown.
    assert_eq!(
        verify(&renamed, &new, &world.chain),
        Err(ManifestError::UnknownCharter(renamed.charter))
    );
}

#[test]
fn a_keyholder_is_told_before_signing_that_the_charter_or_the_instance_is_another() {
    let mut world = World::new();
    let new: Vec<_> = (0..3).map(|_| world.rng.key()).collect();
    let chain = succeeded(&world, &new);
    let (draft, _) = world.draft();
    let unsigned = sign(&draft, &[]);
    assert_eq!(unsigned.check_charter(&world.chain), Ok(()));
    assert!(matches!(
        unsigned.check_charter(&chain),
        Err(ManifestError::SupersededCharter { .. })
    ));
    let invented = Draft {
        charter: Digest::of(b"no charter"),
        ..draft.clone()
    };
    assert!(matches!(
        sign(&invented, &[]).check_charter(&chain),
        Err(ManifestError::UnknownCharter(_))
    ));
    let foreign = Draft {
        instance: marram_crypto::instance::InstanceId::random(&mut world.rng),
        ..draft
    };
    assert!(matches!(
        sign(&foreign, &[]).check_charter(&world.chain),
        Err(ManifestError::Note(NoteError::WrongInstance { .. }))
    ));
}

#[test]
fn a_frozen_server_is_noticed_when_the_manifest_closes() {
    let manifest = World::new().manifest();
    let (opens, closes): (Day, Day) = ("2026-07-20".parse().unwrap(), "2026-07-27".parse().unwrap());
    let epoch = manifest.epoch;
    for day in 0..7 {
        assert_eq!(manifest.check_open(opens.plus(day)), Ok(()));
        assert_eq!(manifest.check_grace(opens.plus(day)), Ok(()));
    }
    let today = opens.minus(1);
    assert_eq!(
        manifest.check_open(today),
        Err(ManifestError::NotYetOpen { epoch, opens, today })
    );
    assert_eq!(
        manifest.check_grace(today),
        Err(ManifestError::NotYetOpen { epoch, opens, today })
    );
    let over = |today| Err(ManifestError::Closed { epoch, closes, today });
    assert_eq!(manifest.check_open(closes), over(closes));
    assert_eq!(manifest.check_grace(closes), Ok(()));
    assert_eq!(manifest.check_grace(closes.plus(1)), Ok(()));
    assert_eq!(manifest.check_grace(closes.plus(2)), over(closes.plus(2)));
}

#[test]
fn a_rollback_is_refused_by_whoever_remembers_the_highest_version() {
    let mut world = World::new();
    let (draft, _) = world.draft();
    let second = sign(&Draft { version: 2, ..draft }, &world.roots)
        .verify(&world.chain)
        .unwrap();
    assert_eq!(second.check_not_older_than(1), Ok(()));
    assert_eq!(second.check_not_older_than(2), Ok(()));
    assert_eq!(
        second.check_not_older_than(3),
        Err(ManifestError::Rollback {
            epoch: second.epoch,
            seen: 3,
            offered: 2
        })
    );
}

#[test]
fn a_new_version_replaces_slots_and_nothing_else_of_the_shape() {
    let mut world = World::new();
    let (draft, _) = world.draft();
    let first = sign(&draft, &world.roots).verify(&world.chain).unwrap();
    let mut second = Draft {
        version: 2,
        ..draft.clone()
    };
    assert_eq!(second.replaces(&first), Ok(vec![]));
    second.slots[4] = world.rng.pair().into();
    second.slots[7].signer = world.rng.key().public();
    assert_eq!(second.replaces(&first), Ok(vec![4, 7]));
    assert!(matches!(
        draft.replaces(&first),
        Err(ManifestError::Rollback {
            seen: 1,
            offered: 1,
            ..
        })
    ));
    let different = |draft: Draft| match draft.replaces(&first) {
        Err(ManifestError::Replaces { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let mut fewer = second.clone();
    fewer.slots.pop();
    assert_eq!(different(fewer), "the number of slots");
    let other_epoch = Draft {
        epoch: second.epoch.plus(1),
        ..second.clone()
    };
    assert_eq!(different(other_epoch), "the epoch");
    let other_instance = Draft {
        instance: marram_crypto::instance::InstanceId::random(&mut world.rng),
        ..second
    };
    assert_eq!(different(other_instance), "the instance");
}

#[test]
fn a_classical_recipient_is_refused_by_name() {
    let mut world = World::new();
    let manifest = world.manifest();
    let classical = age::x25519::Identity::generate().to_public().to_string();
    let text = edited(
        manifest.note().text(),
        &manifest.slots[5].recipient.to_string(),
        &classical,
    );
    let note = signed(text, &world.roots);
    assert_eq!(
        UntrustedManifest::parse(&note.to_bytes()).unwrap_err(),
        ManifestError::ClassicalRecipient { position: 5 }
    );
}

#[test]
fn dates_that_are_not_the_epochs_are_refused() {
    let day = |text: &str| text.parse::<Day>().unwrap();
    let epoch = Epoch::from_number(EPOCH).unwrap();
    assert_eq!(
        refused("closes 2026-07-27", "closes 2027-07-27"),
        ManifestError::Dates {
            name: "closes",
            epoch,
            expected: day("2026-07-27"),
            found: day("2027-07-27")
        }
    );
    assert!(matches!(
        refused("opens 2026-07-20", "opens 2026-07-13"),
        ManifestError::Dates { name: "opens", .. }
    ));
    assert!(matches!(
        refused(&format!("epoch {EPOCH}"), &format!("epoch {}", EPOCH + 1)),
        ManifestError::Dates { name: "opens", .. }
    ));
}

#[test]
fn keys_pages_and_questions_that_stand_twice_are_refused_by_name() {
    let mut world = World::new();
    let (draft, _) = world.draft();
    let refused = |change: &dyn Fn(&mut Draft)| {
        let mut draft = draft.clone();
        change(&mut draft);
        draft.to_note().unwrap_err()
    };
    let repeated = |what, first, second| ManifestError::Repeated { what, first, second };
    assert_eq!(
        refused(&|draft| draft.slots[6].recipient = draft.slots[2].recipient.clone()),
        repeated("slot recipient", 2, 6)
    );
    assert_eq!(
        refused(&|draft| draft.slots[6].signer = draft.slots[2].signer),
        repeated("slot signer", 2, 6)
    );
    assert_eq!(
        refused(&|draft| draft.couriers.push(draft.couriers[0])),
        repeated("courier", 0, 1)
    );
    assert_eq!(
        refused(&|draft| draft.pages.push(draft.pages[0])),
        repeated("page", 0, 1)
    );
    assert_eq!(
        refused(&|draft| draft.questions.push(draft.questions[0].clone())),
        repeated("question", 0, 1)
    );
}

#[test]
fn every_limit_is_named() {
    let mut world = World::new();
    let (draft, _) = world.draft();
    let too_many = |name: &str, change: &dyn Fn(&mut Draft)| {
        let mut draft = draft.clone();
        change(&mut draft);
        match draft.to_note() {
            Err(ManifestError::Line(LineError::Count { name: found, .. })) => assert_eq!(found, name),
            other => panic!("{name}: {other:?}"),
        }
    };
    let mut rng = TestRng::new("many");
    let keys: Vec<_> = (0..17).map(|_| rng.key().public()).collect();
    too_many("courier", &|draft| draft.couriers.clone_from(&keys));
    too_many("page", &|draft| {
        draft.pages = (0..17_u8).map(|byte| Digest::of(&[byte])).collect();
    });
    too_many("contact", &|draft| {
        draft.contacts = vec![
            Contact {
                locale: None,
                text: "x".to_owned()
            };
            65
        ];
    });
    too_many("question", &|draft| {
        draft.questions = vec![draft.questions[0].clone(); 33];
    });
    too_many("slot", &|draft| draft.slots = vec![draft.slots[0].clone(); 33]);
    too_many("slot", &|draft| draft.slots.clear());
    for limit in [0, 1, 3 << 20, 16 << 10, 1 << 33] {
        let error = Draft { limit, ..draft.clone() }.to_note().unwrap_err();
        assert!(
            error.to_string().contains("power of two") || error.to_string().contains("4294967296"),
            "{error}"
        );
    }
    assert!(
        Draft {
            limit: 32 << 10,
            ..draft.clone()
        }
        .to_note()
        .is_ok()
    );
    assert!(
        Draft {
            limit: 1 << 32,
            ..draft
        }
        .to_note()
        .is_ok()
    );
}

#[test]
fn lines_of_a_manifest_are_refused_by_name() {
    for (from, to) in [
        ("version 1", "version 0"),
        ("retention 90", "retention 090"),
        ("promise 14", "promise -14"),
        ("board 1 2048 64 7", "board 3 2048 64 7"),
        ("board 1 2048 64 7", "board 1 2048 64"),
        ("board 1 2048 64 7", "board 1 2048 64 7 7"),
        ("contact * ", "contact "),
        ("contact zh-Hant ", "contact zh_Hant "),
        ("\"yes_no\"", "\"yes_no\",\"kind\":\"text\""),
        ("slot age1pq1", "slot age1pq1q"),
        ("slot age1pq1", "slot AGE1PQ1"),
    ] {
        let error = refused(from, to);
        assert!(
            matches!(error, ManifestError::Line(LineError::Value { .. })),
            "{to}: {error}"
        );
    }
    assert!(matches!(
        refused("promise 14\n", ""),
        ManifestError::Line(LineError::Unexpected {
            expected: "promise",
            ..
        })
    ));
    assert!(matches!(
        refused("promise 14\n", "promise 14\npromise 14\n"),
        ManifestError::Line(LineError::Duplicate { name: "promise", .. })
    ));
    assert!(matches!(
        refused("limit", "secret-reader x\nlimit"),
        ManifestError::Line(LineError::Unexpected { .. })
    ));
    let text = World::new().manifest().note().text().to_owned();
    let more = UntrustedNote::unsigned(format!("{text}reader x\n")).unwrap();
    assert!(matches!(
        UntrustedManifest::from_note(more),
        Err(ManifestError::Line(LineError::Trailing { .. }))
    ));
}

#[test]
fn a_contact_cannot_smuggle_a_line() {
    let mut world = World::new();
    let (mut draft, _) = world.draft();
    draft.contacts[0].text = "call\ncontact * somebody else".to_owned();
    assert!(matches!(
        draft.to_note(),
        Err(ManifestError::Line(LineError::Value { name: "contact", .. }))
    ));
}
