//! Hostile input: one function for everything that reads bytes from outside.
//!
//! Each takes any bytes, and says whether its parser accepted them. None may panic. What was accepted must be written back
//! as it came, or read the same again, and no input may cost more memory than its target has, and so many times its length.
//!
//! | | |
//! |---|---|
//! | `cargo test -p marram-fuzz` | replays `seeds/` and `crashes/`, the input of every past finding, on stable Rust |
//! | `tests/fuzz/run [SECONDS]` | libFuzzer on each target, from these, for so long |
//! | `cargo run -p marram-fuzz --example seeds` | makes the seeds anew, after a format has changed |
//!
//! A seed's folder has its target's name. What a fuzzer found is fixed, and put into `crashes/` under a name that says
//! what it was.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod accounts;
mod carried;
mod notes;
mod requests;
mod sealed;
pub mod seeds;
mod stored;
mod world;
mod written;

use std::path::PathBuf;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY_IN_USE: PeakAlloc = PeakAlloc;

/// Something that reads bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The protocol's word for what it reads.
    pub name: &'static str,
    /// Bytes of memory that any input may cost: buffers, and the lists that are read once.
    memory: usize,
    /// Says whether the bytes were accepted.
    read: fn(&[u8]) -> bool,
}

/// Bytes of memory that an input may cost for each of its own.
const MEMORY_PER_BYTE: usize = 64;

/// Every target.
pub const TARGETS: [Target; 29] = [
    Target::new("annex", 4 << 20, notes::annex),
    Target::new("answer", 4 << 20, accounts::answer),
    Target::new("board", 4 << 20, accounts::board),
    Target::new("bundle", 4 << 20, carried::bundle),
    Target::new("charter", 4 << 20, notes::charter),
    Target::new("checkpoint", 4 << 20, accounts::checkpoint),
    Target::new("codename", 4 << 20, written::codename),
    Target::new("courier_request", 4 << 20, requests::courier_request),
    Target::new("date", 4 << 20, written::date),
    Target::new("digits", 4 << 20, written::digits),
    Target::new("enrolment", 4 << 20, notes::enrolment),
    Target::new("form", 4 << 20, requests::form),
    Target::new("header", 4 << 20, sealed::header),
    Target::new("incident", 4 << 20, written::incident),
    Target::new("keys", 4 << 20, written::keys),
    Target::new("leaf", 4 << 20, carried::leaf),
    Target::new("ledger", 64 << 20, stored::ledger),
    Target::new("link", 4 << 20, written::link),
    Target::new("manifest", 4 << 20, notes::manifest),
    Target::new("note", 4 << 20, notes::note),
    Target::new("open", 4 << 20, sealed::open),
    Target::new("order", 4 << 20, accounts::order),
    Target::new("payload", 4 << 20, sealed::payload),
    Target::new("question", 4 << 20, notes::question),
    Target::new("receipt", 4 << 20, notes::receipt),
    Target::new("report", 4 << 20, sealed::report),
    Target::new("secret_file", 4 << 20, stored::secret_file),
    Target::new("standing", 4 << 20, accounts::standing),
    Target::new("ustar", 4 << 20, carried::ustar),
];

impl Target {
    const fn new(name: &'static str, memory: usize, read: fn(&[u8]) -> bool) -> Self {
        Self { name, memory, read }
    }

    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// Gives it some bytes, and holds it to its memory. Whether it accepted them.
    ///
    /// # Panics
    /// If something is wrong with the parser.
    pub fn run(&self, bytes: &[u8]) -> bool {
        let before = MEMORY_IN_USE.current_usage();
        MEMORY_IN_USE.reset_peak_usage();
        let accepted = (self.read)(bytes);
        let cost = MEMORY_IN_USE.peak_usage().saturating_sub(before);
        let limit = self.memory + MEMORY_PER_BYTE * bytes.len();
        assert!(
            cost <= limit,
            "{} bytes of input cost {cost} bytes of memory",
            bytes.len()
        );
        accepted
    }
}

/// A folder of inputs, by target: `seeds` or `crashes`.
pub fn inputs(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)
}
