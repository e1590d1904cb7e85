//! An organization with two caseworkers and two couriers, as their programs have made their keys; and a server that does
//! as it is told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
};

use marram_crypto::{
    codename::Codename,
    day::Day,
    digest::Digest,
    key::SigningKey,
    leaf::Leaf,
    manifest::{Draft, Manifest, Slot},
    receipt,
    seal::{self, Content, Target},
    secret::SecretBytes,
};
use marram_online::testing::{Responder, Site};
use marram_tests::{
    office,
    organization::{Organization, rng},
    programs,
    server::this_epoch,
};
use serde_json::{Value, value::RawValue};

const INCIDENT: &str = include_str!("../../deploy/samples/01-uyghur-teacher-himself/report.json");
/// Caseworkers hold the first slots, in this order.
pub(crate) const CASEWORKERS: [&str; 2] = ["heron", "ibis"];
pub(crate) const COURIERS: [&str; 2] = ["swift", "tern"];
const LIMIT: u64 = 1 << 20;

/// Made once: what takes time is the passphrases.
struct Founded {
    organization: Organization,
    folder: tempfile::TempDir,
    /// Of each caseworker.
    slots: Vec<[Slot; 2]>,
    couriers: Vec<marram_crypto::key::PublicKey>,
    log_seed: SecretBytes<32>,
}

static FOUNDED: LazyLock<Founded> = LazyLock::new(Founded::new);

/// One test's copy of it, with a server of its own.
pub(crate) struct Office {
    folder: tempfile::TempDir,
    site: Arc<Mutex<Site>>,
    responder: Responder,
    pub(crate) manifest: Manifest,
}

impl Founded {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut organization = Organization::found();
        let log = SigningKey::random(&mut rng());
        organization.log_is(log.public());
        let slots = CASEWORKERS.map(|name| {
            let before = this_epoch().previous().unwrap();
            let slots = office::enrol(&organization, &folder.path().join(name), before, 4);
            [slots[1].clone(), slots[2].clone()]
        });
        let couriers = COURIERS.map(|name| office::courier_key(&folder.path().join(name)));
        Self {
            organization,
            folder,
            slots: slots.into(),
            couriers: couriers.into(),
            log_seed: log.seed(),
        }
    }
}

