//! A hostile courier: it drops, reorders, edits and invents.

use std::{fs, io::Read};

use marram_crypto::{
    bundle::{BundleEntry, BundleReader, BundleWriter},
    leaf::Leaf,
};

use crate::office::{Office, json};

/// Writes a bundle anew without the entries that `drop` names: `checkpoint`, `leaves`, `orders`, or a report's number.
fn without(office: &Office, from: &str, to: &str, drop: &str) {
    changed(office, from, to, drop, |_| {});
}

/// As [`without`], with other leaves.
fn changed(office: &Office, from: &str, to: &str, drop: &str, change: impl Fn(&mut [Leaf])) {
    let bytes = fs::read(office.path(from)).unwrap();
    let mut reader = BundleReader::new(bytes.as_slice());
    let mut writer = BundleWriter::new(Vec::new());
    let mut reports = 0;
    while let Some(entry) = reader.next_entry().unwrap() {
        match entry {
            BundleEntry::Charter(chain) => writer.charter(&chain).unwrap(),
            BundleEntry::Checkpoint(_) if drop == "checkpoint" => {}
            BundleEntry::Checkpoint(note) => writer.checkpoint(&note).unwrap(),
            BundleEntry::Leaves { .. } if drop == "leaves" => {}
            BundleEntry::Leaves {
                instance, from, leaves, ..
            } => {
                let mut leaves: Vec<_> = leaves.map(Result::unwrap).collect();
                change(&mut leaves);
                writer.leaves(instance, from, &leaves).unwrap();
            }
            BundleEntry::Manifest(note) => {
                let manifest = marram_crypto::manifest::UntrustedManifest::parse(&note).unwrap();
                writer
                    .manifest(manifest.claims().epoch, manifest.claims().version, &note)
                    .unwrap();
            }
            BundleEntry::Order { .. } if drop == "orders" => {}
            BundleEntry::Order { index, note } => writer.order(index, &note).unwrap(),
            BundleEntry::Canary { name, receipt } => writer.canary(&name, &receipt).unwrap(),
            BundleEntry::Report {
                digest,
                size,
                mut content,
            } => {
                let mut body = Vec::new();
                content.read_to_end(&mut body).unwrap();
                if drop != reports.to_string() {
                    writer.report(digest, size, body.as_slice()).unwrap();
                }
                reports += 1;
            }
        }
    }
    fs::write(office.path(to), writer.finish().unwrap()).unwrap();
}

#[test]
fn a_report_that_the_courier_drops_is_withheld_until_somebody_brings_it() {
    let office = Office::new();
    office.reported();
    office.reported();
    office.pull("swift", "whole.tar");
    without(&office, "whole.tar", "dropped.tar", "1");
    assert_eq!(office.import("heron", &["dropped.tar"]), ["withheld"]);
    assert_eq!(office.cases("heron"), 1);
    office.import("heron", &["whole.tar"]);
    assert_eq!(office.cases("heron"), 2);
}

#[test]
fn bundles_that_come_in_any_order_or_overlap_end_in_the_same_state() {
    let office = Office::new();
    for bundle in ["1.tar", "2.tar", "3.tar"] {
        office.reported();
        office.pull("swift", bundle);
    }
    office.pull("tern", "all.tar");
    assert_eq!(
        office.import("heron", &["3.tar", "1.tar", "all.tar", "2.tar", "1.tar"]),
        [""; 0]
    );
    assert_eq!(office.import("ibis", &["1.tar", "2.tar", "3.tar"]), [""; 0]);
    assert_eq!((office.cases("heron"), office.cases("ibis")), (3, 3));
}

#[test]
fn a_bundle_without_its_checkpoint_proves_nothing_and_what_opens_is_read() {
    let office = Office::new();
    office.reported();
    office.pull("swift", "whole.tar");
    without(&office, "whole.tar", "bare.tar", "checkpoint");
    office.import("heron", &["bare.tar"]);
    assert_eq!(office.cases("heron"), 1);
    // Nothing was accounted for: the week's keys must stay.
    assert_eq!(office.import("heron", &["whole.tar"]), [""; 0]);
}

#[test]
fn leaves_that_the_courier_edits_are_false_and_stand_in_nobodys_way() {
    let office = Office::new();
    office.reported();
    office.reported();
    office.pull("swift", "whole.tar");
    changed(&office, "whole.tar", "swapped.tar", "", <[Leaf]>::reverse);
    let proven = || json(office.casework("heron").args(["--json", "status"]))["log"]["size"].clone();
    assert_eq!(office.import("heron", &["swapped.tar"]), ["false_leaves"]);
    assert_eq!(proven(), 0);
    assert_eq!(office.cases("heron"), 2, "what opens is read all the same");
    // The alarm stays to be acknowledged; the log is proven by whoever brings it as it is.
    assert_eq!(office.import("heron", &["whole.tar"]), ["false_leaves"]);
    assert_eq!(proven(), 2);
}

#[test]
fn an_edited_ciphertext_is_not_taken_for_the_report() {
    let office = Office::new();
    let leaf = office.reported();
    office.pull("swift", "1.tar");
    let mut bytes = fs::read(office.path("1.tar")).unwrap();
    let body = office.server().reports[&leaf.digest].clone();
    let at = bytes
        .windows(64)
        .position(|window| window == &body[body.len() - 64..])
        .unwrap();
    bytes[at] ^= 1;
    fs::write(office.path("edited.tar"), bytes).unwrap();
    assert_eq!(office.import("heron", &["edited.tar"]), ["withheld"]);
    assert_eq!(office.cases("heron"), 0);
}
