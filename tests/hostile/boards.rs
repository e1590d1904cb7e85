//! Boards that are old, of another maker, or hung by somebody who was dropped.

use std::process::Command;

use marram_crypto::{
    board::{Answer, AnswerId, Composition, Header, Salt, Shard, UntrustedBoard, compose},
    codename::{Codename, WordList},
    day::Day,
    digest::Digest,
    key::SigningKey,
};
use marram_online::clock::today;
use marram_tests::{organization::rng, programs, server::this_epoch};
use secrecy::ExposeSecret;

use crate::office::{Office, draft, json, only_file_in, signed, words};

fn board(office: &Office, keys: &[SigningKey; 2], day: Day, composition: &Composition) -> Vec<u8> {
    let (manifest, salt) = (&office.manifest, Salt::random(&mut rng()));
    let (image, _) = compose(manifest.board, manifest.instance, salt, composition, &mut rng());
    let header = Header {
        instance: manifest.instance,
        epoch: this_epoch(),
        day,
        shard: Shard::from_number(0).unwrap(),
        salt,
        image: Digest::of(&image),
    };
    UntrustedBoard::sign(header, image, keys).unwrap().to_bytes()
}

fn check(office: &Office, codename: &Codename) -> Command {
    let home = office.path("stranger");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("words"), codename.words(WordList::English).expose_secret()).unwrap();
    let mut check = programs::program("sh", &home);
    check
        .args(["-c", r#"exec "$@" 4<words"#, "sh"])
        .arg(programs::path("marram-submit"))
        .args(["check", &office.link(), "--codename-fd", "4"])
        .current_dir(home);
    check
}

#[test]
fn an_answer_finds_its_way_back_and_only_to_its_codename() {
    let office = Office::new();
    let codename = Codename::random(&mut rng());
    // In two bundles: within one, reports are in no order that tells which is #1.
    office.server().add(office.sealed(&codename, false), this_epoch());
    office.pull("swift", "1.tar");
    office.reported();
    office.pull("swift", "2.tar");
    office.import("heron", &["1.tar", "2.tar"]);
    std::fs::write(
        office.path("answer"),
        "We have read it. Do not call home from this number.",
    )
    .unwrap();
    let listed = json(office.casework("heron").args(["--json", "list"]));
    assert_eq!(listed["reports"].as_array().unwrap().len(), 2);
    programs::succeeds(office.casework("heron").args(["reply", "1", "--text", "answer"]));
    programs::succeeds(office.casework("heron").args(["board", "--out", "outbox"]));
    let file = std::fs::read(only_file_in(&office.path("outbox"))).unwrap();
    let hung = marram_crypto::order::OrderFile::parse(&file).unwrap().board.unwrap();
    office.server().boards.insert("000".to_owned(), hung);
    let said = words(&programs::succeeds(&mut check(&office, &codename)));
    assert!(said.contains("Do not call home from this number"), "{said}");
    let stranger = words(&programs::succeeds(&mut check(&office, &Codename::random(&mut rng()))));
    assert!(!stranger.contains("Do not call home"), "{stranger}");
}

#[test]
fn an_old_board_says_that_it_is_stale() {
    let office = Office::new();
    let codename = Codename::random(&mut rng());
    let desk = [SigningKey::random(&mut rng()), SigningKey::random(&mut rng())];
    let mut manifest = draft(0);
    manifest.slots.last_mut().unwrap().signer = desk[0].public();
    office.server().manifest = signed(&manifest).to_bytes();
    let reply_key = codename.reply_key();
    let composition = Composition {
        acknowledged: vec![(&reply_key, 1)],
        answers: vec![],
    };
    let old = board(&office, &desk, today().minus(9), &composition);
    office.server().boards.insert("000".to_owned(), old);
    let output = check(&office, &codename).output().unwrap();
    let said = words(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    let day = today().minus(9);
    let sentence = format!("The board is of {day}, and out of date: what is not on it says nothing.");
    assert!(said.contains(&sentence), "{said}");
}

#[test]
fn a_forged_answer_of_a_caseworker_who_was_dropped_is_refused() {
    let office = Office::new();
    let codename = Codename::random(&mut rng());
    // In no slot of this week's manifest any more.
    let dropped = [SigningKey::random(&mut rng()), SigningKey::random(&mut rng())];
    let reply_key = codename.reply_key();
    let forged = Answer::new(
        AnswerId::random(&mut rng()),
        today(),
        "Come home, it is safe.".to_owned(),
    )
    .unwrap();
    let composition = Composition {
        acknowledged: vec![(&reply_key, 1)],
        answers: vec![(&reply_key, &forged)],
    };
    let board = board(&office, &dropped, today(), &composition);
    office.server().boards.insert("000".to_owned(), board);
    let said = programs::fails(&mut check(&office, &codename));
    assert!(!said.contains("Come home"), "{said}");
}
