//! What is acknowledged stays: real reports, a real server, killed at any moment.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use marram_crypto::{
    codename::Codename,
    digest::Digest,
    open::open,
    payload::Discard,
    receipt::UntrustedReceipt,
    seal::{Content, Draft, Target},
};
use marram_tests::{
    organization::{Organization, rng},
    server::{Server, this_epoch},
};
use serde_json::value::RawValue;

const SUBMITTERS: usize = 32;
const ROUNDS: usize = 3;
/// The server is killed when this many reports of a round are acknowledged.
const KILL_AFTER: usize = 100;
/// More than a round can use up: the kill ends it, not the supply.
const PER_ROUND: usize = 400;

fn sealed(target: &Target, number: usize) -> Vec<u8> {
    let content = Content {
        continues: false,
        answers: [].into(),
        incident: RawValue::from_string(format!(r#"{{"number":{number}}}"#)).unwrap(),
    };
    let mut ciphertext = Vec::new();
    let draft = Draft::new(target, &Codename::random(&mut rng()), content, &[]).unwrap();
    draft.seal(&mut ciphertext, |_| unreachable!()).unwrap();
    ciphertext
}

#[test]
fn killed_while_32_submit_the_server_loses_nothing_it_acknowledged_and_all_of_it_opens() {
    let folder = tempfile::tempdir().unwrap();
    let mut organization = Organization::found();
    let mut server = Server::init(folder.path(), &organization);
    organization.log_is(server.log);
    let manifest = organization.signed(&organization.draft(this_epoch(), 1 << 20));
    server.put("/v1/manifest", &manifest.to_bytes());
    let target = Target::from(&manifest);
    let url = format!("/v1/reports?epoch={}", this_epoch());

    let acknowledged = Mutex::new(BTreeSet::new());
    for round in 0..ROUNDS {
        let reports: Vec<_> = (0..PER_ROUND).map(|n| sealed(&target, round * PER_ROUND + n)).collect();
        let (next, in_round) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (address, log) = (format!("{}{url}", server.base), server.log);
        std::thread::scope(|scope| {
            let (address, reports, acknowledged, organization) = (&address, &reports, &acknowledged, &organization);
            let (next, in_round, log) = (&next, &in_round, &log);
            let submitters: Vec<_> = (0..SUBMITTERS)
                .map(|_| {
                    scope.spawn(move || {
                        while let Some(report) = reports.get(next.fetch_add(1, Ordering::Relaxed)) {
                            // After the kill every request fails: then this submitter is done.
                            let Ok(mut answer) = ureq::post(address).send(report.as_slice()) else {
                                return;
                            };
                            let Ok(receipt) = answer.body_mut().read_to_vec() else {
                                return;
                            };
                            let receipt = UntrustedReceipt::parse(&receipt).unwrap();
                            let receipt = receipt.verify(organization.chain.instance(), log).unwrap();
                            assert_eq!(receipt.leaf().digest, Digest::of(report));
                            acknowledged.lock().unwrap().insert(receipt.leaf().digest);
                            in_round.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            while in_round.load(Ordering::Relaxed) < KILL_AFTER && submitters.iter().any(|one| !one.is_finished()) {
                std::thread::yield_now();
            }
            server.kill();
        });
        let done = in_round.into_inner();
        assert!(
            (KILL_AFTER..PER_ROUND).contains(&done),
            "killed in the middle of the round: {done}"
        );
        server.start();
    }
    // After a kill the view is rebuilt anyway. So its folder is lost after a clean stop, when it would be opened as it is.
    server.stop();
    assert!(server.data().join("store/clean").exists());
    std::fs::remove_dir_all(server.data().join("store/view")).unwrap();
    server.start();

    let leaves = server.leaves(&organization);
    let logged: BTreeSet<_> = leaves.iter().map(|leaf| leaf.digest).collect();
    assert_eq!(logged.len(), leaves.len(), "no report is logged twice");
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= ROUNDS * KILL_AFTER);
    assert!(
        acknowledged.is_subset(&logged),
        "every acknowledged report is in the log"
    );
    // Those that were never acknowledged but made it into the log are whole, too.
    for leaf in &leaves {
        let path = format!("/v1/reports/{}", leaf.digest);
        let ciphertext = server.get_as_courier(&organization.courier, organization.chain.instance(), &path, "");
        let opened = open(
            ciphertext.as_slice(),
            &target,
            &organization.caseworkers[1],
            &mut Discard,
        )
        .unwrap();
        assert_eq!((opened.digest, opened.size), (leaf.digest, leaf.size()));
        opened.wholly_sealed(&target).unwrap();
    }
}
