//! The organization: three caseworkers, one of whom runs the program.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};

use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_casework::epochs::EpochKeys;
use marram_crypto::{
    charter::{self, CharterChain, UntrustedCharter, UntrustedCharterChain},
    day::{Day, Epoch},
    enrolment::{Enrolment, UntrustedEnrolment},
    instance::InstanceId,
    key::SigningKey,
    manifest::{self, BoardShape, Manifest, Slot, UntrustedManifest},
    secret::SecretBytes,
    vacant,
};
use marram_tests::office::unlock_quickly;
use tempfile::TempDir;

use super::Home;

pub(crate) const PASSPHRASE: &str = "seven dunes and a lighthouse";
/// My slot, and those of the two others.
pub(crate) const MINE: usize = 1;
pub(crate) const OTHERS: [usize; 2] = [3, 6];
/// Epochs with keys: from six weeks ago to next week.
pub(crate) const FIRST: u32 = 6;
pub(crate) const EPOCHS: u32 = 8;
/// The codename of every report that says nothing else.
pub(crate) const CODENAME: u8 = 1;

pub(crate) struct Organization {
    roots: Vec<SigningKey>,
    pub(crate) chain: CharterChain,
    /// This week.
    pub(crate) epoch: Epoch,
    pub(crate) enrolment: Enrolment,
    /// What `enrol` printed.
    pub(crate) enrolled: String,
    others: BTreeMap<Epoch, Vec<EpochKeys>>,
    home: TempDir,
}

/// Founded once for all tests: making an identity takes a second of scrypt.
pub(crate) fn organization() -> &'static Organization {
    static ORGANIZATION: OnceLock<Organization> = OnceLock::new();
    ORGANIZATION.get_or_init(Organization::found)
}

pub(crate) fn today() -> Day {
    Day::from_unix_seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

pub(crate) fn roots() -> Vec<SigningKey> {
    (0..3)
        .map(|n| SigningKey::from_seed(&SecretBytes::from([200 + n; 32])))
        .collect()
}

/// A charter signed by two of three.
pub(crate) fn charter(instance: InstanceId, roots: &[SigningKey]) -> charter::Draft {
    charter::Draft {
        instance,
        version: 1,
        previous: None,
        name: "Dune Watch".into(),
        contact: "https://dunewatch.example".into(),
        threshold: 2,
        roots: roots.iter().map(SigningKey::public).collect(),
    }
}

pub(crate) fn signed(draft: &charter::Draft, roots: &[SigningKey]) -> UntrustedCharter {
    let mut charter = UntrustedCharter::from_note(draft.to_note().unwrap()).unwrap();
    for root in &roots[..2] {
        charter.add_signature(root).unwrap();
    }
    charter
}

pub(crate) fn founded(instance: InstanceId, roots: &[SigningKey]) -> CharterChain {
    let chain = UntrustedCharterChain::founding(signed(&charter(instance, roots), roots));
    let pinned = chain.claimed_fingerprint().unwrap();
    chain.verify(pinned).unwrap()
}

impl Organization {
    fn found() -> Self {
        let roots = roots();
        let chain = founded(InstanceId::random(&mut UnwrapErr(SysRng)), &roots);
        // It outlives the tests; so it stands where `cargo clean` finds it.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let charter = folder.path().join("charter.json");
        let note = folder.path().join("alice.enrolment");
        fs::write(&charter, chain.to_json()).unwrap();
        let epoch = Epoch::of(today()).unwrap();
        let first = Epoch::from_number(epoch.number() - FIRST).unwrap();
        let home = Home::at(folder.path().join("home"));
        let enrolled = home.ok(&[
            "enrol",
            "--charter",
            charter.to_str().unwrap(),
            "--fingerprint",
            &chain.newest().fingerprint().to_string(),
            "--out",
            note.to_str().unwrap(),
            "--from",
            &first.to_string(),
            "--epochs",
            &EPOCHS.to_string(),
        ]);
        unlock_quickly(&home.path, PASSPHRASE);

        let enrolment = UntrustedEnrolment::parse(&fs::read(&note).unwrap()).unwrap();
        let random = |_| EpochKeys::random(&mut UnwrapErr(SysRng));
        Self {
            roots,
            epoch,
            enrolment: enrolment.verify(chain.instance()).unwrap(),
            enrolled,
            others: (0..EPOCHS)
                .map(|n| (first.plus(n), OTHERS.iter().map(random).collect()))
                .collect(),
            chain,
            home: folder,
        }
    }

    /// The epoch so many weeks ago.
    pub(crate) fn ago(&self, weeks: u32) -> Epoch {
        Epoch::from_number(self.epoch.number() - weeks).unwrap()
    }

    pub(crate) fn slots(&self, epoch: Epoch) -> Vec<Slot> {
        let mut slots: Vec<Slot> = (0..8)
            .map(|position| vacant::slot(&[position; 32], epoch, position))
            .collect();
        slots[MINE] = self.enrolment.pair(epoch).unwrap().clone().into();
        for (position, keys) in OTHERS.iter().zip(&self.others[&epoch]) {
            slots[*position] = keys.pair().into();
        }
        slots
    }

    pub(crate) fn draft(&self, epoch: Epoch, version: u32) -> manifest::Draft {
        manifest::Draft {
            instance: self.chain.instance(),
            epoch,
            version,
            charter: self.chain.newest().fingerprint(),
            log: self.roots[0].public(),
            couriers: vec![],
            limit: 1 << 28,
            retention_days: 180,
            promise_days: 7,
            board: BoardShape::default(),
            pages: vec![],
            contacts: vec![],
            questions: vec![
                serde_json::from_str(r#"{"id":"heard","kind":"text","text":{"en":"How did you hear of us?"}}"#)
                    .unwrap(),
            ],
            slots: self.slots(epoch),
        }
    }

    pub(crate) fn manifest(&self, epoch: Epoch, version: u32) -> Manifest {
        self.sign(&self.draft(epoch, version))
    }

    pub(crate) fn sign(&self, draft: &manifest::Draft) -> Manifest {
        let note = self.note(draft, 2);
        UntrustedManifest::parse(&note).unwrap().verify(&self.chain).unwrap()
    }

    /// A manifest's note with so many signatures.
    pub(crate) fn note(&self, draft: &manifest::Draft, signatures: usize) -> Vec<u8> {
        let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
        for root in &self.roots[..signatures] {
            manifest.add_signature(root).unwrap();
        }
        manifest.note().to_bytes()
    }

    pub(crate) fn roots(&self) -> &[SigningKey] {
        &self.roots
    }

    /// The keys of one of the two others.
    pub(crate) fn colleague(&self, which: usize, epoch: Epoch) -> &EpochKeys {
        &self.others[&epoch][which]
    }

    /// A home of my own, as it was after the enrolment.
    pub(crate) fn alice(&self) -> Home {
        let home = Home::new();
        copy(&self.home.path().join("home"), &home.path);
        home
    }
}

fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
