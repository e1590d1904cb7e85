//! An organization, a server on loopback, and a client that can also misbehave.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

use std::{
    collections::{BTreeMap, HashSet},
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use getrandom::{SysRng, rand_core::UnwrapErr};
use marram_crypto::{
    board::{self, Shard, UntrustedBoard},
    charter::{self, CharterChain, UntrustedCharter, UntrustedCharterChain},
    codename::Codename,
    courier_request::{self, NONCE_LEN},
    day::{Day, Epoch},
    digest::Digest,
    hybrid::Identity,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    leaf::Leaf,
    manifest::{self, BoardShape, Manifest, Slot, UntrustedManifest},
    order::{self, OrderFile, OrderId, What},
    receipt::{Receipt, UntrustedReceipt},
    seal,
    secret::SecretBytes,
    tree::Tree,
};
use marram_server::{clock::Clock, config::Config, init, run};
use serde_json::value::RawValue;

pub const LIMIT: u64 = 4 << 20;
/// The smallest bucket for two slots.
pub const SMALL: u64 = 32 << 10;

pub fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// Two of three keyholders, and a courier.
pub struct Organization {
    pub roots: Vec<SigningKey>,
    pub chain: CharterChain,
    pub courier: SigningKey,
}

impl Organization {
    pub fn found() -> Self {
        let mut roots: Vec<_> = (0..3).map(|_| SigningKey::random(&mut rng())).collect();
        // The server keeps signature lines in the order of their keys; signed in that order, a note comes back as it went.
        roots.sort_by_key(SigningKey::public);
        let draft = charter::Draft {
            instance: InstanceId::random(&mut rng()),
            version: 1,
            previous: None,
            name: "Test".to_owned(),
            contact: "nobody".to_owned(),
            threshold: 2,
            roots: roots.iter().map(SigningKey::public).collect(),
        };
        let chain = UntrustedCharterChain::founding(sign_charter(&draft, &roots[..2]));
        let fingerprint = chain.claimed_fingerprint().unwrap();
        Self {
            chain: chain.verify(fingerprint).unwrap(),
            roots,
            courier: SigningKey::random(&mut rng()),
        }
    }

    pub fn draft(&self, epoch: Epoch, version: u32, log: PublicKey) -> manifest::Draft {
        let slot = |position| Slot {
            recipient: Identity::random(&mut rng()).recipient(),
            signer: signer(epoch, position).public(),
        };
        manifest::Draft {
            instance: self.chain.instance(),
            epoch,
            version,
            charter: self.chain.newest().fingerprint(),
            log,
            couriers: vec![self.courier.public()],
            limit: LIMIT,
            retention_days: 60,
            promise_days: 14,
            board: BoardShape::default(),
            pages: vec![],
            contacts: vec![],
            questions: vec![],
            slots: vec![slot(0), slot(1)],
        }
    }

    pub fn sign(&self, draft: &manifest::Draft) -> Manifest {
        sign_manifest(draft, &self.roots[..2]).verify(&self.chain).unwrap()
    }
}

/// The headers of a courier's signed GET.
pub fn signed_get(path_and_query: &str, key: &SigningKey, instance: InstanceId, now_unix_s: u64) -> String {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let request = courier_request::Request {
        method: "GET",
        path,
        query,
        body: Digest::of(b""),
    };
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).unwrap();
    let signed = courier_request::sign(request, key, instance, now_unix_s, nonce);
    format!(
        "Content-Digest: {}\r\nSignature-Input: {}\r\nSignature: {}\r\n",
        signed.content_digest, signed.signature_input, signed.signature
    )
}

/// What the caseworker of a slot signs with in an epoch.
pub fn signer(epoch: Epoch, slot: u8) -> SigningKey {
    let seed = Digest::of(format!("signer of slot {slot} in epoch {epoch}").as_bytes());
    SigningKey::from_seed(&SecretBytes::from(*seed.as_bytes()))
}

/// An order of `epoch` that is valid for a week after it closes.
pub fn order_of(instance: InstanceId, epoch: Epoch, what: What) -> order::Draft {
    order::Draft {
        instance,
        id: OrderId::random(&mut rng()),
        epoch,
        expires: epoch.closes().plus(7),
        log: Tree::new().head(),
        what,
    }
}

/// An order file.
pub fn order_file(draft: &order::Draft, signers: &[SigningKey], board: Option<&UntrustedBoard>) -> Vec<u8> {
    let mut order = draft.to_note().unwrap();
    for signer in signers {
        order.add_signature(signer).unwrap();
    }
    let board = board.map(UntrustedBoard::to_bytes);
    OrderFile { order, board }.to_bytes().unwrap()
}

