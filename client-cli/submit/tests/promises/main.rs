//! What `marram-submit` promises: the real program, its real files, and servers of every kind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod check;
mod given;
mod help;
mod stopped;
mod terminal;
