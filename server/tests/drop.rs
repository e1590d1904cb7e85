//! What browsers without scripts send, and what else comes to the same place.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;

use std::{
    collections::HashSet,
    net::{Shutdown, TcpStream},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use harness::{Answer, LIMIT, SMALL, Server, contains, files_in, read_answer, sealed, send, send_raw};
use marram_crypto::{digest::Digest, receipt::UntrustedReceipt};

const BOUNDARY: &str = "----WebKitFormBoundaryqR7xX0sYb1vLkT2d";
const HEAD: &str = "Content-Disposition: form-data; name=\"report\"; filename=\"report-2951.age\"\r\n\
     Content-Type: application/octet-stream\r\n";

/// The form as browsers write it.
fn form(report: &[u8]) -> Vec<u8> {
    [
        format!("--{BOUNDARY}\r\n{HEAD}\r\n").as_bytes(),
        report,
        format!("\r\n--{BOUNDARY}--\r\n").as_bytes(),
    ]
    .concat()
}

fn drop_form(server: &Server, body: &[u8]) -> Answer {
    drop_form_at(server, "/drop", body)
}

fn drop_form_at(server: &Server, path: &str, body: &[u8]) -> Answer {
    let content_type = format!("Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n");
    send(server.address, "POST", path, &content_type, body)
}

fn html(answer: &Answer) -> &str {
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8"),
        "{}",
        answer.head
    );
    assert_eq!(answer.body.len(), marram_server::http::DROP_LEN);
    std::str::from_utf8(&answer.body).unwrap()
}

/// What became of it: the name in the answer.
fn became(answer: &Answer) -> &str {
    html(answer)
        .split("<main id=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
}

#[test]
fn a_sealed_file_is_taken_from_a_form_and_is_there_for_the_courier() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    // One in memory, one through a temporary file.
    for (attachment_len, size) in [(0, SMALL), (1_500_000, 2 << 20)] {
        let report = sealed(&manifest, attachment_len);
        let answer = drop_form(&server, &form(&report)).expect(201);
        assert_eq!(became(&answer), "received");
        let receipt = html(&answer)
            .split("<pre dir=\"ltr\">")
            .nth(1)
            .unwrap()
            .split("</pre>")
            .next()
            .unwrap();
        let receipt = UntrustedReceipt::parse(receipt.as_bytes()).unwrap();
        let receipt = receipt
            .verify(server.organization.chain.instance(), &server.log)
            .unwrap();
        receipt
            .check_for(Digest::of(&report), server.epoch(), size, server.today())
            .unwrap();
        assert!(server.fetch(&report).expect(200).body == report);
    }
    assert_eq!(server.leaves().len(), 2);
}

#[test]
fn the_same_file_is_kept_once_by_whichever_way_it_comes() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    let report = sealed(&manifest, 0);
    let first = drop_form(&server, &form(&report)).expect(201);
    let again = drop_form(&server, &form(&report)).expect(201);
    assert!(first.head == again.head && first.body == again.body);
    server.post(server.epoch(), &report).expect(201);
    assert_eq!(server.leaves().len(), 1);
}

/// Every language of the page, and in which direction it is written.
const LANGUAGES: [(&str, &str); 12] = [
    ("en", "ltr"),
    ("zh-Hans", "ltr"),
    ("zh-Hant", "ltr"),
    ("ug", "rtl"),
    ("bo", "ltr"),
    ("fa", "rtl"),
    ("ar", "rtl"),
    ("tr", "ltr"),
    ("ru", "ltr"),
    ("vi", "ltr"),
    ("es", "ltr"),
    ("fr", "ltr"),
];

#[test]
fn the_answer_is_in_the_language_of_the_form_and_has_one_length_in_all() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    let report = sealed(&manifest, 0);
    let mut said = HashSet::new();
    for (language, direction) in LANGUAGES {
        let path = format!("/drop?language={language}");
        let received = drop_form_at(&server, &path, &form(&report)).expect(201);
        let refused = drop_form_at(&server, &path, &form(b"")).expect(400);
        let opened_again = server.get(&path).expect(405);
        for (answer, name) in [
            (&received, "received"),
            (&refused, "not-the-form"),
            (&opened_again, "method-not-allowed"),
        ] {
            assert_eq!(became(answer), name);
            let head = format!("<!doctype html>\n<html lang=\"{language}\" dir=\"{direction}\">\n");
            assert!(html(answer).starts_with(&head), "{language}");
            let (_, text) = html(answer).split_once("<h1>").unwrap();
            assert!(said.insert(text.to_owned()), "{language}: {name} is another language's");
        }
    }
    assert_eq!(server.leaves().len(), 1);
}

