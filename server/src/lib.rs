//! The server of Marram: it takes sealed reports from strangers, keeps them durably, and hands them to couriers.
//!
//! It holds ciphertext and one log signing key. It cannot read a report, and this crate knows nothing of what a
//! report says.
//!
//! - [`http`]: the routes. [`published`]: the keyholders' charter and manifests, which decide what is accepted.
//!   [`chain`]: charters as strangers offer them.
//! - [`page`]: what browsers are shown. [`form`]: what those without scripts send.
//! - [`store`]: what was accepted, durably.
//! - [`orders`]: whose orders are good. [`deletions`]: what is destroyed, and when.
//! - [`run`], [`init`], [`config`], [`log_key`], [`logging`], [`failure`], [`clock`]: the program around them.
//!
//! Out of scope: opening reports, accounts, and any time finer than a day (but for the 60 seconds in which a courier's
//! request is good).

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod chain;
pub mod clock;
pub mod config;
pub mod deletions;
pub mod failure;
pub mod form;
pub mod http;
pub mod init;
pub mod log_key;
pub mod logging;
pub mod orders;
pub mod page;
pub mod published;
pub mod run;
pub mod store;
