//! Buckets: the few lengths a sealed report may have.
//!
//! A bucket is a power of two: the least one that leaves [`LEAST_PAYLOAD`] bytes for the payload, and every larger one
//! up to the manifest's limit. The *ciphertext* has exactly this length, header included.
//!
//! ```text
//! ciphertext = header(slots, grease) + nonce(16) + payload + 16 · chunks        chunks = ⌈payload / 65,536⌉
//! ```
//!
//! Which bucket a payload takes is computed with the longest possible grease stanza, so that it depends on the
//! payload alone and not on what was drawn.

use crate::header;

/// The smallest bucket leaves at least this many bytes for the payload.
pub const LEAST_PAYLOAD: u64 = 16 * 1024;

/// Length in bytes of age's payload nonce.
pub const NONCE_LEN: u64 = 16;
const CHUNK_LEN: u64 = 64 * 1024;
const CHUNK_TAG_LEN: u64 = 16;
const SEALED_CHUNK_LEN: u64 = CHUNK_LEN + CHUNK_TAG_LEN;

/// The payload does not fit the largest bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the report is too large: with its attachments it needs {needs} bytes, and {limit} is the limit")]
pub struct TooLarge {
    /// Bytes that the payload needs.
    pub needs: u64,
    /// Bytes that the largest bucket leaves for it.
    pub limit: u64,
}

/// The smallest bucket for this many slots.
///
/// ```
/// assert_eq!(marram_crypto::bucket::smallest(8), 32 * 1024);
/// ```
pub fn smallest(slots: usize) -> u64 {
    let mut bucket = LEAST_PAYLOAD;
    while capacity(bucket, slots) < LEAST_PAYLOAD {
        bucket *= 2;
    }
    bucket
}

/// Whether a sealed report to this many slots may have this length.
pub fn is_bucket(len: u64, slots: usize, limit: u64) -> bool {
    len.is_power_of_two() && len >= smallest(slots) && len <= limit
}

/// The smallest bucket that holds `payload` bytes.
///
/// # Errors
/// [`TooLarge`] if the largest bucket, `limit`, does not.
pub fn for_payload(payload: u64, slots: usize, limit: u64) -> Result<u64, TooLarge> {
    let mut bucket = smallest(slots);
    while capacity(bucket, slots) < payload {
        bucket = bucket.checked_mul(2).filter(|next| *next <= limit).ok_or(TooLarge {
            needs: payload,
            limit: capacity(limit, slots),
        })?;
    }
    if bucket <= limit {
        Ok(bucket)
    } else {
        Err(TooLarge {
            needs: payload,
            limit: capacity(limit, slots),
        })
    }
}

/// Payload bytes that surely fit a bucket, whatever grease is drawn.
pub fn capacity(bucket: u64, slots: usize) -> u64 {
    let Some(body) = bucket.checked_sub(header::max_len(slots) as u64 + NONCE_LEN) else {
        return 0;
    };
    // A body that no payload gives exactly is at most 16 bytes above one that some payload does.
    (0..=CHUNK_TAG_LEN)
        .find_map(|less| payload_len(body.checked_sub(less)?))
        .unwrap_or(0)
}

/// The payload length whose sealed chunks have exactly `body` bytes, if there is one: age has no empty last chunk, so
/// 1 to 16 bytes beyond full chunks cannot be.
pub fn payload_len(body: u64) -> Option<u64> {
    let chunks = body.div_ceil(SEALED_CHUNK_LEN);
    let last = body - chunks.checked_sub(1)? * SEALED_CHUNK_LEN;
    (last > CHUNK_TAG_LEN).then(|| body - chunks * CHUNK_TAG_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_len_inverts_the_length_of_sealed_chunks() {
        let sealed = |payload: u64| payload + CHUNK_TAG_LEN * payload.div_ceil(CHUNK_LEN);
        for payload in (1..300_000).chain((1 << 28)..(1 << 28) + 70_000) {
            assert_eq!(payload_len(sealed(payload)), Some(payload));
        }
        for gap in 0..=16 {
            assert_eq!(payload_len(SEALED_CHUNK_LEN + gap), (gap == 0).then_some(CHUNK_LEN));
        }
        assert_eq!(payload_len(0), None);
    }

    #[test]
    fn a_payload_takes_the_smallest_bucket_that_holds_it() {
        let limit = 1 << 22;
        for slots in [1, 2, 8, 12, 32] {
            let mut bucket = smallest(slots);
            assert!(capacity(bucket, slots) >= LEAST_PAYLOAD && capacity(bucket / 2, slots) < LEAST_PAYLOAD);
            while bucket < limit {
                let edge = capacity(bucket, slots);
                assert_eq!(for_payload(edge, slots, limit), Ok(bucket));
                assert_eq!(for_payload(edge + 1, slots, limit), Ok(bucket * 2));
                bucket *= 2;
            }
            let edge = capacity(limit, slots);
            assert_eq!(
                for_payload(edge + 1, slots, limit),
                Err(TooLarge {
                    needs: edge + 1,
                    limit: edge
                })
            );
        }
        assert!(
            for_payload(1, 8, 16 * 1024).is_err(),
            "a limit below the smallest bucket fits nothing"
        );
    }
}
