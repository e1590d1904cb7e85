//! The power goes, at any moment: see `loop_disk` for how. What was acknowledged before must be on the disk that comes
//! up again, in the order in which it was logged, and the server starts on it without hands.

use std::{borrow::Cow, sync::Mutex, thread::sleep, time::Duration};

use marram_crypto::leaf::Leaf;
use marram_tests::server::{Server, this_epoch};

use crate::{
    loop_disk::{Clone, LoopDisk},
    random_below,
    rig::{Promised, Promises, Rig, root, said_cut, stored_bytes},
    rounds,
};

const PER_ROUND: usize = 300;

/// What stood on the disk after a cut.
struct Found {
    leaves: Vec<Leaf>,
    /// Bytes that the start cut off.
    cut: u64,
    manifests: Vec<String>,
}

/// Starts a server on the disk that was cut, verifies that it kept its promises, and goes on posting.
fn comes_up(rig: &Rig, live: &Server, clone: Clone, promised: &Promised, seen: &[Leaf]) -> Found {
    let data = clone.path().join("server");
    let left = stored_bytes(&data);
    let server = live
        .on_a_copy(&data)
        .unwrap_or_else(|said| panic!("it does not start: {said}"));
    let cut = left - stored_bytes(&data);
    assert_eq!(said_cut(&server.said()), cut, "it says what it cut: {}", server.said());
    let leaves = rig.verify(&server, promised, seen);

    let organization = &rig.organization;
    let manifests = server.get_as_courier(
        &organization.courier,
        organization.chain.instance(),
        "/v1/log/manifests",
        &format!("from={}", this_epoch()),
    );
    // What is posted now is no part of the live server's promises.
    let (more, promises) = (rig.seal(40), Promises::default());
    let ((), refused) = rig.while_posting(&promises, &server.base, &more, |posting| {
        posting.until(|| posting.acknowledged() == 40);
    });
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(
        rig.verify(&server, &promises.until_now(), &leaves).len(),
        leaves.len() + 40
    );
    drop(server);
    drop(clone);
    Found {
        leaves,
        cut,
        manifests: serde_json::from_slice(&manifests).unwrap(),
    }
}

/// The two histories are one, as far as both have it.
fn same_history(live: &[Leaf], found: &[Leaf]) {
    let common = live.len().min(found.len());
    assert_eq!(root(&live[..common]), root(&found[..common]), "the two logs are one");
}

fn line(what: &str, round: usize, promised: &Promised, found: &Found, live: &[Leaf]) {
    println!(
        "{what} {round}: {} acknowledged before the cut, {} in the log after it ({} in the live one), {} bytes cut, root {:.16}",
        promised.len(),
        found.leaves.len(),
        live.len(),
        found.cut,
        root(&found.leaves).to_string()
    );
}

#[test]
fn the_power_cut_while_32_submit_nothing_acknowledged_is_lost_and_all_of_it_opens() {
    let disk = LoopDisk::new();
    let (rig, server) = Rig::found(disk.live());
    let promises = Promises::default();
    for round in 1..=rounds(2) {
        let reports = rig.seal(PER_ROUND);
        let cut_after = 5 + usize::try_from(random_below(200)).unwrap();
        let ((promised, seen, clone), refused) = rig.while_posting(&promises, &server.base, &reports, |posting| {
            posting.until(|| posting.acknowledged() >= cut_after);
            let seen = server.leaves(&rig.organization);
            sleep(Duration::from_micros(random_below(4000)));
            let promised = promises.until_now();
            (promised, seen, disk.cut())
        });
        assert!(refused.is_empty(), "{refused:?}");
        let found = comes_up(&rig, &server, clone, &promised, &seen);
        let live = rig.verify(&server, &promises.until_now(), &seen);
        same_history(&live, &found.leaves);
        line("power cut", round, &promised, &found, &live);
    }
}

#[test]
fn the_power_cut_during_a_clean_stop_costs_nothing() {
    let disk = LoopDisk::new();
    let (rig, mut server) = Rig::found(disk.live());
    let promises = Promises::default();
    for round in 1..=rounds(2) {
        let reports = rig.seal(100);
        let ((promised, clone), refused) = rig.while_posting(&promises, &server.base, &reports, |posting| {
            posting.until(|| posting.acknowledged() >= 20);
            server.ask_to_stop();
            sleep(Duration::from_micros(random_below(60_000)));
            let promised = promises.until_now();
            (promised, disk.cut())
        });
        assert!(refused.is_empty(), "{refused:?}");
        assert!(server.ends(), "{}", server.said());
        let found = comes_up(&rig, &server, clone, &promised, &[]);
        server.start();
        let live = rig.verify(&server, &promises.until_now(), &[]);
        same_history(&live, &found.leaves);
        line("power cut during a stop", round, &promised, &found, &live);
    }
}

