//! Everybody at once: 32 posters, two caseworkers who give orders, and two couriers who carry.
//!
//! `MARRAM_CROWD_SECONDS` says for how long people post; caseworkers and couriers go on until all of it was read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use marram_crypto::{
    codename::Codename,
    digest::Digest,
    leaf::Leaf,
    order::{OrderFile, UntrustedOrder, What},
    receipt::UntrustedReceipt,
    seal::{Content, Draft, Target},
};
use marram_tests::{
    office::{courier_key, enrol},
    organization::{Organization, rng},
    programs::{offline, program, succeeds},
    server::{Server, this_epoch},
};
use scopeguard::guard;
use serde_json::{Value, value::RawValue};

const POSTERS: usize = 32;
/// What a poster takes to write the next report.
const BETWEEN: Duration = Duration::from_secs(2);
const INCIDENT: &str = include_str!("../../deploy/samples/20-few-words/report.json");
/// A caseworker, and the courier who comes by.
const DESKS: [(&str, &str); 2] = [("heron", "swift"), ("ibis", "tern")];

struct Crowd {
    folder: tempfile::TempDir,
    organization: Organization,
    server: Server,
    target: Target,
    /// What receipts promise.
    promised: Mutex<BTreeMap<Digest, Leaf>>,
    posting: AtomicUsize,
}

/// A caseworker's offline computer, and the courier's stick.
struct Desk<'a> {
    crowd: &'a Crowd,
    caseworker: &'static str,
    courier: &'static str,
    bundles: Vec<PathBuf>,
    /// What became of each report, by the imports.
    fates: BTreeMap<Digest, String>,
    /// The last case that an order was given for.
    ordered: u64,
    made: usize,
}

/// What was ordered by one of two, and by both.
#[derive(Default)]
struct Ordered {
    by_one: BTreeSet<Digest>,
    by_both: BTreeSet<Digest>,
    boards: usize,
}

impl Crowd {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut organization = Organization::found();
        let server = Server::init(folder.path(), &organization);
        organization.log_is(server.log);
        let caseworkers = DESKS.map(|(name, _)| enrol(&organization, &folder.path().join(name), this_epoch(), 2));
        let couriers = DESKS.map(|(_, name)| courier_key(&folder.path().join(name)));
        let manifests: Vec<_> = (0..2)
            .map(|week| {
                let mut draft = organization.draft(this_epoch().plus(week), 1 << 20);
                for (slot, own) in draft.slots.iter_mut().zip(&caseworkers) {
                    slot.clone_from(&own[week as usize]);
                }
                draft.couriers.extend(couriers);
                draft.couriers.sort();
                organization.signed(&draft)
            })
            .collect();
        for manifest in &manifests {
            server.put("/v1/manifest", &manifest.to_bytes());
        }
        Self {
            target: Target::from(&manifests[0]),
            folder,
            organization,
            server,
            promised: Mutex::default(),
            posting: AtomicUsize::new(POSTERS),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes report after report, and sends one of four twice.
    fn posts(&self, reports: u64) {
        // Also if a receipt is wrong: the others must not wait for ever.
        let _done = guard((), |()| {
            self.posting.fetch_sub(1, Ordering::AcqRel);
        });
        let address = format!("{}/v1/reports?epoch={}", self.server.base, this_epoch());
        for number in 0..reports {
            let report = self.sealed();
            for _ in 0..=u64::from(number.is_multiple_of(4)) {
                let receipt = ureq::post(&address).send(&report).unwrap().body_mut().read_to_vec();
                let receipt = UntrustedReceipt::parse(&receipt.unwrap()).unwrap();
                let instance = self.organization.chain.instance();
                let leaf = *receipt.verify(instance, &self.organization.log).unwrap().leaf();
                assert_eq!(leaf.digest, Digest::of(&report));
                let before = self.promised.lock().unwrap().insert(leaf.digest, leaf);
                assert!(before.is_none_or(|before| before == leaf));
            }
            std::thread::sleep(BETWEEN);
        }
    }

    fn sealed(&self) -> Vec<u8> {
        let content = Content {
            continues: false,
            answers: [].into(),
            incident: RawValue::from_string(INCIDENT.to_owned()).unwrap(),
        };
        let draft = Draft::new(&self.target, &Codename::random(&mut rng()), content, &[]).unwrap();
        let mut ciphertext = Vec::new();
        draft.seal(&mut ciphertext, |_| unreachable!()).unwrap();
        ciphertext
    }

    fn get(&self, path: &str, query: &str) -> Result<Vec<u8>, ureq::Error> {
        let (courier, instance) = (&self.organization.courier, self.organization.chain.instance());
        self.server.try_get_as_courier(courier, instance, path, query)
    }

    /// What the server says that it was ordered to do.
    fn ordered(&self) -> Ordered {
        let mut ordered = Ordered::default();
        let mut from = 0;
        loop {
            let page = self.get("/v1/log/orders", &format!("from={from}")).unwrap();
            let notes: Vec<String> = serde_json::from_slice(&page).unwrap();
            if notes.is_empty() {
                return ordered;
            }
            from += notes.len();
            for note in notes {
                let order = UntrustedOrder::parse(note.as_bytes()).unwrap();
                match &order.claims().what {
                    What::Hang { .. } => ordered.boards += 1,
                    What::Delete(digests) if order.note().signatures() == 2 => ordered.by_both.extend(digests),
                    What::Delete(digests) => ordered.by_one.extend(digests),
                }
            }
        }
    }
}

impl<'a> Desk<'a> {
    fn new(crowd: &'a Crowd, (caseworker, courier): (&'static str, &'static str)) -> Self {
        for name in ["outbox", "to-co-sign"] {
            fs::create_dir(crowd.path(&format!("{caseworker}-{name}"))).unwrap();
        }
        let (bundles, fates) = (Vec::new(), BTreeMap::new());
        Self {
            crowd,
            caseworker,
            courier,
            bundles,
            fates,
            ordered: 0,
            made: 0,
        }
    }

