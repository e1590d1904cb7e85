//! Clients that hold a connection and do little or nothing with it.

use std::net::{Shutdown, TcpStream};

use crate::{
    crowd::{crowd, siege, write},
    target::{SMALL, Target},
};

#[test]
fn connections_that_say_nothing() {
    let target = Target::new();
    let silent = crowd(&target, 1000, |_, _| {});
    target.serves_honest_submitters();
    target.stays_below_mib(64);
    drop(silent);
    target.recovers();
}

#[test]
fn headers_that_come_byte_by_byte() {
    let target = Target::new();
    let begin = |stream: &mut TcpStream| write(stream, b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nX-Pad: ");
    siege(
        &target,
        600,
        begin,
        |stream| write(stream, b"a"),
        || target.serves_honest_submitters(),
    );
    target.stays_below_mib(64);
    target.recovers();
}

#[test]
fn clients_that_vanish_without_a_word() {
    let target = Target::with(&[("header_timeout_s", 2), ("idle_timeout_s", 2)]);
    // Nobody closes these: as far as the server can know, they may still come back.
    let _vanished = [
        crowd(&target, 200, |_, _| {}),
        crowd(&target, 200, |_, stream| write(stream, b"GET /v1/manifest HT")),
        crowd(&target, 200, |_, stream| write(stream, &target.head(SMALL as u64))),
        crowd(&target, 200, |_, stream| {
            write(stream, b"GET /v1/manifest HTTP/1.1\r\nHost: x\r\n\r\n");
        }),
        crowd(&target, 200, |number, stream| {
            write(stream, &target.head(SMALL as u64));
            write(stream, &target.noise(u32::try_from(number).unwrap())[..SMALL - 1]);
        }),
    ];
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn clients_that_close_their_half_and_wait() {
    let target = Target::new();
    let half_open = crowd(&target, 600, |number, stream| {
        if number % 2 == 0 {
            write(stream, &target.head(SMALL as u64));
            write(stream, &target.noise(0)[..20_000]);
        }
        stream.shutdown(Shutdown::Write).unwrap();
    });
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    // The server ends them by itself.
    target.recovers();
    drop(half_open);
}

#[test]
fn thousands_of_connections_opened_and_closed() {
    let target = Target::new();
    let mut after_two = None;
    for round in 0..5 {
        drop(crowd(&target, 1000, |number, stream| match number % 3 {
            0 => {}
            1 => write(stream, b"GET /v1/cha"),
            _ => write(stream, b"GET /v1/charter HTTP/1.1\r\nHost: x\r\n\r\n"),
        }));
        target.lets_go();
        if round % 2 == 0 {
            target.serves_honest_submitters();
        }
        if round == 1 {
            after_two = Some(target.usage().peak_kib);
        }
    }
    let usage = target.stays_below_mib(96);
    // What the first thousand took serves the next, nothing piles up: three thousand more take less than one thousand buffers
    // of 16 KiB, which may come into use later than others.
    assert!(
        usage.peak_kib < after_two.unwrap() + (16 << 10),
        "{after_two:?} {usage:?}"
    );
    target.recovers();
}
