//! A small organization: three keyholders of whom two must sign, three caseworkers, eight slots.

use std::{collections::BTreeMap, convert::Infallible};

use marram_crypto::{
    annex::{AnnexPart, Entry},
    charter::{self, CharterChain, UntrustedCharter, UntrustedCharterChain},
    day::Epoch,
    digest::Digest,
    enrolment::{self, Enrolment, Pair},
    hybrid::Identity,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    manifest::{self, BoardShape, Contact, DEFAULT_SLOTS, Manifest, Slot, UntrustedManifest},
    note::UntrustedNote,
    secret::SecretBytes,
    vacant,
};
use rand_core::{TryCryptoRng, TryRng};
use shake::{ExtendableOutput, Shake128, Shake128Reader, Update, XofReader};

/// 2026-07-20 to 2026-07-26.
pub(crate) const EPOCH: u32 = 2950;

pub(crate) fn epoch() -> Epoch {
    Epoch::from_number(EPOCH).unwrap()
}

/// Randomness that is the same in every run.
pub(crate) struct TestRng(Shake128Reader);

pub(crate) struct Caseworker {
    pub(crate) pseudonym: &'static str,
    pub(crate) enrolment: Enrolment,
}

pub(crate) struct World {
    pub(crate) rng: TestRng,
    pub(crate) instance: InstanceId,
    pub(crate) roots: Vec<SigningKey>,
    pub(crate) chain: CharterChain,
    pub(crate) log: SigningKey,
    pub(crate) caseworkers: Vec<Caseworker>,
}

impl TestRng {
    pub(crate) fn new(seed: &str) -> Self {
        let mut hasher = Shake128::default();
        hasher.update(seed.as_bytes());
        Self(hasher.finalize_xof())
    }

    pub(crate) fn key(&mut self) -> SigningKey {
        SigningKey::random(self)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read(&mut bytes);
        bytes
    }

