//! Orders under attack: by couriers, strangers, and caseworkers who were dropped.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use harness::{
    Answer, Organization, Server, board_of, delete, hang, order_file, order_of, rng, sealed, send, signer, trace,
};
use marram_crypto::{
    board::UntrustedBoard,
    checkpoint::UntrustedCheckpoint,
    day::Epoch,
    digest::Digest,
    instance::InstanceId,
    key::SigningKey,
    manifest::{BoardShape, Manifest, Slot},
    order::{Draft, OrderFile, UntrustedOrder, What},
    tree::Tree,
};
use marram_server::http::PROBLEM_LEN;

/// Small, so that the tests are fast.
const SHAPE: BoardShape = BoardShape {
    shards: 2,
    tags: 16,
    cells: 2,
    cadence_days: 7,
};

struct Office {
    server: Server,
    epoch: Epoch,
    manifest: Manifest,
    reports: Vec<Vec<u8>>,
}

impl Office {
    /// A server with the manifests of two epochs, and some reports.
    fn with(reports: usize) -> Self {
        let server = Server::start();
        let epoch = server.epoch();
        let manifest = publish(&server, epoch, 1, |_| {});
        publish(&server, epoch.plus(1), 1, |_| {});
        let reports: Vec<_> = (0..reports).map(|_| sealed(&manifest, 0)).collect();
        for report in &reports {
            server.post(epoch, report).expect(201);
        }
        Self {
            server,
            epoch,
            manifest,
            reports,
        }
    }

    fn instance(&self) -> InstanceId {
        self.server.organization.chain.instance()
    }

    fn draft(&self, what: What) -> Draft {
        order_of(self.instance(), self.epoch, what)
    }

    fn board(&self, shard: u16, day: i32) -> UntrustedBoard {
        let today = self.server.today();
        let day = today.minus(day.min(0).unsigned_abs()).plus(day.max(0).unsigned_abs());
        let image_len = usize::try_from(SHAPE.image_len()).unwrap();
        board_of(self.instance(), self.epoch, day, shard, image_len)
    }

    fn hang(&self, board: &UntrustedBoard) -> Answer {
        let file = order_file(&self.draft(hang(board)), &[signer(self.epoch, 0)], Some(board));
        self.server.order(&file)
    }

    fn polled(&self, shard: &str) -> Answer {
        self.server.get(&format!("/v1/board/{shard}"))
    }

    fn data(&self) -> std::path::PathBuf {
        self.server.folder.path().to_owned()
    }
}

/// An order by the caseworkers of these slots.
fn by(slots: &[u8], draft: &Draft) -> Vec<u8> {
    let signers: Vec<_> = slots.iter().map(|slot| signer(draft.epoch, *slot)).collect();
    order_file(draft, &signers, None)
}

fn publish(
    server: &Server,
    epoch: Epoch,
    version: u32,
    change: impl FnOnce(&mut marram_crypto::manifest::Draft),
) -> Manifest {
    let mut draft = server.organization.draft(epoch, version, server.log);
    draft.board = SHAPE;
    change(&mut draft);
    let manifest = server.organization.sign(&draft);
    server.put("/v1/manifest", &manifest.to_bytes()).expect(201);
    manifest
}

fn somebody_else() -> impl FnOnce(&mut marram_crypto::manifest::Draft) {
    |draft| {
        draft.slots[0] = Slot {
            signer: SigningKey::random(&mut rng()).public(),
            ..draft.slots[0].clone()
        };
    }
}

#[test]
fn two_signers_delete_at_once_and_deleted_means_gone() {
    let mut office = Office::with(4);
    let doomed = [office.reports[1].clone(), office.reports[2].clone()];
    assert!(trace(&office.data(), &doomed[0]).is_some(), "the test finds traces");
    let leaves = office.server.leaves();
    let draft = office.draft(delete(&[&doomed[0], &doomed[1]]));
    office.server.order(&by(&[0, 1], &draft)).expect(201);
    let check = |office: &Office| {
        for report in &doomed {
            assert_eq!(office.server.fetch(report).expect(410).problem(), "report-destroyed");
            assert_eq!(trace(&office.data(), report), None);
            // Sent again, it is answered like any other report, and is not stored.
            let receipt = office.server.post(office.epoch, report).expect(201);
            assert_eq!(office.server.receipt(&receipt).leaf().digest, Digest::of(report));
            assert_eq!(office.server.fetch(report).status, 410);
        }
        for report in [&office.reports[0], &office.reports[3]] {
            assert!(&office.server.fetch(report).expect(200).body == report);
        }
        assert_eq!(office.server.leaves(), leaves, "the log only grows");
    };
    check(&office);
    office.server.restart();
    check(&office);
    office.server.stop();
    for report in &doomed {
        assert_eq!(trace(&office.data(), report), None);
    }
}

