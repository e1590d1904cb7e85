//! 32 submitters, a courier and a caseworker: what they were told, and whether it still holds.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use marram_crypto::{
    codename::Codename,
    digest::{Digest, Hasher},
    key::SigningKey,
    leaf::Leaf,
    manifest::BoardShape,
    open::open,
    payload::Discard,
    receipt::UntrustedReceipt,
    seal::{Content, Draft, Measure, Target},
};
use marram_tests::{
    organization::{Organization, rng},
    server::{Server, this_epoch},
};
use scopeguard::guard;
use serde_json::value::RawValue;

const SUBMITTERS: usize = 32;
/// Every so many reports, one with an attachment: more than the server keeps in memory.
const ATTACHED_EVERY: usize = 50;
const ATTACHMENT_LEN: usize = 1_200_000;
/// Every so many reports are posted once more: the answer must be the same.
const REPEATED_EVERY: usize = 4;
/// Longer than anything takes that a rig waits for.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// A submitter who was refused comes back after this time.
const COMES_BACK: Duration = Duration::from_millis(20);

/// The organization.
pub(crate) struct Rig {
    pub(crate) organization: Organization,
    /// Two caseworkers' keys, to sign orders with.
    pub(crate) signers: [SigningKey; 2],
    pub(crate) board: BoardShape,
    target: Target,
}

/// The leaves of receipts, by the digest of the report.
pub(crate) type Promised = BTreeMap<Digest, Leaf>;

/// What a server has promised until now.
#[derive(Default)]
pub(crate) struct Promises {
    /// With the length of the journal when the receipt had come.
    made: Mutex<BTreeMap<Digest, (Leaf, u64)>>,
    journal: Option<PathBuf>,
}

/// What the submitters are doing.
pub(crate) struct Posting<'a> {
    rig: &'a Rig,
    promises: &'a Promises,
    in_round: AtomicUsize,
    working: AtomicUsize,
    over: AtomicBool,
    refusals: Mutex<BTreeMap<String, usize>>,
}

impl Rig {
    /// Founds an organization and its server in `folder`.
    pub(crate) fn found(folder: &Path) -> (Self, Server) {
        let mut organization = Organization::found();
        let server = Server::init(folder, &organization);
        organization.log_is(server.log);
        let signers = [(); 2].map(|()| SigningKey::random(&mut rng()));
        let mut draft = organization.draft(this_epoch(), 4 << 20);
        for (slot, signer) in draft.slots.iter_mut().zip(&signers) {
            slot.signer = signer.public();
        }
        let manifest = organization.signed(&draft);
        server.put("/v1/manifest", &manifest.to_bytes());
        let rig = Self {
            signers,
            board: draft.board,
            target: Target::from(&manifest),
            organization,
        };
        (rig, server)
    }