/// A board made by the caseworker of the first slot.
pub fn board_of(instance: InstanceId, epoch: Epoch, day: Day, shard: u16, image_len: usize) -> UntrustedBoard {
    let mut image = vec![0; image_len];
    getrandom::fill(&mut image).unwrap();
    let header = board::Header {
        instance,
        epoch,
        day,
        shard: Shard::from_number(shard).unwrap(),
        salt: board::Salt::random(&mut rng()),
        image: Digest::of(&image),
    };
    UntrustedBoard::sign(header, image, &[signer(epoch, 0), signer(epoch.plus(1), 0)]).unwrap()
}

/// What hangs a board.
pub fn hang(board: &UntrustedBoard) -> What {
    What::Hang {
        shard: board.claims().shard,
        header: board.header_digest(),
    }
}

/// What deletes reports.
pub fn delete(reports: &[&[u8]]) -> What {
    let mut digests: Vec<_> = reports.iter().map(|report| Digest::of(report)).collect();
    digests.sort();
    What::Delete(digests)
}

pub fn sign_charter(draft: &charter::Draft, keys: &[SigningKey]) -> UntrustedCharter {
    let mut charter = UntrustedCharter::from_note(draft.to_note().unwrap()).unwrap();
    for key in keys {
        charter.add_signature(key).unwrap();
    }
    charter
}

pub fn sign_manifest(draft: &manifest::Draft, keys: &[SigningKey]) -> UntrustedManifest {
    let mut manifest = UntrustedManifest::from_note(draft.to_note().unwrap()).unwrap();
    for key in keys {
        manifest.add_signature(key).unwrap();
    }
    manifest
}

/// A sealed report with an attachment of some length.
pub fn sealed(manifest: &Manifest, attachment_len: usize) -> Vec<u8> {
    let target = seal::Target::from(manifest);
    let content = seal::Content {
        continues: false,
        answers: BTreeMap::default(),
        incident: RawValue::from_string("{}".to_owned()).unwrap(),
    };
    let bytes = vec![7; attachment_len];
    let attachment = marram_crypto::seal::Measure::of(bytes.as_slice()).unwrap();
    let draft = seal::Draft::new(&target, &Codename::random(&mut rng()), content, &[attachment]).unwrap();
    let mut out = Vec::new();
    draft
        .seal(&mut out, |_| Ok(Box::new(std::io::Cursor::new(bytes.clone()))))
        .unwrap();
    out
}

/// A server in this process, whose clock the test moves.
pub struct Server {
    pub organization: Organization,
    pub folder: tempfile::TempDir,
    pub log: PublicKey,
    pub address: SocketAddr,
    pub health: SocketAddr,
    now: Arc<AtomicU64>,
    running: Option<run::Running>,
    runtime: tokio::runtime::Runtime,
}

/// The first second of some Wednesday.
pub fn wednesday() -> Day {
    "2026-07-22".parse().unwrap()
}

impl Server {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With additional lines for the section `[limits]`.
    pub fn start_with(limits: &str) -> Self {
        let organization = Organization::found();
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let made = runtime
            .block_on(init::init(folder.path(), organization.chain.clone()))
            .unwrap();
        let text = std::fs::read_to_string(&made.config).unwrap();
        let text = on_free_ports(&text).replace("[limits]\n", &format!("[limits]\n{limits}\n"));
        std::fs::write(&made.config, text).unwrap();
        let now = Arc::new(AtomicU64::new(u64::from(wednesday().number()) * 86_400));
        let mut server = Self {
            organization,
            log: made.log_key,
            folder,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            health: SocketAddr::from(([127, 0, 0, 1], 0)),
            now,
            running: None,
            runtime,
        };
        server.run();
        server
    }

    fn run(&mut self) {
        let config = Config::read(&self.folder.path().join("marram-server.toml")).unwrap();
        let now = Arc::clone(&self.now);
        let clock = Clock::new(move || now.load(Ordering::Relaxed));
        let running = self.runtime.block_on(run::start(config, clock)).unwrap();
        self.address = running.address.unwrap();
        self.health = running.health_address.unwrap();
        self.running = Some(running);
    }

    pub fn stop(&mut self) {
        self.runtime.block_on(self.running.take().unwrap().stop()).unwrap();
    }

    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub fn today(&self) -> Day {
        Day::from_unix_seconds(self.now())
    }

    pub fn epoch(&self) -> Epoch {
        Epoch::of(self.today()).unwrap()
    }

    pub fn set_day(&self, day: Day) {
        self.now.store(u64::from(day.number()) * 86_400, Ordering::Relaxed);
    }

