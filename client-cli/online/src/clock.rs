//! This computer's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use marram_crypto::day::Day;

/// Seconds of Unix time; 0 before 1970.
pub fn now_unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Today in UTC.
pub fn today() -> Day {
    Day::from_unix_seconds(now_unix_s())
}
