//! SHA-256 digests, written as 64 lower-case hexadecimal characters.

use std::{
    fmt,
    io::{self, Read},
    mem, panic,
    str::FromStr,
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread::{self, JoinHandle},
};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::payload::read_full;

/// A SHA-256 digest (32 bytes; FIPS 180-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; Digest::LEN]);

/// A digest was not 64 lower-case hexadecimal characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest is 64 lower-case hexadecimal characters")]
pub struct DigestError;

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Takes 32 bytes that are a digest already.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Digests a stream piece by piece.
#[derive(Clone)]
pub struct Hasher(Context);

impl Hasher {
    /// Starts a digest.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Ends the digest.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; Digest::LEN];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest(bytes)
    }
}

impl Default for Aside {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aside")
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

/// Digests a long stream on a thread of its own, beside what else is done with it.
///
/// Digesting a large report takes nearly as long as encrypting or decrypting it. Short streams are digested where they
/// are: a thread would cost more than it saves.
pub struct Aside {
    /// Of what no thread was given.
    hasher: Hasher,
    given: usize,
    piece: Vec<u8>,
    filled: usize,
    worker: Option<Worker>,
}

struct Worker {
    full: SyncSender<(Vec<u8>, usize)>,
    used: Receiver<Vec<u8>>,
    thread: JoinHandle<Hasher>,
}

/// Up to this many bytes no thread is started for.
const ASIDE_FROM: usize = 1 << 20;
const PIECE_LEN: usize = 1 << 17;
/// How many pieces wait for the thread. One more is filled, and one digested.
const PIECES: usize = 2;

impl Aside {
    /// Starts a digest.
    pub fn new() -> Self {
        Self {
            hasher: Hasher::new(),
            given: 0,
            piece: Vec::new(),
            filled: 0,
            worker: None,
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
        }
    }

    /// Reads some bytes and adds them, without copying. None at the end of the input.
    ///
    /// # Errors
    /// Of reading.
    pub(crate) fn read(&mut self, input: &mut dyn Read, most: u64) -> io::Result<&[u8]> {
        let room = self.room();
        let want = usize::try_from(most).map_or(room.len(), |most| most.min(room.len()));
        let got = read_full(input, &mut room[..want])?;
        let from = self.filled;
        self.filled += got;
        Ok(&self.piece[from..self.filled])
    }

    /// Ends the digest.
    pub fn finish(mut self) -> Digest {
        self.hand_over();
        match self.worker {
            Some(worker) => worker.finish(),
            None => self.hasher.finish(),
        }
    }

    /// Where the next bytes go; never empty.
    fn room(&mut self) -> &mut [u8] {
        if self.filled == PIECE_LEN {
            self.hand_over();
        }
        if self.piece.is_empty() {
            self.piece = vec![0; PIECE_LEN];
        }
        &mut self.piece[self.filled..]
    }

    /// Gives a piece to the thread, and waits while that has enough to do.
    fn hand_over(&mut self) {
        let filled = mem::take(&mut self.filled);
        self.given = self.given.saturating_add(filled);
        if self.worker.is_none() && self.given > ASIDE_FROM {
            self.worker = Worker::start(self.hasher.clone());
        }
        match &self.worker {
            Some(worker) => {
                let next = worker.used.try_recv().unwrap_or_default();
                // The thread takes pieces until the end.
                let _ = worker.full.send((mem::replace(&mut self.piece, next), filled));
            }
            None => self.hasher.update(&self.piece[..filled]),
        }
    }
}

impl Worker {
    /// None where the system gives no thread: the digest is then made without one.
    fn start(mut hasher: Hasher) -> Option<Self> {
        let (full, pieces) = sync_channel::<(Vec<u8>, usize)>(PIECES);
        let (give_back, used): (Sender<Vec<u8>>, _) = channel();
        let work = move || {
            for (piece, filled) in pieces {
                hasher.update(&piece[..filled]);
                // Nobody needs the last ones.
                let _ = give_back.send(piece);
            }
            hasher
        };
        Some(Self {
            full,
            used,
            thread: thread::Builder::new().name("digest".to_owned()).spawn(work).ok()?,
        })
    }

    fn finish(self) -> Digest {
        drop(self.full);
        match self.thread.join() {
            Ok(hasher) => hasher.finish(),
            // Its panic is ours.
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError)?;
        let digest = Self(bytes);
        // One spelling only: `hex` would also take capitals.
        if digest.to_string() == text {
            Ok(digest)
        } else {
            Err(DigestError)
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_made_aside_is_the_same_at_every_edge() {
        let bytes: Vec<u8> = (0..=250_u8).cycle().take(ASIDE_FROM + 9 * PIECE_LEN).collect();
        for len in [
            0,
            1,
            ASIDE_FROM,
            ASIDE_FROM + 1,
            ASIDE_FROM + PIECE_LEN - 1,
            ASIDE_FROM + PIECE_LEN,
            ASIDE_FROM + 7 * PIECE_LEN + 1,
            bytes.len(),
        ] {
            for step in [1009, PIECE_LEN, ASIDE_FROM + 1] {
                let mut aside = Aside::new();
                bytes[..len].chunks(step).for_each(|part| aside.update(part));
                assert_eq!(aside.finish(), Digest::of(&bytes[..len]), "{len} by {step}");

                let mut aside = Aside::new();
                let mut read = Vec::new();
                let mut input = &bytes[..len];
                loop {
                    match aside.read(&mut input, step as u64).unwrap() {
                        [] => break,
                        some => read.extend_from_slice(some),
                    }
                }
                assert!(read == bytes[..len], "{len} by {step}");
                assert_eq!(aside.finish(), Digest::of(&bytes[..len]), "{len} by {step}");
            }
        }
    }
}
