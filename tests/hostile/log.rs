//! The log: what is dropped, held back, invented, swapped, rolled back, frozen, forked.

use std::fs;

use marram_crypto::{digest::Digest, leaf::Leaf};
use marram_online::clock::today;
use marram_tests::{programs, server::this_epoch};

use crate::office::{Office, receipt_for, words};

#[test]
fn an_honest_server_raises_no_alarm() {
    let office = Office::new();
    office.reported();
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    office.reported();
    office.pull("swift", "2.tar");
    office.pull("tern", "all.tar");
    assert_eq!(office.import("heron", &["all.tar", "2.tar", "1.tar"]), [""; 0]);
    assert_eq!(office.import("ibis", &["2.tar", "1.tar"]), [""; 0]);
    assert_eq!((office.cases("heron"), office.cases("ibis")), (2, 2));
}

#[test]
fn a_report_dropped_after_its_receipt_is_proven_by_the_receipt() {
    let office = Office::new();
    let dropped = office.report();
    fs::write(office.path("receipt"), receipt_for(&dropped, today().minus(1))).unwrap();
    office.reported();
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    let said = words(&programs::fails(office.casework("heron").args(["receipt", "receipt"])));
    assert!(said.contains("does not have what the server promised"), "{said}");
    assert_eq!(office.alarms("heron"), ["receipt_withheld"]);
}

#[test]
fn a_report_in_the_log_and_not_handed_out_is_withheld() {
    let office = Office::new();
    let leaf = office.reported();
    office.reported();
    office.server().reports.remove(&leaf.digest);
    let noted = office.pull_notes("swift", "1.tar");
    assert!(noted.contains(&leaf.digest.to_string()), "{noted}");
    assert_eq!(office.import("heron", &["1.tar"]), ["withheld"]);
    assert_eq!(office.cases("heron"), 1, "what is there is read all the same");
}

#[test]
fn a_report_deleted_before_anybody_read_it_is_withheld_without_an_order() {
    // The same to a caseworker as one that was never handed out: there is no order that says why.
    let office = Office::new();
    let leaf = office.reported();
    office.pull("swift", "1.tar");
    office.server().reports.remove(&leaf.digest);
    office.pull("tern", "2.tar");
    assert_eq!(office.import("ibis", &["2.tar"]), ["withheld"]);
    // The other courier had it: the alarm is over, and stays to be acknowledged.
    office.import("ibis", &["1.tar"]);
    assert_eq!(office.cases("ibis"), 1);
}

#[test]
fn an_invented_leaf_is_withheld() {
    let office = Office::new();
    office.reported();
    let invented = Leaf {
        digest: Digest::of(b"nothing"),
        epoch: this_epoch(),
        day: today(),
        log2_size: 15,
    };
    office.server().leaves.push(invented);
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), ["withheld"]);
}

#[test]
fn two_swapped_ciphertexts_are_named_by_the_courier() {
    let office = Office::new();
    let (first, second) = (office.reported(), office.reported());
    {
        let mut server = office.server();
        let (one, other) = (
            server.reports[&first.digest].clone(),
            server.reports[&second.digest].clone(),
        );
        server.reports.insert(first.digest, other);
        server.reports.insert(second.digest, one);
    }
    let noted = office.pull_notes("swift", "1.tar");
    assert!(
        noted.contains(&format!("{} is not that report", first.digest)),
        "{noted}"
    );
    assert_eq!(office.import("heron", &["1.tar"]), ["withheld", "withheld"]);
}

#[test]
fn an_old_checkpoint_is_a_rollback() {
    let office = Office::new();
    office.reported();
    office.reported();
    {
        let mut server = office.server();
        let yesterdays = server.checkpoint_of(&server.leaves, today().minus(1));
        server.checkpoint = Some(yesterdays);
    }
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    // Today the server shows the past, as if the second report had never come.
    {
        let mut server = office.server();
        server.leaves.pop();
        server.checkpoint = None;
    }
    let said = office.pull_alarms("swift", "3.tar");
    assert!(said.contains("rolled back"), "{said}");
    // A courier who has no memory brings it in.
    office.pull("tern", "4.tar");
    assert_eq!(office.import("heron", &["4.tar"]), ["rolled_back"]);
    assert_eq!(office.cases("heron"), 2, "what was read stays");
}

#[test]
fn a_frozen_checkpoint_is_named_by_the_courier_and_goes_stale_at_the_caseworker() {
    let office = Office::new();
    office.reported();
    {
        let mut server = office.server();
        let frozen = server.checkpoint_of(&server.leaves, today().minus(9));
        server.checkpoint = Some(frozen);
    }
    office.reported();
    let said = office.pull_alarms("swift", "1.tar");
    assert!(said.contains("frozen") || said.contains("old"), "{said}");
    assert!(office.import("heron", &["1.tar"]).contains(&"stale".to_owned()));
}

#[test]
fn two_trees_for_two_couriers_are_a_fork() {
    let office = Office::new();
    office.reported();
    let hidden = office.reported();
    office.pull("swift", "1.tar");
    office.server().leaves.pop();
    office.reported();
    office.pull("tern", "2.tar");
    assert_eq!(office.import("heron", &["1.tar", "2.tar"]), ["forked"]);
    assert_eq!(office.cases("heron"), 3, "both histories are read");
    assert!(office.server().reports.contains_key(&hidden.digest));
}

#[test]
fn a_fork_between_two_caseworkers_comes_out_when_they_compare() {
    let office = Office::new();
    office.reported();
    office.reported();
    office.pull("swift", "1.tar");
    office.server().leaves.pop();
    office.reported();
    office.pull("tern", "2.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    assert_eq!(office.import("ibis", &["2.tar"]), [""; 0]);
    programs::succeeds(office.casework("ibis").args(["standing", "--out", "ibis.standing"]));
    programs::fails(office.casework("heron").args(["compare", "ibis.standing"]));
    assert!(office.alarms("heron").contains(&"forked".to_owned()));
}

#[test]
fn leaves_that_do_not_lead_to_the_checkpoint_are_named() {
    let office = Office::new();
    office.reported();
    office.reported();
    {
        let mut server = office.server();
        let other = [server.leaves[1], server.leaves[0]];
        let signed = server.checkpoint_of(&other, today());
        server.checkpoint = Some(signed);
    }
    let said = office.pull_alarms("swift", "1.tar");
    assert!(said.contains("root"), "{said}");
    // An honest courier brings nothing of a log that is not proven. What opens is read all the same, and named.
    let output = office.casework("heron").args(["import", "1.tar"]).output().unwrap();
    let said = words(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    assert!(said.contains("not in the log: 2 reports"), "{said}");
    assert_eq!(office.cases("heron"), 2);
}

#[test]
fn a_canary_dropped_after_its_receipt_is_missed_by_name() {
    let office = Office::new();
    office.reported();
    let mut canary = office.courier("swift");
    programs::succeeds(canary.args(["canary", "--link", &office.link()]));
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    assert_eq!(office.cases("heron"), 1, "a canary is no case");

    programs::succeeds(office.courier("swift").args(["canary", "--link", &office.link()]));
    {
        let mut server = office.server();
        server.leaves.pop();
        // A checkpoint of the same day could be older than the receipt; one of a later day cannot.
        let tomorrows = server.checkpoint_of(&server.leaves, today().plus(1));
        server.checkpoint = Some(tomorrows);
    }
    let said = office.pull_alarms("swift", "2.tar");
    assert!(said.contains("canary-"), "{said}");
    assert_eq!(office.import("heron", &["2.tar"]), ["lost_canary"]);
}
