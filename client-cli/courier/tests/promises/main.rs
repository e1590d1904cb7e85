//! What `marram-courier` promises: the real program, its real home folder, and servers of every kind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod audit;
mod canary;
mod courier;
mod help;
mod log;
mod orders;
mod stopped;
mod watch;
