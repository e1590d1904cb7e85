//! Secret bytes: cleared when dropped, never printed.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes. `Debug` shows only the length; there is no `Display` and no `Serialize`.
///
/// ```
/// let secret = marram_crypto::secret::SecretBytes::from([7_u8; 32]);
/// assert_eq!(format!("{secret:?}"), "SecretBytes(32 bytes)");
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes<const N: usize>(Box<[u8; N]>);

impl<const N: usize> SecretBytes<N> {
    /// Draws `N` bytes from `rng`.
    pub fn random<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = Box::new([0; N]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    /// The bytes. Every caller is a place to check in a review.
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// Fills a new secret in place, so that no copy of it stays on the stack.
    pub fn fill_with(fill: impl FnOnce(&mut [u8; N])) -> Self {
        let mut bytes = Box::new([0; N]);
        fill(&mut bytes);
        Self(bytes)
    }
}

impl<const N: usize> From<[u8; N]> for SecretBytes<N> {
    fn from(mut bytes: [u8; N]) -> Self {
        let secret = Self(Box::new(bytes));
        bytes.zeroize();
        secret
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({N} bytes)")
    }
}