#[test]
fn one_signer_waits_until_the_seventh_day_and_one_signer_twice_is_one() {
    let mut office = Office::with(2);
    let signers = [signer(office.epoch, 0), signer(office.epoch, 0)];
    let draft = office.draft(delete(&[&office.reports[0]]));
    let mut twice = draft.to_note().unwrap();
    for signer in &signers {
        twice.add_signature(signer).unwrap();
    }
    let once = twice.note().signatures();
    // A line doubled by hand, should the note not take it twice.
    let mut bytes = twice.to_bytes();
    if once == 1 {
        let text = String::from_utf8(bytes).unwrap();
        let line = text.lines().last().unwrap().to_owned();
        bytes = format!("{text}{line}\n").into_bytes();
    }
    let order = UntrustedOrder::parse(&bytes).unwrap();
    assert_eq!(order.note().signatures(), 2);
    let file = OrderFile { order, board: None }.to_bytes().unwrap();
    office.server.order(&file).expect(201);
    office.server.fetch(&office.reports[0]).expect(200);

    // What is due is destroyed on a new day: here, at each start.
    let sixth = office.server.today().plus(6);
    office.server.set_day(sixth);
    office.server.restart();
    let other = office.draft(delete(&[&office.reports[1]]));
    office.server.order(&by(&[1], &other)).expect(201);
    office.server.fetch(&office.reports[0]).expect(200);
    office.server.set_day(sixth.plus(1));
    office.server.restart();
    let gone = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        office.server.fetch(&office.reports[0]).status == 410
    });
    assert!(gone);
    assert_eq!(trace(&office.data(), &office.reports[0]), None);
}

#[test]
fn a_courier_alone_deletes_nothing_and_hangs_nothing() {
    let office = Office::with(1);
    let board = office.board(0, 0);
    let courier = &office.server.organization.courier;
    let stranger = SigningKey::random(&mut rng());
    let roots = &office.server.organization.roots;
    for key in [courier, &stranger, &roots[0], &signer(office.epoch.plus(1), 0)] {
        let draft = office.draft(delete(&[&office.reports[0]]));
        let refused = office
            .server
            .order(&order_file(&draft, std::slice::from_ref(key), None));
        assert_eq!(refused.expect(403).problem(), "order-refused");
        let file = order_file(&office.draft(hang(&board)), std::slice::from_ref(key), Some(&board));
        assert_eq!(office.server.order(&file).expect(403).problem(), "order-refused");
    }
    let unsigned = order_file(&office.draft(hang(&board)), &[], Some(&board));
    office.server.order(&unsigned).problem();
    office.server.fetch(&office.reports[0]).expect(200);
    assert_eq!(office.polled("000").expect(404).problem(), "no-board");
    assert!(office.server.orders().is_empty());
}

#[test]
fn nobody_without_a_signature_can_ask_what_the_log_has() {
    let office = Office::with(1);
    let unknown = sealed(&office.manifest, 0);
    let answers: Vec<_> = [&office.reports[0], &unknown]
        .into_iter()
        .map(|report| {
            let draft = office.draft(delete(&[report]));
            office
                .server
                .order(&order_file(&draft, &[SigningKey::random(&mut rng())], None))
        })
        .collect();
    assert_eq!(answers[0].status, answers[1].status);
    assert_eq!(answers[0].head, answers[1].head);
    assert!(answers[0].body == answers[1].body);
    // A caseworker is told.
    let draft = office.draft(delete(&[&unknown]));
    let told = office.server.order(&by(&[0], &draft)).expect(422);
    assert_eq!(told.problem(), "unknown-report");
    // An order that was accepted does not show to whoever has its text without the signature.
    let known = office.draft(delete(&[&office.reports[0]]));
    office.server.order(&by(&[0], &known)).expect(201);
    let stranger = order_file(&known, &[SigningKey::random(&mut rng())], None);
    assert!(office.server.order(&stranger).expect(403).body == answers[0].body);
}

