//! The server that is attacked: what it uses while it is, and whether honest submitters are served meanwhile.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use marram_crypto::{
    codename::Codename,
    digest::Digest,
    key::SigningKey,
    manifest::Manifest,
    open::open,
    payload::Discard,
    receipt::UntrustedReceipt,
    seal::{Content, Draft, Target as SealTarget},
};
use marram_tests::{
    organization::{Organization, rng},
    server::{Server, this_epoch},
};
use serde_json::value::RawValue;

/// Within this time each request of an honest submitter is answered, whatever goes on.
const SERVED_WITHIN: Duration = Duration::from_secs(30);
/// After an attack the server is as before within this time.
const RECOVERS_WITHIN: Duration = Duration::from_mins(1);
/// How much memory the allocator may keep of what an attack took, in KiB. That it keeps no more each time is for
/// `thousands_of_connections_opened_and_closed`.
const KEPT_KIB: u64 = 64 << 10;
/// How many files more than before may be open after an attack: connections of the last honest submitter, a segment.
const OPEN_FILES_MORE: usize = 8;
/// The largest report of the organization.
pub(crate) const LIMIT: u64 = 256 << 20;
/// The smallest bucket for eight slots.
pub(crate) const SMALL: usize = 32 << 10;

/// A server of its own for each attack.
pub(crate) struct Target {
    pub(crate) organization: Organization,
    pub(crate) manifest: Manifest,
    pub(crate) server: Server,
    /// Another courier of the organization.
    pub(crate) turned_courier: SigningKey,
    /// A sealed report, of which noise is made.
    template: Vec<u8>,
    /// The manifest as it is shown: with the signatures in the order of the charter's keys.
    shown: Vec<u8>,
    /// How many reports were acknowledged, and their bytes.
    stored: AtomicU64,
    stored_bytes: AtomicU64,
    before: Usage,
    said_before: String,
    _folder: tempfile::TempDir,
    /// One attack at a time: they would disturb each other's figures.
    _alone: MutexGuard<'static, ()>,
}

/// What the server's process uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) resident_kib: u64,
    /// The most that it ever used.
    pub(crate) peak_kib: u64,
    pub(crate) open_files: usize,
    /// Of those, files that have no name (any more): reports that are under way.
    pub(crate) unnamed: usize,
}

impl Target {
    /// A server with its defaults.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A server with these values in the section `[limits]`.
    pub(crate) fn with(limits: &[(&str, u64)]) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // The server must ask for what it needs by itself.
        open_files_at_most(Some(256));
        let folder = tempfile::tempdir().unwrap();
        let mut organization = Organization::found();
        let mut server = Server::init(folder.path(), &organization);
        organization.log_is(server.log);
        let turned_courier = SigningKey::random(&mut rng());
        let mut draft = organization.draft(this_epoch(), LIMIT);
        draft.couriers.push(turned_courier.public());
        draft.couriers.sort();
        let manifest = organization.signed(&draft);
        server.put("/v1/manifest", &manifest.to_bytes());
        if !limits.is_empty() {
            server.stop();
            limit(&server, limits);
            server.start();
        }
        open_files_at_most(None);
        let mut note = manifest.note().clone();
        note.keep_only(&organization.chain.newest().root_keys());
        let mut target = Self {
            shown: note.to_bytes(),
            stored: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            template: sealed(&manifest),
            manifest,
            turned_courier,
            organization,
            before: Usage::of(&server),
            said_before: String::new(),
            server,
            _folder: folder,
            _alone: alone,
        };
        assert_eq!(target.template.len(), SMALL);
        // What every server needs for its first reports is no attack's doing.
        target.serves_honest_submitters();
        target.before = target.usage();
        target.said_before = target.server.said();
        target
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.base.strip_prefix("http://").unwrap().parse().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The head of a `POST` of a report of so many bytes.
    pub(crate) fn head(&self, len: u64) -> Vec<u8> {
        let epoch = self.manifest.epoch;
        format!("POST /v1/reports?epoch={epoch} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n").into_bytes()
    }

    /// Something that has the shape of a sealed report, which nobody can open. Each number has its own.
    pub(crate) fn noise(&self, number: u32) -> Vec<u8> {
        let mut noise = self.template.clone();
        let end = noise.len();
        noise[end - 4..].copy_from_slice(&number.to_be_bytes());
        noise
    }

