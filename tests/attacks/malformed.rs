//! What is no HTTP, or too much of it.

use std::{io::Read, net::TcpStream};

use crate::{
    crowd::{crowd, flood, siege, status, write},
    target::Target,
};

#[test]
fn requests_that_are_none() {
    let target = Target::new();
    let long = |len: usize| "x".repeat(len);
    let get = |rest: &str| format!("GET /v1/manifest HTTP/1.1\r\nHost: x\r\n{rest}\r\n").into_bytes();
    let many_headers = "X: y\r\n".repeat(5000);
    let requests = [
        // Other protocols: TLS, HTTP/2, SSH, HTTP/0.9.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        b"GET /\r\n".to_vec(),
        // Bytes that must not stand there.
        vec![0; 10_000],
        (0..=u8::MAX).cycle().take(100_000).collect(),
        b"GET /v1/manifest HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n".to_vec(),
        get("Bad: \0\r\n"),
        get(": y\r\n"),
        get("A: b\r\n folded\r\n"),
        b"GET\t/v1/manifest\tHTTP/1.1\r\n\r\n".to_vec(),
        b"GET /v1/manifest HTTP/9.9\r\nHost: x\r\n\r\n".to_vec(),
        // Addresses of elsewhere.
        b"GET /v1/reports/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /v1/reports/%2e%2e%2f%2e%2e%2flog.key HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET http://elsewhere/v1/log/leaves?from=0 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"DELETE /v1/manifest HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"POST /v1/reports?epoch=99999999999999999999 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"POST /v1/reports?epoch=%ff%00 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_vec(),
        // Too much.
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", long(200_000)).into_bytes(),
        format!("GET /v1/manifest?{} HTTP/1.1\r\nHost: x\r\n\r\n", long(100_000)).into_bytes(),
        format!("{} / HTTP/1.1\r\nHost: x\r\n\r\n", long(100_000)).into_bytes(),
        get(&format!("X: {}\r\n", long(1_000_000))),
        get(&many_headers),
    ];
    let sent = flood(
        &target,
        64,
        4000,
        |number, stream| {
            let number = number % requests.len();
            write(stream, &requests[number]);
            // Half of the attackers do not wait for what is answered.
            if number.is_multiple_of(2) {
                drop(stream.shutdown(std::net::Shutdown::Write));
                let status = status(stream);
                assert!(
                    status.is_none_or(|status| (400..500).contains(&status)),
                    "{number}: {status:?}"
                );
            }
            *stream = target.connect();
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("{sent} requests that are none");
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn headers_that_never_end() {
    let target = Target::new();
    let line = format!("X-Pad: {}\r\n", "a".repeat(1000));
    let begin = |stream: &mut TcpStream| write(stream, b"GET /v1/manifest HTTP/1.1\r\nHost: x\r\n");
    let go_on = |stream: &mut TcpStream| write(stream, line.as_bytes());
    let thrown_out = siege(&target, 1000, begin, go_on, || {
        (0..3).for_each(|_| target.serves_honest_submitters());
    });
    println!("{thrown_out} connections thrown out");
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn as_much_of_a_header_as_is_taken_on_every_connection() {
    let target = Target::new();
    // Just short of what the server refuses, and of the end.
    let header = format!("GET /v1/manifest HTTP/1.1\r\nHost: x\r\nX-Pad: {}", "a".repeat(15_000));
    let held = crowd(&target, 2000, |_, stream| write(stream, header.as_bytes()));
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    drop(held);
    target.recovers();
}

#[test]
fn more_header_than_is_taken_is_refused_before_it_is_all_there() {
    let target = Target::new();
    let header = format!("GET /v1/manifest HTTP/1.1\r\nHost: x\r\nX-Pad: {}", "a".repeat(20_000));
    for mut stream in crowd(&target, 300, |_, stream| write(stream, header.as_bytes())) {
        let status = status(&mut stream);
        assert!(matches!(status, Some(431) | None), "{status:?}");
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert_eq!(rest, b"");
    }
    target.recovers();
}
