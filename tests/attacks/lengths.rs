//! Bodies whose length is not what it is said to be, or is not said at all.

use crate::{
    crowd::{answer, crowd, flood, status, write},
    target::{LIMIT, SMALL, Target},
};

/// How often each is tried, at once.
const EACH: usize = 40;

#[test]
fn lengths_that_cannot_be() {
    let target = Target::new();
    let epoch = target.manifest.epoch;
    let with = |headers: &str| format!("POST /v1/reports?epoch={epoch} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    // What was announced, and what is answered. Where two programs could read two lengths, a proxy before the server
    // could be led to see one request where the server sees two: no such request is served.
    let cases = [
        ("", 411),
        ("Content-Length: 0\r\n", 400),
        ("Content-Length: 1\r\n", 400),
        (&format!("Content-Length: {}\r\n", SMALL + 1), 400),
        (&format!("Content-Length: {}\r\n", LIMIT * 2), 413),
        ("Content-Length: 9223372036854775808\r\n", 413),
        ("Content-Length: 18446744073709551615\r\n", 431),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: +32768\r\n", 400),
        ("Content-Length: 0x8000\r\n", 400),
        ("Content-Length: 32768, 32768\r\n", 400),
        ("Content-Length: 32768\r\nContent-Length: 65536\r\n", 400),
        ("Content-Length: 32768\r\nTransfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: chunked\r\nContent-Length: 32768\r\n", 411),
        ("Transfer-Encoding: chunked\r\n", 411),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
    ];
    let noise = target.noise(0);
    let mut streams = crowd(&target, EACH * cases.len(), |number, stream| {
        write(stream, with(cases[number % cases.len()].0).as_bytes());
        write(stream, &noise);
    });
    target.serves_honest_submitters();
    for (number, stream) in streams.iter_mut().enumerate() {
        let (headers, expected) = cases[number % cases.len()];
        // A connection that is closed over unread bytes is reset, sometimes before the answer was read.
        let answered = status(stream);
        assert!(
            answered.is_none_or(|answered| answered == expected),
            "{headers}: {answered:?}"
        );
    }
    drop(streams);
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn chunks_without_end() {
    let target = Target::new();
    let chunk = [b"8000\r\n".as_slice(), &target.noise(0), b"\r\n"].concat();
    let head = String::from_utf8(target.head(0)).unwrap();
    let head = head.replace("Content-Length: 0", "Transfer-Encoding: chunked");
    let sent = flood(
        &target,
        32,
        2000,
        |_, stream| {
            write(stream, head.as_bytes());
            for _ in 0..8 {
                write(stream, &chunk);
            }
            // Read to the refusal, and begin anew.
            assert!(matches!(status(stream), Some(411) | None));
            *stream = target.connect();
        },
        || target.serves_honest_submitters(),
    );
    println!("{sent} bodies in chunks");
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn more_bytes_than_were_announced_are_no_request() {
    let target = Target::new();
    let mut streams = crowd(&target, 200, |number, stream| {
        write(stream, &target.head(SMALL as u64));
        write(stream, &target.noise(u32::try_from(number).unwrap()));
        write(stream, &vec![0x5a; 50_000]);
    });
    target.serves_honest_submitters();
    for stream in &mut streams {
        // The report is whole; what follows it is refused, or the connection ends.
        if let Some((status, body)) = answer(stream) {
            assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        }
        target.was_stored(SMALL as u64);
    }
    drop(streams);
    target.stays_below_mib(96);
    target.recovers();
}