    fn folder(&self, whose: &str, name: &str) -> PathBuf {
        self.crowd.path(&format!("{whose}-{name}"))
    }

    fn casework(&self, args: &[&str]) -> Command {
        let home = self.crowd.path(self.caseworker);
        let mut command = offline("marram-casework", &home);
        command.arg("--home").arg(&home).arg("--json").args(args);
        command.current_dir(&self.crowd.folder);
        command
    }

    fn courier(&self, args: &[&str]) -> Value {
        let home = self.crowd.path(self.courier);
        let mut command = program("marram-courier", &home);
        command.arg("--home").arg(&home).arg("--json").args(args);
        json(command.current_dir(&self.crowd.folder))
    }

    fn pulls(&mut self) -> PathBuf {
        let bundle = self.crowd.path(&format!("{}-{}.tar", self.courier, self.bundles.len()));
        let link = format!("{}/#{}", self.crowd.server.base, self.crowd.organization.chain.pinned());
        let pulled = self.courier(&["pull", "--link", &link, "--out", bundle.to_str().unwrap()]);
        assert_eq!(pulled["alarms"], Value::Array(vec![]), "{pulled}");
        self.bundles.push(bundle.clone());
        bundle
    }

    fn imports(&mut self, bundles: &[PathBuf]) {
        let imported = json(self.casework(&["import"]).args(bundles));
        for bundle in imported["bundles"].as_array().unwrap() {
            for report in bundle["reports"].as_array().unwrap() {
                let digest: Digest = report["digest"].as_str().unwrap().parse().unwrap();
                let outcome = report["outcome"].as_str().unwrap().to_owned();
                let before = self.fates.insert(digest, outcome.clone());
                assert!(before.is_none_or(|before| before == outcome), "{report}");
            }
        }
    }

    /// Has destroyed: of the reports that came since, the first on one signature, the next two on two. And a board.
    fn gives_orders(&mut self) {
        let listed = json(&mut self.casework(&["list"]));
        let ids = listed["reports"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|report| report["id"].as_u64());
        let [first, second, third] = ids.filter(|id| *id > self.ordered).take(3).collect::<Vec<_>>()[..] else {
            return;
        };
        self.ordered = third;
        let outbox = self.folder(self.caseworker, "outbox");
        let colleague = self.folder(self.colleague(), "to-co-sign");
        let delete = |ids: &[u64], out: &PathBuf| {
            let mut order = self.casework(&["order", "delete", "--out", out.to_str().unwrap()]);
            json(order.args(ids.iter().map(ToString::to_string)))
        };
        delete(&[first], &outbox);
        delete(&[second, third], &colleague);
        json(&mut self.casework(&["board", "--out", outbox.to_str().unwrap()]));
        self.made += 1;
    }

    fn colleague(&self) -> &'static str {
        let mut names = DESKS.iter().map(|(name, _)| *name);
        names.find(|name| *name != self.caseworker).unwrap()
    }

    /// Signs what the colleague wants destroyed and I have read. What I have not read yet stays for the next time.
    fn co_signs(&self) {
        let outbox = self.folder(self.caseworker, "outbox");
        let yes = self.crowd.path("yes");
        fs::write(&yes, "yes\n").unwrap();
        for file in fs::read_dir(self.folder(self.caseworker, "to-co-sign")).unwrap() {
            let file = file.unwrap().path();
            let order = OrderFile::parse(&fs::read(&file).unwrap()).unwrap().order;
            let What::Delete(digests) = &order.claims().what else {
                panic!()
            };
            if digests.iter().all(|digest| self.fates.contains_key(digest)) {
                let mut co_sign = self.casework(&["order", "co-sign"]);
                let output = co_sign
                    .arg(&file)
                    .stdin(fs::File::open(&yes).unwrap())
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{output:?}");
                fs::rename(&file, outbox.join(file.file_name().unwrap())).unwrap();
            }
        }
    }

