//! A server that lies, couriers that lie, a caseworker who turned, and submitters who mean harm: each lie is caught by
//! name, by the party that should catch it. What cannot be caught stands in `docs/threat-model.md`.
//!
//! Courier and caseworkers are the real programs with their real homes; the server is an honest one in memory
//! ([`marram_online::testing::Site`]) that is told to lie. A hostile server has the log key, so that what it signs is
//! signed well.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod boards;
mod couriers;
mod log;
mod manifests;
mod office;
mod orders;
mod submitters;