    /// Seals reports, each of which opens.
    pub(crate) fn seal(&self, count: usize) -> Vec<Vec<u8>> {
        let half = |range: std::ops::Range<usize>| range.map(|n| sealed(&self.target, n)).collect::<Vec<_>>();
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| half(0..count / 2));
            (half(count / 2..count), first.join().unwrap())
        });
        [first, second].concat()
    }

    /// 32 submitters post `reports`, until those are used up, or the server is gone, or `during` has returned. Who is
    /// refused comes back with the same report.
    ///
    /// Returns what `during` returned, and how often which problem was answered.
    pub(crate) fn while_posting<T>(
        &self,
        promises: &Promises,
        base: &str,
        reports: &[Vec<u8>],
        during: impl FnOnce(&Posting) -> T,
    ) -> (T, BTreeMap<String, usize>) {
        let posting = Posting {
            rig: self,
            promises,
            in_round: AtomicUsize::new(0),
            working: AtomicUsize::new(SUBMITTERS),
            over: AtomicBool::new(false),
            refusals: Mutex::default(),
        };
        let next = AtomicUsize::new(0);
        let returned = std::thread::scope(|scope| {
            for _ in 0..SUBMITTERS {
                scope.spawn(|| {
                    posting.submit(base, reports, &next);
                    posting.working.fetch_sub(1, Ordering::AcqRel);
                });
            }
            // Also if it panics: the submitters end.
            let over = guard((), |()| posting.over.store(true, Ordering::Release));
            let returned = during(&posting);
            drop(over);
            returned
        });
        (returned, posting.refusals.into_inner().unwrap())
    }

    /// Verifies that everything in the log is there, opens and is wholly sealed, that it is what was `promised`, and that
    /// it begins with the leaves that were `seen`. Returns the leaves.
    pub(crate) fn verify(&self, server: &Server, promised: &Promised, seen: &[Leaf]) -> Vec<Leaf> {
        let leaves = server.leaves(&self.organization);
        let known: BTreeMap<_, _> = leaves.iter().map(|leaf| (leaf.digest, *leaf)).collect();
        assert_eq!(known.len(), leaves.len(), "no report is logged twice");
        for (digest, leaf) in promised {
            assert_eq!(
                known.get(digest),
                Some(leaf),
                "an acknowledged report is in the log as its receipt says"
            );
        }
        assert!(
            leaves.starts_with(seen),
            "what a courier has read is still there, in its order"
        );
        std::thread::scope(|scope| {
            for half in leaves.chunks(leaves.len().div_ceil(2).max(1)) {
                scope.spawn(|| half.iter().for_each(|leaf| self.opens(server, leaf)));
            }
        });
        leaves
    }

    /// Also those that were never acknowledged but made it into the log are whole.
    fn opens(&self, server: &Server, leaf: &Leaf) {
        let ciphertext = self.body(server, leaf);
        let identity = &self.organization.caseworkers[1];
        let opened = open(ciphertext.as_slice(), &self.target, identity, &mut Discard).unwrap();
        assert_eq!(
            (Digest::of(&ciphertext), ciphertext.len() as u64),
            (leaf.digest, leaf.size())
        );
        opened.wholly_sealed(&self.target).unwrap();
    }

    /// The body of a report, as a courier reads it.
    pub(crate) fn body(&self, server: &Server, leaf: &Leaf) -> Vec<u8> {
        let organization = &self.organization;
        let path = format!("/v1/reports/{}", leaf.digest);
        server.get_as_courier(&organization.courier, organization.chain.instance(), &path, "")
    }
}

impl Promises {
    /// For each is noted how far the server's journal was.
    pub(crate) fn timed_by(journal: &Path) -> Self {
        Self {
            made: Mutex::default(),
            journal: Some(journal.to_owned()),
        }
    }

    /// All that were made until now.
    pub(crate) fn until_now(&self) -> Promised {
        self.before(u64::MAX)
    }

    /// Those that were made when the journal was at most so long.
    pub(crate) fn before(&self, journal_len: u64) -> Promised {
        let made = self.made.lock().unwrap();
        let before = made.iter().filter(|(_, (_, at))| *at <= journal_len);
        before.map(|(digest, (leaf, _))| (*digest, *leaf)).collect()
    }

    /// Takes a receipt. Whether it is the first of that report.
    fn take(&self, leaf: Leaf) -> bool {
        let at = self
            .journal
            .as_ref()
            .map_or(0, |journal| fs::metadata(journal).unwrap().len());
        match self.made.lock().unwrap().entry(leaf.digest) {
            Entry::Vacant(entry) => {
                entry.insert((leaf, at));
                true
            }
            Entry::Occupied(entry) => {
                assert_eq!(entry.get().0, leaf, "the same report has the same receipt");
                false
            }
        }
    }
}

