//! Connections that ask and ask: one request behind the other, without reading the answers.

use std::{io::Write, net::TcpStream};

use crate::{
    crowd::{answer, crowd, flood, siege, write},
    target::Target,
};

const CHARTER: &[u8] = b"GET /v1/charter HTTP/1.1\r\nHost: x\r\n\r\n";
const MANIFEST: &[u8] = b"GET /v1/manifest HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_hundred_requests_in_one_packet_are_answered_in_turn() {
    let target = Target::new();
    let sent = flood(
        &target,
        32,
        300,
        |_, stream| {
            write(stream, &[CHARTER, MANIFEST].concat().repeat(50));
            for number in 0..100 {
                let (status, body) = answer(stream).unwrap();
                assert_eq!((status, body.starts_with(b"[")), (200, number % 2 == 0));
            }
        },
        || target.serves_honest_submitters(),
    );
    println!("{} requests", 100 * sent);
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn readers_that_do_not_read_what_they_ask_for() {
    let target = Target::new();
    // All that fits into the pipe, again and again: the server must not go on answering what nobody takes.
    let ask = |stream: &mut TcpStream| {
        for _ in 0..50 {
            if stream.write(MANIFEST).is_err() {
                return;
            }
        }
    };
    let begin = |stream: &mut TcpStream| {
        stream.set_nonblocking(true).unwrap();
        ask(stream);
    };
    siege(&target, 600, begin, ask, || {
        (0..3).for_each(|_| target.serves_honest_submitters());
    });
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn readers_that_read_nothing_are_cut_off() {
    let target = Target::with(&[("idle_timeout_s", 2)]);
    let held = crowd(&target, 300, |_, stream| {
        stream.set_nonblocking(true).unwrap();
        for _ in 0..2000 {
            if stream.write(MANIFEST).is_err() {
                return;
            }
        }
    });
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    target.recovers();
    drop(held);
}
