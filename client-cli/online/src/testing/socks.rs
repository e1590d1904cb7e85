//! A SOCKS 5 proxy that leads everywhere to one place.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// The proxy.
#[derive(Debug)]
pub struct Socks {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Socks {
    /// Starts a proxy whose every connection leads to `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let log = Arc::clone(&log);
                thread::spawn(move || drop(serve(stream.unwrap(), target, &log)));
            }
        });
        Self { address, asked }
    }

    /// For `--proxy`.
    pub fn url(&self) -> String {
        format!("socks5://{}", self.address)
    }

    /// What it was asked for: `name example.org 443`, or `address …`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, target: SocketAddr, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let take = |stream: &mut TcpStream, len: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        stream.read_exact(&mut bytes).map(|()| bytes)
    };
    let methods = usize::from(take(&mut stream, 2)?[1]);
    if take(&mut stream, methods)?.contains(&2) {
        stream.write_all(&[5, 2])?;
        for part in [take(&mut stream, 2)?[1], 0] {
            // The user name, then the password with its length before it.
            let len = if part == 0 { take(&mut stream, 1)?[0] } else { part };
            take(&mut stream, usize::from(len))?;
        }
        stream.write_all(&[1, 0])?;
    } else {
        stream.write_all(&[5, 0])?;
    }
    let asked = match take(&mut stream, 4)?[3] {
        3 => {
            let len = usize::from(take(&mut stream, 1)?[0]);
            format!("name {}", String::from_utf8_lossy(&take(&mut stream, len)?))
        }
        kind => format!("address {:?}", take(&mut stream, if kind == 1 { 4 } else { 16 })?),
    };
    let port = take(&mut stream, 2)?;
    log.lock()
        .unwrap()
        .push(format!("{asked} {}", u16::from_be_bytes([port[0], port[1]])));
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    let mut server = TcpStream::connect(target)?;
    let (mut from_client, mut to_server) = (stream.try_clone()?, server.try_clone()?);
    thread::spawn(move || drop(io::copy(&mut from_client, &mut to_server)));
    io::copy(&mut server, &mut stream).map(drop)
}
