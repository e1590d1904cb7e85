//! What an honest server answers, for tests to start from.

use std::collections::BTreeMap;

use marram_crypto::{
    charter::CharterChain,
    checkpoint,
    courier_request::{self, SignatureHeaders},
    day::{Day, Epoch},
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    leaf::Leaf,
    order::OrderFile,
    receipt,
    tree::Tree,
};

use super::{Reply, Request};
use crate::clock::{now_unix_s, today};

/// The state of a server, in memory.
#[derive(Debug)]
pub struct Site {
    /// The charter chain.
    pub charter: Vec<u8>,
    /// The manifest valid now.
    pub manifest: Vec<u8>,
    /// All manifests, for couriers.
    pub manifests: Vec<Vec<u8>>,
    /// The log.
    pub leaves: Vec<Leaf>,
    /// Sealed reports.
    pub reports: BTreeMap<Digest, Vec<u8>>,
    /// The instance.
    pub instance: InstanceId,
    /// Signs receipts.
    pub log: SigningKey,
    /// Who may read the log.
    pub couriers: Vec<PublicKey>,
    /// Orders that were accepted, in that order.
    pub orders: Vec<Vec<u8>>,
    /// Order files that came.
    pub posted: Vec<Vec<u8>>,
    /// The boards, by shard.
    pub boards: BTreeMap<String, Vec<u8>>,
    /// The page, by coding (`identity`, `gzip`, `br`): the last one is shown that is asked for by name.
    pub page: Vec<(&'static str, Vec<u8>)>,
    /// Shown instead of a checkpoint of all leaves, dated today.
    pub checkpoint: Option<Vec<u8>>,
    /// Refuse everything with this status and title.
    pub refuse: Option<(u16, String)>,
}

impl Site {
    /// A server of this organization that nobody has written to yet.
    pub fn new(chain: &CharterChain, manifest: Vec<u8>, log: SigningKey) -> Self {
        Self {
            charter: chain.to_json().into_bytes(),
            manifest: manifest.clone(),
            manifests: vec![manifest],
            leaves: Vec::new(),
            reports: BTreeMap::new(),
            instance: chain.instance(),
            log,
            couriers: Vec::new(),
            orders: Vec::new(),
            posted: Vec::new(),
            boards: BTreeMap::new(),
            page: vec![("identity", b"<!doctype html>".to_vec())],
            checkpoint: None,
            refuse: None,
        }
    }

    /// A checkpoint of these leaves.
    pub fn checkpoint_of(&self, leaves: &[Leaf], day: Day) -> Vec<u8> {
        let head = leaves.iter().collect::<Tree>().head();
        checkpoint::sign(self.instance, head, day, &self.log)
            .unwrap()
            .to_bytes()
    }

    /// The honest answer.
    pub fn answer(&mut self, request: &Request) -> Reply {
        if let Some((status, title)) = &self.refuse {
            return Reply::problem(*status, title, "");
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => self.show_page(request.header("accept-encoding")),
            ("GET", "/v1/charter") => Reply::of(200, "application/json", self.charter.clone()),
            ("GET", "/v1/manifest") => Reply::of(200, "text/plain", self.manifest.clone()),
            ("GET", "/v1/organization") => {
                let organization = serde_json::json!({
                    "charters": serde_json::from_slice::<serde_json::Value>(&self.charter).unwrap_or_default(),
                    "manifest": String::from_utf8_lossy(&self.manifest),
                });
                Reply::of(200, "application/json", organization.to_string())
            }
            ("PUT", "/v1/charter" | "/v1/manifest") => Reply::of(201, "text/plain", ""),
            ("POST", "/v1/reports") => self.accept(request),
            ("POST", "/v1/orders") => self.accept_order(request),
            ("GET", path) if path.starts_with("/v1/board/") => match self.boards.get(&path["/v1/board/".len()..]) {
                Some(board) => Reply::of(200, "application/octet-stream", board.clone()),
                None => Reply::named(404, "no-board"),
            },
            ("GET", _) if self.verify(request).is_err() => {
                let why = self.verify(request).unwrap_err();
                Reply::problem(401, "Not a courier", &why)
            }
            ("GET", "/v1/log/checkpoint") => {
                let honest = || self.checkpoint_of(&self.leaves, today());
                Reply::of(200, "text/plain", self.checkpoint.clone().unwrap_or_else(honest))
            }
            ("GET", "/v1/log/orders") => {
                let from: usize = number(&request.query, "from=");
                Reply::of(200, "application/json", texts(self.orders.iter().skip(from).take(100)))
            }
            ("GET", "/v1/log/leaves") => {
                let from: usize = number(&request.query, "from=");
                let page = self.leaves.iter().skip(from).take(10_000);
                let bytes: Vec<u8> = page.flat_map(Leaf::to_bytes).collect();
                Reply::of(200, "application/octet-stream", bytes)
            }
            ("GET", "/v1/log/manifests") => Reply::of(200, "application/json", texts(self.manifests.iter())),
            ("GET", path) => match path.strip_prefix("/v1/reports/").and_then(|digest| digest.parse().ok()) {
                Some(digest) if self.reports.contains_key(&digest) => part(&self.reports[&digest], request),
                _ => Reply::problem(404, "Not found", ""),
            },
            _ => Reply::problem(405, "Method not allowed", ""),
        }
    }

