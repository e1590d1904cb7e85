//! What the server shows browsers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::{io::Read, process::Command};

use base64::{Engine, prelude::BASE64_STANDARD};
use harness::{Answer, Server, send, send_raw};
use marram_crypto::digest::Digest;
use marram_server::page;

fn get(server: &Server, encoding: &str) -> Answer {
    send(
        server.address,
        "GET",
        "/",
        &format!("Accept-Encoding: {encoding}\r\n"),
        b"",
    )
    .expect(200)
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut page = Vec::new();
    let body = answer.body.as_slice();
    match answer.header("content-encoding") {
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut page),
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut page),
        None => (&mut &*body).read_to_end(&mut page),
        Some(other) => panic!("{other}"),
    }
    .unwrap();
    page
}

#[test]
fn every_coding_of_the_page_is_the_page_that_the_program_names() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let named = Command::new(env!("CARGO_BIN_EXE_marram-server"))
        .args(["page", "--out"])
        .arg(&file)
        .output()
        .unwrap();
    let named = String::from_utf8(named.stdout).unwrap();
    let written = std::fs::read(&file).unwrap();
    assert_eq!(named, format!("page: {}\n", Digest::of(&written)));
    assert!(std::str::from_utf8(&written).unwrap().starts_with("<!doctype html>"));

    for (encoding, coding) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip, deflate", Some("gzip")),
        ("identity", None),
        ("br;q=0", None),
    ] {
        let answer = get(&server, encoding);
        assert_eq!(answer.header("content-encoding"), coding, "{encoding}");
        assert!(decoded(&answer) == written, "{encoding}");
        assert_eq!(
            answer.header("content-length"),
            Some(answer.body.len().to_string().as_str())
        );
        // The headers alone say the same.
        let head = send(
            server.address,
            "HEAD",
            "/",
            &format!("Accept-Encoding: {encoding}\r\n"),
            b"",
        );
        assert_eq!(head.head, answer.head);
        assert!(head.body.is_empty());
    }
    assert!(get(&server, "gzip").body.len() <= 200_000);
}

#[test]
fn it_is_the_same_for_everybody_whatever_they_ask() {
    let mut server = Server::start();
    let nothing_published = get(&server, "gzip");
    server.publish(server.epoch());
    let same =
        |answer: &Answer| assert!(answer.head == nothing_published.head && answer.body == nothing_published.body);
    same(&get(&server, "gzip"));
    for headers in [
        "Accept-Language: ug\r\n",
        "Cookie: a=b\r\n",
        "User-Agent: curl\r\n",
        "Range: bytes=0-9\r\n",
        "If-None-Match: *\r\n",
    ] {
        same(&send(
            server.address,
            "GET",
            "/",
            &format!("Accept-Encoding: gzip\r\n{headers}"),
            b"",
        ));
    }
    same(&send(server.address, "GET", "/?x=1", "Accept-Encoding: gzip\r\n", b""));
    server.restart();
    same(&get(&server, "gzip"));
}

#[test]
fn its_headers_are_these_and_no_others() {
    let server = Server::start();
    let raw = send_raw(
        server.address,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"",
    );
    let mut lines: Vec<_> = raw.head.lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "HTTP/1.1 200 OK");
    lines.sort();
    let html = std::str::from_utf8(&raw.body).unwrap();
    let hash_of = |tag: &str| {
        let opening = format!("<{tag}>");
        let mut parts = html.split(&opening);
        let (_, inside) = (parts.next().unwrap(), parts.next().unwrap());
        assert_eq!(parts.next(), None, "one {tag}");
        let (inside, _) = inside.split_once(&format!("</{tag}>")).unwrap();
        BASE64_STANDARD.encode(Digest::of(inside.as_bytes()).as_bytes())
    };
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'; \
         frame-ancestors 'none'",
        hash_of("script"),
        hash_of("style")
    );
    let permissions = lines
        .iter()
        .position(|line| line.starts_with("permissions-policy: "))
        .unwrap();
    let permissions = lines.remove(permissions);
    let mut features = permissions["permissions-policy: ".len()..].split(", ");
    assert!(features.all(|feature| feature.ends_with("=()")), "{permissions}");
    let mut expected = [
        "cache-control: no-store".to_owned(),
        "connection: close".to_owned(),
        format!("content-length: {}", raw.body.len()),
        format!("content-security-policy: {policy}"),
        "content-type: text/html; charset=utf-8".to_owned(),
        "cross-origin-embedder-policy: require-corp".to_owned(),
        "cross-origin-opener-policy: same-origin".to_owned(),
        "cross-origin-resource-policy: same-origin".to_owned(),
        "referrer-policy: no-referrer".to_owned(),
        "vary: accept-encoding".to_owned(),
        "x-content-type-options: nosniff".to_owned(),
    ];
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn a_page_that_the_manifest_does_not_name_is_told_to_the_operator() {
    let server = Server::start();
    let health = || {
        let answer = send(server.health, "GET", "/healthz", "", b"").expect(200);
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        json["manifest_names_page"].clone()
    };
    assert_eq!(health(), serde_json::Value::Null);
    for (version, pages, named) in [
        (1, vec![], false),
        (2, vec![Digest::of(b"another")], false),
        (3, vec![Digest::of(b"another"), page::digest()], true),
    ] {
        let mut draft = server.organization.draft(server.epoch(), version, server.log);
        draft.pages = pages;
        draft.slots = slots(&server, version).unwrap_or(draft.slots);
        let manifest = server.organization.sign(&draft);
        server.put("/v1/manifest", &manifest.to_bytes()).expect(201);
        assert_eq!(health(), named, "version {version}");
    }
}

/// Those of the version before, which may not all change.
fn slots(server: &Server, version: u32) -> Option<Vec<marram_crypto::manifest::Slot>> {
    (version > 1).then(|| {
        let shown = server.get("/v1/manifest").expect(200).body;
        let shown = marram_crypto::manifest::UntrustedManifest::parse(&shown).unwrap();
        shown.verify(&server.organization.chain).unwrap().slots.clone()
    })
}
