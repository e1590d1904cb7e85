//! What a co-signer's program finds out before it signs.

use marram_crypto::{
    annex::{Annex, AnnexError, AnnexPart, Entry, check},
    day::Epoch,
    enrolment::Pair,
    key::{PublicKey, SigningKey},
    manifest::{Draft, Manifest, ManifestError, Slot, UntrustedManifest},
    note::LineError,
    secret::SecretBytes,
    vacant,
};

use crate::world::{World, epoch, part, sign};

/// The check of the keyholder with the second root key.
fn checked(
    world: &World,
    manifest: &UntrustedManifest,
    part: &AnnexPart,
    previous: Option<&Manifest>,
) -> Result<(), AnnexError> {
    let vetted = |key: &PublicKey, epoch: Epoch| world.vetted(key, epoch);
    check(manifest, part, &world.roots[1].public(), &vetted, previous)
}

/// What the second keyholder says to a draft signed by the first, with this annex.
fn asked(world: &World, draft: &Draft, entries: Vec<Entry>, previous: Option<&Manifest>) -> Result<(), AnnexError> {
    let manifest = sign(draft, &world.roots[..1]);
    let part = part(&manifest, entries);
    checked(world, &manifest, &part, previous)
}

fn hidden(result: Result<(), AnnexError>) -> (&'static str, usize) {
    match result {
        Err(AnnexError::HiddenRecipient { position, .. }) => ("recipient", position),
        Err(AnnexError::HiddenSigner { position, .. }) => ("signer", position),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_truthful_annex_passes() {
    let mut world = World::new();
    let (draft, entries) = world.draft();
    assert_eq!(asked(&world, &draft, entries, None), Ok(()));
}

#[test]
fn a_keyholder_who_slips_its_own_recipient_into_any_slot_is_caught() {
    let mut world = World::new();
    let (draft, entries) = world.draft();
    for position in 0..draft.slots.len() {
        let mut draft = draft.clone();
        draft.slots[position].recipient = world.rng.pair().recipient;
        assert_eq!(
            hidden(asked(&world, &draft, entries.clone(), None)),
            ("recipient", position)
        );
    }
}

#[test]
fn a_keyholder_who_slips_its_own_signer_into_any_slot_is_caught() {
    let mut world = World::new();
    let (draft, entries) = world.draft();
    for position in 0..draft.slots.len() {
        let mut draft = draft.clone();
        draft.slots[position].signer = world.rng.key().public();
        assert_eq!(
            hidden(asked(&world, &draft, entries.clone(), None)),
            ("signer", position)
        );
    }
}

#[test]
fn a_keyholder_who_calls_its_own_enrolment_a_caseworkers_is_caught() {
    let mut world = World::new();
    let (mut draft, mut entries) = world.draft();
    let mine = world.rng.key();
    draft.slots[0] = Slot::from(world.rng.pair());
    entries[0] = Entry::Enrolment {
        key: mine.public(),
        pseudonym: "Aster".to_owned(),
    };
    assert_eq!(
        asked(&world, &draft, entries.clone(), None),
        Err(AnnexError::NotVetted {
            position: 0,
            key: Box::new(mine.public()),
            pseudonym: "Aster".to_owned(),
            epoch: draft.epoch
        })
    );
    // Naming a vetted enrolment does not help: its keys are others.
    entries[0] = entries[1].clone();
    assert_eq!(hidden(asked(&world, &draft, entries, None)), ("recipient", 0));
}

#[test]
fn a_caseworker_vetted_for_other_epochs_only_is_not_vetted() {
    let mut world = World::new();
    let (mut draft, entries) = world.draft();
    draft.epoch = draft.epoch.plus(40);
    let error = asked(&world, &draft, entries.clone(), None).unwrap_err();
    // Slot 0 is vacant, and its keys are those of another epoch.
    assert!(
        matches!(error, AnnexError::HiddenRecipient { position: 0, .. }),
        "{error}"
    );
    draft.slots.swap(0, 1);
    let entries = [&entries[1..2], &entries[1..]].concat();
    let error = asked(&world, &draft, entries, None).unwrap_err();
    assert!(matches!(error, AnnexError::NotVetted { position: 0, .. }), "{error}");
}

#[test]
fn a_seed_serves_one_position_of_one_epoch() {
    let seed = [7; 32];
    let epoch = epoch();
    let slot = vacant::slot(&seed, epoch, 0);
    assert_eq!(slot, vacant::slot(&seed, epoch, 0));
    for other in [
        vacant::slot(&seed, epoch, 1),
        vacant::slot(&seed, epoch.plus(1), 0),
        vacant::slot(&[8; 32], epoch, 0),
    ] {
        assert_ne!(other.recipient, slot.recipient);
        assert_ne!(other.signer, slot.signer);
    }
}

#[test]
fn an_annex_of_another_manifest_or_of_other_slots_is_refused() {
    let mut world = World::new();
    let (draft, entries) = world.draft();
    let manifest = sign(&draft, &world.roots[..1]);
    let other = sign(&Draft { version: 2, ..draft }, &world.roots[..1]);
    assert_eq!(
        checked(&world, &other, &part(&manifest, entries.clone()), None),
        Err(AnnexError::NoPart(other.claimed_hash()))
    );
    assert_eq!(
        checked(&world, &manifest, &part(&manifest, entries[..7].to_vec()), None),
        Err(AnnexError::SlotCount { slots: 8, entries: 7 })
    );
}

#[test]
fn a_kept_slot_must_be_the_one_that_this_keyholder_signed_before() {
    let mut world = World::new();
    let (draft, _) = world.draft();
    let seen_by = |keys: &[&SigningKey]| {
        let mut manifest = sign(&draft, &[]);
        for key in keys {
            manifest.add_signature(key).unwrap();
        }
        manifest.verify(&world.chain).unwrap()
    };
    let signed_by_me = seen_by(&[&world.roots[0], &world.roots[1]]);
    let signed_by_others = seen_by(&[&world.roots[0], &world.roots[2]]);
    let mut next = Draft {
        version: 2,
        ..draft.clone()
    };
    let kept = vec![Entry::Kept; 8];
    assert_eq!(asked(&world, &next, kept.clone(), Some(&signed_by_me)), Ok(()));
    assert_eq!(
        asked(&world, &next, kept.clone(), Some(&signed_by_others)),
        Err(AnnexError::NothingKept { position: 0 })
    );
    assert_eq!(
        asked(&world, &next, kept.clone(), None),
        Err(AnnexError::NothingKept { position: 0 })
    );
    // Two kept slots that changed places are not kept, nor is one with another key.
    let mut swapped = next.clone();
    swapped.slots.swap(2, 3);
    assert_eq!(
        hidden(asked(&world, &swapped, kept.clone(), Some(&signed_by_me))),
        ("recipient", 2)
    );
    let (reader, signer) = (draft.slots[0].recipient.clone(), draft.slots[0].signer);
    next.slots.swap(0, 7);
    next.slots[0] = Slot {
        recipient: reader,
        signer,
    };
    next.slots[7] = Slot {
        recipient: draft.slots[7].recipient.clone(),
        signer: signed_by_me.log,
    };
    assert_eq!(
        hidden(asked(&world, &next, kept.clone(), Some(&signed_by_me))),
        ("signer", 7)
    );
    // What it claims to replace must be what it replaces.
    let other_epoch = Draft {
        epoch: draft.epoch.plus(1),
        version: 2,
        ..draft.clone()
    };
    assert!(matches!(
        asked(&world, &other_epoch, kept, Some(&signed_by_me)),
        Err(AnnexError::Replaces(ManifestError::Replaces { .. }))
    ));
}

#[test]
fn an_annex_reads_back() {
    let mut world = World::new();
    let (draft, mut entries) = world.draft();
    entries[7] = Entry::Kept;
    let manifest = sign(&draft, &[]);
    let annex = Annex {
        instance: world.instance,
        parts: vec![
            part(&manifest, entries),
            part(&sign(&Draft { version: 2, ..draft }, &[]), vec![Entry::Kept]),
        ],
    };
    let text = annex.to_text().unwrap();
    let again = Annex::parse(text.as_bytes()).unwrap();
    assert_eq!(again.to_text().unwrap(), text);
    assert_eq!(again.instance, world.instance);
    let names: Vec<_> = again
        .part(manifest.claimed_hash())
        .unwrap()
        .slots
        .iter()
        .map(Entry::to_string)
        .collect();
    assert_eq!(names.join(" "), "vacant Aster vacant vacant Birch vacant Clover kept");
    assert!(matches!(
        again.part(marram_crypto::digest::Digest::of(b"")),
        Err(AnnexError::NoPart(_))
    ));
}

#[test]
fn lines_of_an_annex_are_refused_by_name() {
    let mut world = World::new();
    let (draft, entries) = world.draft();
    let annex = Annex {
        instance: world.instance,
        parts: vec![part(&sign(&draft, &[]), entries)],
    };
    let text = annex.to_text().unwrap();
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Annex::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err()
    };
    for (from, to) in [
        ("slot 3 ", "slot 4 "),
        ("slot 3 ", "slot 03 "),
        ("slot 3 vacant ", "slot 3 vacant 00"),
        ("slot 3 vacant ", "slot 3 mine "),
        (" Aster", ""),
        (" Aster", "  Aster"),
        ("manifest ", "manifest 0"),
    ] {
        let error = refused(from, to);
        assert!(
            matches!(error, AnnexError::Line(LineError::Value { .. })),
            "{to}: {error}"
        );
    }
    assert_eq!(refused("marram/annex/v1", "marram/annex/v2"), AnnexError::NotAnAnnex);
    assert!(matches!(
        refused("manifest ", "slot 0 kept\nmanifest "),
        AnnexError::Line(_)
    ));
    assert!(matches!(
        refused(&world.instance.to_string(), "x"),
        AnnexError::Instance(_)
    ));
    assert_eq!(
        Annex::parse(&text.as_bytes()[..text.len() - 1]).unwrap_err(),
        AnnexError::NotAnAnnex
    );
    assert_eq!(
        Annex::parse(&vec![b'\n'; 1_000_001]).unwrap_err(),
        AnnexError::NotAnAnnex
    );
    let pseudonym = Entry::Enrolment {
        key: world.log.public(),
        pseudonym: "x\nslot 1 kept".to_owned(),
    };
    let smuggling = Annex {
        parts: vec![part(&sign(&draft, &[]), vec![pseudonym])],
        ..annex
    };
    assert!(matches!(smuggling.to_text(), Err(AnnexError::Line(_))));
}

#[test]
fn seeds_do_not_show_in_debug() {
    let entry = Entry::Vacant {
        seed: SecretBytes::from([0xab; 32]),
    };
    assert!(!format!("{entry:?} {entry}").to_lowercase().contains("ab, ") && !format!("{entry:?}").contains("171"));
}

/// The pair type is what an enrolment gives and what the check wants.
const _: fn(Pair) -> Slot = Slot::from;
