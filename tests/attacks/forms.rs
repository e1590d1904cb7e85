//! Forms, as browsers without scripts send them, that are none, never end, or come too slowly; and a page that nobody reads.

use std::{
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use crate::{
    crowd::{answer, crowd, siege, status, write},
    target::{LIMIT, SMALL, Target},
};

const BEFORE: &str = "--B\r\nContent-Disposition: form-data; name=\"report\"; filename=\"r.age\"\r\n\r\n";
const AFTER: &str = "\r\n--B--\r\n";

fn head(len: u64) -> Vec<u8> {
    format!(
        "POST /drop HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: {len}\r\n\r\n"
    )
    .into_bytes()
}

fn form(report: &[u8]) -> Vec<u8> {
    [BEFORE.as_bytes(), report, AFTER.as_bytes()].concat()
}

#[test]
fn forms_whose_headers_never_end_cost_what_a_short_one_costs() {
    let target = Target::new();
    let endless = format!("--B\r\nX-Pad: {}", "a".repeat(100_000));
    let longest = format!("--B\r\nX-Pad: {}", "a".repeat(4000));
    let mut streams = crowd(&target, 600, |number, stream| {
        // As long as the longest report: whoever kept what comes until the headers end would keep all of it.
        write(stream, &head(LIMIT));
        // Half of them stay just below the bound, and wait.
        write(
            stream,
            if number.is_multiple_of(2) { &endless } else { &longest }.as_bytes(),
        );
    });
    target.serves_honest_submitters();
    for stream in streams.iter_mut().step_by(2) {
        let status = status(stream);
        assert!(matches!(status, Some(400) | None), "{status:?}");
    }
    target.stays_below_mib(96);
    drop(streams);
    target.recovers();
}

#[test]
fn forms_that_stop_at_any_byte_or_hold_something_else_leave_nothing() {
    let target = Target::new();
    let whole = form(&target.noise(0));
    let wrong = [
        form(&[]),
        form(b"not sealed"),
        form(&vec![b'x'; SMALL]),
        [form(&target.noise(1)), form(&target.noise(2))].concat(),
        AFTER.as_bytes().to_vec(),
        vec![0; SMALL],
    ];
    let stop_at = |number: usize| number * (whole.len() - 1) / 299;
    let mut streams = crowd(&target, 600, |number, stream| {
        if number.is_multiple_of(2) {
            write(stream, &head(whole.len() as u64));
            write(stream, &whole[..stop_at(number / 2)]);
        } else {
            let body = &wrong[number / 2 % wrong.len()];
            write(stream, &head(body.len() as u64));
            write(stream, body);
        }
        drop(stream.shutdown(Shutdown::Write));
    });
    target.serves_honest_submitters();
    for stream in &mut streams {
        if let Some((status, body)) = answer(stream) {
            assert!((400..500).contains(&status), "{status}");
            assert_eq!(body.len(), 8192);
        }
    }
    drop(streams);
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn forms_below_the_least_speed_are_cut_off_and_others_are_taken() {
    let target = Target::with(&[("upload_min_bytes_per_s", SMALL as u64 / 4), ("idle_timeout_s", 2)]);
    let len = form(&target.noise(0)).len();
    let start = |_: usize, stream: &mut TcpStream| write(stream, &head(len as u64));
    let (mut slow, mut fair) = (crowd(&target, 200, start), crowd(&target, 20, start));
    for (number, stream) in fair.iter_mut().enumerate() {
        write(stream, &form(&target.noise(u32::try_from(number).unwrap())));
        assert_eq!(status(stream), Some(201));
        target.was_stored(SMALL as u64);
    }
    let began = Instant::now();
    let trickle = form(&target.noise(1000));
    let mut sent = 0;
    while began.elapsed() < Duration::from_secs(6) {
        for stream in &mut slow {
            write(stream, &trickle[sent..=sent]);
        }
        sent += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    for stream in &mut slow {
        assert_eq!(status(stream), Some(408), "the refusal can be read");
    }
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn pages_that_nobody_reads_are_held_once_for_all() {
    let target = Target::new();
    let ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(8);
    let begin = |stream: &mut TcpStream| write(stream, &ask);
    let thrown_out = siege(
        &target,
        500,
        begin,
        |_| {},
        || {
            (0..2).for_each(|_| target.serves_honest_submitters());
        },
    );
    println!("{thrown_out} connections thrown out");
    target.stays_below_mib(96);
    target.recovers();
}
