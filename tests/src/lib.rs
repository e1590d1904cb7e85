//! What the black-box tests share: where the programs are, and an organization founded in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "tests"
)]

pub mod office;
pub mod organization;
pub mod peers;
pub mod programs;
pub mod server;
pub mod terminal;