#[test]
fn a_replayed_order_changes_nothing_and_an_id_has_one_text() {
    let office = Office::with(2);
    let first = office.board(0, 0);
    let first_draft = office.draft(hang(&first));
    let first_file = order_file(&first_draft, &[signer(office.epoch, 0)], Some(&first));
    office.server.order(&first_file).expect(201);
    let second = office.board(0, 0);
    office.hang(&second).expect(201);
    let replayed = office.server.order(&first_file).expect(200);
    assert!(replayed.body.is_empty());
    assert!(office.polled("000").expect(200).body == second.to_bytes());
    assert_eq!(office.server.orders().len(), 2);

    let mut other = office.draft(delete(&[&office.reports[0]]));
    other.id = first_draft.id;
    let conflict = office.server.order(&by(&[0, 1], &other)).expect(409);
    assert_eq!(conflict.problem(), "order-conflict");
    office.server.fetch(&office.reports[0]).expect(200);
    // After it has expired it is still known, and nothing else of it is accepted.
    let delete_later = office.draft(delete(&[&office.reports[0]]));
    let file = by(&[0], &delete_later);
    office.server.order(&file).expect(201);
    office.server.set_day(delete_later.expires.plus(1));
    office.server.order(&file).expect(200);
    assert_eq!(office.server.orders().len(), 3);
}

#[test]
fn an_expired_an_early_and_an_everlasting_order_are_refused_by_name() {
    let office = Office::with(1);
    let what = || delete(&[&office.reports[0]]);
    let expired = Draft {
        expires: office.server.today().minus(1),
        ..office.draft(what())
    };
    let early = Draft {
        epoch: office.epoch.plus(1),
        expires: office.epoch.plus(1).closes(),
        ..office.draft(what())
    };
    let everlasting = Draft {
        expires: office.epoch.closes().plus(15),
        ..office.draft(what())
    };
    for (draft, status, name) in [
        (&expired, 410, "order-expired"),
        (&early, 409, "epoch-not-open"),
        (&everlasting, 403, "order-refused"),
    ] {
        let refused = office.server.order(&by(&[0, 1], draft));
        assert_eq!(refused.expect(status).problem(), name);
    }
    let long = Draft {
        expires: office.epoch.closes().plus(14),
        ..office.draft(what())
    };
    office.server.set_day(long.expires);
    office.server.order(&by(&[0], &long)).expect(201);
}

#[test]
fn an_order_of_another_organization_is_refused() {
    let office = Office::with(1);
    let other = Organization::found();
    let draft = Draft {
        instance: other.chain.instance(),
        ..office.draft(delete(&[&office.reports[0]]))
    };
    let refused = office.server.order(&by(&[0, 1], &draft));
    assert_eq!(refused.expect(403).problem(), "order-refused");
    office.server.fetch(&office.reports[0]).expect(200);
}

#[test]
fn whoever_was_dropped_gives_no_orders_and_what_waits_of_theirs_deletes_nothing() {
    let mut office = Office::with(2);
    let waiting = office.draft(delete(&[&office.reports[0]]));
    office.server.order(&by(&[0], &waiting)).expect(201);
    publish(&office.server, office.epoch, 2, somebody_else());
    let draft = office.draft(delete(&[&office.reports[1]]));
    let refused = office.server.order(&by(&[0], &draft));
    assert_eq!(refused.expect(403).problem(), "order-refused");
    // With a colleague who is still one, it is one signature and not two.
    office.server.order(&by(&[0, 1], &draft)).expect(201);
    office.server.fetch(&office.reports[1]).expect(200);
    let note = office.server.orders().pop().unwrap();
    assert_eq!(
        note.matches("— marram ").count(),
        1,
        "only trusted lines are kept: {note}"
    );

    office.server.set_day(office.server.today().plus(8));
    office.server.restart();
    let due = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        office.server.fetch(&office.reports[1]).status == 410
    });
    assert!(due, "the colleague's takes effect");
    office.server.fetch(&office.reports[0]).expect(200);
}

#[test]
fn an_order_of_a_week_that_is_over_falls_with_a_revocation_since() {
    let office = Office::with(1);
    let draft = office.draft(delete(&[&office.reports[0]]));
    office.server.set_day(office.epoch.closes());
    publish(&office.server, office.epoch.plus(1), 2, somebody_else());
    let refused = office.server.order(&by(&[0, 1], &draft));
    assert_eq!(refused.expect(403).problem(), "order-refused");
    let again = order_of(office.instance(), office.epoch.plus(1), delete(&[&office.reports[0]]));
    office.server.order(&by(&[1], &again)).expect(201);
}

