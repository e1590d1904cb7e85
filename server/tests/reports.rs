//! What submitters can send, and what comes of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::io::Write;

use harness::{
    LIMIT, Organization, SMALL, Server, begin, contains, files_in, give_up, read_answer, sealed, send, send_raw,
};
use marram_crypto::{digest::Digest, receipt};

#[test]
fn a_sealed_report_gets_a_receipt_and_is_there_for_the_courier() {
    let mut server = Server::start();
    let manifest = server.publish(server.epoch());
    // One in memory, one through a temporary file.
    for (attachment_len, size) in [(0, SMALL), (1_500_000, 2 << 20)] {
        let report = sealed(&manifest, attachment_len);
        assert_eq!(report.len() as u64, size);
        let answer = server.post(server.epoch(), &report).expect(201);
        let receipt = server.receipt(&answer);
        receipt
            .check_for(Digest::of(&report), server.epoch(), size, server.today())
            .unwrap();
        let stored = server
            .courier(&format!("/v1/reports/{}", Digest::of(&report)), "")
            .expect(200);
        assert!(stored.body == report);
    }
    let leaves = server.leaves();
    assert_eq!(leaves.len(), 2);
    server.restart();
    assert_eq!(server.leaves(), leaves);
}

#[test]
fn the_same_bytes_give_the_same_receipt_for_two_days_and_then_one_that_tells_nothing() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    let report = sealed(&manifest, 0);
    let first = server.post(server.epoch(), &report).expect(201);
    for days in [0, 1, 2] {
        server.set_day(harness::wednesday().plus(days));
        assert_eq!(server.post(manifest.epoch, &report).expect(201).body, first.body);
    }
    server.set_day(harness::wednesday().plus(3));
    let seized = server.post(manifest.epoch, &report).expect(201);
    let never_sent = server.post(manifest.epoch, &sealed(&manifest, 0)).expect(201);
    assert_eq!(server.receipt(&seized).leaf().day, server.today());
    assert_eq!(seized.body.len(), receipt::LEN);
    assert_eq!(seized.head, never_sent.head);
    assert_eq!(server.leaves().len(), 2, "the seized one was not stored again");
}

#[test]
fn every_wrong_thing_is_refused_by_name_with_one_length_and_leaves_nothing() {
    let server = Server::start();
    let epoch = server.epoch();
    let manifest = server.publish(epoch);
    let small = usize::try_from(SMALL).unwrap();

    let mut plaintext = b"My name is Aygul and my brother was taken. ".repeat(small / 40);
    plaintext.truncate(small);
    let classical = age_file(&[&age::x25519::Identity::generate().to_public()], small);
    let passphrase = age_file(&[&age::scrypt::Recipient::new("secret".to_owned().into())], small);
    let one_slot = age_file(&[&manifest.slots[0].recipient], small);
    let slot = |index: usize| &manifest.slots[index].recipient as &dyn age::Recipient;
    let three_slots = age_file(&[slot(0), slot(1), slot(0)], small);
    let good = sealed(&manifest, 0);
    let mut one_more = good.clone();
    one_more.push(0);
    let mut without_grease = good.clone();
    let grease = good.windows(7).position(|window| window == b"-grease").unwrap();
    without_grease[grease..grease + 7].copy_from_slice(b"-greasy");

    for (body, status, problem) in [
        (plaintext.as_slice(), 422, "not-sealed"),
        (&classical, 422, "not-post-quantum"),
        (&passphrase, 422, "not-post-quantum"),
        (&one_slot, 422, "wrong-number-of-slots"),
        (&three_slots, 422, "wrong-number-of-slots"),
        (&without_grease, 422, "not-post-quantum"),
        (&good[..small - 1], 400, "not-a-bucket"),
        (&one_more, 400, "not-a-bucket"),
        (&good[..small / 2], 400, "not-a-bucket"),
        (b"", 400, "not-a-bucket"),
        (&vec![0; 2 * usize::try_from(LIMIT).unwrap()], 413, "too-large"),
    ] {
        let answer = server.post(epoch, body).expect(status);
        assert_eq!(answer.problem(), problem);
    }
    let post =
        |query: &str, headers: &str| send(server.address, "POST", &format!("/v1/reports{query}"), headers, &good);
    for query in [
        "",
        "?epoch=",
        "?epoch=x",
        "?epoch=99999999999",
        "?epoch=4294967295",
        "?e=1",
    ] {
        assert_eq!(post(query, "").expect(400).problem(), "bad-query");
    }
    let head = format!("POST /v1/reports?epoch={epoch} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    assert_eq!(
        send_raw(server.address, &format!("{head}\r\n"), b"")
            .expect(411)
            .problem(),
        "length-required"
    );
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(
        send_raw(server.address, &chunked, b"0\r\n\r\n").expect(411).problem(),
        "length-required"
    );
    // Half a small one, and half of one that goes through a file.
    let large = sealed(&manifest, 1_500_000);
    for body in [&good, &large] {
        let stream = begin(server.address, epoch, body.len(), &body[..body.len() / 2]);
        assert_eq!(give_up(stream).expect(400).problem(), "body-incomplete");
    }

    assert!(server.leaves().is_empty());
    assert_eq!(contains(server.folder.path(), b"Aygul"), None);
    let segments = server.folder.path().join("store/segments");
    assert!(files_in(&segments).is_empty(), "not one byte of a body was kept");
    server.post(epoch, &good).expect(201);
}

