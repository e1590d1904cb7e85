//! The server as a courier sees it: every request signed, but those that anyone may make.

use std::io::Cursor;

use anyhow::{Context as _, Result};
use marram_crypto::{
    charter::{self, CharterChain, UntrustedCharterChain},
    courier_request::{self, NONCE_LEN, SignatureHeaders},
    day::Epoch,
    digest::Digest,
    fingerprint::Link,
    instance::InstanceId,
    key::SigningKey,
    leaf::Leaf,
    manifest::{ManifestError, UntrustedManifest},
};
use marram_online::{
    client::{Client, Download},
    clock::now_unix_s,
    error::OnlineError,
    proxy::OnlineArgs,
    retry::retry,
};
use marram_terminal::{error::ResultExt as _, output::Output};

/// The server gives at most so many leaves at once.
pub(crate) const LEAVES_PER_PAGE: usize = 10_000;
/// Largest list of manifests in bytes: years of them.
const MAX_MANIFESTS_LEN: u64 = 32 * 1024 * 1024;
/// A checkpoint has far less than a kilobyte.
const MAX_CHECKPOINT_LEN: u64 = 16 * 1024;
/// A page of orders: 100 notes, of which each has 72,000 bytes at most.
const MAX_ORDERS_LEN: u64 = 16 * 1024 * 1024;
/// Most manifests in such a list.
const MAX_MANIFESTS: usize = 10_000;

const NONSENSE: &str = "nothing of it was used. Run this again; if it happens again, tell the operator: the server is broken, \
    or something between it and this computer answers in its place";

/// A server, and the key to read from it.
pub(crate) struct Server<'a> {
    client: Client,
    out: &'a Output,
}

/// What is needed to sign a request.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    /// The courier's key.
    pub(crate) key: &'a SigningKey,
    /// Where the request is good for.
    pub(crate) instance: InstanceId,
}

