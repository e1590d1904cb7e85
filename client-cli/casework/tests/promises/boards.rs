//! `reply`, `fold` and `board`: answers find their way back, and nobody else learns to whom.

use std::{fs, path::Path};

use marram_crypto::{
    board::{Board, MAX_TEXT_LEN, PART_LEN, Shard, UntrustedBoard},
    key::SigningKey,
    manifest::{BoardShape, Manifest},
    order::{OrderFile, What},
};
use serde_json::json;

use crate::support::{
    CODENAME, Home, MINE, OTHERS, Part, Server, Told, codename, one_line, organization, recipients, report_json,
    seal_parts, target, text, today,
};

fn told(number: u8, narrative: &str) -> Vec<u8> {
    Told {
        codename: number,
        ..Told::new(narrative)
    }
    .seal(&target())
}

/// Every board in an outbox, verified as a submitter does it with this manifest.
fn boards(outbox: &Path, manifest: &Manifest) -> Vec<Board> {
    let mut boards: Vec<_> = fs::read_dir(outbox)
        .unwrap()
        .map(|entry| {
            let file = OrderFile::parse(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
            let board = UntrustedBoard::parse(&file.board.unwrap()).unwrap();
            let What::Hang { shard, header } = file.order.claims().what.clone() else {
                panic!("no board")
            };
            assert_eq!(header, board.header_digest());
            let this_week = organization().manifest(organization().epoch, 1);
            assert_eq!(file.order.verify(&this_week).unwrap().slots(), [MINE]);
            board.verify(manifest, shard, today()).unwrap()
        })
        .collect();
    boards.sort_by_key(|board| board.header().shard);
    boards
}

fn this_week() -> Manifest {
    organization().manifest(organization().epoch, 1)
}

fn hang(home: &Home) -> (Board, serde_json::Value) {
    let outbox = home.beside("outbox");
    let said = home.json(&["board", "--out", outbox.to_str().unwrap()]);
    let mut boards = boards(&outbox, &this_week());
    assert_eq!(boards.len(), 1);
    (boards.remove(0), said)
}

#[test]
fn a_board_acknowledges_each_codename_with_the_number_of_its_reports_and_bears_the_answers() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1, "one"));
    server.accept(told(1, "and more"));
    server.accept(told(2, "two"));
    home.import(&server);
    let long = "为您保留。".repeat(PART_LEN / 5);
    let answer = home.beside("answer.txt");
    fs::write(&answer, format!("{long}\n")).unwrap();
    home.ok(&["reply", "1", "--text", answer.to_str().unwrap()]);
    assert!(home.answer(&["reply", "3"], "we have read it\n\n").status.success());

    let (board, said) = hang(&home);
    assert_eq!((&said["acknowledged"], &said["answers"]), (&json!(2), &json!(2)));
    let counts: Vec<_> = (1..=3)
        .map(|number| board.acknowledged(&codename(number).reply_key()))
        .collect();
    assert_eq!(counts, [2, 1, 0]);
    let found = board.answers(&codename(1).reply_key());
    assert_eq!((found.answers[0].text(), found.incomplete), (long.as_str(), 0));
    assert_eq!(
        board.answers(&codename(2).reply_key()).answers[0].text(),
        "we have read it"
    );
    assert!(board.answers(&codename(3).reply_key()).answers.is_empty());
    // Next week it is believed, too.
    let next_week = organization().manifest(organization().epoch.plus(1), 1);
    boards(&home.beside("outbox"), &next_week);
    // And it is kept here.
    assert_eq!(home.json(&["show", "3"])["replies"][0]["text"], "we have read it");
    assert!(one_line(&home.ok(&["show", "3"])).contains("we have read it"));
}

