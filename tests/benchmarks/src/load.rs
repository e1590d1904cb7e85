//! Submitters: connections that post one body after the other, each as soon as the last was answered.
//!
//! The client shares the cores with what it measures, so that it does next to nothing: requests are written from one
//! buffer, in which only the last bytes change, and answers are read as far as their length.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a round of posts took.
pub(crate) struct Round {
    /// From the first request to the last answer.
    pub(crate) wall: Duration,
    /// Of each request, ascending.
    pub(crate) latencies: Vec<Duration>,
}

impl Round {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.wall.as_secs_f64()
    }

    /// The latency below which this share of the requests stays.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = ((self.latencies.len() - 1) as f64 * share) as usize;
        self.latencies[at]
    }
}

/// Posts `count` bodies to `http://ADDRESS/PATH` from `submitters` connections. Each body is `template` with other last
/// bytes, counted on in `counter`: no two are ever the same.
pub(crate) fn post(
    address: &str,
    path: &str,
    template: &[u8],
    counter: &Arc<AtomicU64>,
    submitters: usize,
    count: u64,
) -> Round {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .unwrap();
    let len = template.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len}\r\n\r\n");
    let request = [head.as_bytes(), template].concat();
    let end = counter.load(Ordering::Relaxed) + count;
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..submitters {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            connections.push(stream);
        }
        let start = Instant::now();
        let tasks: Vec<_> = connections
            .into_iter()
            .map(|stream| tokio::spawn(submit(stream, request.clone(), Arc::clone(counter), end)))
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.append(&mut task.await.unwrap());
        }
        let wall = start.elapsed();
        counter.store(end, Ordering::Relaxed);
        latencies.sort_unstable();
        Round { wall, latencies }
    })
}

async fn submit(mut stream: TcpStream, mut request: Vec<u8>, counter: Arc<AtomicU64>, end: u64) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut answer = Vec::with_capacity(4096);
    loop {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return latencies;
        }
        let at = request.len() - size_of_val(&number);
        request[at..].copy_from_slice(&number.to_be_bytes());
        let start = Instant::now();
        stream.write_all(&request).await.unwrap();
        answer.clear();
        while !is_complete(&answer) {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the server hung up");
        }
        latencies.push(start.elapsed());
        assert!(
            answer.starts_with(b"HTTP/1.1 201 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

/// Whether an answer has all the bytes that its header announces.
fn is_complete(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let len: usize = std::str::from_utf8(&answer[..head])
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, len)| len.parse().unwrap());
    answer.len() == head + 4 + len
}
