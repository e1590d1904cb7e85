//! What a hostile or broken server can do to a client: nothing but fail.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::{Cursor, Read};

use marram_crypto::{digest::Digest, fingerprint::Link};
use marram_online::{
    client::{Client, Outgoing},
    error::OnlineError,
    proxy::OnlineArgs,
    testing::{Reply, Responder, Socks},
};

fn client(server: &Responder) -> Client {
    client_with(server, &OnlineArgs::default())
}

fn client_with(server: &Responder, args: &OnlineArgs) -> Client {
    let link = Link::parse(&server.link(Digest::of(b""))).unwrap();
    Client::new(&link, args).unwrap()
}

fn raw(head: &str, body: &str) -> Reply {
    Reply::Raw(format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes())
}

#[test]
fn a_redirect_is_refused_by_name_and_never_followed() {
    let elsewhere = Responder::start(|_| Reply::of(200, "text/plain", "caught"));
    let to = format!("http://{}/catch\u{202e}", elsewhere.address());
    let server = Responder::start(move |_| Reply::Answer {
        status: 302,
        headers: vec![("Location".into(), to.clone())],
        body: vec![],
    });
    let error = client(&server).get("/v1/charter", None, 100).unwrap_err();
    assert!(matches!(&error, OnlineError::Redirect { .. }), "{error:?}");
    assert!(!error.to_string().contains('\u{202e}'));
    let sent_on = client(&server).post("/v1/reports", Outgoing(Cursor::new(vec![7; 10])), 10, 100);
    assert!(matches!(sent_on, Err(OnlineError::Redirect { .. })));
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn an_answer_may_be_as_long_as_the_limit_and_no_longer() {
    let server = Responder::start(|_| Reply::of(200, "text/plain", "0123456789"));
    assert_eq!(client(&server).get("/x", None, 10).unwrap(), b"0123456789");
    let error = client(&server).get("/x", None, 9).unwrap_err();
    assert!(matches!(error, OnlineError::TooLarge { limit: 9, .. }), "{error:?}");
    // Whatever length it announces, or none.
    let endless = Responder::start(|_| raw("200 OK\r\nConnection: close", &"x".repeat(100_000)));
    assert!(matches!(
        client(&endless).get("/x", None, 99_999),
        Err(OnlineError::TooLarge { .. })
    ));
    let header = Responder::start(|_| raw(&format!("200 OK\r\nX: {}", "x".repeat(1 << 20)), ""));
    assert!(client(&header).get("/x", None, 10).is_err());
}

#[test]
fn a_body_that_is_cut_short_is_no_answer() {
    let server = Responder::start(|_| raw("200 OK\r\nContent-Length: 10", "01234"));
    let error = client(&server).get("/x", None, 100).unwrap_err();
    assert!(
        matches!(error, OnlineError::NoConnection { .. }) && error.is_passing(),
        "{error:?}"
    );
    let mut download = client(&server).download("/x", None, 0, 10).unwrap();
    assert!(download.read_to_end(&mut Vec::new()).is_err());
}

#[test]
fn a_server_that_drips_is_given_up() {
    let impatient = OnlineArgs {
        timeout: 1,
        ..OnlineArgs::default()
    };
    let body = Responder::start(|_| Reply::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n".to_vec()));
    let error = client_with(&body, &impatient).get("/x", None, 1_000).unwrap_err();
    assert!(
        matches!(error, OnlineError::TooLarge { .. } | OnlineError::Slow { .. }),
        "{error:?}"
    );
    let head = Responder::start(|_| Reply::Drip(b"HTTP/1.1 200 OK\r\nX: ".to_vec()));
    let error = client_with(&head, &impatient).get("/x", None, 1_000).unwrap_err();
    assert!(matches!(error, OnlineError::Slow { timeout_s: 1, .. }), "{error:?}");
}

#[test]
fn what_is_sent_has_its_exact_length_and_says_nothing_about_the_sender() {
    let server = Responder::start(|_| Reply::of(201, "text/plain", "receipt"));
    let answer = client(&server).post(
        "/v1/reports?epoch=3",
        Outgoing(Cursor::new(vec![7; 70_000])),
        70_000,
        100,
    );
    assert_eq!(answer.unwrap(), b"receipt");
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.query.as_str()), ("POST", "epoch=3"));
    assert_eq!(
        (request.header("content-length"), request.body.len()),
        ("70000", 70_000)
    );
    let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "content-length",
            "content-type",
            "expect",
            "host",
            "user-agent"
        ]
    );
    assert_eq!(request.header("user-agent"), "Mozilla/5.0");
}