#[test]
fn two_boards_of_the_same_have_nothing_in_common_and_the_older_is_taken_back() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1, "one"));
    home.import(&server);
    assert!(home.answer(&["reply", "1"], "we have read it\n\n").status.success());
    let (first, _) = hang(&home);
    // It would find two boards in the outbox.
    let (second, _) = hang(&home);
    let shape = this_week().board;
    let image = |board: &Board| {
        let bytes = board.to_bytes();
        bytes[bytes.len() - usize::try_from(shape.image_len()).unwrap()..].to_vec()
    };
    let (one, two) = (image(&first), image(&second));
    let tags = shape.tags as usize * 16;
    for tag in one[..tags].chunks(16) {
        assert!(!two[..tags].chunks(16).any(|other| other == tag));
    }
    let same = one.iter().zip(&two).filter(|(one, two)| one == two).count();
    assert!(same < one.len() / 128, "{same} of {}", one.len());
    assert_eq!(second.acknowledged(&codename(1).reply_key()), 1);
    assert_eq!(home.json(&["status"])["orders_under_way"], 1);
}

#[test]
fn a_board_has_one_size_whatever_hangs_there() {
    let home = organization().alice();
    let mut server = Server::new();
    home.import(&server);
    let (empty, said) = hang(&home);
    assert_eq!((&said["acknowledged"], &said["answers"]), (&json!(0), &json!(0)));
    server.accept(told(1, "one"));
    home.import(&server);
    let (full, _) = hang(&home);
    assert_eq!(empty.to_bytes().len(), full.to_bytes().len());
}

#[test]
fn what_was_folded_away_is_neither_acknowledged_nor_answered() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1, "one"));
    home.import(&server);
    assert!(home.answer(&["reply", "1"], "too early\n\n").status.success());
    home.ok(&["fold", "1"]);
    let (board, said) = hang(&home);
    assert_eq!((&said["acknowledged"], &said["answers"]), (&json!(0), &json!(0)));
    assert_eq!(board.acknowledged(&codename(1).reply_key()), 0);
    assert!(one_line(&home.fails(&["reply", "1"])).contains("folded away as abuse"));
    home.ok(&["unfold", "1"]);
    let (board, _) = hang(&home);
    assert_eq!(board.acknowledged(&codename(1).reply_key()), 1);
}

#[test]
fn a_report_that_only_some_slots_can_open_is_never_acknowledged_or_answered() {
    let home = organization().alice();
    let json = report_json("who answers this?");
    let signature = codename(CODENAME).signing_key().sign(json.as_bytes());
    let parts = [
        Part::Entry("report.json", json.as_bytes()),
        Part::Entry("report.sig", &signature),
        Part::Raw(&[0; 1024]),
    ];
    let mut some = recipients();
    some[OTHERS[0]] = some[OTHERS[1]].clone();
    let mut server = Server::new();
    server.accept(seal_parts(&some, 1 << 15, &parts));
    home.import(&server);
    let said = one_line(&home.fails(&["reply", "1"]));
    assert!(said.contains("partly sealed"), "{said}");
    let (board, _) = hang(&home);
    assert_eq!(board.acknowledged(&codename(CODENAME).reply_key()), 0);
}

