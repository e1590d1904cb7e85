//! The formats of Marram and the cryptography they stand on.
//!
//! Everything that crosses from one party to another is defined here, one file for each word of the
//! protocol: [`charter`], [`manifest`], [`enrolment`], sealed reports ([`seal`], [`open`]), codenames,
//! receipts, leaves and bundles. `docs/protocol.md` is the normative text.
//!
//! Out of scope: files, sockets and clocks; and threads, but for digesting long input beside other work. Readers and writers, "today" and the source of
//! randomness are handed in. The one exception is the `age` crate, which draws file keys, nonces and
//! grease from the operating system by itself.
//!
//! Input that has not been verified has a type of its own (`UntrustedCharter`, `UntrustedManifest`, …)
//! and becomes the verified one only through its `verify`.

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod annex;
pub mod board;
pub mod bucket;
pub mod bundle;
pub mod charter;
pub mod checkpoint;
pub mod codename;
pub mod courier_request;
pub mod day;
pub mod digest;
pub mod enrolment;
pub mod fingerprint;
pub mod header;
pub mod hybrid;
pub mod instance;
pub mod key;
pub mod labels;
pub mod leaf;
mod lines;
pub mod manifest;
pub mod note;
pub mod open;
pub mod order;
pub mod payload;
mod random_id;
pub mod receipt;
pub mod report;
pub mod seal;
pub mod secret;
pub mod standing;
pub mod strict_json;
pub mod tree;
pub mod ustar;
pub mod vacant;