impl Office {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in CASEWORKERS.iter().chain(&COURIERS) {
            let (from, to) = (FOUNDED.folder.path().join(name), folder.path().join(name));
            programs::succeeds(Command::new("cp").arg("-a").args([&from, &to]));
        }
        let manifest = signed(&draft(0));
        let mut site = Site::new(&FOUNDED.organization.chain, manifest.to_bytes(), log_key());
        site.manifests.push(signed(&draft(1)).to_bytes());
        let past = [
            this_epoch().previous(),
            this_epoch().previous().and_then(marram_crypto::day::Epoch::previous),
        ];
        for epoch in past.into_iter().flatten() {
            site.manifests
                .push(signed(&FOUNDED.organization.draft(epoch, LIMIT)).to_bytes());
        }
        site.couriers.clone_from(&FOUNDED.couriers);
        let site = Arc::new(Mutex::new(site));
        let answering = Arc::clone(&site);
        let responder = Responder::start(move |request| answering.lock().unwrap().answer(request));
        Self {
            folder,
            site,
            responder,
            manifest,
        }
    }

    /// The server, to be told to lie.
    pub(crate) fn server(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn link(&self) -> String {
        self.responder.link(FOUNDED.organization.chain.newest().fingerprint())
    }

    /// An honest report arrives.
    pub(crate) fn reported(&self) -> Leaf {
        self.server().add(self.report(), this_epoch())
    }

    /// A sealed report of a stranger.
    pub(crate) fn report(&self) -> Vec<u8> {
        self.sealed(&Codename::random(&mut rng()), false)
    }

    pub(crate) fn sealed(&self, codename: &Codename, continues: bool) -> Vec<u8> {
        sealed(&Target::from(&self.manifest), codename, continues)
    }

    pub(crate) fn courier(&self, name: &str) -> Command {
        let home = self.path(name);
        let mut command = programs::program("marram-courier", &home);
        command.arg("--home").arg(home).current_dir(self.folder.path());
        command
    }

    fn pulling(&self, courier: &str, bundle: &str) -> Command {
        let mut command = self.courier(courier);
        command.args(["pull", "--link", &self.link(), "--out", bundle]);
        command
    }

    /// A courier brings what is new.
    pub(crate) fn pull(&self, courier: &str, bundle: &str) {
        programs::succeeds(&mut self.pulling(courier, bundle));
    }

    /// A courier brings what is new, and says what it noticed.
    pub(crate) fn pull_notes(&self, courier: &str, bundle: &str) -> String {
        let output = self.pulling(courier, bundle).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        words(&String::from_utf8_lossy(&output.stderr))
    }

    /// A courier finds something that is wrong; what it says.
    pub(crate) fn pull_alarms(&self, courier: &str, bundle: &str) -> String {
        words(&programs::fails(&mut self.pulling(courier, bundle)))
    }

    pub(crate) fn casework(&self, who: &str) -> Command {
        let home = self.path(who);
        let mut command = programs::offline("marram-casework", &home);
        command.arg("--home").arg(home).current_dir(self.folder.path());
        command
    }

    /// Imports bundles, whatever is in them; and the kinds of alarms that are open then.
    pub(crate) fn import(&self, who: &str, bundles: &[&str]) -> Vec<String> {
        let output = self.casework(who).arg("import").args(bundles).output().unwrap();
        assert!(output.status.code().is_some_and(|code| code <= 1), "{output:?}");
        self.alarms(who)
    }

    /// The kinds of alarms that are open.
    pub(crate) fn alarms(&self, who: &str) -> Vec<String> {
        let said = json(self.casework(who).args(["--json", "alarms"]));
        let alarms = said["alarms"].as_array().unwrap().iter();
        alarms.map(|alarm| alarm["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// How many reports a caseworker has.
    pub(crate) fn cases(&self, who: &str) -> usize {
        json(self.casework(who).args(["--json", "list"]))["reports"]
            .as_array()
            .unwrap()
            .len()
    }
}

pub(crate) fn organization() -> &'static Organization {
    &FOUNDED.organization
}

/// The receipt that the server signs for these bytes, whether it keeps them or not.
pub(crate) fn receipt_for(report: &[u8], day: Day) -> Vec<u8> {
    let leaf = Leaf {
        digest: Digest::of(report),
        epoch: this_epoch(),
        day,
        log2_size: u8::try_from(report.len().ilog2()).unwrap(),
    };
    let instance = FOUNDED.organization.chain.instance();
    receipt::sign(instance, &leaf, &log_key()).unwrap().to_bytes()
}

/// What a manifest says of the epoch so many after this one.
pub(crate) fn draft(ahead: u32) -> Draft {
    let mut draft = FOUNDED.organization.draft(this_epoch().plus(ahead), LIMIT);
    for (slot, own) in draft.slots.iter_mut().zip(&FOUNDED.slots) {
        slot.clone_from(&own[ahead as usize]);
    }
    draft.couriers.clone_from(&FOUNDED.couriers);
    draft
}

pub(crate) fn signed(draft: &Draft) -> Manifest {
    FOUNDED.organization.signed(draft)
}

pub(crate) fn log_key() -> SigningKey {
    SigningKey::from_seed(&FOUNDED.log_seed)
}

pub(crate) fn sealed(target: &Target, codename: &Codename, continues: bool) -> Vec<u8> {
    let content = Content {
        continues,
        answers: [].into(),
        incident: RawValue::from_string(INCIDENT.to_owned()).unwrap(),
    };
    let mut ciphertext = Vec::new();
    let draft = seal::Draft::new(target, codename, content, &[]).unwrap();
    draft.seal(&mut ciphertext, |_| unreachable!()).unwrap();
    ciphertext
}

pub(crate) fn json(command: &mut Command) -> Value {
    serde_json::from_str(&programs::succeeds(command)).unwrap()
}

/// What was said, however its lines were broken.
pub(crate) fn words(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn only_file_in(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = files.next().expect("there is one");
    assert!(files.next().is_none(), "there is one only");
    file
}
