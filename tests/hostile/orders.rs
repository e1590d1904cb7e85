//! Orders that are hidden, replayed or invented; and a caseworker who turned.

use std::fs;

use marram_crypto::{
    digest::Digest,
    key::SigningKey,
    order::{self, OrderId, UntrustedOrder, What},
    tree::Head,
};
use marram_tests::{organization::rng, programs, server::this_epoch};

use crate::office::{Office, draft, only_file_in, organization, signed};

/// An order by these keys, as the server would list it.
fn delete(digests: Vec<Digest>, keys: &[&SigningKey]) -> Vec<u8> {
    let draft = order::Draft {
        instance: organization().chain.instance(),
        id: OrderId::random(&mut rng()),
        epoch: this_epoch(),
        expires: this_epoch().closes(),
        log: Head::empty(),
        what: What::Delete(digests),
    };
    let mut order = draft.to_note().unwrap();
    for key in keys {
        order.add_signature(key).unwrap();
    }
    order.to_bytes()
}

/// A server whose manifest has these keys in the last slots: of caseworkers who turned.
fn with_turned(office: &Office, keys: &[&SigningKey]) {
    let mut manifest = draft(0);
    manifest.version = 2;
    for (slot, key) in manifest.slots.iter_mut().rev().zip(keys) {
        slot.signer = key.public();
    }
    let manifest = signed(&manifest);
    let mut server = office.server();
    server.manifest = manifest.to_bytes();
    server.manifests.push(manifest.to_bytes());
}

#[test]
fn two_turned_caseworkers_who_delete_unread_evidence_are_named_by_their_slots() {
    let office = Office::new();
    let keys = [SigningKey::random(&mut rng()), SigningKey::random(&mut rng())];
    with_turned(&office, &[&keys[0], &keys[1]]);
    let leaf = office.reported();
    let order = delete(vec![leaf.digest], &[&keys[0], &keys[1]]);
    {
        let mut server = office.server();
        server.reports.remove(&leaf.digest);
        server.orders.push(order);
    }
    let _ = office
        .courier("swift")
        .args(["pull", "--link", &office.link(), "--out", "1.tar"])
        .output()
        .unwrap();
    assert_eq!(office.import("heron", &["1.tar"]), ["deleted_unopened"]);
    let said = programs::succeeds(office.casework("heron").arg("alarms"));
    assert!(said.contains("slot"), "{said}");
}

/// A report is gone, and this is the order that is said to be why: the alarms of whoever imports that.
fn gone_by(office: &Office, signer: &SigningKey) -> Vec<String> {
    let leaf = office.reported();
    {
        let mut server = office.server();
        server.reports.remove(&leaf.digest);
        server.orders.push(delete(vec![leaf.digest], &[signer]));
    }
    // The courier may name the order, too.
    let mut pull = office.courier("swift");
    pull.args(["pull", "--link", &office.link(), "--out", "1.tar"])
        .output()
        .unwrap();
    office.import("heron", &["1.tar"])
}

#[test]
fn an_order_that_nobody_could_give_explains_no_loss() {
    let alarms = gone_by(&Office::new(), &SigningKey::random(&mut rng()));
    assert_eq!(alarms, ["invalid_order", "destroyed"]);
}

#[test]
fn one_signer_does_not_delete_at_once() {
    let office = Office::new();
    let turned = SigningKey::random(&mut rng());
    with_turned(&office, &[&turned]);
    // Seven days before it may.
    assert_eq!(gone_by(&office, &turned), ["destroyed"]);
}

#[test]
fn an_order_goes_out_with_a_courier_who_can_make_none_and_comes_back_as_applied() {
    let office = Office::new();
    office.reported();
    office.pull("swift", "1.tar");
    assert_eq!(office.import("heron", &["1.tar"]), [""; 0]);
    programs::succeeds(
        office
            .casework("heron")
            .args(["order", "delete", "1", "--out", "outbox"]),
    );
    let file = only_file_in(&office.path("outbox"));
    let order = order::OrderFile::parse(&fs::read(&file).unwrap()).unwrap().order;
    order
        .clone()
        .verify(&office.manifest)
        .expect("heron's slot has signed it");

    // What the courier changes on the way is no order.
    let mut edited = fs::read(&file).unwrap();
    let at = edited.windows(7).position(|window| window == b"delete ").unwrap() + 7;
    edited[at] = if edited[at] == b'0' { b'1' } else { b'0' };
    fs::write(office.path("edited.order"), &edited).unwrap();
    let edited = order::OrderFile::parse(&edited).unwrap().order;
    assert!(UntrustedOrder::verify(edited, &office.manifest).is_err());

    office.server().orders.push(order.to_bytes());
    office.reported();
    office.pull("swift", "2.tar");
    assert_eq!(office.import("heron", &["2.tar"]), [""; 0]);
}
