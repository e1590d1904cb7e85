//! Orders on their way out, and the server's list of them.

use std::{
    fs,
    sync::{Arc, Mutex, OnceLock},
};

use crate::help::{World, epoch, report};
use marram_crypto::{
    digest::Digest,
    key::SigningKey,
    manifest::Draft,
    order::{OrderFile, UntrustedOrder, What},
};
use marram_online::{
    clock::today,
    testing::{Reply, Site},
};
use marram_tests::organization::rng;

fn delete(n: u8) -> What {
    What::Delete(vec![Digest::of(&[n])])
}

/// Puts an order into the outbox.
fn put(world: &World, name: &str, order: &OrderFile) {
    fs::create_dir_all(world.path("outbox")).unwrap();
    fs::write(world.path("outbox").join(name), order.to_bytes().unwrap()).unwrap();
}

fn outbox(world: &World, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(world.path(folder))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// A server that refuses the order with the id 2 in the way `refusal` says.
fn refusing(status: u16, name: &'static str) -> World {
    World::hostile(move |request, _| {
        let is_two = || OrderFile::parse(&request.body).unwrap().order.claims().id.as_bytes()[0] == 2;
        (request.path == "/v1/orders" && is_two()).then(|| Reply::named(status, name))
    })
}

fn ready(world: &World) {
    world.pull(&["--link", &world.link(), "--out", "first.tar"]);
}

#[test]
fn an_outbox_goes_to_the_server_and_what_was_taken_moves_away() {
    let world = World::new();
    let day = today();
    for id in 1..=2 {
        put(&world, &format!("{id}.order"), &world.order(id, delete(id), day));
    }
    fs::write(world.path("outbox/charter.json"), world.organization.chain.to_json()).unwrap();
    fs::write(
        world.path("outbox/7-1.manifest"),
        world.organization.signed(&world.draft).to_bytes(),
    )
    .unwrap();
    // What tells who reads lies in such folders, too.
    fs::write(world.path("outbox/annex"), "secret").unwrap();
    let run = world
        .courier
        .ok(&["--json", "publish", "--link", &world.link(), "outbox"]);
    assert_eq!(run.json()["orders"].as_array().unwrap().len(), 2);
    let sent: Vec<String> = world
        .server
        .requests()
        .iter()
        .map(|r| format!("{} {}", r.method, r.path))
        .collect();
    assert_eq!(
        sent,
        [
            "PUT /v1/charter",
            "PUT /v1/manifest",
            "POST /v1/orders",
            "POST /v1/orders"
        ]
    );
    assert_eq!(outbox(&world, "outbox"), ["7-1.manifest", "annex", "charter.json"]);
    assert_eq!(outbox(&world, "outbox/taken"), ["1.order", "2.order"]);
    // They are in the next bundle, and in no other.
    world.pull(&["--out", "1.tar"]);
    let indices: Vec<u64> = world.more("1.tar").orders.iter().map(|(index, _)| *index).collect();
    assert_eq!(indices, [0, 1]);
    world.pull(&["--out", "2.tar"]);
    assert_eq!(world.more("2.tar").orders.len(), 0);
    world.pull(&["--out", "3.tar", "--all"]);
    assert_eq!(world.more("3.tar").orders.len(), 2);
}

#[test]
fn a_refused_order_is_named_with_what_to_do_and_keeps_back_no_other() {
    for (status, name, next) in [
        (410, "order-expired", "have the caseworker make it again"),
        (403, "order-refused", "publish the newest manifests first"),
        (409, "order-conflict", "another order under this id"),
        (409, "board-older", "a newer board hangs already"),
        (422, "unknown-report", "tell the keyholders at once"),
        (503, "store-full", "run this again in a while"),
    ] {
        let world = refusing(status, name);
        ready(&world);
        for id in 1..=3 {
            put(&world, &format!("{id}.order"), &world.order(id, delete(id), today()));
        }
        let run = world.courier.run(&["--json", "push", "outbox"]);
        assert!(
            run.failed().contains("2.order was not taken") && run.stderr.contains(next),
            "{name}: {}",
            run.stderr
        );
        assert_eq!(run.json()["refused"][0]["file"], "outbox/2.order");
        assert_eq!(outbox(&world, "outbox"), ["2.order"]);
        assert_eq!(outbox(&world, "outbox/taken"), ["1.order", "3.order"]);
    }
}

#[test]
fn an_order_that_expired_or_is_none_is_not_even_sent() {
    let world = World::new();
    ready(&world);
    put(&world, "late.order", &world.order(1, delete(1), today().minus(1)));
    put(&world, "good.order", &world.order(2, delete(2), today()));
    let other = World::new();
    put(&world, "other.order", &other.order(3, delete(3), today()));
    fs::write(world.path("outbox/noise.order"), "noise").unwrap();
    let run = world.courier.run(&["publish", "outbox"]);
    for said in [
        "late.order was not taken",
        "expired on",
        "another organization",
        "noise.order was not taken",
    ] {
        assert!(run.failed().contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(world.server.count("POST", "/v1/orders"), 1);
    assert_eq!(outbox(&world, "outbox"), ["late.order", "noise.order", "other.order"]);
}

#[test]
fn a_push_that_broke_off_is_repeated_safely() {
    let mut answers = 0;
    let world = World::hostile(move |request, _| {
        if request.path != "/v1/orders" {
            return None;
        }
        answers += 1;
        // The server has taken it, and its answer is lost.
        (answers <= 4).then(|| Reply::Raw(Vec::new()))
    });
    ready(&world);
    put(&world, "1.order", &world.order(1, delete(1), today()));
    let run = world.courier.run(&["publish", "outbox"]);
    assert!(run.failed().contains("1.order was not taken"), "{}", run.stderr);
    assert_eq!(outbox(&world, "outbox"), ["1.order"]);
    world.courier.ok(&["publish", "outbox"]);
    assert_eq!(outbox(&world, "outbox/taken"), ["1.order"]);
    assert_eq!(world.site.lock().unwrap().orders.len(), 1, "applied once");
    let nothing = world.courier.run(&["publish", "outbox"]);
    assert!(nothing.failed().contains("nothing to publish"), "{}", nothing.stderr);
}

/// Pulls; it must fail with this alarm, and write the bundle.
fn alarmed(world: &World, out: &str, said: &str) {
    let run = world.courier.run(&["pull", "--out", out]);
    assert!(run.failed().contains(said), "{said}: {}", run.stderr);
    assert!(world.path(out).exists());
}

#[test]
fn an_order_that_the_server_took_and_hides_is_missed() {
    let world = World::new();
    ready(&world);
    put(&world, "1.order", &world.order(1, delete(1), today()));
    world.courier.ok(&["publish", "outbox"]);
    let list = std::mem::take(&mut world.site.lock().unwrap().orders);
    alarmed(
        &world,
        "1.tar",
        "said that it took order 01010101010101010101010101010101, and does not list it",
    );
    alarmed(&world, "2.tar", "does not list it");
    world.site.lock().unwrap().orders = list;
    world.pull(&["--out", "3.tar"]);
    // And one that was listed before.
    world.site.lock().unwrap().orders.clear();
    alarmed(&world, "4.tar", "listed 1 orders when last seen, and lists 0 now");
}

#[test]
fn an_order_that_is_listed_twice_changed_or_signed_by_nobody_is_named_and_carried() {
    let world = World::new();
    ready(&world);
    let note = |id: u8, n: u8| world.order(id, delete(n), today()).order.to_bytes();
    let show = |orders: Vec<Vec<u8>>| world.site.lock().unwrap().orders = orders;
    show(vec![note(1, 1)]);
    world.pull(&["--out", "1.tar"]);
    show(vec![note(1, 1), note(1, 1)]);
    alarmed(
        &world,
        "2.tar",
        "lists order 01010101010101010101010101010101 twice: as number 0 and as number 1",
    );
    assert_eq!(world.more("2.tar").orders.len(), 1, "for the caseworkers to judge");
    show(vec![note(1, 2)]);
    alarmed(&world, "3.tar", "order number 0 of the server is another one");
    let mut forged: UntrustedOrder = world.order(4, delete(4), today()).order;
    let text = String::from_utf8(forged.to_bytes()).unwrap();
    forged = UntrustedOrder::parse(text.replace("0404", "0505").as_bytes()).unwrap();
    forged.add_signature(&SigningKey::random(&mut rng())).unwrap();
    show(vec![note(1, 1), forged.to_bytes()]);
    alarmed(&world, "4.tar", "is signed by no caseworker of its week");
    show(vec![note(1, 1), b"<html>".to_vec()]);
    alarmed(&world, "5.tar", "order number 1 of the server is none");
    assert_eq!(epoch(), world.draft.epoch);
}

type Notes = Vec<Vec<u8>>;

/// What comes to a server while somebody pulls.
struct Late {
    site: Arc<Mutex<Site>>,
    orders: Notes,
    manifests: Notes,
}

/// A server that accepts these orders, and shows these manifests from then on, when it is asked for a report that they
/// delete: after it has listed its orders.
fn deleting(n: u8) -> (World, impl Fn(Notes, Notes)) {
    let late: Arc<OnceLock<Late>> = Arc::default();
    let deleted = format!("/v1/reports/{}", Digest::of(&report(n)));
    let come = Arc::clone(&late);
    let world = World::hostile(move |request, _| {
        if request.path != deleted {
            return None;
        }
        let late = come.get().unwrap();
        let mut site = late.site.lock().unwrap();
        if site.reports.remove(&Digest::of(&report(n))).is_some() {
            site.orders.extend(late.orders.clone());
            site.manifests.extend(late.manifests.clone());
        }
        Some(Reply::named(410, "report-destroyed"))
    });
    let site = Arc::clone(&world.site);
    let set = move |orders, manifests| {
        let site = Arc::clone(&site);
        assert!(
            late.set(Late {
                site,
                orders,
                manifests
            })
            .is_ok()
        );
    };
    (world, set)
}

fn delete_report(n: u8) -> What {
    What::Delete(vec![Digest::of(&report(n))])
}

fn indices(world: &World, bundle: &str) -> Vec<u64> {
    let orders = world.more(bundle).orders;
    orders.iter().map(|(index, _)| *index).collect()
}

#[test]
fn a_report_that_is_deleted_during_a_pull_comes_with_the_order_that_deleted_it() {
    let (world, late) = deleting(2);
    world.add(&[1, 2, 3]);
    let earlier = world.order(1, delete(9), today()).order.to_bytes();
    world.site.lock().unwrap().orders.push(earlier);
    let order = world.order(2, delete_report(2), today()).order.to_bytes();
    late(vec![order.clone()], vec![]);

    let run = world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    let deleted = serde_json::json!([Digest::of(&report(2))]);
    assert_eq!((&run.json()["destroyed"], &run.json()["orders"]), (&deleted, &2.into()));
    assert_eq!(world.bundle("1.tar").3, [report(1), report(3)]);
    assert_eq!(indices(&world, "1.tar"), [0, 1]);
    assert_eq!(world.more("1.tar").orders[1].1, order);
    // It was carried, and is not carried again; the list goes on behind it.
    let third = world.order(3, delete(3), today()).order.to_bytes();
    world.site.lock().unwrap().orders.push(third);
    world.pull(&["--out", "2.tar"]);
    assert_eq!(indices(&world, "2.tar"), [2]);
    world.pull(&["--out", "3.tar", "--all"]);
    assert_eq!(indices(&world, "3.tar"), [0, 1, 2]);
}

#[test]
fn an_order_that_comes_during_a_pull_brings_the_manifest_that_names_its_signer() {
    let (world, late) = deleting(2);
    world.add(&[1, 2]);
    let newcomer = SigningKey::random(&mut rng());
    let mut draft = Draft {
        version: 2,
        ..world.draft.clone()
    };
    draft.slots[1].signer = newcomer.public();
    let manifest = world.organization.signed(&draft).to_bytes();
    let file = world.order(1, delete_report(2), today());
    let mut order = file.order.claims().to_note().unwrap();
    order.add_signature(&newcomer).unwrap();
    late(vec![order.to_bytes()], vec![manifest]);

    let run = world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    assert_eq!(run.json()["alarms"], serde_json::json!([]));
    assert_eq!(world.bundle("1.tar").2, [(epoch(), 1), (epoch(), 2)]);
    assert_eq!(indices(&world, "1.tar"), [0]);
}

#[test]
fn what_is_wrong_with_the_orders_is_named_once_also_if_they_are_listed_twice() {
    let (world, late) = deleting(2);
    world.add(&[1, 2]);
    let strange = |id: u8| {
        let mut order = world
            .order(id, delete_report(2), today())
            .order
            .claims()
            .to_note()
            .unwrap();
        order.add_signature(&SigningKey::random(&mut rng())).unwrap();
        order.to_bytes()
    };
    world.site.lock().unwrap().orders.push(b"<html>".to_vec());
    late(vec![strange(2)], vec![]);
    let run = world
        .courier
        .run(&["--json", "pull", "--link", &world.link(), "--out", "1.tar"]);
    assert!(
        run.failed().contains("order number 0 of the server is none"),
        "{}",
        run.stderr
    );
    let alarms = run.json()["alarms"].clone();
    let kinds: Vec<_> = alarms.as_array().unwrap().iter().map(|alarm| &alarm["what"]).collect();
    assert_eq!(kinds.len(), 2, "{alarms}");
    assert!(
        kinds[1].as_str().unwrap().contains("is signed by no caseworker"),
        "{alarms}"
    );
    assert_eq!(indices(&world, "1.tar"), [1], "for the caseworkers to judge");
}
