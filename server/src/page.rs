//! The page that this server shows: built by `client-web/`, and the same for every organization.

use marram_crypto::digest::Digest;

/// The page.
pub const PAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html"));
/// The page, compressed (RFC 1952).
pub const GZIP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html.gz"));
/// The page, compressed (RFC 7932).
pub const BROTLI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/page.html.br"));
/// Its Content-Security-Policy: the hashes of its one script and its one style, and that it may speak with this server.
pub const POLICY: &str = include_str!(concat!(env!("OUT_DIR"), "/policy"));

/// What the keyholders name in their manifests.
pub fn digest() -> Digest {
    Digest::of(PAGE)
}
