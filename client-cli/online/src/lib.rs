//! How the two programs that go online do it, `marram-submit` and `marram-courier`.
//!
//! One server, the one that the organization's link names, and nothing else: no redirects, no cookies, no proxy out of
//! the environment, no host name looked up by this computer when a proxy is to do it. Every answer is bounded in bytes
//! and in time, and what a server says about an error is shown in words that a terminal cannot obey.
//!
//! Out of scope: what the answers mean. Nothing here is verified but lengths, and receipts ([`report`]).
//!
//! ```no_run
//! use marram_crypto::fingerprint::Link;
//! use marram_online::{client::Client, proxy::OnlineArgs};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let args = OnlineArgs::default();
//! let link = Link::parse("https://example.org/#0000000000000000000000000000000000000000000000000000000000000000")?;
//! let charter = Client::new(&link, &args)?.get("/v1/charter", None, 1_000_000)?;
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod client;
pub mod clock;
pub mod error;
pub mod proxy;
pub mod report;
pub mod retry;
#[cfg(feature = "testing")]
pub mod testing;