#[test]
fn a_board_hangs_for_everybody_and_every_board_has_one_length() {
    let office = Office::with(0);
    let first = office.board(0, 0);
    office.hang(&first).expect(201);
    let second = office.board(1, 1);
    office.hang(&second).expect(201);
    let newer = office.board(0, 1);
    let (a, b) = (office.polled("000").expect(200), office.polled("001").expect(200));
    office.hang(&newer).expect(201);
    let c = office.polled("000").expect(200);
    assert!(a.body == first.to_bytes() && b.body == second.to_bytes() && c.body == newer.to_bytes());
    for answer in [&a, &b, &c] {
        assert_eq!((answer.body.len(), &answer.head), (a.body.len(), &a.head));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    }
    for nowhere in ["002", "fff", "0", "00A", "0000", "x", "1000", "%2e%2e"] {
        assert_eq!(office.polled(nowhere).expect(404).problem(), "no-board", "{nowhere}");
    }
    send(office.server.address, "OPTIONS", "/v1/board/000", "", b"").expect(204);
}

#[test]
fn a_board_survives_a_restart_and_no_other_file_is_left() {
    let mut office = Office::with(0);
    office.hang(&office.board(0, 0)).expect(201);
    let board = office.board(0, 0);
    office.hang(&board).expect(201);
    let boards = office.data().join("store/boards");
    std::fs::write(boards.join("000-left-over"), "x").unwrap();
    office.server.restart();
    assert!(office.polled("000").expect(200).body == board.to_bytes());
    assert_eq!(harness::files_in(&boards).len(), 1);
}

#[test]
fn boards_that_are_swapped_older_misshapen_or_of_no_use_are_refused_by_name_with_one_length() {
    let office = Office::with(0);
    let hung = office.board(0, 0);
    office.hang(&hung).expect(201);
    let (instance, epoch, today) = (office.instance(), office.epoch, office.server.today());
    let image_len = usize::try_from(SHAPE.image_len()).unwrap();
    let by_caseworker = |what: What, board: &UntrustedBoard| {
        office
            .server
            .order(&order_file(&office.draft(what), &[signer(epoch, 0)], Some(board)))
    };
    let mut answers = vec![
        // On its way the courier swapped the board for another good one.
        by_caseworker(hang(&office.board(0, 0)), &office.board(0, 0)),
        // For another shard than the order says, or one there is not.
        by_caseworker(
            What::Hang {
                shard: "001".parse().unwrap(),
                header: hung.header_digest(),
            },
            &hung,
        ),
        office.hang(&office.board(2, 0)),
        // From the day after tomorrow: it would keep every honest one from hanging.
        office.hang(&office.board(0, 2)),
        // Too short, too long, empty.
        office.hang(&board_of(instance, epoch, today, 0, image_len - 16)),
        office.hang(&board_of(instance, epoch, today, 0, image_len + 16)),
        office.hang(&board_of(instance, epoch, today, 0, 0)),
        // Of another organization.
        office.hang(&board_of(InstanceId::random(&mut rng()), epoch, today, 0, image_len)),
        // Of next week, which nobody can verify yet.
        office.hang(&board_of(instance, epoch.plus(1), today, 0, image_len)),
        // By nobody.
        office.hang(&resigned(
            &hung,
            &[SigningKey::random(&mut rng()), signer(epoch.plus(1), 0)],
        )),
        // With the second signature swapped, which nobody would miss before Monday.
        office.hang(&resigned(&hung, &[signer(epoch, 0), SigningKey::random(&mut rng())])),
    ];
    for answer in &answers {
        assert_eq!(
            answer.problem(),
            "order-refused",
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        assert_eq!(answer.status, 403);
    }
    let older = office.hang(&office.board(0, -1));
    assert_eq!((older.status, older.problem().as_str()), (409, "board-older"));
    answers.push(older);
    // Damaged, and without its board.
    let mut damaged = order_file(&office.draft(hang(&hung)), &[signer(epoch, 0)], Some(&hung));
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    answers.push(office.server.order(&damaged));
    for malformed in [
        &b""[..],
        b"x",
        &[0; 4096],
        &order_file(&office.draft(hang(&hung)), &[], Some(&hung))[..700],
    ] {
        let answer = office.server.order(malformed);
        assert_eq!((answer.status, answer.problem().as_str()), (422, "not-an-order"));
        answers.push(answer);
    }
    for answer in &answers {
        assert_eq!(answer.body.len(), PROBLEM_LEN);
    }
    assert!(office.polled("000").expect(200).body == hung.to_bytes());
    assert_eq!(office.server.orders().len(), 1);
    assert_eq!(harness::files_in(&office.data().join("store/boards")).len(), 1);
}

/// The same board with other signatures.
fn resigned(board: &UntrustedBoard, keys: &[SigningKey; 2]) -> UntrustedBoard {
    let bytes = board.to_bytes();
    let image = bytes[bytes.len() - usize::try_from(SHAPE.image_len()).unwrap()..].to_vec();
    UntrustedBoard::sign(*board.claims(), image, keys).unwrap()
}

#[test]
fn an_order_file_past_the_limit_is_refused_before_it_is_read() {
    let office = Office::with(0);
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        marram_crypto::order::MAX_FILE_LEN + 1
    );
    let refused = harness::send_raw(office.server.address, &head, b"").expect(413);
    assert_eq!(refused.problem(), "too-large");
    let head =
        "POST /v1/orders HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(
        harness::send_raw(office.server.address, head, b"")
            .expect(411)
            .problem(),
        "length-required"
    );
}

