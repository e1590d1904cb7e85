//! Attackers: many connections, held by few threads.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use scopeguard::guard;

use crate::target::Target;

/// Between two looks at all connections of a siege.
const PAUSE: Duration = Duration::from_millis(20);

/// Opens `count` connections, in order, and begins each as `begin` says. What cannot be written is not: the server may be done with
/// a connection before the attacker is.
pub(crate) fn crowd(target: &Target, count: usize, begin: impl Fn(usize, &mut TcpStream) + Sync) -> Vec<TcpStream> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut held = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return held;
            }
            let mut stream = target.connect();
            begin(number, &mut stream);
            held.push((number, stream));
        }
    };
    let mut held: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    held.sort_unstable_by_key(|(number, _)| *number);
    held.into_iter().map(|(_, stream)| stream).collect()
}

/// Keeps `count` connections open while `during` runs: `begin` begins each, `go_on` is called for each again and again,
/// and whoever was thrown out is back at once. Returns how many were thrown out.
pub(crate) fn siege(
    target: &Target,
    count: usize,
    begin: impl Fn(&mut TcpStream) + Sync,
    go_on: impl Fn(&mut TcpStream) + Sync,
    during: impl FnOnce(),
) -> usize {
    let over = AtomicBool::new(false);
    let thrown_out = AtomicUsize::new(0);
    let enter = || {
        let mut stream = target.connect();
        begin(&mut stream);
        stream.set_nonblocking(true).unwrap();
        stream
    };
    std::thread::scope(|scope| {
        let mut held: Vec<_> = crowd(target, count, |_, stream| begin(stream));
        for stream in &held {
            stream.set_nonblocking(true).unwrap();
        }
        let (over, thrown_out, go_on, enter) = (&over, &thrown_out, &go_on, &enter);
        let attacker = scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for stream in &mut held {
                    if is_closed(stream) {
                        thrown_out.fetch_add(1, Ordering::Relaxed);
                        *stream = enter();
                    }
                    go_on(stream);
                }
                std::thread::sleep(PAUSE);
            }
        });
        let ends = guard((), |()| over.store(true, Ordering::Relaxed));
        during();
        drop(ends);
        attacker.join().unwrap();
    });
    thrown_out.into_inner()
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Writes what the server takes.
pub(crate) fn write(stream: &mut TcpStream, bytes: &[u8]) {
    drop(stream.write_all(bytes));
}

/// How long an attacker waits for an answer. No promise: a server that answers nobody shows here instead of never.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the server answers next: the status and the body; nothing if it ends the connection instead.
pub(crate) fn answer(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut seen = [0; 1 << 10];
        let len = unless_reset(stream.peek(&mut seen))?;
        // No further than the end of the head, and not past it.
        let seen = [&head, &seen[..len]].concat();
        let end = seen.windows(4).position(|four| four == b"\r\n\r\n");
        let take = end.map_or(len, |at| at + 4 - head.len());
        let mut taken = vec![0; take];
        unless_reset(stream.read_exact(&mut taken).map(|()| take))?;
        head.extend_from_slice(&taken);
    }
    let head = String::from_utf8(head).unwrap();
    let len = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, len)| len.parse().unwrap());
    let mut body = vec![0; len];
    if len > 0 {
        unless_reset(stream.read_exact(&mut body).map(|()| len))?;
    }
    Some((head.split(' ').nth(1).unwrap().parse().unwrap(), body))
}

/// The status alone.
pub(crate) fn status(stream: &mut TcpStream) -> Option<u16> {
    answer(stream).map(|(status, _)| status)
}

/// How much was read; nothing at the connection's end, however it came.
fn unless_reset(read: std::io::Result<usize>) -> Option<usize> {
    match read {
        Ok(len) => (len > 0).then_some(len),
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => None,
        Err(error) => panic!("no answer: {error}"),
    }
}

/// `count` attackers, each with a connection of its own, call `each` again and again while `during` runs, and at most
/// `most` times together.
pub(crate) fn flood(
    target: &Target,
    count: usize,
    most: usize,
    each: impl Fn(usize, &mut TcpStream) + Sync,
    during: impl FnOnce(),
) -> usize {
    let over = AtomicBool::new(false);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let mut stream = target.connect();
                while !over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= most {
                        return;
                    }
                    each(number, &mut stream);
                }
            });
        }
        let ends = guard((), |()| over.store(true, Ordering::Relaxed));
        during();
        drop(ends);
    });
    next.into_inner().min(most)
}