#[test]
fn what_does_not_fit_is_named_and_the_newest_hangs() {
    let organization = organization();
    let home = organization.alice();
    let mut draft = organization.draft(organization.epoch, 1);
    draft.board = BoardShape {
        shards: 2,
        tags: 1,
        cells: 1,
        cadence_days: 3,
    };
    let manifest = organization.sign(&draft);
    let mut server = Server::empty();
    server.publish(&manifest);
    for number in 1..=6 {
        let told = Told {
            codename: number,
            ..Told::new("something")
        };
        server.accept(told.seal(&marram_crypto::seal::Target::from(&manifest)));
    }
    home.import(&server);
    for case in 1..=6 {
        assert!(home.answer(&["reply", &case.to_string()], "read\n\n").status.success());
    }
    let outbox = home.beside("outbox");
    let output = home.run(&["--json", "board", "--out", outbox.to_str().unwrap()]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["shards"], 2);
    let hung = said["acknowledged"].as_u64().unwrap();
    assert!((1..=2).contains(&hung), "{said}");
    assert_eq!(said["not_acknowledged"].as_u64().unwrap(), 6 - hung);
    assert!(text(&output.stderr).contains("did not fit"));
    // Whoever is acknowledged finds it in their own shard.
    let mut found = 0;
    for entry in fs::read_dir(&outbox).unwrap() {
        let file = OrderFile::parse(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let board = UntrustedBoard::parse(&file.board.unwrap()).unwrap();
        let shard = board.claims().shard;
        let board = board.verify(&manifest, shard, today()).unwrap();
        for number in 1..=6 {
            let key = codename(number).reply_key();
            if board.acknowledged(&key) > 0 {
                assert_eq!(Shard::of(&key, manifest.board), shard);
                found += 1;
            }
        }
    }
    assert_eq!(found, hung);
    // The manifest says when the next is due.
    let status = home.json(&["status"]);
    assert_eq!(
        (&status["last_board"], &status["next_board"]),
        (&json!(today()), &json!(today().plus(3)))
    );
}

#[test]
fn an_answer_that_is_too_long_is_refused_by_its_limit_and_nothing_is_kept() {
    let home = organization().alice();
    let mut server = Server::new();
    server.accept(told(1, "one"));
    home.import(&server);
    let answer = home.beside("answer.txt");
    fs::write(&answer, "x".repeat(MAX_TEXT_LEN + 1)).unwrap();
    let said = one_line(&home.fails(&["reply", "1", "--text", answer.to_str().unwrap()]));
    assert!(said.contains(&MAX_TEXT_LEN.to_string()), "{said}");
    fs::write(&answer, [0xff, 0xfe]).unwrap();
    let said = one_line(&home.fails(&["reply", "1", "--text", answer.to_str().unwrap()]));
    assert!(said.contains("is not UTF-8"), "{said}");
    assert_eq!(home.json(&["show", "1"])["replies"], json!([]));
}

#[test]
fn a_board_that_a_dropped_caseworker_hung_is_named() {
    let organization = organization();
    let home = organization.alice();
    let dropped: &SigningKey = &organization.colleague(0, organization.epoch).signer;
    let mut draft = organization.draft(organization.epoch, 2);
    draft.slots[OTHERS[0]] = marram_crypto::vacant::slot(&[77; 32], organization.epoch, 3);
    let mut server = Server::new();
    server.publish(&organization.sign(&draft));
    let order = marram_crypto::order::Draft {
        instance: server.instance,
        id: marram_crypto::order::OrderId::from_bytes([5; 16]),
        epoch: organization.epoch,
        expires: today().plus(3),
        log: marram_crypto::tree::Head::empty(),
        what: What::Hang {
            shard: Shard::from_number(0).unwrap(),
            header: marram_crypto::digest::Digest::of(b"a forged answer"),
        },
    };
    let mut order = order.to_note().unwrap();
    order.add_signature(dropped).unwrap();
    server.orders.push((0, order.to_bytes()));
    let summary = home.import(&server);
    assert_eq!(summary["alarms"], json!({"invalid order": 1}), "{summary}");
    assert!(one_line(&home.ok(&["alarms"])).contains("who was dropped since"));

    // With the signer of the week before, which names nobody who was dropped.
    let other = organization.alice();
    let last_week = organization.ago(1);
    let mut late = Server::new();
    late.publish(&organization.manifest(last_week, 1));
    late.publish(&organization.sign(&draft));
    let mut order = marram_crypto::order::Draft {
        epoch: last_week,
        ..order.claims().clone()
    }
    .to_note()
    .unwrap();
    order
        .add_signature(&organization.colleague(0, last_week).signer)
        .unwrap();
    late.orders.push((0, order.to_bytes()));
    let summary = other.import(&late);
    assert_eq!(summary["alarms"], json!({"invalid order": 1}), "{summary}");
    assert!(one_line(&other.ok(&["alarms"])).contains("version 2 of epoch"));
}
