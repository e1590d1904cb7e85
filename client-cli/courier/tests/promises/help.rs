//! A courier with a home, and a server to pull from.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use marram_crypto::{
    bundle::{BundleEntry, BundleReader},
    checkpoint::UntrustedCheckpoint,
    day::{Day, Epoch},
    key::SigningKey,
    leaf::Leaf,
    manifest::{Draft, UntrustedManifest},
    order::{self, OrderFile, OrderId, What},
    tree::Head,
};
use marram_online::{
    clock::today,
    testing::{Reply, Request, Responder, Site},
};
use marram_tests::organization::{Organization, rng};

/// The program with a home and a working folder of its own.
pub(crate) struct Courier {
    folder: tempfile::TempDir,
}

/// What came of running it.
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    success: bool,
}

/// An organization, its server and a courier that it knows.
pub(crate) struct World {
    pub(crate) organization: Organization,
    pub(crate) site: Arc<Mutex<Site>>,
    pub(crate) server: Responder,
    pub(crate) courier: Courier,
    /// What the manifest of this week says.
    pub(crate) draft: Draft,
    /// Signs for the first slot.
    pub(crate) desk: SigningKey,
}

/// A bundle: index of the first leaf, number of leaves, manifests, reports.
pub(crate) type Contents = (u64, u64, Vec<(Epoch, u32)>, Vec<Vec<u8>>);

/// What else is in a bundle.
#[derive(Default)]
pub(crate) struct More {
    pub(crate) checkpoint: Option<Vec<u8>>,
    pub(crate) orders: Vec<(u64, Vec<u8>)>,
    pub(crate) canaries: Vec<(String, Vec<u8>)>,
}

/// The epoch of today.
pub(crate) fn epoch() -> Epoch {
    Epoch::of(today()).unwrap()
}

/// Stands for a sealed report; couriers cannot tell. Their digests are in another order than their numbers.
pub(crate) fn report(n: u8) -> Vec<u8> {
    vec![n; 32 * 1024]
}

impl Courier {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_marram-courier"))
            .arg("--home")
            .arg(self.home())
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .unwrap();
        Run {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            success: output.status.success(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn ok(&self, args: &[&str]) -> Run {
        self.run(args).succeeded()
    }
}

impl Run {
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.success, "{}", self.stderr);
        self
    }

    pub(crate) fn failed(&self) -> &str {
        assert!(!self.success, "it did not fail: {}", self.stdout);
        &self.stderr
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::hostile(|_, _| None)
    }

    /// Where `instead` gives a reply, it takes the place of the honest one.
    pub(crate) fn hostile(instead: impl FnMut(&Request, &Reply) -> Option<Reply> + Send + 'static) -> Self {
        Self::made(Organization::found(), instead)
    }

    pub(crate) fn of(organization: Organization, change: impl FnOnce(&mut Site)) -> Self {
        let world = Self::made(organization, |_, _| None);
        change(&mut world.site.lock().unwrap());
        world
    }

    /// The same server and courier for another world's keys.
    pub(crate) fn organization(self, other: &Self) -> Self {
        let organization = &other.organization;
        {
            let mut site = self.site.lock().unwrap();
            site.log = SigningKey::from_seed(&other.site.lock().unwrap().log.seed());
            site.charter = organization.chain.to_json().into_bytes();
            site.instance = organization.chain.instance();
        }
        let copy = Organization {
            roots: Vec::new(),
            chain: organization.chain.clone(),
            ..self.organization
        };
        Self {
            organization: copy,
            ..self
        }
    }

    fn made(
        mut organization: Organization,
        mut instead: impl FnMut(&Request, &Reply) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let courier = Courier::new();
        let key = courier.ok(&["key"]).stdout;
        let log = SigningKey::random(&mut rng());
        organization.log_is(log.public());
        let desk = SigningKey::random(&mut rng());
        let mut draft = organization.draft(epoch(), 1 << 20);
        draft.slots[0].signer = desk.public();
        let manifest = organization.signed(&draft).to_bytes();
        let mut site = Site::new(&organization.chain, manifest, log);
        site.couriers = vec![key.trim().parse().unwrap()];
        let site = Arc::new(Mutex::new(site));
        let shared = Arc::clone(&site);
        let server = Responder::start(move |request| {
            let honest = shared.lock().unwrap().answer(request);
            instead(request, &honest).unwrap_or(honest)
        });
        Self {
            organization,
            site,
            server,
            courier,
            draft,
            desk,
        }
    }

    /// Another courier of the same organization, with a home of its own.
    pub(crate) fn another_courier(&self) -> Courier {
        let courier = Courier::new();
        let key = courier.ok(&["key"]).stdout;
        self.site.lock().unwrap().couriers.push(key.trim().parse().unwrap());
        courier
    }

