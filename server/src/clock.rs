//! The clock: the one place where the server asks for the time.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use marram_crypto::day::Day;

/// Seconds since 1970. Everything but the couriers' 60 seconds needs only the day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs())
        })
    }

    /// Any other, for tests that need another day: no option of the program sets it.
    pub fn new(now_unix_s: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_unix_s))
    }

    /// Seconds of Unix time.
    pub fn now_unix_s(&self) -> u64 {
        self.0()
    }

    /// The day in UTC.
    pub fn today(&self) -> Day {
        Day::from_unix_seconds(self.now_unix_s())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
