//! A small organization that is the same in every run: what a fuzzer finds must be found again.

use std::sync::LazyLock;

use marram_crypto::{
    annex::{Annex, AnnexPart, Entry},
    charter::{self, CharterChain, UntrustedCharter, UntrustedCharterChain},
    codename::Codename,
    day::Epoch,
    digest::Digest,
    enrolment::{self, Enrolment, Pair},
    hybrid::Identity,
    instance::InstanceId,
    key::SigningKey,
    leaf::Leaf,
    manifest::{self, BoardShape, Contact, Manifest, Slot, UntrustedManifest},
    seal::Target,
    secret::SecretBytes,
    vacant,
};

/// The world of all targets.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::new);

pub(crate) struct World {
    pub(crate) chain: CharterChain,
    /// One slot, so that sealing and opening cost one.
    pub(crate) manifest: Manifest,
    pub(crate) enrolment: Enrolment,
    pub(crate) annex: Annex,
    /// Who holds the one slot.
    pub(crate) identity: Identity,
    pub(crate) target: Target,
}

pub(crate) fn instance() -> InstanceId {
    "00112233445566778899aabbccddeeff".parse().unwrap()
}

pub(crate) fn epoch() -> Epoch {
    Epoch::from_number(2950).unwrap()
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&SecretBytes::from([seed; 32]))
}

pub(crate) fn codename() -> Codename {
    Codename::from_entropy(SecretBytes::from([50; 16]))
}

pub(crate) fn leaf(n: u8) -> Leaf {
    Leaf {
        digest: Digest::of(&[n]),
        epoch: epoch(),
        day: epoch().opens(),
        log2_size: 15,
    }
}

/// Signs receipts and checkpoints.
pub(crate) fn log() -> SigningKey {
    key(10)
}

pub(crate) fn courier() -> SigningKey {
    key(11)
}

/// Who holds the one slot, as a signer.
pub(crate) fn signer() -> SigningKey {
    key(12)
}

fn root(n: u8) -> SigningKey {
    key(n)
}

impl World {
    fn new() -> Self {
        let draft = charter::Draft {
            instance: instance(),
            version: 1,
            previous: None,
            name: "ئۇيغۇر Example 例".to_owned(),
            contact: "https://example.org/contact".to_owned(),
            threshold: 2,
            roots: (1..=3).map(|n| root(n).public()).collect(),
        };
        let founding = UntrustedCharterChain::founding(signed_charter(&draft));
        let pinned = founding.claimed_fingerprint().unwrap();
        let founding = founding.verify(pinned).unwrap();
        let mut next = founding.newest().successor();
        "Example".clone_into(&mut next.name);
        let chain = founding.append(signed_charter(&next)).unwrap();

        let identity = Identity::from_seed(SecretBytes::from([40; 32]));
        let pair = Pair {
            recipient: identity.recipient(),
            signer: signer().public(),
        };
        let enrolment = enrolment::Draft {
            instance: instance(),
            key: key(13).public(),
            counter: 1,
            pairs: [(epoch(), pair.clone())].into(),
        };
        let draft = manifest::Draft {
            instance: instance(),
            epoch: epoch(),
            version: 1,
            charter: chain.newest().fingerprint(),
            log: log().public(),
            couriers: vec![courier().public()],
            limit: 256 << 20,
            retention_days: 90,
            promise_days: 14,
            // So small that a board is short.
            board: BoardShape {
                shards: 1,
                tags: 4,
                cells: 2,
                cadence_days: 7,
            },
            pages: vec![Digest::of(b"page")],
            contacts: vec![Contact {
                locale: Some("zh-Hant".parse().unwrap()),
                text: "緊急聯絡".to_owned(),
            }],
            questions: vec![r#"{"id":"q","kind":"yes_no","text":{"en":"Did they visit?"}}"#.parse().unwrap()],
            slots: vec![Slot::from(pair)],
        };
        let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
        manifest.add_signature(&root(1)).unwrap();
        manifest.add_signature(&root(3)).unwrap();
        let annex = Annex {
            instance: instance(),
            parts: vec![AnnexPart {
                manifest: manifest.claimed_hash(),
                slots: vec![
                    Entry::Enrolment {
                        key: key(13).public(),
                        pseudonym: "Clover".to_owned(),
                    },
                    Entry::Vacant {
                        seed: SecretBytes::from([7; vacant::SEED_LEN]),
                    },
                    Entry::Kept,
                ],
            }],
        };
        let manifest = manifest.verify(&chain).unwrap();
        Self {
            identity,
            target: Target::from(&manifest),
            manifest,
            enrolment: enrolment.sign(&key(13)).unwrap(),
            annex,
            chain,
        }
    }
}

fn signed_charter(draft: &charter::Draft) -> UntrustedCharter {
    let mut charter = UntrustedCharter::from_note(draft.to_note().unwrap()).unwrap();
    charter.add_signature(&root(1)).unwrap();
    charter.add_signature(&root(2)).unwrap();
    charter
}
