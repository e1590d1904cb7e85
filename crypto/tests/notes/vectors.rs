//! Vectors that another implementation must reproduce.
//!
//! `vacant.json` was computed apart from this crate, by a program written from the description in `vacant.rs` alone.
//! `notes.json` is this crate's own: one note of each type, from fixed keys, and what must be read in it.

use std::fs;

use marram_crypto::{
    charter::{UntrustedCharter, UntrustedCharterChain},
    day::Epoch,
    digest::Digest,
    enrolment::UntrustedEnrolment,
    fingerprint::Digits,
    leaf::Leaf,
    manifest::UntrustedManifest,
    receipt::{self, UntrustedReceipt},
    vacant,
};
use serde::{Deserialize, Serialize};

use crate::world::{World, sign, signed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vacant {
    seed: Digest,
    epoch: Epoch,
    position: u8,
    recipient_sha256: Digest,
    x25519: String,
    signer: String,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Notes {
    chain: String,
    /// Of each charter, oldest first.
    fingerprints: Vec<Digest>,
    /// Of the newest charter.
    digits: String,
    /// Two slots, signed under the newest charter.
    manifest: String,
    manifest_hash: Digest,
    /// One epoch.
    enrolment: String,
    enrolment_digits: String,
    /// Signed by the manifest's log key.
    receipt: String,
    leaf: String,
}

fn vectors(name: &str) -> String {
    format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn vacant_slots_are_sampled_as_another_implementation_does() {
    let text = fs::read_to_string(vectors("vacant.json")).unwrap();
    let cases: Vec<Vacant> = serde_json::from_str(&text).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let slot = vacant::slot(case.seed.as_bytes(), case.epoch, case.position);
        assert_eq!(hex::encode(&slot.recipient.as_bytes()[1184..]), case.x25519);
        assert_eq!(Digest::of(slot.recipient.as_bytes()), case.recipient_sha256);
        assert_eq!(slot.signer.to_string(), case.signer);
    }
}

/// The world's notes, as `notes.json` has them.
fn notes() -> Notes {
    let mut world = World::new();
    let next = world.chain.newest().successor();
    let next = signed(next.to_note().unwrap(), &world.roots[1..]);
    world.chain = world.chain.append(UntrustedCharter::from_note(next).unwrap()).unwrap();
    let (mut draft, _) = world.draft();
    draft.slots.truncate(2);
    let manifest = sign(&draft, &world.roots[..2]);
    let mut enrolment = (*world.caseworkers[0].enrolment).clone();
    enrolment.pairs.retain(|epoch, _| *epoch == draft.epoch);
    let key = world.rng.key();
    enrolment.key = key.public();
    let enrolment = enrolment.sign(&key).unwrap();
    let leaf = Leaf {
        digest: Digest::of(b"a sealed report"),
        epoch: draft.epoch,
        day: draft.epoch.opens().plus(2),
        log2_size: 15,
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Notes {
        chain: world.chain.to_json(),
        fingerprints: world
            .chain
            .charters()
            .iter()
            .map(marram_crypto::charter::Charter::fingerprint)
            .collect(),
        digits: Digits::of(&world.chain.newest().fingerprint()).to_string(),
        manifest_hash: manifest.claimed_hash(),
        manifest: text(manifest.into_note().to_bytes()),
        enrolment_digits: enrolment.digits().to_string(),
        enrolment: text(enrolment.note().to_bytes()),
        receipt: text(receipt::sign(world.instance, &leaf, &world.log).unwrap().to_bytes()),
        leaf: hex::encode(leaf.to_bytes()),
    }
}

#[test]
fn notes_are_written_as_they_always_were_and_verify() {
    // A change here is a change of the protocol: it needs a new version of the type that changed.
    let expected: Notes = serde_json::from_str(&fs::read_to_string(vectors("notes.json")).unwrap()).unwrap();
    let written = notes();
    assert_eq!(
        written,
        expected,
        "now written: {}",
        serde_json::to_string_pretty(&written).unwrap()
    );

    let chain = UntrustedCharterChain::parse(expected.chain.as_bytes()).unwrap();
    let chain = chain.verify(expected.fingerprints[0]).unwrap();
    assert_eq!(chain.newest().fingerprint(), expected.fingerprints[1]);
    let manifest = UntrustedManifest::parse(expected.manifest.as_bytes())
        .unwrap()
        .verify(&chain)
        .unwrap();
    assert_eq!(manifest.hash(), expected.manifest_hash);
    let enrolment = UntrustedEnrolment::parse(expected.enrolment.as_bytes()).unwrap();
    assert_eq!(
        enrolment.verify(chain.instance()).unwrap().digits().to_string(),
        expected.enrolment_digits
    );
    let receipt = UntrustedReceipt::parse(expected.receipt.as_bytes()).unwrap();
    let receipt = receipt.verify(chain.instance(), &manifest.log).unwrap();
    assert_eq!(hex::encode(receipt.leaf().to_bytes()), expected.leaf);
}