#[test]
fn an_epoch_is_open_for_its_week_and_two_days_of_grace() {
    let server = Server::start();
    let epoch = server.epoch();
    let manifest = server.publish(epoch);
    let post = |day| {
        server.set_day(day);
        server.post(epoch, &sealed(&manifest, 0))
    };
    assert_eq!(post(epoch.opens().minus(1)).expect(409).problem(), "epoch-not-open");
    post(epoch.opens()).expect(201);
    post(epoch.closes().minus(1)).expect(201);
    post(epoch.closes().plus(1)).expect(201);
    assert_eq!(post(epoch.closes().plus(2)).expect(410).problem(), "epoch-closed");
    server.set_day(epoch.opens());
    assert_eq!(
        server.post(epoch.plus(1), &sealed(&manifest, 0)).expect(409).problem(),
        "epoch-not-open"
    );
    assert_eq!(server.leaves().len(), 3);
}

#[test]
fn uploads_beyond_the_room_there_is_are_told_to_come_back() {
    let server = Server::start_with("small_uploads_bytes = 1048576\nlarge_uploads = 1");
    let epoch = server.epoch();
    let manifest = server.publish(epoch);
    for attachment_len in [600_000, 1_500_000] {
        let report = sealed(&manifest, attachment_len);
        let mut first = begin(server.address, epoch, report.len(), &report[..100_000]);
        // The first has its room once the server has its header, at the latest when it asks for more than was sent.
        let refused = loop {
            let answer = server.post(epoch, &sealed(&manifest, attachment_len));
            if answer.status != 201 {
                break answer.expect(503);
            }
        };
        assert_eq!(refused.problem(), "busy");
        assert_eq!(refused.header("retry-after"), Some("30"));
        first.write_all(&report[100_000..]).unwrap();
        first.shutdown(std::net::Shutdown::Write).unwrap();
        read_answer(first).expect(201);
    }
}

#[test]
fn an_upload_that_stops_moving_is_ended() {
    let server = Server::start_with("idle_timeout_s = 1");
    let manifest = server.publish(server.epoch());
    let report = sealed(&manifest, 0);
    let stalled = begin(server.address, server.epoch(), report.len(), &report[..10_000]);
    let mute = std::net::TcpStream::connect(server.address).unwrap();
    // Refused or cut: either way it does not hold its place.
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut &stalled, &mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains(" 201 "));
    let mut answer = Vec::new();
    let _ = std::io::Read::read_to_end(&mut &mute, &mut answer);
    assert!(server.leaves().is_empty());
}

