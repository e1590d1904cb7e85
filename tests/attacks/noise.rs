//! Floods of what has the shape of a sealed report, and of what nearly has.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    crowd::{answer, flood, status, write},
    target::{SMALL, Target},
};

#[test]
fn well_formed_noise() {
    let target = Target::new();
    let taken = AtomicUsize::new(0);
    let sent = flood(
        &target,
        128,
        2000,
        |number, stream| {
            write(stream, &target.head(SMALL as u64));
            write(stream, &target.noise(u32::try_from(number).unwrap()));
            // Whoever is told to come back does not.
            match status(stream) {
                Some(201) => {
                    taken.fetch_add(1, Ordering::Relaxed);
                    target.was_stored(SMALL as u64);
                }
                other => assert_eq!(other, Some(503)),
            }
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("{} of {sent} pieces of noise taken", taken.into_inner());
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn the_same_report_over_and_over() {
    let target = Target::new();
    let receipts = Mutex::new(Vec::new());
    let sent = flood(
        &target,
        64,
        2000,
        |_, stream| {
            write(stream, &target.head(SMALL as u64));
            write(stream, &target.noise(0));
            let (status, receipt) = answer(stream).unwrap();
            assert_eq!(status, 201);
            receipts.lock().unwrap().push(receipt);
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("the same report {sent} times");
    let mut receipts = receipts.into_inner().unwrap();
    receipts.dedup();
    assert_eq!(receipts.len(), 1);
    target.was_stored(SMALL as u64);
    target.stays_below_mib(96);
    target.recovers();
}

#[test]
fn letters_in_the_clear_and_headers_that_are_nearly_right() {
    let target = Target::new();
    let noise = target.noise(0);
    let letter = b"My name is in this letter. ".repeat(SMALL / 27 + 1);
    // One byte of the first slot, of the fifth, of the grease or of the line behind it.
    let spoilt = |at: usize| {
        let mut spoilt = noise.clone();
        spoilt[at] = b'!';
        spoilt
    };
    let bodies = [
        letter[..SMALL].to_vec(),
        vec![0; SMALL],
        vec![b'\n'; SMALL],
        spoilt(30),
        spoilt(7000),
        // A header that never ends.
        [&noise[..1579], &noise[22..1579].repeat(30)].concat()[..SMALL].to_vec(),
    ];
    let sent = flood(
        &target,
        64,
        3000,
        |number, stream| {
            write(stream, &target.head(SMALL as u64));
            write(stream, &bodies[number % bodies.len()]);
            let status = status(stream);
            assert!(matches!(status, Some(422) | None), "{status:?}");
            *stream = target.connect();
        },
        || (0..3).for_each(|_| target.serves_honest_submitters()),
    );
    println!("{sent} bodies that are no sealed reports");
    target.stays_below_mib(96);
    target.recovers();
}
