//! A server's log against a courier's memory: what no honest server does is named, and the reports come all the same.

use std::fs;

use crate::help::{Run, World, report};
use marram_crypto::{checkpoint::UntrustedCheckpoint, key::SigningKey};
use marram_online::{
    clock::today,
    testing::{Reply, Site},
};
use marram_tests::organization::{Organization, rng};

/// Pulls from a server that is not honest: it fails, names the alarm, and writes the bundle.
fn alarmed(world: &World, args: &[&str], kind: &str, said: &str) -> Run {
    let run = world.courier.run(&[&["--json", "pull"], args].concat());
    assert!(run.failed().contains(said), "{said}: {}", run.stderr);
    assert!(
        run.stderr
            .contains("the bundle is whole, but the server is not to be trusted"),
        "{}",
        run.stderr
    );
    let json = run.json();
    let kinds: Vec<&str> = json["alarms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alarm| alarm["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&kind), "{kinds:?}");
    run
}

/// A world in which three reports were pulled into `1.tar`.
fn pulled() -> World {
    let world = World::new();
    world.add(&[1, 2, 3]);
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    world
}

fn evidence(world: &World) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(world.courier.home().join("evidence"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// The home works as if nothing had happened.
fn goes_on(world: &World, position: u64) {
    let run = world.pull(&["--out", "honest.tar"]);
    assert_eq!(run.json()["position"], position);
    assert_eq!(run.json()["alarms"], serde_json::json!([]));
    assert_eq!(world.head("honest.tar"), (position, today()));
}

#[test]
fn the_checkpoint_comes_first_and_a_bundle_has_exactly_its_leaves() {
    let world = World::new();
    world.add(&[1, 2]);
    // A report comes in between: it is for the next bundle.
    let two = world.site.lock().unwrap().leaves.clone();
    world.add(&[3]);
    world.site.lock().unwrap().checkpoint = Some(world.checkpoint(&two, today()));
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!((world.bundle("1.tar").1, world.head("1.tar")), (2, (2, today())));
    let asked: Vec<String> = world
        .server
        .requests()
        .iter()
        .map(|request| request.path.clone())
        .collect();
    assert_eq!(asked[..3], ["/v1/charter", "/v1/log/checkpoint", "/v1/log/leaves"]);
    world.site.lock().unwrap().checkpoint = None;
    world.pull(&["--out", "2.tar"]);
    assert_eq!((world.bundle("2.tar").0, world.head("2.tar")), (2, (3, today())));
}

#[test]
fn a_log_that_shrinks_is_named_rolled_back_and_does_not_lock_the_home() {
    let world = pulled();
    let honest = world.site.lock().unwrap().leaves.clone();
    world.site.lock().unwrap().leaves.pop();
    alarmed(
        &world,
        &["--out", "2.tar"],
        "rolled-back",
        "rolled back: the server's log had 3 reports when last seen, and has 2",
    );
    // What the bundle says of the log is what was proven.
    assert_eq!((world.bundle("2.tar").1, world.head("2.tar").0), (0, 3));
    let day = today();
    assert_eq!(
        evidence(&world),
        [format!("{day}-rolled-back.seen"), format!("{day}-rolled-back.shown")]
    );
    let size = |which: &str| {
        let note = fs::read(world.courier.home().join(format!("evidence/{day}-rolled-back.{which}"))).unwrap();
        let (key, instance) = (
            world.site.lock().unwrap().log.public(),
            world.organization.chain.instance(),
        );
        UntrustedCheckpoint::parse(&note)
            .unwrap()
            .verify(instance, &[key])
            .unwrap()
            .head()
            .size
    };
    assert_eq!(
        (size("seen"), size("shown")),
        (3, 2),
        "both are signed by the server: the proof"
    );
    assert_eq!(world.courier.ok(&["--json", "status"]).json()["evidence"], 2);
    world.site.lock().unwrap().leaves = honest;
    goes_on(&world, 3);
}

#[test]
fn a_log_that_changed_is_named_forked_and_its_new_reports_still_come() {
    let world = pulled();
    let honest = world.site.lock().unwrap().leaves.clone();
    // Another report in the place of the first.
    let other = world.site.lock().unwrap().add(vec![9; 32 * 1024], crate::help::epoch());
    world.site.lock().unwrap().leaves = [&[other], &honest[1..]].concat();
    alarmed(
        &world,
        &["--out", "2.tar"],
        "forked",
        "forked: the server has signed two logs of 3 reports",
    );
    let (from, leaves, _, reports) = world.bundle("2.tar");
    assert_eq!(
        (from, leaves, reports),
        (3, 0, vec![vec![9; 32 * 1024]]),
        "carried, and believed by nobody"
    );
    world.site.lock().unwrap().leaves = [&[other], &honest[1..], &[other]].concat();
    alarmed(&world, &["--out", "3.tar"], "forked", "forked: report number 0");
    world.site.lock().unwrap().leaves = honest;
    goes_on(&world, 3);
}

#[test]
fn a_fork_older_than_what_is_compared_one_by_one_is_caught_by_the_root() {
    let world = World::new();
    let leaf = |n: u32| marram_crypto::leaf::Leaf {
        digest: marram_crypto::digest::Digest::of(&n.to_be_bytes()),
        epoch: crate::help::epoch(),
        day: today(),
        log2_size: 63,
    };
    world.site.lock().unwrap().leaves = (0..1_500).map(leaf).collect();
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    world.site.lock().unwrap().leaves[3] = leaf(9_999);
    world.site.lock().unwrap().leaves.push(leaf(1_500));
    alarmed(&world, &["--out", "2.tar"], "root", "the root does not match");
    alarmed(
        &world,
        &["--out", "3.tar", "--all"],
        "forked",
        "forked: report number 3 ",
    );
}

#[test]
fn a_checkpoint_of_other_reports_than_are_listed_is_named_and_none_of_them_is_believed() {
    let world = pulled();
    world.site.lock().unwrap().add(report(0), crate::help::epoch());
    let honest = world.site.lock().unwrap().leaves.clone();
    let mut forged = honest.clone();
    forged[3].log2_size = 16;
    world.site.lock().unwrap().checkpoint = Some(world.checkpoint(&forged, today()));
    alarmed(
        &world,
        &["--out", "2.tar"],
        "root",
        "the root does not match: the checkpoint of 4 reports",
    );
    assert_eq!((world.bundle("2.tar").1, world.bundle("2.tar").3), (0, vec![report(0)]));
    // One that speaks of more than is listed.
    world.site.lock().unwrap().checkpoint = Some(world.checkpoint(&[&honest[..], &honest[..1]].concat(), today()));
    alarmed(
        &world,
        &["--out", "3.tar"],
        "withheld",
        "withheld: the checkpoint speaks of 5 reports, and the server lists 4",
    );
    world.site.lock().unwrap().checkpoint = None;
    goes_on(&world, 4);
}

#[test]
fn an_old_checkpoint_is_named_frozen_with_a_day_of_tolerance() {
    let world = pulled();
    let leaves = world.site.lock().unwrap().leaves.clone();
    let dated = |days: i64| {
        let day = if days < 0 {
            today().minus(u32::try_from(-days).unwrap())
        } else {
            today().plus(u32::try_from(days).unwrap())
        };
        world.site.lock().unwrap().checkpoint = Some(world.checkpoint(&leaves, day));
    };
    // Manifests of the days around today.
    let around = [-1_i64, 0, 1].map(|n| {
        let number = i64::from(crate::help::epoch().number()) + n;
        let epoch = marram_crypto::day::Epoch::from_number(u32::try_from(number).unwrap()).unwrap();
        let draft = if n == 0 {
            world.draft.clone()
        } else {
            world.organization.draft(epoch, 1 << 20)
        };
        world.organization.signed(&draft).to_bytes()
    });
    world.site.lock().unwrap().manifests = around.into();
    for (days, fault) in [
        (-1, None),
        (1, None),
        (0, None),
        (-2, Some("frozen: the checkpoint is of")),
        (2, Some("or this computer's is wrong")),
    ] {
        dated(days);
        let out = format!("day{days}.tar");
        match fault {
            None => drop(world.pull(&["--out", &out])),
            Some(said) => drop(alarmed(
                &world,
                &["--out", &out],
                if days < 0 { "frozen" } else { "clock" },
                said,
            )),
        }
    }
}

#[test]
fn a_checkpoint_that_the_log_key_did_not_sign_proves_nothing() {
    type Show = fn(&mut Site) -> Vec<u8>;
    let cases: [(Show, &str); 4] = [
        (
            |site| {
                let honest = std::mem::replace(&mut site.log, SigningKey::random(&mut rng()));
                let forged = site.checkpoint_of(&site.leaves, today());
                site.log = honest;
                forged
            },
            "is not signed by the log key",
        ),
        (
            |site| {
                let honest = std::mem::replace(&mut site.instance, Organization::found().chain.instance());
                let foreign = site.checkpoint_of(&site.leaves, today());
                site.instance = honest;
                foreign
            },
            "is not signed by the log key",
        ),
        (
            |site| site.checkpoint_of(&site.leaves, today().plus(100)),
            "there is no manifest of that day",
        ),
        (|_| b"<html>".to_vec(), "the server gives no checkpoint"),
    ];
    for (show, said) in cases {
        let world = pulled();
        world.site.lock().unwrap().add(report(0), crate::help::epoch());
        {
            let mut site = world.site.lock().unwrap();
            site.checkpoint = Some(show(&mut site));
        }
        alarmed(&world, &["--out", "2.tar"], "no-checkpoint", said);
        assert_eq!((world.bundle("2.tar").1, world.bundle("2.tar").3), (0, vec![report(0)]));
        world.site.lock().unwrap().checkpoint = None;
        goes_on(&world, 4);
    }
}

#[test]
fn a_checkpoint_of_more_reports_than_there_can_be_is_not_followed() {
    let world = pulled();
    let text =
        String::from_utf8(world.checkpoint(&[], today()))
            .unwrap()
            .replacen("\n0\n", "\n18446744073709551615\n", 1);
    world.site.lock().unwrap().checkpoint = Some(text.into_bytes());
    let before = world.server.count("GET", "/v1/log/leaves");
    alarmed(&world, &["--out", "2.tar"], "too-many", "the limit");
    assert_eq!(world.server.count("GET", "/v1/log/leaves"), before);
}

#[test]
fn a_destroyed_report_is_said_to_be_and_is_not_asked_for_again() {
    let gone = marram_crypto::digest::Digest::of(&report(2));
    let world = World::hostile(move |request, _| {
        request
            .path
            .ends_with(&gone.to_string())
            .then(|| Reply::named(410, "report-destroyed"))
    });
    world.add(&[1, 2]);
    let run = world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(
        (&run.json()["destroyed"], &run.json()["gone"]),
        (&serde_json::json!([gone]), &serde_json::json!([]))
    );
    assert_eq!((world.bundle("1.tar").1, world.bundle("1.tar").3), (2, vec![report(1)]));
    let told = world.courier.ok(&["pull", "--out", "2.tar", "--all"]).stderr;
    assert!(told.contains("says that it destroyed 1 reports"), "{told}");
    let asked = world.ranges().len();
    world.pull(&["--out", "3.tar"]);
    assert_eq!(world.ranges().len(), asked);
}

#[test]
fn several_couriers_know_nothing_of_each_other() {
    let world = pulled();
    let other = world.another_courier();
    world.site.lock().unwrap().add(report(0), crate::help::epoch());
    other.ok(&["pull", "--link", &world.link(), "--out", "1.tar"]);
    let ((from, leaves, _, reports), more) = world.bundle_of(&other, "1.tar");
    assert_eq!((from, leaves, reports.len()), (0, 4, 4));
    assert!(more.checkpoint.is_some());
    goes_on(&world, 4);
    assert_eq!(world.bundle("honest.tar").0, 3);
}