    pub fn pass_seconds(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Publishes a manifest for an epoch.
    pub fn publish(&self, epoch: Epoch) -> Manifest {
        let manifest = self.organization.sign(&self.organization.draft(epoch, 1, self.log));
        self.put("/v1/manifest", &manifest.to_bytes()).expect(201);
        manifest
    }

    pub fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path, "", b"")
    }

    /// Sends an order file.
    pub fn order(&self, file: &[u8]) -> Answer {
        send(self.address, "POST", "/v1/orders", "", file)
    }

    /// The notes of the accepted orders.
    pub fn orders(&self) -> Vec<String> {
        let answer = self.courier("/v1/log/orders?from=0", "").expect(200);
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// A courier's attempt to fetch a report.
    pub fn fetch(&self, report: &[u8]) -> Answer {
        self.courier(&format!("/v1/reports/{}", Digest::of(report)), "")
    }

    pub fn put(&self, path: &str, body: &[u8]) -> Answer {
        send(self.address, "PUT", path, "", body)
    }

    pub fn post(&self, epoch: Epoch, body: &[u8]) -> Answer {
        send(self.address, "POST", &format!("/v1/reports?epoch={epoch}"), "", body)
    }

    /// A courier's signed GET.
    pub fn courier(&self, path: &str, more: &str) -> Answer {
        let headers = self.signed(path, &self.organization.courier);
        send(self.address, "GET", path, &format!("{headers}{more}"), b"")
    }

    pub fn signed(&self, path_and_query: &str, key: &SigningKey) -> String {
        signed_get(path_and_query, key, self.organization.chain.instance(), self.now())
    }

    pub fn leaves(&self) -> Vec<Leaf> {
        let answer = self.courier("/v1/log/leaves?from=0", "").expect(200);
        answer
            .body
            .chunks(Leaf::LEN)
            .map(|leaf| Leaf::from_bytes(leaf).unwrap())
            .collect()
    }

    pub fn receipt(&self, answer: &Answer) -> Receipt {
        let receipt = UntrustedReceipt::parse(&answer.body).unwrap();
        receipt.verify(self.organization.chain.instance(), &self.log).unwrap()
    }
}

pub fn on_free_ports(config: &str) -> String {
    config
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0")
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{}\n{}",
            self.head,
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .into_iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The last part of a problem's type. Every problem has one length and one content type.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.head
        );
        assert_eq!(self.body.len(), marram_server::http::PROBLEM_LEN);
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(json["status"], self.status);
        json["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:marram:problem:")
            .unwrap()
            .to_owned()
    }
}

/// One request, with a Content-Length unless it is a GET.
pub fn send(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let length = if method == "GET" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    send_raw(
        address,
        &format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}{headers}\r\n"),
        body,
    )
}

/// Sends what it is told to, and reads what comes until the end.
pub fn send_raw(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses may stop reading.
    drop(stream.write_all(body));
    read_answer(stream)
}

pub fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let split = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {bytes:?}"));
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    Answer {
        status,
        head,
        body: bytes[split + 4..].to_vec(),
    }
}

/// Begins a request and leaves the rest to the test.
pub fn begin(address: SocketAddr, epoch: Epoch, announced: usize, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("POST /v1/reports?epoch={epoch} HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// Closes the sending half and reads the answer.
pub fn give_up(stream: TcpStream) -> Answer {
    stream.shutdown(Shutdown::Write).unwrap();
    read_answer(stream)
}

/// All files below a folder.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_in(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// The first file below a folder in which any 32 bytes in a row are 32 bytes in a row of `secret`.
pub fn trace(folder: &Path, secret: &[u8]) -> Option<PathBuf> {
    // Any 32 bytes in a row have a block of 16 in them that begins at a multiple of 16.
    // What every sealed report begins with, and begins its slots with, is nobody's.
    let common = |block: &[u8]| {
        [
            &b"age-encryption.org/v1\n-> mlkem768x25519 "[..],
            b"\n-> mlkem768x25519 ",
        ]
        .iter()
        .any(|words| words.windows(block.len()).any(|window| window == block))
    };
    let blocks: HashSet<&[u8]> = secret.chunks_exact(16).filter(|block| !common(block)).collect();
    files_in(folder).into_iter().find(|file| {
        // One that vanished, as those of the index do, holds nothing.
        let bytes = std::fs::read(file).unwrap_or_default();
        bytes.windows(16).any(|window| blocks.contains(window))
    })
}

/// Whether any file below a folder contains these bytes.
pub fn contains(folder: &Path, needle: &[u8]) -> Option<PathBuf> {
    files_in(folder).into_iter().find(|file| {
        std::fs::read(file)
            .unwrap()
            .windows(needle.len())
            .any(|window| window == needle)
    })
}
