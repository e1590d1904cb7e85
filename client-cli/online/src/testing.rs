//! Servers for tests, on the loopback interface: one that answers as asked, an honest one to start from, and a SOCKS
//! proxy that remembers which names it was given.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests"
)]

mod site;
mod socks;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

pub use site::Site;
pub use socks::Socks;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PUT` or `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As much of it as came.
    pub body: Vec<u8>,
}

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answer it.
    Answer {
        /// The status code.
        status: u16,
        /// All but `Content-Length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Write these bytes, whatever they are, and close.
    Raw(Vec<u8>),
    /// Write these bytes, then one more now and then, for ever.
    Drip(Vec<u8>),
}

/// A server that answers as a closure says.
#[derive(Debug)]
pub struct Responder {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Reply {
    /// An answer of a type.
    pub fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: body.into(),
        }
    }

    /// A refusal with the name that the protocol gives it.
    pub fn named(status: u16, name: &str) -> Self {
        let body = serde_json::json!({"type": format!("urn:marram:problem:{name}"), "title": name, "status": status});
        Self::of(status, "application/problem+json", body.to_string())
    }

    /// A refusal as RFC 9457 has it.
    pub fn problem(status: u16, title: &str, detail: &str) -> Self {
        let body = serde_json::json!({"type": "about:blank", "title": title, "status": status, "detail": detail});
        Self::of(status, "application/problem+json", body.to_string())
    }
}

impl Request {
    /// The value of a header; empty if it did not come.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Responder {
    /// Starts a server that answers every request with `answer`.
    pub fn start(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::start_cutting(|_| None, answer)
    }

    /// The same, but where `cut` gives a number, closes the connection after so many bytes of the request's body.
    pub fn start_cutting(
        cut: impl FnMut(&Request) -> Option<usize> + Send + 'static,
        answer: impl FnMut(&Request) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, cut, answer) = (
            Arc::clone(&requests),
            Arc::new(Mutex::new(cut)),
            Arc::new(Mutex::new(answer)),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, cut, answer) = (Arc::clone(&log), Arc::clone(&cut), Arc::clone(&answer));
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    // A client that goes away is a thing that tests do.
                    let _ = serve(
                        stream,
                        &log,
                        |request| cut.lock().unwrap()(request),
                        |request| answer.lock().unwrap()(request),
                    );
                });
            }
        });
        Self { address, requests }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A link to it.
    pub fn link(&self, fingerprint: impl std::fmt::Display) -> String {
        format!("http://{}/#{fingerprint}", self.address)
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests of this method and path came.
    pub fn count(&self, method: &str, path: &str) -> usize {
        let requests = self.requests();
        let same = |request: &&Request| request.method == method && request.path == path;
        requests.iter().filter(same).count()
    }
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    mut cut: impl FnMut(&Request) -> Option<usize>,
    mut answer: impl FnMut(&Request) -> Reply,
) -> io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    while let Some(mut request) = read_head(&mut input)? {
        let len: usize = request.header("content-length").parse().unwrap_or(0);
        if request.header("expect") == "100-continue" {
            output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let cut = cut(&request);
        request.body = vec![0; len.min(cut.unwrap_or(len))];
        input.read_exact(&mut request.body)?;
        log.lock().unwrap().push(request.clone());
        if cut.is_some() {
            return Ok(());
        }
        match answer(&request) {
            Reply::Answer { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.extend([&name, ": ", &value, "\r\n"]);
                }
                output.write_all(&[head.as_bytes(), b"\r\n", &body].concat())?;
            }
            Reply::Raw(bytes) => return output.write_all(&bytes),
            Reply::Drip(bytes) => {
                output.write_all(&bytes)?;
                loop {
                    output.write_all(b" ")?;
                    thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
    Ok(())
}

fn read_head(input: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => request.headers.push((name.to_lowercase(), value.trim().to_owned())),
            None => return Ok(Some(request)),
        }
    }
}
