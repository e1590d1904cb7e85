//! Vacant slots: nothing-up-my-sleeve keys, sampled as *public* keys from a seed, so that no secret to them ever existed.
//!
//! ```text
//! stream = SHAKE128(label ‖ seed(32) ‖ epoch(4, big-endian) ‖ position(1))        label: labels::VACANT_SLOT
//!
//! recipient   t̂     3 × SampleNTT(stream) (FIPS 203, Algorithm 7: 3 bytes at a time, two candidates of 12 bits each,
//!                   those below 3329 kept; what is left over of the last 3 bytes is dropped), ByteEncode12
//!             ρ     32 bytes of the stream
//!             x     a point as below, as its Montgomery u-coordinate (RFC 7748)
//! signer            a point as below, compressed (RFC 8032)
//!
//! point       repeat: 32 bytes of the stream, decompressed as an Edwards point (sign bit as it comes), times the
//!             cofactor 8; until that works and is not the identity
//! ```
//!
//! A real recipient's t̂ = Âŝ + ê cannot be told from a uniform vector (that is what ML-KEM rests on) and its ρ is a hash;
//! real X25519 and Ed25519 keys are canonical encodings of points of prime order, as these are. To know a secret to one
//! of these keys, one would have to find a seed that hashes to a key one has.

use curve25519_dalek::{
    EdwardsPoint,
    edwards::CompressedEdwardsY,
    traits::{Identity, IsIdentity},
};
use shake::{ExtendableOutput, Shake128, Shake128Reader, Update, XofReader};

use crate::{day::Epoch, hybrid::Recipient, key::PublicKey, labels, manifest::Slot};

/// Length of a seed in bytes.
pub const SEED_LEN: usize = 32;

/// The modulus of ML-KEM.
const Q: u16 = 3329;
/// Coefficients of a polynomial.
const N: usize = 256;
/// Polynomials of ML-KEM-768's vector.
const K: usize = 3;
/// Bytes of an encoded polynomial: 256 coefficients of 12 bits.
const POLYNOMIAL_LEN: usize = N * 12 / 8;
const RHO_LEN: usize = 32;
const POINT_LEN: usize = 32;
const _: () = assert!(K * POLYNOMIAL_LEN + RHO_LEN + POINT_LEN == Recipient::LEN);

/// The keys of the vacant slot at `position` (counted from 0) in the manifest of `epoch`.
///
/// The seed is no key, but it tells that the slot is vacant: it stands in the annex only.
pub fn slot(seed: &[u8; SEED_LEN], epoch: Epoch, position: u8) -> Slot {
    let mut hasher = Shake128::default();
    hasher.update(labels::VACANT_SLOT.as_bytes());
    hasher.update(seed);
    hasher.update(&epoch.number().to_be_bytes());
    hasher.update(&[position]);
    let mut stream = hasher.finalize_xof();
    Slot {
        recipient: recipient(&mut stream),
        signer: signer(&mut stream),
    }
}

fn recipient(stream: &mut Shake128Reader) -> Recipient {
    loop {
        let mut bytes = [0; Recipient::LEN];
        let (vector, rest) = bytes.split_at_mut(K * POLYNOMIAL_LEN);
        let (rho, x25519) = rest.split_at_mut(RHO_LEN);
        for encoded in vector.chunks_exact_mut(POLYNOMIAL_LEN) {
            byte_encode_12(&sample_ntt(stream), encoded);
        }
        stream.read(rho);
        x25519.copy_from_slice(&point(stream).to_montgomery().to_bytes());
        // Always so at once; the loop is there instead of a panic.
        if let Ok(recipient) = Recipient::from_bytes(&bytes) {
            return recipient;
        }
    }
}

fn signer(stream: &mut Shake128Reader) -> PublicKey {
    loop {
        if let Ok(signer) = PublicKey::from_bytes(&point(stream).compress().to_bytes()) {
            return signer;
        }
    }
}

/// FIPS 203, Algorithm 7, from where the stream stands.
fn sample_ntt(stream: &mut Shake128Reader) -> [u16; N] {
    let mut coefficients = [0; N];
    let mut filled = 0;
    while filled < N {
        let mut bytes = [0; 3];
        stream.read(&mut bytes);
        let [low, middle, high] = bytes.map(u16::from);
        for candidate in [low + 256 * (middle % 16), middle / 16 + 16 * high] {
            if candidate < Q && filled < N {
                coefficients[filled] = candidate;
                filled += 1;
            }
        }
    }
    coefficients
}

/// FIPS 203, Algorithm 5 with d = 12: two coefficients in three bytes, the low bits first.
fn byte_encode_12(coefficients: &[u16; N], encoded: &mut [u8]) {
    for (pair, bytes) in coefficients.chunks_exact(2).zip(encoded.chunks_exact_mut(3)) {
        let bits = u32::from(pair[0]) | u32::from(pair[1]) << 12;
        bytes.copy_from_slice(&bits.to_le_bytes()[..3]);
    }
}

/// A point of prime order, from as many 32-byte strings of the stream as it takes (two on average).
fn point(stream: &mut Shake128Reader) -> EdwardsPoint {
    let mut point = EdwardsPoint::identity();
    while point.is_identity() {
        let mut bytes = [0; POINT_LEN];
        stream.read(&mut bytes);
        if let Some(candidate) = CompressedEdwardsY(bytes).decompress() {
            point = candidate.mul_by_cofactor();
        }
    }
    point
}
