//! Uploads that trickle, and uploads that stop.

use std::{
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    crowd::{crowd, status, write},
    target::{SMALL, Target},
};

/// The least speed of these tests, in bytes a second: a small report takes four seconds.
const LEAST: u64 = SMALL as u64 / 4;

#[test]
fn bodies_below_the_least_speed_are_cut_off_and_bodies_at_it_are_taken() {
    let target = Target::with(&[("upload_min_bytes_per_s", LEAST), ("idle_timeout_s", 2)]);
    let start = |_: usize, stream: &mut TcpStream| write(stream, &target.head(SMALL as u64));
    let (mut slow, mut fair) = (crowd(&target, 300, start), crowd(&target, 50, start));
    let began = Instant::now();
    let (mut sent_slow, mut sent_fair) = (0, 0);
    let body = |number: usize| target.noise(u32::try_from(number).unwrap());
    std::thread::scope(|scope| {
        let honest = scope.spawn(|| target.serves_honest_submitters());
        while sent_fair < SMALL {
            std::thread::sleep(Duration::from_millis(50));
            let due = usize::try_from(began.elapsed().as_millis() * u128::from(LEAST) / 1000).unwrap();
            let (until_slow, until_fair) = (due / 8, due.min(SMALL));
            for (number, stream) in slow.iter_mut().enumerate() {
                write(stream, &body(1000 + number)[sent_slow..until_slow]);
            }
            for (number, stream) in fair.iter_mut().enumerate() {
                write(stream, &body(number)[sent_fair..until_fair]);
            }
            (sent_slow, sent_fair) = (until_slow, until_fair);
        }
        honest.join().unwrap();
    });
    for stream in &mut fair {
        assert_eq!(status(stream), Some(201));
        target.was_stored(SMALL as u64);
    }
    for stream in &mut slow {
        assert_eq!(status(stream), Some(408), "the refusal can be read");
    }
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn bodies_that_stop_at_any_byte() {
    let target = Target::new();
    let stop_at = |number: usize| number * (SMALL - 1) / 499;
    let stopped = |number: usize, stream: &mut TcpStream| {
        write(stream, &target.head(SMALL as u64));
        write(stream, &target.noise(0)[..stop_at(number)]);
    };
    // A third hangs up, a third says that no more comes, a third is silent until the test ends.
    let mut silent = Vec::new();
    let mut streams = crowd(&target, 500, stopped);
    for (number, stream) in streams.drain(..).enumerate() {
        match number % 3 {
            0 => drop(stream),
            1 => {
                stream.shutdown(Shutdown::Write).unwrap();
                silent.push(stream);
            }
            _ => silent.push(stream),
        }
    }
    target.serves_honest_submitters();
    target.stays_below_mib(96);
    drop(silent);
    target.recovers();
}

#[test]
fn clients_that_ask_for_leave_to_send_and_never_do() {
    let target = Target::with(&[("idle_timeout_s", 2)]);
    let mut asking = crowd(&target, 400, |_, stream| {
        let head = String::from_utf8(target.head(SMALL as u64)).unwrap();
        let head = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
        write(stream, head.as_bytes());
    });
    target.serves_honest_submitters();
    for stream in &mut asking {
        assert_eq!(status(stream), Some(100));
        // In time, an answer or an end.
        assert!(matches!(status(stream), Some(408) | None));
    }
    target.stays_below_mib(64);
    target.recovers();
}
