//! Attackers: many connections, held by few threads.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use crate::target::Target;

/// Between two looks at all connections of a siege.
const PAUSE: Duration = Duration::from_millis(20);

/// Opens `count` connections and begins each as `begin` says. What cannot be written is not: the server may be done with
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
            held.push(stream);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
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
        held.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
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
        let ends = SetOnDrop(over);
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

/// Everything that comes until the server closes; at most so long.
pub(crate) fn read_all(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
