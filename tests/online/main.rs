//! The real server, courier and submitter's program with each other: receipts, checkpoints, canaries, orders, boards.
#![allow(clippy::unwrap_used, reason = "tests")]

mod crowd;
mod wire;

use std::{fs, path::Path, process::Command};

use marram_crypto::{
    board::{self, Answer, AnswerId, Composition, Header, Salt, Shard, UntrustedBoard},
    codename::Codename,
    day::Day,
    digest::Digest,
    key::SigningKey,
    manifest::{BoardShape, Draft},
    order::{self, OrderFile, OrderId, What},
    tree::Head,
};
use marram_tests::{
    organization::{Organization, rng},
    programs::{program, succeeds},
    server::{Server, this_epoch},
};
use serde_json::Value;

/// An organization with a server, a courier, and two caseworkers who give orders.
struct World {
    folder: tempfile::TempDir,
    organization: Organization,
    server: Server,
    this_week: Draft,
    signers: [SigningKey; 2],
    next_week: SigningKey,
}

impl World {
    fn new() -> Self {
        Self::with(BoardShape {
            shards: 1,
            ..BoardShape::default()
        })
    }

    /// Whose boards have this shape.
    fn with(shape: BoardShape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let courier = succeeds(courier(folder.path()).arg("key"));
        let mut organization = Organization::found();
        let server = Server::init(folder.path(), &organization);
        organization.log_is(server.log);
        let signers = [0, 1].map(|_| SigningKey::random(&mut rng()));
        let next_week = SigningKey::random(&mut rng());
        let drafts = [0, 1].map(|n| {
            let mut draft = organization.draft(this_epoch().plus(n), 1 << 20);
            draft.couriers = vec![courier.trim().parse().unwrap()];
            draft.board = shape;
            if n == 0 {
                draft.slots[0].signer = signers[0].public();
                draft.slots[1].signer = signers[1].public();
            } else {
                draft.slots[0].signer = next_week.public();
            }
            draft
        });
        let stick = folder.path().join("stick");
        fs::create_dir(&stick).unwrap();
        fs::write(stick.join("charter.json"), organization.chain.to_json()).unwrap();
        for draft in &drafts {
            let name = format!("{}-1.manifest", draft.epoch);
            fs::write(stick.join(name), organization.signed(draft).to_bytes()).unwrap();
        }
        let [this_week, _] = drafts;
        let world = Self {
            folder,
            organization,
            server,
            this_week,
            signers,
            next_week,
        };
        world.courier(&["publish", "--link", &world.link(), "stick"]);
        world
    }

    fn link(&self) -> String {
        self.link_at(&self.server.base)
    }

    fn link_at(&self, base: &str) -> String {
        format!("{base}/#{}", self.organization.chain.pinned())
    }

    fn courier(&self, args: &[&str]) -> Value {
        serde_json::from_str(&succeeds(courier(self.folder.path()).arg("--json").args(args))).unwrap()
    }

    fn submit(&self, args: &[&str]) -> Value {
        let mut submit = program("marram-submit", self.folder.path());
        submit.current_dir(&self.folder).arg("--json").args(args);
        serde_json::from_str(&succeeds(&mut submit)).unwrap()
    }

    /// Polls with the words in the file `words`.
    fn check(&self) -> Value {
        self.check_at(&self.server.base)
    }

    /// Polls at this address with the words in the file `words`.
    fn check_at(&self, base: &str) -> Value {
        let mut shell = program("sh", self.folder.path());
        shell
            .current_dir(&self.folder)
            .args(["-c", "exec \"$@\" --codename-fd 3 3<words", "sh"])
            .arg(marram_tests::programs::path("marram-submit"))
            .args(["--json", "check", &self.link_at(base)]);
        serde_json::from_str(&succeeds(&mut shell)).unwrap()
    }

    /// Puts an order into the outbox.
    fn order(&self, id: u8, what: What, signers: &[SigningKey], board: Option<Vec<u8>>) {
        let draft = order::Draft {
            instance: self.organization.chain.instance(),
            id: OrderId::from_bytes([id; 16]),
            epoch: this_epoch(),
            expires: today(),
            log: Head::empty(),
            what,
        };
        let mut order = draft.to_note().unwrap();
        for signer in signers {
            order.add_signature(signer).unwrap();
        }
        let outbox = self.folder.path().join("outbox");
        fs::create_dir_all(&outbox).unwrap();
        fs::write(
            outbox.join(format!("{id}.order")),
            OrderFile { order, board }.to_bytes().unwrap(),
        )
        .unwrap();
    }

