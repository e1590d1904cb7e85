//! Trying again what a bad connection broke.

use std::{thread, time::Duration};

use marram_terminal::interrupt;

use crate::error::OnlineError;

/// Seconds to wait before each further try.
const WAITS_S: [u64; 3] = [0, 1, 3];

/// Does something up to four times, as long as it fails in a way that may pass. `again` is told before each further try.
///
/// # Errors
/// The last one.
pub fn retry<T>(
    mut attempt: impl FnMut() -> Result<T, OnlineError>,
    mut again: impl FnMut(&OnlineError),
) -> Result<T, OnlineError> {
    for wait_s in WAITS_S {
        match attempt() {
            Err(error) if error.is_passing() => again(&error),
            result => return result,
        }
        wait(wait_s)?;
    }
    attempt()
}

/// Waits, but not after Ctrl-C.
///
/// # Errors
/// [`OnlineError::Interrupted`].
pub fn wait(seconds: u64) -> Result<(), OnlineError> {
    for _ in 0..seconds * 10 {
        interrupt::check()?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(interrupt::check()?)
}
