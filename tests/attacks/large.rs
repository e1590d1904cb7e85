//! Large reports, which go through temporary files.

use std::net::TcpStream;

use crate::{
    crowd::{answer, crowd, status, write},
    target::{Target, Usage},
};

const MIB: usize = 1 << 20;
const LARGE: usize = 8 * MIB;
/// As many as the server's default.
const PLACES: usize = 64;

/// The head of a large report, and the first `len` bytes of one that is noise.
fn begin(target: &Target, number: usize, len: usize, stream: &mut TcpStream) {
    write(stream, &target.head(LARGE as u64));
    write(stream, &target.noise(u32::try_from(number).unwrap()));
    go_on(number, len - target.noise(0).len(), stream);
}

fn go_on(number: usize, mut len: usize, stream: &mut TcpStream) {
    let part = vec![number.to_le_bytes()[0]; MIB];
    while len > 0 {
        let now = len.min(part.len());
        write(stream, &part[..now]);
        len -= now;
    }
}

#[test]
fn more_large_uploads_than_there_are_places_stop_in_the_middle() {
    let target = Target::with(&[("idle_timeout_s", 4)]);
    let mut streams = crowd(&target, 3 * PLACES, |number, stream| {
        begin(&target, number, 2 * MIB, stream);
    });
    // Small reports have room of their own.
    target.serves_honest_submitters();
    let Usage { unnamed, .. } = target.stays_below_mib(96);
    assert!((1..=PLACES).contains(&unnamed), "{unnamed} files under way");
    let answers: Vec<_> = streams.iter_mut().filter_map(status).collect();
    let of = |status: u16| answers.iter().filter(|answered| **answered == status).count();
    println!("{} told to come back, {} cut off", of(503), of(408));
    assert_eq!((of(503), of(408)), (2 * PLACES, PLACES));
    // Their files are gone, though they hold on to their connections.
    target.recovers();
    drop(streams);
}

#[test]
fn large_uploads_whose_clients_are_gone_leave_nothing() {
    let target = Target::new();
    for round in 0..2 {
        drop(crowd(&target, 40, |number, stream| {
            begin(&target, number, if round == 0 { LARGE - 1 } else { 2 * MIB }, stream);
        }));
        target.serves_honest_submitters();
    }
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn large_noise_at_once_is_stored_in_little_memory() {
    let target = Target::new();
    let mut streams = crowd(&target, 24, |number, stream| begin(&target, number, 2 * MIB, stream));
    std::thread::scope(|scope| {
        let honest = scope.spawn(|| target.serves_honest_submitters());
        for (number, stream) in streams.iter_mut().enumerate() {
            scope.spawn(move || go_on(number, LARGE - 2 * MIB, stream));
        }
        honest.join().unwrap();
    });
    for stream in &mut streams {
        let (status, body) = answer(stream).unwrap();
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
        target.was_stored(LARGE as u64);
    }
    drop(streams);
    target.stays_below_mib(96);
    target.recovers();
}