    /// Adds a report, as if it had been posted, and gives its leaf.
    pub fn add(&mut self, report: Vec<u8>, epoch: Epoch) -> Leaf {
        let leaf = Leaf {
            digest: Digest::of(&report),
            epoch,
            day: today(),
            log2_size: u8::try_from(report.len().ilog2()).unwrap(),
        };
        if self.reports.insert(leaf.digest, report).is_none() {
            self.leaves.push(leaf);
        }
        leaf
    }

    /// The receipt of an honest server for these bytes.
    pub fn receipt(&self, leaf: &Leaf) -> Reply {
        let receipt = receipt::sign(self.instance, leaf, &self.log).unwrap();
        Reply::of(201, "text/plain", receipt.to_bytes())
    }

    fn show_page(&self, codings: &str) -> Reply {
        let asked = |coding: &str| coding == "identity" || codings.split(", ").any(|asked| asked == coding);
        let (coding, page) = self.page.iter().rfind(|(coding, _)| asked(coding)).unwrap();
        let headers = [("Content-Type", "text/html"), ("Content-Encoding", *coding)];
        Reply::Answer {
            status: 200,
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            body: page.clone(),
        }
    }

    fn accept(&mut self, request: &Request) -> Reply {
        let epoch = Epoch::from_number(number(&request.query, "epoch=")).unwrap();
        let leaf = self.add(request.body.clone(), epoch);
        self.receipt(&leaf)
    }

    fn accept_order(&mut self, request: &Request) -> Reply {
        let note = OrderFile::parse(&request.body).unwrap().order.to_bytes();
        self.posted.push(request.body.clone());
        if self.orders.contains(&note) {
            return Reply::of(200, "text/plain", "");
        }
        self.orders.push(note);
        Reply::of(201, "text/plain", "")
    }

    fn verify(&self, request: &Request) -> Result<(), String> {
        let headers = SignatureHeaders {
            content_digest: request.header("content-digest").to_owned(),
            signature_input: request.header("signature-input").to_owned(),
            signature: request.header("signature").to_owned(),
        };
        let signed = courier_request::Request {
            method: &request.method,
            path: &request.path,
            query: &request.query,
            body: Digest::of(&request.body),
        };
        courier_request::verify(signed, &headers, &self.couriers, self.instance, now_unix_s())
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(query: &str, name: &str) -> T {
    query.strip_prefix(name).unwrap().parse().unwrap()
}

fn texts<'a>(notes: impl Iterator<Item = &'a Vec<u8>>) -> String {
    let notes: Vec<_> = notes.map(|note| String::from_utf8_lossy(note)).collect();
    serde_json::json!(notes).to_string()
}

/// The whole, or the part that `Range` asks for.
fn part(bytes: &[u8], request: &Request) -> Reply {
    let range = request.header("range");
    let Some(from) = range.strip_prefix("bytes=").and_then(|range| range.strip_suffix('-')) else {
        return Reply::of(200, "application/octet-stream", bytes);
    };
    let from: usize = from.parse().unwrap();
    let place = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
    Reply::Answer {
        status: 206,
        headers: vec![("Content-Range".to_owned(), place)],
        body: bytes[from..].to_vec(),
    }
}