impl Posting<'_> {
    /// How many reports were acknowledged in this round.
    pub(crate) fn acknowledged(&self) -> usize {
        self.in_round.load(Ordering::Acquire)
    }

    /// How many requests were refused in this round.
    pub(crate) fn refused(&self) -> usize {
        self.refusals.lock().unwrap().values().sum()
    }

    /// Waits until something is so, while the submitters work.
    pub(crate) fn until(&self, mut it_is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !it_is_so() {
            assert!(
                self.working.load(Ordering::Acquire) > 0,
                "the submitters have ended, and it is still not so"
            );
            assert!(
                began.elapsed() < LONGEST_WAIT,
                "it is not so after {LONGEST_WAIT:?}: {} acknowledged, {} refused",
                self.acknowledged(),
                self.refused()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn submit(&self, base: &str, reports: &[Vec<u8>], next: &AtomicUsize) {
        let address = format!("{base}/v1/reports?epoch={}", this_epoch());
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent = ureq::Agent::new_with_config(config);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(report) = reports.get(number) else { return };
            let times = if number.is_multiple_of(REPEATED_EVERY) { 2 } else { 1 };
            for _ in 0..times {
                let Some(leaf) = self.post(&agent, &address, report) else {
                    return;
                };
                if self.promises.take(leaf) {
                    self.in_round.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }

    /// The leaf of the receipt; nothing, if the server is gone or it is over.
    fn post(&self, agent: &ureq::Agent, address: &str, report: &[u8]) -> Option<Leaf> {
        loop {
            if self.over.load(Ordering::Acquire) {
                return None;
            }
            let mut answer = agent.post(address).send(report).ok()?;
            let status = answer.status().as_u16();
            let body = answer.body_mut().read_to_vec().ok()?;
            if status == 201 {
                let receipt = UntrustedReceipt::parse(&body).unwrap();
                let instance = self.rig.organization.chain.instance();
                let receipt = receipt.verify(instance, &self.rig.organization.log).unwrap();
                assert_eq!(receipt.leaf().digest, Digest::of(report));
                return Some(*receipt.leaf());
            }
            let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (status, answer.headers()["content-type"].to_str().unwrap()),
                (503, "application/problem+json")
            );
            assert!(answer.headers().contains_key("retry-after"));
            let kind = problem["type"]
                .as_str()
                .unwrap()
                .trim_start_matches("urn:marram:problem:")
                .to_owned();
            *self.refusals.lock().unwrap().entry(kind).or_default() += 1;
            std::thread::sleep(COMES_BACK);
        }
    }
}

fn sealed(target: &Target, number: usize) -> Vec<u8> {
    let content = Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string(format!(r#"{{"number":{number}}}"#)).unwrap(),
    };
    let attached = vec![
        b'a';
        if number % ATTACHED_EVERY == 1 {
            ATTACHMENT_LEN
        } else {
            0
        }
    ];
    let attachments = match attached.len() {
        0 => vec![],
        _ => vec![Measure::of(attached.as_slice()).unwrap()],
    };
    let draft = Draft::new(target, &Codename::random(&mut rng()), content, &attachments).unwrap();
    let mut ciphertext = Vec::new();
    draft
        .seal(&mut ciphertext, |_| {
            Ok(Box::new(std::io::Cursor::new(attached.clone())))
        })
        .unwrap();
    ciphertext
}

/// Bytes in the ledger and in all segments.
pub(crate) fn stored_bytes(data: &Path) -> u64 {
    let segments = fs::read_dir(data.join("store/segments")).into_iter().flatten();
    let files = segments.map(|entry| entry.unwrap().path());
    files
        .chain([data.join("store/ledger")])
        .map(|file| fs::metadata(file).unwrap().len())
        .sum()
}

/// How many bytes the server said that it cut off.
pub(crate) fn said_cut(log: &str) -> u64 {
    let said = log.split("cut_bytes=").skip(1);
    said.map(|rest| rest.split_whitespace().next().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// The root of the log's tree (RFC 6962, section 2.1).
pub(crate) fn root(leaves: &[Leaf]) -> Digest {
    let hash = |prefix: u8, parts: [&[u8]; 2]| {
        let mut hasher = Hasher::new();
        hasher.update(&[prefix]);
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    };
    match leaves {
        [] => Digest::of(b""),
        [leaf] => hash(0, [&leaf.to_bytes(), &[]]),
        leaves => {
            let (left, right) = leaves.split_at(leaves.len().div_ceil(2).next_power_of_two());
            hash(1, [root(left).as_bytes(), root(right).as_bytes()])
        }
    }
}
