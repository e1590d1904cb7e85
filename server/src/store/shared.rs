//! What the committer and the readers share.

#[cfg(test)]
use std::sync::atomic::AtomicU64;
use std::{
    fs::File,
    sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{error::StoreError, files, state::State, view::View};

/// Why nothing is written when only the view is at fault.
pub(super) const VIEW_FAILED: &str = "the view failed";

/// What the committer and the readers share.
pub(super) struct Shared {
    /// Gone after the stop.
    pub(super) view: RwLock<Option<View>>,
    /// What is committed.
    pub(super) state: RwLock<State>,
    /// Why nothing is written now.
    pub(super) read_only: Mutex<Option<&'static str>>,
    /// For reading charters and manifests.
    pub(super) ledger: File,
    /// Free bytes on the disk below which the store is full.
    pub(super) reserve: u64,
    /// Bytes that were synced in segments and ledger, whether they stayed or not.
    #[cfg(test)]
    pub(super) synced: AtomicU64,
}

impl Shared {
    /// What is committed.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the committer alone.
    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why `bytes` cannot be written now.
    pub(super) fn refusal(&self, bytes: u64) -> Option<StoreError> {
        if let Some(reason) = self.read_only() {
            return Some(StoreError::ReadOnly(reason));
        }
        // sled does not survive a full disk in good health, so that the last megabytes are left to it.
        match files::free_space(&self.ledger) {
            Ok(free) if free < bytes.saturating_add(self.reserve) => Some(StoreError::Full),
            _ => None,
        }
    }

    /// Why nothing is written now, if so.
    pub(super) fn read_only(&self) -> Option<&'static str> {
        *self.read_only.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is written from now on, until the committer has recovered.
    pub(super) fn stop_writing(&self, reason: &'static str) -> StoreError {
        let mut read_only = self.read_only.lock().unwrap_or_else(PoisonError::into_inner);
        if read_only.is_none() {
            tracing::error!(
                reason,
                "the store stopped writing, and tries again until it can: look at the disk"
            );
        }
        StoreError::ReadOnly(read_only.get_or_insert(reason))
    }
}
