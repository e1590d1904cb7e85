//! What a caseworker runs on an offline computer.
//!
//! In scope: the keys that a caseworker enrols with and the identities of each epoch ([`enrol`], [`epochs`]), the
//! encrypted [`casebook`], [`import`] of bundles, and reading what was opened ([`list`], [`show`], [`extract`]). Out of
//! scope: the network, which the program denies itself; opening attachments, which is for an isolated viewer; and
//! deciding who is a caseworker, which keyholders do.
//!
//! ```text
//! <home>/identity.age        wrapped by the passphrase: enrolment key, home identity, key of the casebook
//! <home>/epochs/<n>.age      sealed to the home identity: the identity and the signer of one epoch
//! <home>/casebook            SQLite, encrypted by SQLCipher: charter, manifests, leaves, reports, attachments
//! ```
//!
//! Whoever has `identity.age` and its passphrase reads the casebook; a report that is not in the casebook opens only as
//! long as its epoch's file is there. That file is small, is sealed under a key of its own, is overwritten by
//! [`destroy`], and must never be part of a backup.

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod casebook;
pub mod destroy;
pub mod enrol;
pub mod epochs;
pub mod extract;
pub mod identity;
pub mod import;
mod key_file;
pub mod list;
pub mod outcome;
pub mod show;
pub mod status;
pub mod unlock;