#[test]
fn whoever_holds_places_keeps_no_honest_report_out() {
    let server = Server::start_with("small_uploads_bytes = 1048576\nlarge_uploads = 1\nidle_timeout_s = 60");
    let epoch = server.epoch();
    let manifest = server.publish(epoch);
    // Charters that never end, until there is no room for another.
    let mut holders = Vec::new();
    let busy = loop {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        let head = "PUT /v1/charter HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        // One that is refused is not read to its end.
        drop(stream.write_all(&vec![b'['; 900_000]));
        holders.push(stream);
        let answer = send(server.address, "PUT", "/v1/charter", "", &vec![b'['; 900_000]);
        if answer.status != 422 {
            break answer.expect(503);
        }
        assert!(holders.len() < 100, "there is always room for another");
    };
    assert_eq!(busy.problem(), "busy");
    // Places among the large that were only announced.
    let large = sealed(&manifest, 1_500_000);
    let announced: Vec<_> = (0..4)
        .map(|_| begin(server.address, epoch, large.len(), &large[..100]))
        .collect();
    server.post(epoch, &sealed(&manifest, 0)).expect(201);
    server.post(epoch, &large).expect(201);
    drop((holders, announced));
}

#[test]
fn who_sends_nearly_all_and_then_drips_is_ended_before_the_whole_would_have_been_due() {
    // The whole would be due after 17 minutes.
    let server = Server::start_with("small_uploads_bytes = 1048576\nlarge_uploads = 1\nidle_timeout_s = 1");
    let epoch = server.epoch();
    let manifest = server.publish(epoch);
    for attachment_len in [600_000, 1_500_000] {
        let report = sealed(&manifest, attachment_len);
        let nearly = report.len() - 2000;
        let mut dripping = begin(server.address, epoch, report.len(), &report[..nearly]);
        dripping
            .set_read_timeout(Some(std::time::Duration::from_millis(100)))
            .unwrap();
        // At most 200 seconds of drips, far fewer than the missing bytes.
        let ended = (nearly..nearly + 1900).any(|at| {
            let gone = dripping.write_all(&report[at..=at]).is_err();
            let mut answer = [0; 1024];
            gone || std::io::Read::read(&mut dripping, &mut answer).is_ok()
        });
        assert!(ended);
        server.post(epoch, &report).expect(201);
    }
    assert_eq!(server.leaves().len(), 2);
}

#[test]
fn public_routes_allow_any_origin_and_nothing_is_cached() {
    let server = Server::start();
    server.publish(server.epoch());
    for path in ["/v1/charter", "/v1/manifest", "/v1/organization", "/v1/nothing"] {
        let answer = server.get(path);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("date"), None);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let preflight =
        "Origin: null\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n";
    let answer = send(server.address, "OPTIONS", "/v1/reports", preflight, b"").expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    let refused = server.post(server.epoch(), b"x").expect(400);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("*"),
        "the page must be able to read refusals"
    );
    assert_eq!(server.get("/v1/reports").expect(405).problem(), "method-not-allowed");
    assert_eq!(server.get("/healthz").expect(404).problem(), "not-found");
}

#[test]
fn health_tells_how_long_the_manifests_last() {
    let server = Server::start();
    let health = || {
        let answer = send(server.health, "GET", "/healthz", "", b"").expect(200);
        serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()
    };
    assert_eq!(health()["manifest_open"], false);
    assert_eq!(health()["manifest_days_left"], 0);
    server.publish(server.epoch());
    server.publish(server.epoch().plus(1));
    server.publish(server.epoch().plus(3));
    assert_eq!(health()["manifest_days_left"], 5 + 7, "a gap ends it");
    assert_eq!(health()["status"], "ok");
}

#[test]
fn nothing_is_accepted_before_the_keyholders_have_published() {
    let server = Server::start();
    let elsewhere = Organization::found();
    let foreign = elsewhere.sign(&elsewhere.draft(server.epoch(), 1, server.log));
    assert_eq!(server.get("/v1/manifest").expect(503).problem(), "no-open-manifest");
    assert_eq!(
        server.post(server.epoch(), &sealed(&foreign, 0)).expect(409).problem(),
        "epoch-not-open"
    );
}

/// An age file to these recipients, filled up to a length.
fn age_file(recipients: &[&dyn age::Recipient], len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = age::Encryptor::with_recipients(recipients.iter().copied())
        .unwrap()
        .wrap_output(&mut out)
        .unwrap();
    writer.write_all(&vec![0; len]).unwrap();
    writer.finish().unwrap();
    out.truncate(len);
    out
}
