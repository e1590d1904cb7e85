//! What is acknowledged stays: real reports, a real server, and everything that can happen to it.
//!
//! `MARRAM_ROUNDS` says how many rounds each rig does; every round prints one line (`-- --nocapture`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(clippy::similar_names, reason = "what was promised is one of the promises")]
#![allow(clippy::cast_possible_truncation, reason = "the crash rigs run on 64 bits")]

mod deletions;
mod full;
mod harsh;
mod journal;
mod kill;
mod loop_disk;
mod power;
mod rig;

/// How many rounds to do.
fn rounds(unless_told: usize) -> usize {
    std::env::var("MARRAM_ROUNDS").map_or(unless_told, |rounds| rounds.parse().expect("MARRAM_ROUNDS is a number"))
}

/// A number below `end`.
fn random_below(end: u64) -> u64 {
    getrandom::u64().unwrap() % end
}