impl<'a> Server<'a> {
    pub(crate) fn new(out: &'a Output, link: &Link, args: &OnlineArgs) -> Result<Self> {
        let client = Client::new(link, args).map_err(OnlineError::explained)?;
        Ok(Self { client, out })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What anybody may ask for.
    pub(crate) fn public(&self, path: &str, limit: u64) -> Result<Vec<u8>, OnlineError> {
        self.retried(|| self.client.get(path, None, limit))
    }

    /// The page as a browser asks for it that takes these codings: the coding, and the bytes.
    pub(crate) fn page(&self, codings: &str, limit: u64) -> Result<(String, Vec<u8>), OnlineError> {
        self.retried(|| self.client.get_coded("/", codings, limit))
    }

    /// The charter chain, verified up to `pinned`.
    pub(crate) fn charter(&self, pinned: Digest) -> Result<CharterChain> {
        let answer = self.retried(|| self.client.get("/v1/charter", None, charter::MAX_CHAIN_LEN as u64));
        let json = match answer {
            Err(error) if error.status() == Some(404) => {
                return Err(error)
                    .context("the server has no charter yet")
                    .hint("publish it first: marram-courier publish --link LINK charter.json");
            }
            answer => answer.map_err(OnlineError::explained)?,
        };
        UntrustedCharterChain::parse(&json)
            .and_then(|chain| chain.verify(pinned))
            .context("the server's charter cannot be trusted")
            .hint(
                "nothing of it was taken over. Compare the link with the organization's own; if it is right, tell the \
                 keyholders and the operator: the server, or somebody in front of it, shows another organization",
            )
    }

    /// A page of the log from index `from` on.
    pub(crate) fn leaves(&self, signer: Signer<'_>, from: u64) -> Result<Vec<Leaf>> {
        let path = format!("/v1/log/leaves?from={from}");
        let bytes = self.get(signer, &path, (LEAVES_PER_PAGE * Leaf::LEN) as u64)?;
        let leaves = bytes.chunks(Leaf::LEN).map(Leaf::from_bytes);
        leaves
            .collect::<Result<_, _>>()
            .with_context(|| format!("the server's answer to GET {path} is no list of leaves"))
            .hint(NONSENSE)
    }

    /// Every manifest of the epochs from `from` on, each as the server shows it: one that is none does not hide the others.
    pub(crate) fn manifests(
        &self,
        signer: Signer<'_>,
        from: Epoch,
    ) -> Result<Vec<Result<UntrustedManifest, ManifestError>>> {
        let path = format!("/v1/log/manifests?from={from}");
        let json = self.get(signer, &path, MAX_MANIFESTS_LEN)?;
        let notes: Vec<String> = serde_json::from_slice(&json)
            .ok()
            .filter(|notes: &Vec<String>| notes.len() <= MAX_MANIFESTS)
            .with_context(|| format!("the server's answer to GET {path} is no list of manifests"))
            .hint(NONSENSE)?;
        let manifests = notes.iter().map(|note| UntrustedManifest::parse(note.as_bytes()));
        Ok(manifests.collect())
    }

    /// A checkpoint of everything there is; why there is none, if the server says so itself.
    pub(crate) fn checkpoint(&self, signer: Signer<'_>) -> Result<Result<Vec<u8>, String>> {
        self.get_if_any(signer, "/v1/log/checkpoint", MAX_CHECKPOINT_LEN)
    }

    /// A page of the accepted orders from index `from` on; why there is none, if the server says so itself.
    pub(crate) fn orders(&self, signer: Signer<'_>, from: u64) -> Result<Result<Vec<String>, String>> {
        let path = format!("/v1/log/orders?from={from}");
        let json = self.get_if_any(signer, &path, MAX_ORDERS_LEN)?;
        Ok(json.and_then(|json| serde_json::from_slice(&json).map_err(|_| "its answer is no list".to_owned())))
    }

    /// Posts an order file.
    pub(crate) fn post_order(&self, file: &[u8]) -> Result<(), OnlineError> {
        let sent = self.retried(|| {
            let body = Cursor::new(file.to_vec());
            self.client
                .post("/v1/orders", body, file.len() as u64, MAX_CHECKPOINT_LEN)
        });
        sent.map(drop)
    }

    /// A route that an older server does not have.
    fn get_if_any(&self, signer: Signer<'_>, path: &str, limit: u64) -> Result<Result<Vec<u8>, String>> {
        let answer = self.get(signer, path, limit);
        match answer {
            Err(error) if not_there(&error) => Ok(Err(format!("{error:#}"))),
            answer => answer.map(Ok),
        }
    }

    /// Begins to receive a ciphertext.
    pub(crate) fn report(&self, signer: Signer<'_>, leaf: &Leaf, from: u64) -> Result<Download, OnlineError> {
        let path = report_path(leaf);
        self.client
            .download(&path, Some(&sign(signer, &path)?), from, leaf.size())
    }

    pub(crate) fn put(&self, path: &str, content_type: &'static str, body: &[u8]) -> Result<(), OnlineError> {
        self.retried(|| self.client.put(path, content_type, body.to_vec()))
    }

    fn get(&self, signer: Signer<'_>, path: &str, limit: u64) -> Result<Vec<u8>> {
        // Signed anew for each try: no request is accepted twice.
        let answer = self.retried(|| self.client.get(path, Some(&sign(signer, path)?), limit));
        match answer {
            Err(error) if matches!(error.status(), Some(401 | 403)) => Err(error).hint(
                "check this computer's clock, and whether the keyholders have put the line that marram-courier key \
                 prints into the manifest of this week",
            ),
            answer => answer.map_err(OnlineError::explained),
        }
    }

    fn retried<T>(&self, attempt: impl FnMut() -> Result<T, OnlineError>) -> Result<T, OnlineError> {
        retry(attempt, |error| self.out.note(format!("{error}; trying again")))
    }
}

fn not_there(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let online = cause.downcast_ref::<OnlineError>();
        online.is_some_and(|online| online.status() == Some(404))
    })
}

pub(crate) fn report_path(leaf: &Leaf) -> String {
    format!("/v1/reports/{}", leaf.digest)
}

fn sign(Signer { key, instance }: Signer<'_>, path_and_query: &str) -> Result<SignatureHeaders, OnlineError> {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let request = courier_request::Request {
        method: "GET",
        path,
        query,
        body: Digest::of(b""),
    };
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| OnlineError::Randomness)?;
    Ok(courier_request::sign(request, key, instance, now_unix_s(), nonce))
}
