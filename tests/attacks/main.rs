//! Slow, half-open, oversized and malformed clients, hundreds at once, against a real server on loopback: its memory
//! stays flat, honest submitters are served meanwhile, and afterwards everything is as it was.
//!
//! Every test prints what its attack cost the server (`-- --nocapture`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod couriers;
mod crowd;
mod forms;
mod idle;
mod large;
mod lengths;
mod malformed;
mod noise;
mod pipelines;
mod publishing;
mod slow;
mod target;
