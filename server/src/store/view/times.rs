//! Keeping the times of the view's files at the day.
//!
//! sled's files would show the time of the last report to the nanosecond, while running and after a kill. So their times
//! are truncated to the day by a thread of its own, since sled writes in the background, until nothing moves any more.
//! Between such a write and the next look, a tenth of a second at most, a finer time stands there; a kill in just that
//! moment leaves it until the next start, which makes the view anew. The change times stay, as with all files
//! ([`files::truncate_times`]).

use std::{
    io,
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::store::files;

/// How long after a change the files' times are looked at again.
const SETTLE_EVERY: Duration = Duration::from_millis(100);
/// After so many looks at which no time was finer than the day, nothing moves any more.
const SETTLED_AFTER: u32 = 10;

/// Keeps the times of the view's files at the day.
pub(super) struct Settler {
    changed: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Settler {
    /// Looks after `folder` from now on.
    pub(super) fn start(folder: PathBuf) -> io::Result<Self> {
        let (changed, wakes) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("view times".to_owned())
            .spawn(move || {
                while wakes.recv().is_ok() {
                    let mut quiet = 0;
                    while quiet < SETTLED_AFTER {
                        let settled = files::truncate_times_below(&folder).is_ok_and(|finer| !finer);
                        quiet = if settled { quiet + 1 } else { 0 };
                        // Under load there is a change every millisecond: looking at each would slow down the next.
                        let next = Instant::now() + SETTLE_EVERY;
                        loop {
                            match wakes.recv_timeout(next.saturating_duration_since(Instant::now())) {
                                Ok(()) => quiet = 0,
                                Err(RecvTimeoutError::Timeout) => break,
                                Err(RecvTimeoutError::Disconnected) => return,
                            }
                        }
                    }
                }
            })?;
        Ok(Self {
            changed: Some(changed),
            thread: Some(thread),
        })
    }

    /// Something was written. If it is awake already, that is enough.
    pub(super) fn wake(&self) {
        if let Some(changed) = &self.changed {
            let _ = changed.try_send(());
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.changed = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
