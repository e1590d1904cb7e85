//! The couriers' routes, asked by strangers, by whoever recorded a courier's request, and by a courier who turned.

use std::{
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use marram_crypto::{
    courier_request::{self, NONCE_LEN, Request},
    digest::Digest,
    key::SigningKey,
};
use marram_tests::organization::rng;

use crate::{
    crowd::{answer, crowd, flood, status, write},
    target::Target,
};

/// A request, signed by `key` as a courier signs.
fn signed(target: &Target, key: &SigningKey, path: &str, query: &str) -> String {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).unwrap();
    let request = Request {
        method: "GET",
        path,
        query,
        body: Digest::of(b""),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let headers = courier_request::sign(request, key, target.organization.chain.instance(), now, nonce);
    let (digest, input, signature) = (headers.content_digest, headers.signature_input, headers.signature);
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!(
        "GET {path}{query} HTTP/1.1\r\nHost: x\r\nContent-Digest: {digest}\r\nSignature-Input: {input}\r\nSignature: {signature}\r\n\r\n"
    )
}

#[test]
fn requests_that_no_courier_signed() {
    let target = Target::new();
    let courier = &target.organization.courier;
    let stranger = SigningKey::random(&mut rng());
    let good = |path, query| signed(&target, courier, path, query);
    let requests = [
        "GET /v1/log/leaves?from=0 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        signed(&target, &stranger, "/v1/log/leaves", "from=0"),
        // Signed for something else.
        good("/v1/log/leaves", "from=1").replace("from=1", "from=0"),
        good("/v1/log/manifests", "from=0").replace("manifests", "leaves"),
        good("/v1/log/leaves", "from=0").replace("Content-Digest: sha-256=:47", "Content-Digest: sha-256=:48"),
        good("/v1/log/leaves", "from=0").replace(";created=1", ";created=2"),
        good("/v1/log/leaves", "from=0").replace(";alg=\"ed25519\"", ";alg=\"hmac-sha256\""),
        // Twice, or too long.
        good("/v1/log/leaves", "from=0").replace("Signature: ", "Signature: x\r\nSignature: "),
        good("/v1/log/leaves", "from=0").replace(";nonce=\"", &format!(";nonce=\"{}", "0".repeat(8000))),
        good("/v1/log/leaves", "from=0")
            .replace("Signature-Input: ", &format!("Signature-Input: {}", ";".repeat(8000))),
    ];
    let sent = flood(
        &target,
        64,
        6000,
        |number, stream| {
            write(stream, requests[number % requests.len()].as_bytes());
            let (status, body) = answer(stream).unwrap();
            assert_eq!(status, 401, "{}", String::from_utf8_lossy(&body));
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("{sent} requests that no courier signed");
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn a_courier_s_request_that_was_recorded_and_comes_again() {
    let target = Target::new();
    let request = signed(&target, &target.organization.courier, "/v1/log/leaves", "from=0");
    let served = AtomicUsize::new(0);
    let sent = flood(
        &target,
        64,
        6000,
        |_, stream| {
            write(stream, request.as_bytes());
            match status(stream) {
                Some(200) => drop(served.fetch_add(1, Ordering::Relaxed)),
                other => assert_eq!(other, Some(401)),
            }
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("one request {sent} times");
    assert_eq!(served.into_inner(), 1);
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn a_courier_who_asks_for_reports_and_does_not_read_them() {
    const LARGE: usize = 16 << 20;
    let target = Target::with(&[("idle_timeout_s", 4)]);
    let mut stream = target.connect();
    write(&mut stream, &target.head(LARGE as u64));
    let mut report = target.noise(0);
    report.resize(LARGE, 0);
    write(&mut stream, &report);
    assert_eq!(status(&mut stream), Some(201));
    target.was_stored(LARGE as u64);
    let path = format!("/v1/reports/{}", Digest::of(&report));
    let ask = |stream: &mut TcpStream| {
        write(stream, signed(&target, &target.turned_courier, &path, "").as_bytes());
    };
    let held = crowd(&target, 400, |_, stream| ask(stream));
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    // They are cut off, though nobody has hung up.
    target.recovers();
    drop(held);
}

#[test]
fn a_courier_who_asks_for_the_log_and_does_not_read_it() {
    let target = Target::with(&[("idle_timeout_s", 4)]);
    // A log of some length: 41 bytes for each leaf.
    flood(
        &target,
        64,
        1000,
        |number, stream| {
            write(stream, &target.head(target.noise(0).len() as u64));
            write(stream, &target.noise(u32::try_from(number).unwrap()));
            assert_eq!(status(stream), Some(201));
            target.was_stored(target.noise(0).len() as u64);
        },
        || {
            while target.stored() < 1000 {
                std::thread::yield_now();
            }
        },
    );
    let held = crowd(&target, 200, |_, stream| {
        stream.set_nonblocking(true).unwrap();
        for _ in 0..10 {
            let request = signed(&target, &target.turned_courier, "/v1/log/leaves", "from=0");
            write(stream, request.as_bytes());
        }
    });
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    target.recovers();
    drop(held);
}