#[test]
fn a_checkpoint_is_of_the_leaves_there_are_and_of_today() {
    let mut office = Office::with(5);
    let checkpoint = |server: &Server| {
        let answer = server.courier("/v1/log/checkpoint", "").expect(200);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let read = UntrustedCheckpoint::parse(&answer.body).unwrap();
        read.verify(server.organization.chain.instance(), &[server.log])
            .unwrap()
    };
    let first = checkpoint(&office.server);
    assert_eq!(first.day(), office.server.today());
    assert_eq!(first.head(), office.server.leaves().iter().collect::<Tree>().head());
    office.server.restart();
    office.server.set_day(office.server.today().plus(1));
    let next = checkpoint(&office.server);
    assert_eq!((next.head(), next.day()), (first.head(), office.server.today()));
    // A deletion changes nothing of it.
    let draft = office.draft(delete(&[&office.reports[0]]));
    office.server.order(&by(&[0, 1], &draft)).expect(201);
    assert_eq!(checkpoint(&office.server).head(), first.head());
    office
        .server
        .post(office.epoch, &sealed(&office.manifest, 0))
        .expect(201);
    assert_eq!(checkpoint(&office.server).head().size, 6);
    for path in ["/v1/log/checkpoint", "/v1/log/orders?from=0"] {
        let stranger = send(office.server.address, "GET", path, "", b"").expect(401);
        assert_eq!(stranger.problem(), "not-a-courier");
    }
    assert_eq!(
        office.server.courier("/v1/log/orders?from=1", "").expect(200).body,
        b"[]"
    );
}

#[test]
fn what_is_past_its_retention_is_destroyed_on_the_day_and_not_before() {
    let mut office = Office::with(0);
    let (first, second) = (sealed(&office.manifest, 0), sealed(&office.manifest, 0));
    let posted = office.server.today();
    office.server.post(office.epoch, &first).expect(201);
    office.server.set_day(posted.plus(1));
    office.server.post(office.epoch, &second).expect(201);
    // The first version says 60 days; the newest counts.
    publish(&office.server, office.epoch, 2, |draft| draft.retention_days = 10);
    let gone = |office: &Office, report: &[u8]| {
        (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            office.server.fetch(report).status == 410
        })
    };
    // What expires on one day is destroyed together: when the first is gone, the second has been looked at.
    office.server.set_day(posted.plus(11));
    office.server.restart();
    assert!(gone(&office, &first));
    office.server.fetch(&second).expect(200);
    assert_eq!(trace(&office.data(), &first), None);
    office.server.set_day(posted.plus(12));
    office.server.restart();
    assert!(gone(&office, &second));
    assert_eq!(trace(&office.data(), &second), None);
}

#[test]
fn long_orders_come_in_short_pages_and_none_is_left_out() {
    let office = Office::with(100);
    let all: Vec<_> = office.reports.iter().map(Vec::as_slice).collect();
    let count = 45;
    for _ in 0..count {
        let draft = office.draft(delete(&all));
        office.server.order(&by(&[0], &draft)).expect(201);
    }
    let (mut orders, mut pages) = (Vec::new(), 0);
    loop {
        let path = format!("/v1/log/orders?from={}", orders.len());
        let answer = office.server.courier(&path, "");
        let page: Vec<String> = serde_json::from_slice(&answer.expect(200).body).unwrap();
        if page.is_empty() {
            break;
        }
        let len: usize = page.iter().map(String::len).sum();
        assert!(len - page.last().unwrap().len() < marram_server::http::MAX_ORDERS_LEN);
        orders.extend(page);
        pages += 1;
    }
    assert_eq!((orders.len(), pages), (count, 2));
}