#[test]
fn the_power_cut_while_the_server_starts_and_repairs_costs_nothing() {
    let disk = LoopDisk::new();
    let (rig, mut server) = Rig::found(disk.live());
    let promises = Promises::default();
    for round in 1..=rounds(2) {
        let reports = rig.seal(100);
        let base = server.base.clone();
        let ((), refused) = rig.while_posting(&promises, &base, &reports, |posting| {
            posting.until(|| posting.acknowledged() >= 20);
            server.kill();
        });
        assert!(refused.is_empty(), "{refused:?}");
        let promised = promises.until_now();
        let clone = std::thread::scope(|scope| {
            let starting = scope.spawn(|| server.start());
            sleep(Duration::from_micros(random_below(40_000)));
            let clone = disk.cut();
            starting.join().unwrap();
            clone
        });
        let found = comes_up(&rig, &server, clone, &promised, &[]);
        let live = rig.verify(&server, &promised, &[]);
        same_history(&live, &found.leaves);
        line("power cut during a start", round, &promised, &found, &live);
    }
}

/// Sorted: in which order signatures stand is the server's affair.
fn lines(note: &[u8]) -> Vec<Cow<'_, str>> {
    let mut lines: Vec<_> = note.split(|byte| *byte == b'\n').map(String::from_utf8_lossy).collect();
    lines.sort();
    lines
}

#[test]
fn the_power_cut_while_manifests_are_published_every_one_that_was_taken_is_there() {
    let disk = LoopDisk::new();
    let (rig, server) = Rig::found(disk.live());
    let promises = Promises::default();
    // Of the next epoch, so that the reports stay sealed to this one's.
    let mut draft = rig.organization.draft(this_epoch().plus(1), 4 << 20);
    let taken = Mutex::new(Vec::new());
    for round in 1..=rounds(2) {
        let reports = rig.seal(PER_ROUND);
        let cut_after = taken.lock().unwrap().len() + 1 + usize::try_from(random_below(10)).unwrap();
        let ((published, promised, clone), refused) = rig.while_posting(&promises, &server.base, &reports, |_| {
            std::thread::scope(|scope| {
                let publisher = scope.spawn(|| {
                    // Two more are on their way when the power goes.
                    while taken.lock().unwrap().len() < cut_after + 2 {
                        let manifest = rig.organization.signed(&draft);
                        server.put("/v1/manifest", &manifest.to_bytes());
                        taken.lock().unwrap().push(manifest.to_bytes());
                        draft.version += 1;
                    }
                });
                loop {
                    // Asked in this order: it may well finish in between.
                    let finished = publisher.is_finished();
                    if taken.lock().unwrap().len() >= cut_after {
                        break;
                    }
                    assert!(!finished, "a manifest was refused");
                    std::thread::yield_now();
                }
                sleep(Duration::from_micros(random_below(4000)));
                let before = (taken.lock().unwrap().len(), promises.until_now());
                (before.0, before.1, disk.cut())
            })
        });
        assert!(refused.is_empty(), "{refused:?}");
        let found = comes_up(&rig, &server, clone, &promised, &[]);
        let of_next_epoch: Vec<_> = found.manifests.iter().skip(1).map(String::as_bytes).collect();
        let taken = taken.lock().unwrap();
        assert!(
            of_next_epoch.len() >= published,
            "{} of {published} are there",
            of_next_epoch.len()
        );
        for (version, (found, taken)) in (1..).zip(of_next_epoch.iter().zip(taken.iter())) {
            assert_eq!(lines(found), lines(taken), "manifest {version}");
        }
        let live = rig.verify(&server, &promises.until_now(), &[]);
        same_history(&live, &found.leaves);
        println!(
            "  {published} manifests taken before the cut, {} there after it",
            of_next_epoch.len()
        );
        line("power cut during publications", round, &promised, &found, &live);
    }
}