#[test]
fn another_language_or_none_is_english_and_nothing_of_the_address_is_in_the_answer() {
    let server = Server::start();
    let english = drop_form_at(&server, "/drop?language=en", &form(b"")).expect(503);
    for query in [
        "",
        "?",
        "?language",
        "?language=",
        "?language=de",
        "?language=UG",
        "?language=ug-CN",
        "?language=ug&language=bo",
        "?lang=ug",
        "?language=%00",
        "?language=%FF%FE",
        "?language=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "?language=..%2F..%2Fen",
        &format!("?language={}", "ug".repeat(2000)),
    ] {
        let answer = drop_form_at(&server, &format!("/drop{query}"), &form(b"")).expect(503);
        assert!(answer.head == english.head && answer.body == english.body, "{query}");
    }
}

#[test]
fn forms_of_other_programs_are_taken_too() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    for (number, (content_type, before, after)) in [
        ("multipart/form-data; boundary=\"a:b\"", "--a:b\r\ncontent-disposition:form-data;name=report\r\n\r\n", "\r\n--a:b--"),
        ("Multipart/Form-Data; charset=utf-8; Boundary=x", "--x\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name=\"report\"; filename=\"报告; name=.age\"\r\n\r\n", "\r\n--x--\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = [before.as_bytes(), &sealed(&manifest, 0), after.as_bytes()].concat();
        let headers = format!("Content-Type: {content_type}\r\n");
        send(server.address, "POST", "/drop", &headers, &body).expect(201);
        assert_eq!(server.leaves().len(), number + 1);
    }
}

