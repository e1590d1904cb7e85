//! Every derivation label, in one place.
//!
//! A derived key is `HKDF-SHA256(salt = label, ikm = secret, info = context)` (RFC 5869), so that no two purposes
//! share a key, whatever their contexts.

use ring::hkdf::{HKDF_SHA256, KeyType, Salt};

use crate::secret::SecretBytes;

/// Codename entropy → seed of the codename's Ed25519 key, which signs its reports.
pub const CODENAME_SIGNING_KEY: &str = "marram/v1/codename/signing-key";
/// Codename entropy → the reply key, which the desk seals answers to.
pub const CODENAME_REPLY_KEY: &str = "marram/v1/codename/reply-key";
/// Reply key → acknowledgement tags; context: the board's salt ‖ n.
pub const ACKNOWLEDGEMENT_TAG: &str = "marram/v1/board/acknowledgement-tag";
/// Reply key → the key of one cell; context: the cell's salt.
pub const CELL_KEY: &str = "marram/v1/board/cell-key";
/// Reply key → the shard of the board; context: empty.
pub const SHARD: &str = "marram/v1/board/shard";
/// Age file key → a slot's encapsulation randomness; context: the recipient's 1216 bytes.
pub const ENCAPSULATION: &str = "marram/v1/seal/encapsulation";
/// Seed of an unused slot → the stream its keys are sampled from (SHAKE128, not HKDF); context: epoch ‖ slot.
pub const VACANT_SLOT: &str = "marram/v1/slot/vacant";

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Derives `N` bytes from `secret` for the purpose `label` in `context`. `N` is at most 255 · 32 (RFC 5869).
pub fn derive<const N: usize>(label: &str, secret: &[u8], context: &[u8]) -> SecretBytes<N> {
    const { assert!(N <= 255 * 32, "RFC 5869 limits the output to 255 blocks") };
    let prk = Salt::new(HKDF_SHA256, label.as_bytes()).extract(secret);
    SecretBytes::fill_with(|bytes| {
        let filled = prk.expand(&[context], Length(N)).and_then(|okm| okm.fill(bytes));
        debug_assert!(filled.is_ok(), "N is within RFC 5869's limit");
    })
}
