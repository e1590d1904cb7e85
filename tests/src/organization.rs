//! An organization founded in memory, for tests that need its keys without its people.

use getrandom::rand_core::UnwrapErr;
use marram_crypto::{
    charter::{self, CharterChain, UntrustedCharter, UntrustedCharterChain},
    day::Epoch,
    hybrid::Identity,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    manifest::{self, BoardShape, Manifest, Slot, UntrustedManifest},
    vacant,
};

/// The operating system's randomness.
pub fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// Two of three keyholders, three caseworkers, eight slots.
#[derive(Debug)]
pub struct Organization {
    /// The keyholders' root keys.
    pub roots: Vec<SigningKey>,
    /// The charter.
    pub chain: CharterChain,
    /// The server's log key.
    pub log: PublicKey,
    /// A courier's key.
    pub courier: SigningKey,
    /// The caseworkers' identities, in every epoch.
    pub caseworkers: Vec<Identity>,
}

impl Organization {
    /// Founds it.
    pub fn found() -> Self {
        let mut rng = rng();
        let roots: Vec<_> = (0..3).map(|_| SigningKey::random(&mut rng)).collect();
        let draft = charter::Draft {
            instance: InstanceId::random(&mut rng),
            version: 1,
            previous: None,
            name: "Test".to_owned(),
            contact: "nobody".to_owned(),
            threshold: 2,
            roots: roots.iter().map(SigningKey::public).collect(),
        };
        let mut charter = UntrustedCharter::from_note(draft.to_note().unwrap()).unwrap();
        for root in &roots[..2] {
            charter.add_signature(root).unwrap();
        }
        let chain = UntrustedCharterChain::founding(charter);
        let fingerprint = chain.claimed_fingerprint().unwrap();
        Self {
            roots,
            chain: chain.verify(fingerprint).unwrap(),
            log: SigningKey::random(&mut rng).public(),
            courier: SigningKey::random(&mut rng),
            caseworkers: (0..3).map(|_| Identity::random(&mut rng)).collect(),
        }
    }

    /// Takes the log key that a server made.
    pub fn log_is(&mut self, log: PublicKey) {
        self.log = log;
    }

    /// What a manifest of this epoch says: the caseworkers first, the other slots vacant.
    pub fn draft(&self, epoch: Epoch, limit: u64) -> manifest::Draft {
        let mut rng = rng();
        let live = self.caseworkers.iter().map(|identity| Slot {
            recipient: identity.recipient(),
            signer: SigningKey::random(&mut rng).public(),
        });
        let slots: Vec<_> = live.collect();
        let vacant = (slots.len()..manifest::DEFAULT_SLOTS)
            .map(|position| vacant::slot(&[7; vacant::SEED_LEN], epoch, u8::try_from(position).unwrap()));
        manifest::Draft {
            instance: self.chain.instance(),
            epoch,
            version: 1,
            charter: self.chain.newest().fingerprint(),
            log: self.log,
            couriers: vec![self.courier.public()],
            limit,
            retention_days: 60,
            promise_days: 14,
            board: BoardShape {
                shards: 1,
                tags: 2048,
                cells: 64,
                cadence_days: 1,
            },
            pages: vec![],
            contacts: vec![],
            questions: vec![],
            slots: slots.into_iter().chain(vacant).collect(),
        }
    }

    /// Signs a draft by two of the three keyholders.
    pub fn signed(&self, draft: &manifest::Draft) -> Manifest {
        let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
        for root in &self.roots[..2] {
            manifest.add_signature(root).unwrap();
        }
        manifest.verify(&self.chain).unwrap()
    }
}