#[test]
fn every_other_form_is_refused_by_name_with_one_length_and_leaves_nothing() {
    let server = Server::start();
    let no_manifest = drop_form(&server, &form(b"x")).expect(503);
    assert_eq!(became(&no_manifest), "no-open-manifest");
    assert_eq!(no_manifest.header("retry-after"), Some("30"));

    let manifest = server.publish(server.epoch());
    let good = sealed(&manifest, 0);
    let small = usize::try_from(SMALL).unwrap();
    let mut plaintext = b"My name is Aygul and my brother was taken. ".repeat(small / 40);
    plaintext.truncate(small);
    let whole = form(&good);
    let changed = |from: &str, to: &str| {
        let head = format!("--{BOUNDARY}\r\n{HEAD}\r\n");
        let rest = &whole[head.len()..];
        [head.replace(from, to).as_bytes(), rest].concat()
    };
    let two_parts = [
        &whole[..whole.len() - 4],
        format!("\r\n{HEAD}\r\n").as_bytes(),
        &good,
        format!("\r\n--{BOUNDARY}--\r\n").as_bytes(),
    ]
    .concat();
    let mut wrong_end = whole.clone();
    *wrong_end.last_mut().unwrap() = b'x';
    let mut no_end = whole.clone();
    let end = no_end.len() - BOUNDARY.len() / 2;
    no_end[end] ^= 1;
    let mut more = whole.clone();
    more.extend_from_slice(b"epilogue");
    let huge_head = changed("Content-Type", &format!("X: {}\r\nContent-Type", "a".repeat(8000)));
    for (what, body, status, name) in [
        ("unsealed", form(&plaintext), 422, "not-sealed"),
        ("cut", form(&good[..small - 1]), 400, "not-a-bucket"),
        ("half", form(&good[..small / 2]), 400, "not-a-bucket"),
        ("no file chosen", form(b""), 400, "not-the-form"),
        ("nothing", Vec::new(), 400, "not-the-form"),
        (
            "no part",
            format!("--{BOUNDARY}--\r\n").into_bytes(),
            400,
            "not-the-form",
        ),
        (
            "a part of another name",
            changed("\"report\"", "\"file\""),
            400,
            "not-the-form",
        ),
        ("no boundary at the beginning", good.clone(), 400, "not-the-form"),
        ("two parts", two_parts, 400, "not-a-bucket"),
        ("another last byte", wrong_end, 400, "not-the-form"),
        ("another boundary at the end", no_end, 400, "not-the-form"),
        ("something after the end", more, 400, "not-a-bucket"),
        ("endless headers", huge_head, 400, "not-the-form"),
        (
            "too large",
            vec![b'-'; 2 * usize::try_from(LIMIT).unwrap()],
            413,
            "too-large",
        ),
    ] {
        let answer = drop_form(&server, &body);
        assert_eq!((answer.status, became(&answer)), (status, name), "{what}");
    }
    for content_type in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: multipart/form-data\r\n",
        "Content-Type: multipart/form-data; boundary=\r\n",
    ] {
        let answer = send(server.address, "POST", "/drop", content_type, &whole).expect(400);
        assert_eq!(became(&answer), "not-the-form", "{content_type}");
    }
    let head = format!(
        "POST /drop HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    );
    let chunked = send_raw(
        server.address,
        &format!("{head}Transfer-Encoding: chunked\r\n\r\n"),
        b"0\r\n\r\n",
    );
    assert_eq!(became(&chunked.expect(411)), "length-required");
    assert_eq!(became(&server.get("/drop").expect(405)), "method-not-allowed");
    // A small one and one through a file, cut anywhere.
    let large = form(&sealed(&manifest, 1_500_000));
    for body in [&whole, &large] {
        for cut in [10, 150, 400, body.len() / 2, body.len() - 30, body.len() - 1] {
            let mut stream = TcpStream::connect(server.address).unwrap();
            let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
            std::io::Write::write_all(&mut stream, &[head.as_bytes(), &body[..cut]].concat()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(became(&read_answer(stream).expect(400)), "body-incomplete", "{cut}");
        }
    }

    assert!(server.leaves().is_empty());
    assert_eq!(contains(server.folder.path(), b"Aygul"), None);
    let segments = server.folder.path().join("store/segments");
    assert!(files_in(&segments).is_empty(), "not one byte of a body was kept");
    drop_form(&server, &whole).expect(201);
}

#[test]
fn a_form_names_no_epoch_so_the_newest_open_one_of_this_shape_is_taken() {
    let server = Server::start();
    let before = server.publish(server.epoch());
    let next = server.epoch().plus(1);
    // In the next week there is a slot more.
    let mut draft = server.organization.draft(next, 1, server.log);
    let more = server.organization.draft(next, 1, server.log).slots;
    draft.slots.push(
        more.into_iter()
            .next()
            .map(|mut slot| {
                slot.signer = harness::signer(next, 2).public();
                slot
            })
            .unwrap(),
    );
    let after = server.organization.sign(&draft);
    server.put("/v1/manifest", &after.to_bytes()).expect(201);
    let epoch_of = |report: &[u8]| {
        let digest = Digest::of(report);
        server
            .leaves()
            .into_iter()
            .find(|leaf| leaf.digest == digest)
            .unwrap()
            .epoch
    };
    let (old, new) = (sealed(&before, 0), sealed(&after, 0));
    assert_eq!(
        became(&drop_form(&server, &form(&new)).expect(422)),
        "wrong-number-of-slots",
        "it is not open yet"
    );
    // In the days of grace both are open.
    server.set_day(next.opens());
    drop_form(&server, &form(&new)).expect(201);
    drop_form(&server, &form(&old)).expect(201);
    assert_eq!((epoch_of(&new), epoch_of(&old)), (next, before.epoch));
    // And then no more.
    server.set_day(next.opens().plus(2));
    let late = drop_form(&server, &form(&sealed(&before, 0))).expect(422);
    assert_eq!(became(&late), "wrong-number-of-slots");
}

#[test]
fn the_answer_runs_no_script_and_no_other_site_can_use_it() {
    let server = Server::start();
    let manifest = server.publish(server.epoch());
    for answer in [
        drop_form(&server, &form(&sealed(&manifest, 0))),
        drop_form(&server, b""),
    ] {
        let page = html(&answer);
        let (_, style) = page.split_once("<style>").unwrap();
        let (style, _) = style.split_once("</style>").unwrap();
        let hash = BASE64_STANDARD.encode(Digest::of(style.as_bytes()).as_bytes());
        let policy = answer.header("content-security-policy").unwrap();
        assert_eq!(
            policy,
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; form-action 'none'; base-uri 'none'; \
                 frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
            )
        );
        for (name, value) in [
            ("cache-control", Some("no-store")),
            ("x-content-type-options", Some("nosniff")),
            ("cross-origin-opener-policy", Some("same-origin")),
            ("cross-origin-embedder-policy", Some("require-corp")),
            ("cross-origin-resource-policy", Some("same-origin")),
            ("referrer-policy", Some("no-referrer")),
            ("access-control-allow-origin", None),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
        assert!(answer.header("permissions-policy").unwrap().contains("geolocation=()"));
        assert!(!page.contains("<script") && !page.contains("://"), "{page}");
    }
}
