//! Reports of the courier's own, against servers that keep them and servers that do not.

use crate::help::World;
use marram_crypto::{key::SigningKey, leaf::Leaf, open, payload::Attachments, receipt::UntrustedReceipt, seal::Target};
use marram_online::{
    clock::today,
    testing::{Reply, Socks},
};
use marram_tests::organization::rng;

struct None;

impl Attachments for None {
    fn begin(&mut self, _: usize, _: u64) -> std::io::Result<()> {
        panic!("a canary has no attachments")
    }

    fn write(&mut self, _: &[u8]) -> std::io::Result<()> {
        unreachable!()
    }
}

fn send(world: &World, more: &[&str]) -> crate::help::Run {
    world
        .courier
        .run(&[&["--json", "canary", "--link", &world.link()], more].concat())
}

#[test]
fn a_canary_is_a_report_like_any_other_and_its_receipt_goes_into_one_bundle() {
    let world = World::new();
    let names: Vec<String> = (1..=2).map(|n| format!("canary-{}-{n}", today())).collect();
    assert_eq!(
        send(&world, &["--count", "2"]).succeeded().json()["sent"],
        serde_json::json!(names)
    );
    let requests: Vec<String> = world
        .server
        .requests()
        .iter()
        .map(|r| format!("{} {}", r.method, r.path))
        .collect();
    let like_a_submitter = ["GET /v1/charter", "GET /v1/manifest", "POST /v1/reports"];
    assert_eq!(requests, [like_a_submitter, like_a_submitter].concat());
    assert!(
        world
            .server
            .requests()
            .iter()
            .all(|request| request.header("signature").is_empty())
    );

    let manifest = world.organization.signed(&world.draft);
    let mut found = Vec::new();
    for report in world.site.lock().unwrap().reports.values() {
        let target = Target::from(&manifest);
        let opened = open::open(
            report.as_slice(),
            &target,
            &world.organization.caseworkers[1],
            &mut None,
        )
        .unwrap();
        opened.wholly_sealed(&target).unwrap();
        assert!(!opened.report.continues);
        found.push(opened.report.incident.get().to_owned());
    }
    found.sort_unstable();
    let expected: Vec<String> = names
        .iter()
        .map(|name| serde_json::json!({"schema": "marram/canary/v1", "name": name}).to_string())
        .collect();
    assert_eq!(found, expected);

    world.pull(&["--out", "1.tar"]);
    let carried = world.more("1.tar").canaries;
    assert_eq!(carried.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
    for (_, receipt) in carried {
        let site = world.site.lock().unwrap();
        let receipt = UntrustedReceipt::parse(&receipt)
            .unwrap()
            .verify(site.instance, &site.log.public())
            .unwrap();
        assert!(site.leaves.contains(receipt.leaf()));
    }
    world.pull(&["--out", "2.tar"]);
    assert_eq!(world.more("2.tar").canaries.len(), 0);
    world.pull(&["--out", "3.tar", "--all"]);
    assert_eq!(world.more("3.tar").canaries.len(), 2);
    // A name is never given twice.
    assert_eq!(
        send(&world, &[]).succeeded().json()["sent"][0],
        format!("canary-{}-3", today())
    );
}

#[test]
fn a_server_that_drops_a_canary_before_the_log_is_named() {
    let mut posts = 0;
    let world = World::hostile(move |request, honest| {
        let Reply::Answer { .. } = honest else {
            return Option::None;
        };
        posts += i32::from(request.method == "POST");
        (request.method == "POST" && posts == 2).then(|| Reply::of(201, "text/plain", "thanks"))
    });
    let run = send(&world, &["--count", "3"]);
    let name = format!("canary-{}-2", today());
    assert!(
        run.failed().contains(&format!("{name} got no receipt")),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("dropped before the log"), "{}", run.stderr);
    assert_eq!(
        (run.json()["sent"].as_array().unwrap().len(), &run.json()["lost"]),
        (2, &serde_json::json!([name]))
    );
    assert_eq!(
        world.courier.ok(&["--json", "status"]).json()["lost_canaries"],
        serde_json::json!([name])
    );
    world.pull(&["--out", "1.tar"]);
    assert_eq!(world.more("1.tar").canaries.len(), 2);
}

#[test]
fn a_receipt_by_another_key_is_no_receipt() {
    let world = World::new();
    world.site.lock().unwrap().log = SigningKey::random(&mut rng());
    let run = send(&world, &[]);
    assert!(
        run.failed().contains("got no receipt") && run.stderr.contains("signed by 0 of the keys"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_canary_that_was_promised_and_is_not_in_the_log_is_named_dropped() {
    let world = World::new();
    send(&world, &[]).succeeded();
    let dropped: Leaf = world.site.lock().unwrap().leaves.pop().unwrap();
    world.add(&[1]);
    let run = world.courier.run(&["--json", "pull", "--out", "1.tar"]);
    assert!(
        run.failed().contains("dropped: the server gave a receipt for canary-"),
        "{}",
        run.stderr
    );
    assert_eq!(run.json()["alarms"][0]["kind"], "canary-dropped");
    // The receipt is the proof.
    let receipt = UntrustedReceipt::parse(&world.more("1.tar").canaries[0].1).unwrap();
    assert_eq!(receipt.claimed_leaf().digest, dropped.digest);
}

#[test]
fn a_server_that_shows_submitters_a_superseded_manifest_is_caught_by_a_canary() {
    let world = World::new();
    let newer = marram_crypto::manifest::Draft {
        version: 2,
        ..world.draft.clone()
    };
    let newer = world.organization.signed(&newer).to_bytes();
    world.site.lock().unwrap().manifests.push(newer);
    world.pull(&["--link", &world.link(), "--out", "1.tar"]);
    let run = send(&world, &[]);
    assert!(
        run.failed()
            .contains("shows submitters an older manifest than couriers"),
        "{}",
        run.stderr
    );
    assert_eq!(world.server.count("POST", "/v1/reports"), 0);
}

#[test]
fn canaries_go_through_the_proxy_and_over_other_connections_each() {
    let world = World::new();
    let onion = format!("{}.onion", "d".repeat(56));
    let link = format!("http://{onion}/#{}", world.organization.chain.pinned());
    let proxy = Socks::start(world.server.address());
    let run = world
        .courier
        .ok(&["canary", "--link", &link, "--proxy", &proxy.url(), "--count", "2"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    assert!(proxy.asked().len() >= 4 && proxy.asked().iter().all(|asked| *asked == format!("name {onion} 80")));
    assert!(send(&world, &[]).stderr.contains("send canaries through Tor"));
}
