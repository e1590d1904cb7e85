//! What a caseworker runs on an offline computer.
//!
//! In scope: the keys that a caseworker enrols with and the identities of each epoch ([`enrol`], [`epochs`]), the
//! encrypted [`casebook`], [`import`] of bundles and the [`account`] of every leaf of the log, reading what was opened
//! ([`list`], [`show`], [`extract`]), and what goes back out: [`order`]s, the [`board`] with its answers ([`reply`]), and
//! [`standing`]s for colleagues. Out of scope: the network, which the program denies itself; opening attachments, which is
//! for an isolated viewer; and deciding who is a caseworker, which keyholders do.
//!
//! ```text
//! <home>/identity.age        wrapped by the passphrase: enrolment key, home identity, key of the casebook
//! <home>/epochs/<n>.age      sealed to the home identity: the identity and the signer of one epoch
//! <home>/casebook            SQLite, encrypted by SQLCipher: charter, manifests, the log, reports, attachments, answers
//! ```
//!
//! Whoever has `identity.age` and its passphrase reads the casebook; a report that is not in the casebook opens only as
//! long as its epoch's file is there. That file is small, is sealed under a key of its own, is overwritten by
//! [`destroy`], and must never be part of a backup.

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod account;
pub mod alarm;
pub mod board;
pub mod casebook;
pub mod class;
pub mod destroy;
pub mod enrol;
pub mod epochs;
pub mod extract;
pub mod identity;
pub mod import;
mod key_file;
pub mod list;
pub mod log;
pub mod order;
pub mod outcome;
pub mod receipt;
pub mod reply;
pub mod show;
pub mod signer;
pub mod standing;
pub mod status;
pub mod unlock;