    fn publishes(&self) {
        let outbox = self.folder(self.caseworker, "outbox");
        let mut waiting = fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().path());
        if waiting.any(|path| path.is_file()) {
            self.courier(&["publish", outbox.to_str().unwrap()]);
        }
    }

    fn reads_what_is_new(&mut self) {
        let bundle = self.pulls();
        self.imports(&[bundle]);
    }
}

fn at_once<'a>(desks: &mut [Desk<'a>; 2], act: impl Fn(&mut Desk<'a>) + Sync) {
    std::thread::scope(|scope| {
        for desk in desks {
            scope.spawn(|| act(desk));
        }
    });
}

fn json(command: &mut Command) -> Value {
    serde_json::from_str(&succeeds(command)).unwrap()
}

#[test]
fn of_32_posters_two_caseworkers_and_two_couriers_at_once_nothing_is_lost_and_everything_is_accounted_for() {
    let seconds = std::env::var("MARRAM_CROWD_SECONDS").map_or(12, |seconds| seconds.parse().unwrap());
    let crowd = Crowd::new();
    let mut desks = DESKS.map(|desk| Desk::new(&crowd, desk));
    let began = Instant::now();
    let crowd = &crowd;
    std::thread::scope(|scope| {
        for _ in 0..POSTERS {
            scope.spawn(move || crowd.posts(seconds / BETWEEN.as_secs()));
        }
        for desk in &mut desks {
            scope.spawn(move || {
                while crowd.posting.load(Ordering::Acquire) > 0 || desk.made == 0 {
                    desk.reads_what_is_new();
                    desk.co_signs();
                    desk.gives_orders();
                    desk.publishes();
                }
            });
        }
    });
    // The last walk of both couriers; and then each caseworker also takes what the other's has brought.
    at_once(&mut desks, |desk| {
        desk.reads_what_is_new();
        desk.co_signs();
        desk.publishes();
    });
    at_once(&mut desks, Desk::reads_what_is_new);
    let brought = desks.each_ref().map(|desk| desk.bundles.clone());
    at_once(&mut desks, |desk| {
        let [own, other] = &brought;
        desk.imports(if desk.bundles == *own { other } else { own });
    });

    let promised = crowd.promised.lock().unwrap();
    let logged = crowd.server.leaves(&crowd.organization);
    assert_eq!(
        logged.len(),
        promised.len(),
        "nothing is logged that nobody was promised"
    );
    assert!(logged.iter().all(|leaf| promised.get(&leaf.digest) == Some(leaf)));
    let ordered = crowd.ordered();
    assert!(!ordered.by_both.is_empty() && !ordered.by_one.is_empty() && ordered.boards > 1);
    for leaf in &logged {
        for desk in &desks {
            assert_eq!(
                desk.fates.get(&leaf.digest).map(String::as_str),
                Some("opened"),
                "{leaf:?}"
            );
        }
        let body = crowd.get(&format!("/v1/reports/{}", leaf.digest), "");
        if ordered.by_both.contains(&leaf.digest) {
            assert!(matches!(body, Err(ureq::Error::StatusCode(410))), "{body:?}");
        } else {
            assert_eq!(
                Digest::of(&body.unwrap()),
                leaf.digest,
                "one signature destroys nothing yet"
            );
        }
    }

    let accounts = desks.each_ref().map(|desk| {
        let alarms = json(&mut desk.casework(&["alarms"]));
        assert_eq!(alarms["alarms"], Value::Array(vec![]));
        let status = json(&mut desk.casework(&["status"]));
        (status["log"].clone(), status["leaves"].clone())
    });
    assert_eq!(accounts[0], accounts[1]);
    let (log, classes) = &accounts[0];
    assert_eq!(log["size"], logged.len());
    let deleted = ordered.by_both.len();
    assert_eq!(
        classes,
        &serde_json::json!({"opened": logged.len() - deleted, "deleted": deleted})
    );
    for (desk, colleague) in desks.iter().zip(desks.iter().rev()) {
        let standing = crowd.path(&format!("{}.standing", desk.caseworker));
        json(desk.casework(&["standing", "--out"]).arg(&standing));
        let compared = json(colleague.casework(&["compare"]).arg(&standing));
        assert_eq!(
            (&compared["forked"], &compared["not_opened"]),
            (&false.into(), &0.into())
        );
        assert_eq!(
            (&compared["not_compared"], &compared["their_size"]),
            (&0.into(), &logged.len().into())
        );
    }
    println!(
        "{} s: {} reports, {deleted} destroyed by two, {} ordered by one, {} boards, {} bundles",
        began.elapsed().as_secs(),
        logged.len(),
        ordered.by_one.len(),
        ordered.boards,
        brought.concat().len()
    );
}