    pub(crate) fn pair(&mut self) -> Pair {
        Pair {
            recipient: Identity::random(self).recipient(),
            signer: self.key().public(),
        }
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.read(bytes);
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

impl World {
    pub(crate) fn new() -> Self {
        let mut rng = TestRng::new("an organization");
        let instance = InstanceId::random(&mut rng);
        let roots: Vec<_> = (0..3).map(|_| rng.key()).collect();
        let founding = charter_draft(instance, &roots, 2);
        let chain = found(&founding, &roots[..2]);
        let caseworkers = ["Aster", "Birch", "Clover"]
            .map(|pseudonym| Caseworker {
                pseudonym,
                enrolment: enrol(&mut rng, instance, 4),
            })
            .into();
        Self {
            log: rng.key(),
            rng,
            instance,
            roots,
            chain,
            caseworkers,
        }
    }

    /// A draft with three caseworkers at the slots 1, 4 and 6, and what a truthful annex says of it.
    pub(crate) fn draft(&mut self) -> (manifest::Draft, Vec<Entry>) {
        let epoch = epoch();
        let mut slots = Vec::new();
        let mut entries = Vec::new();
        for position in 0..u8::try_from(DEFAULT_SLOTS).unwrap() {
            let holder = [1, 4, 6].iter().position(|at| *at == position);
            if let Some(Caseworker { pseudonym, enrolment }) = holder.map(|index| &self.caseworkers[index]) {
                slots.push(Slot::from(enrolment.pair(epoch).unwrap().clone()));
                entries.push(Entry::Enrolment {
                    key: enrolment.key,
                    pseudonym: (*pseudonym).to_owned(),
                });
            } else {
                let seed = self.rng.bytes();
                slots.push(vacant::slot(&seed, epoch, position));
                entries.push(Entry::Vacant {
                    seed: SecretBytes::from(seed),
                });
            }
        }
        let draft = manifest::Draft {
            instance: self.instance,
            epoch,
            version: 1,
            charter: self.chain.newest().fingerprint(),
            log: self.log.public(),
            couriers: vec![self.rng.key().public()],
            limit: 256 << 20,
            retention_days: 90,
            promise_days: 14,
            board: BoardShape::default(),
            pages: vec![Digest::of(b"page")],
            contacts: vec![
                Contact {
                    locale: None,
                    text: "+00 000 000".to_owned(),
                },
                Contact {
                    locale: Some("zh-Hant".parse().unwrap()),
                    text: "緊急聯絡".to_owned(),
                },
            ],
            questions: vec![r#"{"id":"q","kind":"yes_no","text":{"en":"Did they visit?"}}"#.parse().unwrap()],
            slots,
        };
        (draft, entries)
    }

    pub(crate) fn manifest(&mut self) -> Manifest {
        let (draft, _) = self.draft();
        sign(&draft, &self.roots[..2]).verify(&self.chain).unwrap()
    }

    /// The pair of an enrolment that every keyholder here has vetted.
    pub(crate) fn vetted(&self, key: &PublicKey, epoch: Epoch) -> Option<Pair> {
        let caseworker = self
            .caseworkers
            .iter()
            .find(|caseworker| caseworker.enrolment.key == *key)?;
        caseworker.enrolment.pair(epoch).cloned()
    }
}

pub(crate) fn charter_draft(instance: InstanceId, roots: &[SigningKey], threshold: usize) -> charter::Draft {
    charter::Draft {
        instance,
        version: 1,
        previous: None,
        name: "ئۇيغۇر Example Organization 例".to_owned(),
        contact: "https://example.org/contact".to_owned(),
        threshold,
        roots: roots.iter().map(SigningKey::public).collect(),
    }
}

pub(crate) fn sign_charter(draft: &charter::Draft, keys: &[SigningKey]) -> UntrustedCharter {
    UntrustedCharter::from_note(signed(draft.to_note().unwrap(), keys)).unwrap()
}

pub(crate) fn found(draft: &charter::Draft, keys: &[SigningKey]) -> CharterChain {
    let chain = UntrustedCharterChain::founding(sign_charter(draft, keys));
    let fingerprint = chain.claimed_fingerprint().unwrap();
    chain.verify(fingerprint).unwrap()
}

pub(crate) fn signed(mut note: UntrustedNote, keys: &[SigningKey]) -> UntrustedNote {
    for key in keys {
        note.add_signature(key).unwrap();
    }
    note
}

pub(crate) fn sign(draft: &manifest::Draft, keys: &[SigningKey]) -> UntrustedManifest {
    UntrustedManifest::from_note(signed(draft.to_note().unwrap(), keys)).unwrap()
}

pub(crate) fn part(manifest: &UntrustedManifest, slots: Vec<Entry>) -> AnnexPart {
    AnnexPart {
        manifest: manifest.claimed_hash(),
        slots,
    }
}

pub(crate) fn enrolment_draft(
    rng: &mut TestRng,
    instance: InstanceId,
    key: &SigningKey,
    epochs: u32,
) -> enrolment::Draft {
    let first = Epoch::from_number(EPOCH).unwrap();
    enrolment::Draft {
        instance,
        key: key.public(),
        counter: 1,
        pairs: (0..epochs)
            .map(|later| (first.plus(later), rng.pair()))
            .collect::<BTreeMap<_, _>>(),
    }
}

pub(crate) fn enrol(rng: &mut TestRng, instance: InstanceId, epochs: u32) -> Enrolment {
    let key = rng.key();
    enrolment_draft(rng, instance, &key, epochs).sign(&key).unwrap()
}

/// A text with one line changed, as an unsigned note.
pub(crate) fn edited(text: &str, from: &str, to: &str) -> UntrustedNote {
    assert!(text.contains(from), "{from}");
    UntrustedNote::unsigned(text.replacen(from, to, 1)).unwrap()
}