    /// Honest submitters fetch the manifest, seal to it, and send; each has a receipt in time, which is good, and what
    /// was sent is there for a caseworker to open.
    pub(crate) fn serves_honest_submitters(&self) {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..2).for_each(|_| self.serves_an_honest_submitter()));
            }
        });
    }

    fn serves_an_honest_submitter(&self) {
        let base = &self.server.base;
        let agent = honest_agent();
        let answer = agent.get(format!("{base}/v1/manifest")).call();
        let manifest = answer.expect("the manifest in time").body_mut().read_to_vec().unwrap();
        assert_eq!(manifest, self.shown);
        let report = sealed(&self.manifest);
        let posted = agent
            .post(format!("{base}/v1/reports?epoch={}", self.manifest.epoch))
            .send(&report);
        let receipt = posted.expect("an answer in time").body_mut().read_to_vec().unwrap();
        let receipt = UntrustedReceipt::parse(&receipt)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&receipt)));
        let receipt = receipt
            .verify(self.organization.chain.instance(), &self.organization.log)
            .unwrap();
        assert_eq!(receipt.leaf().digest, Digest::of(&report));
        self.opens(receipt.leaf().digest);
        self.was_stored(report.len() as u64);
    }

    /// Notes that a report of `len` bytes was acknowledged, and so must be there.
    pub(crate) fn was_stored(&self, len: u64) {
        self.stored.fetch_add(1, Ordering::Relaxed);
        self.stored_bytes.fetch_add(len, Ordering::Relaxed);
    }

    /// How many reports were acknowledged.
    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// What was acknowledged is stored, and nothing else: no leaf, no byte of a body, no file.
    fn stored_nothing_else(&self) {
        let leaves = self.server.leaves(&self.organization);
        assert_eq!(leaves.len() as u64, self.stored());
        let data = self.server.data();
        let mut bodies = 0;
        let mut others = Vec::new();
        for file in files_below(data) {
            if file.starts_with(data.join("store/segments")) {
                bodies += file.metadata().unwrap().len();
            } else if !file.starts_with(data.join("store/view")) {
                others.push(file.strip_prefix(data).unwrap().to_owned());
            }
        }
        assert_eq!(bodies, self.stored_bytes.load(Ordering::Relaxed));
        others.sort();
        assert_eq!(
            others,
            ["log.key", "marram-server.toml", "store/ledger", "store/lock"].map(PathBuf::from)
        );
    }

    fn opens(&self, digest: Digest) {
        let (courier, instance) = (&self.organization.courier, self.organization.chain.instance());
        let path = format!("/v1/reports/{digest}");
        let ciphertext = self.server.get_as_courier(courier, instance, &path, "");
        let sealed_for = SealTarget::from(&self.manifest);
        let identity = &self.organization.caseworkers[0];
        assert_eq!(Digest::of(&ciphertext), digest);
        open(ciphertext.as_slice(), &sealed_for, identity, &mut Discard).unwrap();
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(&self.server)
    }

    /// Says what the attack took, and that its memory stayed below a bound.
    pub(crate) fn stays_below_mib(&self, bound: u64) -> Usage {
        let (usage, before) = (self.usage(), self.before);
        println!(
            "memory: {} KiB before, at most {} since, {} now; open files: {} before, {} now",
            before.resident_kib, usage.peak_kib, usage.resident_kib, before.open_files, usage.open_files
        );
        assert!(usage.peak_kib < bound << 10, "{usage:?}");
        usage
    }

    /// The server has noticed that the attackers are gone, and closed their connections.
    pub(crate) fn lets_go(&self) {
        self.comes_to(|usage| usage.holds_no_more_files_than(self.before));
    }

    fn comes_to(&self, rest: impl Fn(&Usage) -> bool) {
        let began = Instant::now();
        loop {
            let usage = self.usage();
            if rest(&usage) {
                break;
            }
            assert!(
                began.elapsed() < RECOVERS_WITHIN,
                "before: {:?}, now: {usage:?}",
                self.before
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The attackers are gone, or were cut off: the server is as it was before.
    pub(crate) fn recovers(&self) {
        self.comes_to(|usage| {
            usage.holds_no_more_files_than(self.before)
                && usage.unnamed == 0
                && usage.resident_kib <= self.before.resident_kib + KEPT_KIB
        });
        self.serves_honest_submitters();
        let health = self.server.health();
        assert_eq!(health.0, 200, "{}", health.1);
        self.stored_nothing_else();
        // An attack fills no disk with words.
        assert_eq!(self.server.said(), self.said_before);
    }
}

impl Usage {
    fn holds_no_more_files_than(&self, before: Self) -> bool {
        self.open_files <= before.open_files + OPEN_FILES_MORE
    }

    fn of(server: &Server) -> Self {
        let process = format!("/proc/{}", server.process_id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
        };
        let files: Vec<_> = fs::read_dir(format!("{process}/fd"))
            .unwrap()
            .filter_map(|file| fs::read_link(file.unwrap().path()).ok())
            .collect();
        let unnamed = files
            .iter()
            .filter(|file| file.to_string_lossy().ends_with(" (deleted)"))
            .count();
        Self {
            resident_kib: kib("VmRSS:"),
            peak_kib: kib("VmHWM:"),
            open_files: files.len(),
            unnamed,
        }
    }
}

/// A client that waits no longer than an honest submitter would, and tries nothing twice.
fn honest_agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(SERVED_WITHIN));
    ureq::Agent::new_with_config(config.build())
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}

fn limit(server: &Server, limits: &[(&str, u64)]) {
    let config = server.data().join("marram-server.toml");
    let text = fs::read_to_string(&config).unwrap();
    let values: Vec<_> = limits.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let section = format!("[limits]\n{}\n", values.join("\n"));
    fs::write(config, text.replace("[limits]\n", &section)).unwrap();
}

/// How many files this process, and what it starts, may have open; as many as it ever can unless said.
fn open_files_at_most(number: Option<u64>) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = number.or(limit.maximum);
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn sealed(manifest: &Manifest) -> Vec<u8> {
    let content = Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string("{}".to_owned()).unwrap(),
    };
    let target = SealTarget::from(manifest);
    let draft = Draft::new(&target, &Codename::random(&mut rng()), content, &[]).unwrap();
    let mut ciphertext = Vec::new();
    draft
        .seal(&mut ciphertext, |_| unreachable!("it has no attachments"))
        .unwrap();
    ciphertext
}
