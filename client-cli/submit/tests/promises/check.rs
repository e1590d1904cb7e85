//! Polls, against servers that are honest, old or hostile.

use std::{fs, path::Path};

use crate::help::{Desk, Run, World};
use marram_crypto::{
    board::{CELL_LEN, Salt, Shard, TAG_LEN},
    codename::Codename,
    day::Epoch,
    key::SigningKey,
    manifest::{BoardShape, Draft},
};
use marram_online::{clock::today, testing::Reply};
use marram_tests::organization::{Organization, rng};

fn codename() -> Codename {
    Codename::random(&mut rng())
}

fn refused(run: &Run, said: &str) {
    assert!(run.failed().contains(said), "{said}: {}", run.stderr);
    assert!(run.stderr.contains("it says nothing, for or against"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn what_is_addressed_to_the_words_is_found_and_nothing_else() {
    let world = World::new();
    let (mine, others) = (codename(), codename());
    let long = "ا".repeat(10_000);
    world.hangs(&world.desk.board(&world, today(), &mine, 3, &["Come on Monday", &long]));
    let found = world.check(&mine).succeeded().json();
    assert_eq!(
        (&found["board"], &found["read"], &found["incomplete"]),
        (&"current".into(), &3.into(), &0.into())
    );
    let mut texts: Vec<&str> = found["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["text"].as_str().unwrap())
        .collect();
    texts.sort_unstable();
    assert_eq!(texts, ["Come on Monday", &long]);
    let nothing = world.check(&others).succeeded().json();
    assert_eq!(
        (&nothing["read"], nothing["answers"].as_array().unwrap().len()),
        (&0.into(), 0)
    );
    assert_eq!(world.left_behind(), []);
}

#[test]
fn a_poll_with_an_answer_and_one_without_are_the_same_on_the_network() {
    let world = World::new();
    let (answered, other) = (codename(), codename());
    world.hangs(&world.desk.board(&world, today(), &answered, 1, &["Come on Monday"]));
    let traffic = |codename: &Codename| {
        let before = world.server.requests().len();
        world.check(codename).succeeded();
        let requests = world.server.requests().split_off(before);
        let site = &mut world.site.lock().unwrap();
        let seen = requests.iter().map(|request| {
            let Reply::Answer { status, headers, body } = site.answer(request) else {
                panic!()
            };
            (format!("{request:?}"), status, headers, body.len())
        });
        seen.collect::<Vec<_>>()
    };
    let with = traffic(&answered);
    assert_eq!(with, traffic(&other));
    let paths: Vec<String> = world.server.requests()[..3]
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(paths, ["/v1/charter", "/v1/manifest", "/v1/board/000"]);
    // Whole: tags, cells and a header.
    assert!(with[2].3 > world.draft.board.tags as usize * TAG_LEN + world.draft.board.cells as usize * CELL_LEN);
}

#[test]
fn only_the_own_shard_is_asked_for() {
    let world = World::new();
    let board = BoardShape {
        shards: 16,
        ..world.draft.board
    };
    let manifest = Draft {
        board,
        ..world.draft.clone()
    };
    world.site.lock().unwrap().manifest = world.organization.signed(&manifest).to_bytes();
    let mine = codename();
    let none = world.check(&mine).succeeded().json();
    assert_eq!(none["board"], "none");
    let polled: Vec<String> = world
        .server
        .requests()
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(
        polled[2..],
        [format!("/v1/board/{}", Shard::of(&mine.reply_key(), board))]
    );
}

#[test]
fn an_old_board_is_called_stale_and_what_it_lacks_says_nothing() {
    let world = World::new();
    let mine = codename();
    // The cadence is a day.
    for (days, stale) in [(2, false), (3, true)] {
        world.hangs(
            &world
                .desk
                .board(&world, today().minus(days), &mine, 0, &["Come on Monday"]),
        );
        let seen = world.check(&mine).succeeded().json();
        assert_eq!(seen["board"], if stale { "stale" } else { "current" });
        assert_eq!(
            seen["answers"][0]["text"], "Come on Monday",
            "what does hang there is shown"
        );
        let told = world.told(&mine);
        assert_eq!(
            told.contains("out of date: what is not on it says nothing"),
            stale,
            "{told}"
        );
        assert_eq!(told.contains("No report was read"), !stale, "{told}");
        assert!(
            told.contains("If you sent more than 14 days ago, send it again"),
            "{told}"
        );
    }
    // Of a week whose keys nobody shows any more.
    let desk = Desk::of(Epoch::of(today().minus(21)).unwrap());
    world.hangs(&desk.board(&world, today().minus(21), &mine, 1, &[]));
    assert_eq!(world.check(&mine).succeeded().json()["board"], "stale");
    assert!(world.told(&mine).contains("another week"));
}

#[test]
fn a_server_without_a_board_is_no_sign_that_nothing_arrived() {
    let world = World::new();
    let mine = codename();
    assert_eq!(world.check(&mine).succeeded().json()["board"], "none");
    let told = world.told(&mine);
    assert!(
        told.contains("says nothing about your report") && told.contains("more than 14 days ago"),
        "{told}"
    );
}

#[test]
fn a_board_for_this_week_that_was_made_last_week_is_believed() {
    let world = World::new();
    let mine = codename();
    let last_week = Epoch::of(today()).unwrap().previous().unwrap();
    // Signed with its maker's key of the next epoch as well, which is this one.
    let desk = Desk {
        epoch: last_week,
        this_week: SigningKey::random(&mut rng()),
        next_week: SigningKey::from_seed(&world.desk.this_week.seed()),
    };
    world.hangs(&desk.board(&world, today().minus(1), &mine, 2, &[]));
    assert_eq!(world.check(&mine).succeeded().json()["read"], 2);
}

#[test]
fn a_board_by_a_desk_that_was_dropped_is_refused() {
    let world = World::new();
    let mine = codename();
    let dropped = Desk::of(Epoch::of(today()).unwrap());
    world.hangs(&dropped.board(&world, today(), &mine, 1, &["Come alone"]));
    refused(&world.check(&mine), "signed by 0 of the keys that count");
}

#[test]
fn another_shard_another_shape_and_a_changed_image_are_refused_by_name() {
    let world = World::new();
    let mine = codename();
    let honest = world.desk.board(&world, today(), &mine, 1, &["Come on Monday"]);
    let salt = Salt::random(&mut rng());
    let shape = world.draft.board;
    let own = Shard::of(&mine.reply_key(), shape);
    let other = Shard::from_number(7).unwrap();
    let image = |cells: u32| vec![7; shape.tags as usize * TAG_LEN + cells as usize * CELL_LEN];
    let mut changed = honest.to_bytes();
    *changed.last_mut().unwrap() ^= 1;
    let elsewhere = World::new();
    for (bytes, said) in [
        (
            world
                .desk
                .signed(&world, today(), other, salt, image(shape.cells))
                .to_bytes(),
            "this is shard 007",
        ),
        (
            world
                .desk
                .signed(&world, today(), own, salt, image(shape.cells - 1))
                .to_bytes(),
            "are right",
        ),
        (
            world
                .desk
                .signed(&world, today().plus(2), own, salt, image(shape.cells))
                .to_bytes(),
            "is dated",
        ),
        (
            world.desk.board(&elsewhere, today(), &mine, 1, &[]).to_bytes(),
            "do not use it",
        ),
        (changed, "not the one that was signed"),
        (b"<html>".to_vec(), "a board is"),
    ] {
        world.site.lock().unwrap().boards.insert(own.to_string(), bytes);
        refused(&world.check(&mine), said);
    }
}

#[test]
fn a_manifest_that_is_over_or_another_organizations_ends_a_poll_before_the_board() {
    let world = World::new();
    let mine = codename();
    world.hangs(&world.desk.board(&world, today(), &mine, 1, &[]));
    let other = Organization::found();
    let this = Epoch::of(today()).unwrap();
    let over = world.organization.draft(this.previous().unwrap(), 1 << 20);
    for (manifest, said) in [
        (other.signed(&other.draft(this, 1 << 20)).to_bytes(), "do not use it"),
        (world.organization.signed(&over).to_bytes(), "no longer valid"),
    ] {
        world.site.lock().unwrap().manifest = manifest;
        assert!(world.check(&mine).failed().contains(said));
    }
    let asked = world.server.requests();
    assert!(asked.iter().all(|request| !request.path.starts_with("/v1/board")));
}

#[test]
fn a_poll_asks_for_no_more_than_a_board_has() {
    let world = World::hostile(|request, _, _| {
        request
            .path
            .starts_with("/v1/board")
            .then(|| Reply::of(200, "application/octet-stream", vec![0; 1 << 20]))
    });
    let run = world.check(&codename());
    assert!(run.failed().contains("has more than"), "{}", run.stderr);
}

#[test]
fn words_that_are_no_codename_are_named_by_their_place_and_nothing_is_asked_of_the_server() {
    let world = World::new();
    let mut words: Vec<&str> = "abandon amount liar amount expire adjust cage candy arch gather drum buyer"
        .split(' ')
        .collect();
    words[6] = "cagge";
    let run = world.check_words(&words.join(" "));
    assert!(
        run.failed().contains("word 7 is in none of the word lists"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("cagge"), "{}", run.stderr);
    assert_eq!(world.server.requests().len(), 0);
    let run = world.run(&["check", &world.link()]);
    assert!(run.failed().contains("--codename-fd"), "{}", run.stderr);
}

#[test]
fn a_poll_writes_to_no_file() {
    let world = World::new();
    let mine = codename();
    world.hangs(&world.desk.board(&world, today(), &mine, 1, &["Come on Monday"]));
    let files = |folder: &Path| fs::read_dir(folder).unwrap().count();
    let before = files(&world.path(""));
    world.check(&mine).succeeded();
    assert_eq!(files(&world.path("")), before);
    assert_eq!(world.left_behind(), []);
}