#[test]
fn a_file_that_cannot_be_read_is_not_called_a_broken_connection() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the stick is gone"))
        }
    }
    let server = Responder::start(|_| Reply::of(201, "text/plain", ""));
    let error = client(&server)
        .post("/v1/reports", Outgoing(Broken), 10, 100)
        .unwrap_err();
    assert!(
        matches!(&error, OnlineError::Unreadable(_)) && !error.is_passing(),
        "{error:?}"
    );
}

#[test]
fn a_refusal_is_shown_with_title_and_detail() {
    let server = Responder::start(|_| Reply::problem(413, "Too large", "4 MiB is the limit\u{1b}[31m"));
    let error = client(&server).get("/x", None, 100).unwrap_err();
    assert!(!error.is_passing() && error.status() == Some(413));
    let shown = error.to_string();
    assert!(shown.contains("Too large (status 413): 4 MiB is the limit"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn a_part_that_was_not_asked_for_is_refused() {
    let part = |range: &'static str| {
        Responder::start(move |_| Reply::Answer {
            status: 206,
            headers: vec![("Content-Range".into(), range.into())],
            body: vec![7; 6],
        })
    };
    for wrong in ["bytes 3-9/10", "bytes 4-9/11", "bytes 0-9/10", ""] {
        let refused = client(&part(wrong)).download("/x", None, 4, 10);
        assert!(matches!(refused, Err(OnlineError::Nonsense { .. })), "{wrong}");
    }
    let mut rest = client(&part("bytes 4-9/10")).download("/x", None, 4, 10).unwrap();
    let mut bytes = Vec::new();
    rest.read_to_end(&mut bytes).unwrap();
    assert_eq!((rest.from, bytes.len()), (4, 6));
}

#[test]
fn the_proxy_gets_the_name_and_nothing_is_looked_up_here() {
    let server = Responder::start(|_| Reply::of(200, "text/plain", "hello"));
    let proxy = Socks::start(server.address());
    let args = OnlineArgs {
        proxy: Some(proxy.url().parse().unwrap()),
        ..OnlineArgs::default()
    };
    let onion = format!("{}.onion", "a".repeat(56));
    let link = Link::new(&format!("http://{onion}"), Digest::of(b"")).unwrap();
    let answer = Client::new(&link, &args)
        .unwrap()
        .get("/v1/charter", None, 100)
        .unwrap();
    assert_eq!(answer, b"hello");
    assert_eq!(proxy.asked(), [format!("name {onion} 80")]);
    // The name leads nowhere but through the proxy, so nobody else can have looked it up.
    let refused = Client::new(&link, &OnlineArgs::default());
    assert!(matches!(refused, Err(OnlineError::OnionWithoutProxy { .. })));
}

#[test]
fn one_connection_serves_several_requests() {
    let server = Responder::start(|_| Reply::of(200, "text/plain", "x"));
    let proxy = Socks::start(server.address());
    let args = OnlineArgs {
        proxy: Some(proxy.url().parse().unwrap()),
        ..OnlineArgs::default()
    };
    let client = client_with(&server, &args);
    for _ in 0..3 {
        client.get("/x", None, 10).unwrap();
    }
    assert_eq!((server.requests().len(), proxy.asked().len()), (3, 1));
}
