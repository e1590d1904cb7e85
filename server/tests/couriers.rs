//! The log, for couriers alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use harness::{Server, rng, sealed, send};
use marram_crypto::{digest::Digest, key::SigningKey, leaf::Leaf};

const ROUTES: [&str; 3] = ["/v1/log/leaves?from=0", "/v1/log/manifests?from=0", "/v1/reports/"];

#[test]
fn nobody_else_reads_the_log() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    let report = sealed(&manifest, 0);
    server.post(server.epoch(), &report).expect(201);
    for route in ROUTES {
        let path = if route.ends_with('/') {
            format!("{route}{}", Digest::of(&report))
        } else {
            route.to_owned()
        };
        let get = |headers: &str| send(server.address, "GET", &path, headers, b"");
        let honest = server.signed(&path, &server.organization.courier);

        assert_eq!(get("").expect(401).problem(), "not-a-courier");
        let stranger = server.signed(&path, &SigningKey::random(&mut rng()));
        assert_eq!(get(&stranger).expect(401).problem(), "not-a-courier");
        let elsewhere = server.signed("/v1/log/leaves?from=7", &server.organization.courier);
        assert_eq!(get(&elsewhere).expect(401).problem(), "not-a-courier");
        let both = format!("{honest}{}", server.signed(&path, &server.organization.courier));
        assert_eq!(get(&both).expect(401).problem(), "not-a-courier");

        let answer = get(&honest).expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(get(&honest).expect(401).problem(), "not-a-courier", "a replay");
        let old = server.signed(&path, &server.organization.courier);
        server.pass_seconds(61);
        assert_eq!(get(&old).expect(401).problem(), "not-a-courier");
    }
}

#[test]
fn a_courier_is_one_while_its_manifest_is_open_or_in_its_grace() {
    let server = Server::start();
    let epoch = server.epoch();
    server.publish(epoch);
    let read = || server.courier("/v1/log/leaves?from=0", "").status;
    server.set_day(epoch.closes().plus(1));
    assert_eq!(read(), 200);
    server.set_day(epoch.closes().plus(2));
    assert_eq!(read(), 401);
    server.set_day(epoch.opens().minus(1));
    assert_eq!(read(), 401);
}

#[test]
fn leaves_and_manifests_come_in_order_from_where_one_asks() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    server.publish(server.epoch().plus(1));
    let reports: Vec<_> = (0..5).map(|_| sealed(&manifest, 0)).collect();
    for report in &reports {
        server.post(server.epoch(), report).expect(201);
    }
    let digests: Vec<_> = reports.iter().map(|report| Digest::of(report)).collect();
    assert_eq!(
        server.leaves().iter().map(|leaf| leaf.digest).collect::<Vec<_>>(),
        digests
    );
    let tail = server.courier("/v1/log/leaves?from=3", "").expect(200);
    assert_eq!(tail.body.len(), 2 * Leaf::LEN);
    assert!(server.courier("/v1/log/leaves?from=5", "").expect(200).body.is_empty());
    assert_eq!(server.courier("/v1/log/leaves", "").expect(400).problem(), "bad-query");

    let manifests = server
        .courier(&format!("/v1/log/manifests?from={}", server.epoch()), "")
        .expect(200);
    let manifests: Vec<String> = serde_json::from_slice(&manifests.body).unwrap();
    assert_eq!(manifests.len(), 2);
    assert_eq!(manifests[0].as_bytes(), manifest.to_bytes());
}

#[test]
fn a_pull_that_broke_off_goes_on_where_it_was() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    let report = sealed(&manifest, 0);
    server.post(server.epoch(), &report).expect(201);
    let path = format!("/v1/reports/{}", Digest::of(&report));
    let rest = server.courier(&path, "Range: bytes=1000-\r\n").expect(206);
    assert!(rest.body == report[1000..]);
    assert_eq!(
        rest.header("content-range"),
        Some(format!("bytes 1000-{}/{}", report.len() - 1, report.len()).as_str())
    );
    let past = server
        .courier(&path, &format!("Range: bytes={}-\r\n", report.len()))
        .expect(416);
    assert_eq!(past.problem(), "range-not-satisfiable");
    let unknown = format!("/v1/reports/{}", Digest::of(b"unknown"));
    assert_eq!(server.courier(&unknown, "").expect(404).problem(), "not-found");
    assert_eq!(server.courier("/v1/reports/x", "").expect(404).problem(), "not-found");
}