    /// A board of today, with an answer.
    fn board(&self, codename: &Codename, text: &str) -> UntrustedBoard {
        let (instance, shape) = (self.organization.chain.instance(), self.this_week.board);
        let reply_key = codename.reply_key();
        let answer = Answer::new(AnswerId::random(&mut rng()), today(), text.to_owned()).unwrap();
        let composition = Composition {
            acknowledged: vec![(&reply_key, 1)],
            answers: vec![(&reply_key, &answer)],
        };
        let salt = Salt::random(&mut rng());
        let (image, _) = board::compose(shape, instance, salt, &composition, &mut rng());
        let header = Header {
            instance,
            epoch: this_epoch(),
            day: today(),
            shard: Shard::of(&reply_key, shape),
            salt,
            image: Digest::of(&image),
        };
        let signers = [&self.signers[0], &self.next_week].map(|key| SigningKey::from_seed(&key.seed()));
        UntrustedBoard::sign(header, image, &signers).unwrap()
    }
}

fn courier(folder: &Path) -> Command {
    let mut courier = program("marram-courier", folder);
    courier.current_dir(folder).arg("--home").arg(folder.join("courier"));
    courier
}

fn today() -> Day {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Day::from_unix_seconds(since.unwrap().as_secs())
}

#[test]
fn a_report_is_sent_read_answered_and_deleted_and_everybody_can_tell() {
    let world = World::new();
    let incident = r#"{"schema":"marram/incident/v1","reporter":{"role":"relative","language":"en"},"consent":{"store":true},"narrative":"They came."}"#;
    fs::write(world.folder.path().join("incident.json"), incident).unwrap();
    let sent = world.submit(&[&world.link(), "--incident", "incident.json"]);
    let words = sent["codename"].as_str().unwrap();
    fs::write(world.folder.path().join("words"), words).unwrap();
    assert_eq!(world.check()["board"], "none");
    world.courier(&["canary", "--count", "2"]);

    let pulled = world.courier(&["pull", "--out", "1.tar"]);
    assert_eq!(
        (&pulled["reports"], &pulled["canaries"], &pulled["orders"]),
        (&3.into(), &2.into(), &0.into())
    );
    assert_eq!(pulled["checkpoint"]["size"], 3);
    assert_eq!(pulled["alarms"], serde_json::json!([]));

    // The desk answers, and two caseworkers have a report deleted at once.
    let board = world.board(&Codename::from_words(words).unwrap(), "Come on Monday");
    let hang = What::Hang {
        shard: board.claims().shard,
        header: board.header_digest(),
    };
    world.order(1, hang, &world.signers[..1], Some(board.to_bytes()));
    let digest: Digest = sent["digest"].as_str().unwrap().parse().unwrap();
    world.order(2, What::Delete(vec![digest]), &world.signers, None);
    let published = world.courier(&["publish", "outbox"]);
    assert_eq!(published["orders"].as_array().unwrap().len(), 2);

    let found = world.check();
    assert_eq!((&found["board"], &found["read"]), (&"current".into(), &1.into()));
    assert_eq!(found["answers"][0]["text"], "Come on Monday");

    let pulled = world.courier(&["pull", "--out", "2.tar", "--all"]);
    assert_eq!(
        (&pulled["new_leaves"], &pulled["reports"], &pulled["orders"]),
        (&3.into(), &2.into(), &2.into())
    );
    assert_eq!(pulled["destroyed"], serde_json::json!([digest]));
    assert_eq!(pulled["alarms"], serde_json::json!([]));
}

#[test]
fn a_server_that_was_killed_contradicts_nothing_that_a_courier_has_seen() {
    let mut world = World::new();
    world.courier(&["canary", "--count", "3"]);
    world.courier(&["pull", "--out", "1.tar"]);
    world.server.kill();
    world.server.start();
    let link = world.link();
    world.courier(&["canary", "--link", &link]);
    let pulled = world.courier(&["pull", "--link", &link, "--out", "2.tar"]);
    assert_eq!((&pulled["position"], &pulled["canaries"]), (&4.into(), &1.into()));
    assert_eq!(pulled["alarms"], serde_json::json!([]));
}
