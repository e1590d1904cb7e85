//! The log, for couriers alone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use harness::{Server, rng, sealed, send};
use marram_crypto::{
    courier_request::{self, NONCE_LEN, SignatureHeaders},
    digest::Digest,
    key::SigningKey,
    leaf::Leaf,
};

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
fn a_signature_for_one_method_route_or_query_opens_no_other() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    let report = sealed(&manifest, 0);
    server.post(server.epoch(), &report).expect(201);
    let report = format!("/v1/reports/{}", Digest::of(&report));
    let leaves = "/v1/log/leaves?from=0";
    let refused = |method: &str, path: &str, signed_for: &str| {
        let headers = server.signed(signed_for, &server.organization.courier);
        let answer = send(server.address, method, path, &headers, b"");
        assert_eq!(answer.status, 401, "{method} {path}, signed for GET {signed_for}");
        // The signature itself was good, and its nonce is not used up by what was refused.
        let path = signed_for;
        send(server.address, "GET", path, &headers, b"").expect(200);
    };
    refused("GET", &report, leaves);
    refused("GET", leaves, &report);
    refused("GET", "/v1/log/manifests?from=0", leaves);
    refused("GET", "/v1/log/leaves?from=0&from=0", leaves);
    refused("GET", "/v1/log/leaves?from=%30", leaves);
    refused("GET", "/v1/log/leaves?from=0&", leaves);
    refused("GET", "/v1/log/leaves", leaves);
    refused("HEAD", leaves, leaves);
    refused("HEAD", &report, &report);
}

#[test]
fn a_request_signed_for_another_organization_is_refused_though_the_courier_serves_both() {
    let server = Server::start();
    server.publish(server.epoch());
    let sign = |instance| {
        let request = courier_request::Request {
            method: "GET",
            path: "/v1/log/leaves",
            query: "from=0",
            body: Digest::of(b""),
        };
        courier_request::sign(
            request,
            &server.organization.courier,
            instance,
            server.now(),
            [7; NONCE_LEN],
        )
    };
    let get = |signed: &SignatureHeaders| send(server.address, "GET", "/v1/log/leaves?from=0", &headers(signed), b"");
    let elsewhere = sign("ffffffffffffffffffffffffffffffff".parse().unwrap());
    assert_eq!(get(&elsewhere).expect(401).problem(), "not-a-courier");
    get(&sign(server.organization.chain.instance())).expect(200);
}

#[test]
fn doubled_joined_and_downgraded_signature_headers_are_refused() {
    let server = Server::start();
    server.publish(server.epoch());
    let path = "/v1/log/leaves?from=0";
    let get = |headers: &str| send(server.address, "GET", path, headers, b"");
    let honest = || server.signed(path, &server.organization.courier);
    let refused = |what: &str, headers: &str| {
        let answer = get(headers);
        assert_eq!(answer.status, 401, "{what}:\n{headers}");
        assert_eq!(answer.problem(), "not-a-courier");
        assert!(answer.header("www-authenticate").is_some(), "{what}");
    };
    for name in ["Content-Digest", "Signature-Input", "Signature"] {
        let signed = honest();
        let line = signed
            .lines()
            .find(|line| line.starts_with(&format!("{name}: ")))
            .unwrap();
        let others = signed.replacen(&format!("{line}\r\n"), "", 1);
        let value = line.split_once(": ").unwrap().1;
        refused("missing", &others);
        refused("twice", &format!("{signed}{line}\r\n"));
        refused(
            "twice, in another case",
            &format!("{signed}{}: {value}\r\n", name.to_lowercase()),
        );
        refused("empty before", &format!("{name}: \r\n{signed}"));
        refused("joined", &format!("{others}{name}: {value}, {value}\r\n"));
        refused("not ASCII", &format!("{others}{name}: {value}é\r\n"));
    }
    for (what, from, to) in [
        ("another algorithm", "alg=\"ed25519\"", "alg=\"hmac-sha256\""),
        ("no algorithm", ";alg=\"ed25519\"", ""),
        ("no query", " \"@query\"", ""),
        ("another order", "\"@method\" \"@path\"", "\"@path\" \"@method\""),
        ("another label", "courier=(", "sig1=("),
        ("another tag", "tag=\"marram/", "tag=\"other/"),
        ("another digest", "sha-256=:", "sha-512=:"),
    ] {
        let changed = honest().replacen(from, to, 1);
        assert_ne!(changed, honest());
        refused(what, &changed);
    }
    get(&honest()).expect(200);
}

#[test]
fn the_same_request_a_hundred_times_at_once_is_answered_once() {
    let server = Server::start();
    server.publish(server.epoch());
    let path = "/v1/log/leaves?from=0";
    let headers = server.signed(path, &server.organization.courier);
    let answered = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| send(server.address, "GET", path, &headers, b"").status))
            .collect();
        let statuses = asking.into_iter().map(|asking| asking.join().unwrap());
        statuses.filter(|status| *status == 200).count()
    });
    assert_eq!(answered, 1);
}

fn headers(signed: &SignatureHeaders) -> String {
    format!(
        "Content-Digest: {}\r\nSignature-Input: {}\r\nSignature: {}\r\n",
        signed.content_digest, signed.signature_input, signed.signature
    )
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
