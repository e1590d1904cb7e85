//! Signed notes under attack. One file for each word of the protocol; [`world`] is an organization to attack.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod annex;
mod board;
mod charter;
mod checkpoint;
mod enrolment;
mod manifest;
mod note;
mod order;
mod receipt;
mod standing;
mod total;
mod vacant;
mod vectors;
mod watcher;
mod world;
