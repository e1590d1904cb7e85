//! Recovery: how the store goes on after its disk has failed, without a restart.
//!
//! The store stops writing when it no longer knows what is on the disk: a sync has failed, what was half written could
//! not be cut off, the view failed. Nothing of that was acknowledged, and ledger and segments are known up to the last
//! commit. So the committer tries, once a second, to take away whatever stands behind that, durably, and to sync a trial
//! write; once both have succeeded, the store is as it was after the last commit, and goes on from there. That is what a
//! restart would do, and knows more: after a failed sync, Linux keeps in memory what it could not write and no longer
//! says so, and a start reads it as if it were on the disk (see [`super::ledger::Ledger::open`]).
//!
//! Readers are served meanwhile. If the view has failed, they are not, until it is made anew.

use std::sync::PoisonError;

use super::{committer::Committer, error::StoreError, rebuild::rebuild, shared::VIEW_FAILED, view::View};

impl Committer {
    /// Tries to write again.
    pub(super) fn recover(&mut self) {
        match self.try_to_recover() {
            Ok(()) => {
                *self.shared.read_only.lock().unwrap_or_else(PoisonError::into_inner) = None;
                tracing::info!("the store writes again; nothing that was acknowledged is lost");
            }
            Err(error) => tracing::debug!(%error, "the store cannot write yet"),
        }
    }

    fn try_to_recover(&mut self) -> Result<(), StoreError> {
        // The ledger first: while the group stands in it, the bodies that it names must not be written over.
        self.ledger.recover()?;
        self.segments.recover()?;

        let len = self.shared.state().size();
        let mut view = self.shared.view.write().unwrap_or_else(PoisonError::into_inner);
        let healthy =
            self.shared.read_only() != Some(VIEW_FAILED) && view.as_ref().is_some_and(|view| view.is_healthy(len));
        if !healthy {
            drop(view.take());
            let (made, state) =
                rebuild(&self.folder, len, View::apply).map_err(|error| StoreError::View(error.to_string()))?;
            *self.shared.state_mut() = state;
            *view = Some(made);
        }
        Ok(())
    }
}