    /// The site's leaves and a checkpoint of them, of a day.
    pub(crate) fn checkpoint(&self, leaves: &[Leaf], day: Day) -> Vec<u8> {
        self.site.lock().unwrap().checkpoint_of(leaves, day)
    }

    /// An order file, signed by the desk.
    pub(crate) fn order(&self, id: u8, what: What, expires: Day) -> OrderFile {
        let draft = order::Draft {
            instance: self.organization.chain.instance(),
            id: OrderId::from_bytes([id; 16]),
            epoch: epoch(),
            expires,
            log: Head::empty(),
            what,
        };
        let mut order = draft.to_note().unwrap();
        order.add_signature(&self.desk).unwrap();
        OrderFile { order, board: None }
    }

    pub(crate) fn link(&self) -> String {
        self.server.link(self.organization.chain.pinned())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.courier.path(name)
    }

    pub(crate) fn add(&self, reports: &[u8]) {
        for n in reports {
            self.site.lock().unwrap().add(report(*n), epoch());
        }
    }

    pub(crate) fn pull(&self, args: &[&str]) -> Run {
        self.courier.ok(&[&["--json", "pull"], args].concat())
    }

    pub(crate) fn refused(&self, args: &[&str]) -> String {
        self.courier.run(&[&["pull"], args].concat()).failed().to_owned()
    }

    pub(crate) fn refuse_everything(&self) {
        self.site.lock().unwrap().refuse = Some((409, "An older charter".to_owned()));
    }

    /// A request that only the responder's closure sees.
    pub(crate) fn get(&self, path: &str) {
        let link = marram_crypto::fingerprint::Link::parse(&self.link()).unwrap();
        let client = marram_online::client::Client::new(&link, &marram_online::proxy::OnlineArgs::default()).unwrap();
        drop(client.get(path, None, 1000));
    }

    /// The `Range` headers of all requests for ciphertexts.
    pub(crate) fn ranges(&self) -> Vec<String> {
        let requests = self.server.requests();
        let reports = requests
            .iter()
            .filter(|request| request.path.starts_with("/v1/reports/"));
        reports.map(|request| request.header("range").to_owned()).collect()
    }

    /// Files in the spool.
    pub(crate) fn spool(&self) -> usize {
        fs::read_dir(self.courier.home().join("spool")).unwrap().count()
    }

    pub(crate) fn bundle(&self, name: &str) -> Contents {
        read(&self.path(name), &self.organization).0
    }

    pub(crate) fn bundle_of(&self, courier: &Courier, name: &str) -> (Contents, More) {
        read(&courier.path(name), &self.organization)
    }

    /// The checkpoint of a bundle, verified.
    pub(crate) fn head(&self, name: &str) -> (u64, Day) {
        let note = read(&self.path(name), &self.organization).1.checkpoint.unwrap();
        let key = self.site.lock().unwrap().log.public();
        let instance = self.organization.chain.instance();
        let checkpoint = UntrustedCheckpoint::parse(&note)
            .unwrap()
            .verify(instance, &[key])
            .unwrap();
        (checkpoint.head().size, checkpoint.day())
    }

    /// Orders and receipts of canaries in a bundle.
    pub(crate) fn more(&self, name: &str) -> More {
        read(&self.path(name), &self.organization).1
    }
}

fn read(path: &Path, organization: &Organization) -> (Contents, More) {
    let mut more = More::default();
    let mut reader = BundleReader::new(fs::File::open(path).unwrap());
    let mut contents = (0, 0, vec![], vec![]);
    while let Some(entry) = reader.next_entry().unwrap() {
        match entry {
            BundleEntry::Charter(chain) => assert!(chain.starts_with(b"[")),
            BundleEntry::Leaves {
                instance, from, leaves, ..
            } => {
                assert_eq!(instance, organization.chain.instance());
                contents.0 = from;
                contents.1 = leaves.map(|leaf| leaf.map(|_| 1).unwrap()).sum();
            }
            BundleEntry::Manifest(note) => {
                let manifest = UntrustedManifest::parse(&note).unwrap();
                contents.2.push((manifest.claims().epoch, manifest.claims().version));
            }
            BundleEntry::Checkpoint(note) => more.checkpoint = Some(note),
            BundleEntry::Order { index, note } => more.orders.push((index, note)),
            BundleEntry::Canary { name, receipt } => more.canaries.push((name, receipt)),
            BundleEntry::Report { mut content, .. } => {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).unwrap();
                contents.3.push(bytes);
            }
        }
    }
    (contents, more)
}
