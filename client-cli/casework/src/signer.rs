//! My signer of an epoch, and whether its signature counts.

use anyhow::Context as _;
use marram_crypto::{
    day::{Day, Epoch},
    instance::InstanceId,
    key::SigningKey,
    manifest::Manifest,
};
use marram_terminal::error::fail;

use crate::unlock::Unlocked;

/// My signer of an epoch in which it is a slot.
#[derive(Debug)]
pub struct Signer {
    /// The key.
    pub key: SigningKey,
    /// The newest manifest of the epoch, which has it as a slot.
    pub manifest: Manifest,
}

impl Signer {
    /// Of today's epoch.
    ///
    /// # Errors
    /// As [`Signer::of`].
    pub fn of_today(unlocked: &Unlocked, today: Day) -> anyhow::Result<Self> {
        Self::of(
            unlocked,
            Epoch::of(today).context("today is in no epoch: check this computer's date")?,
        )
    }

    /// Of an epoch.
    ///
    /// # Errors
    /// If nobody would heed it: no manifest of the epoch is known, it has no slot of mine, or the key is destroyed.
    pub fn of(unlocked: &Unlocked, epoch: Epoch) -> anyhow::Result<Self> {
        let chain = unlocked.casebook.charter()?;
        let Some(manifest) = unlocked.casebook.manifests_of(epoch, &chain)?.into_iter().next() else {
            return Err(fail(
                format!("no manifest of epoch {epoch} was imported, so nobody can say whose signature counts"),
                "import the newest bundle first",
            ));
        };
        let key = key(unlocked, epoch)?;
        let public = key.public();
        if !manifest.slots.iter().any(|slot| slot.signer == public) {
            return Err(fail(
                format!(
                    "the newest manifest of epoch {epoch} (version {}) has no slot of mine: my signature counts for nothing",
                    manifest.version
                ),
                "ask the keyholders why",
            ));
        }
        Ok(Self { key, manifest })
    }

    /// The founding that all of it belongs to.
    pub fn instance(&self) -> InstanceId {
        self.manifest.instance
    }

    /// The position of my slot, from 0.
    pub fn slot(&self) -> Option<usize> {
        let public = self.key.public();
        self.manifest.slots.iter().position(|slot| slot.signer == public)
    }
}

/// My signing key of an epoch, whether it counts there or not.
///
/// # Errors
/// If it is not here.
pub fn key(unlocked: &Unlocked, epoch: Epoch) -> anyhow::Result<SigningKey> {
    let keys = unlocked.epochs.read(epoch, &unlocked.caseworker.home_identity)?;
    keys.map(|keys| keys.signer).ok_or_else(|| {
        fail(
            format!("there are no keys of epoch {epoch} here"),
            "marram-casework status shows the epochs whose keys are here; renew makes those of the next",
        )
    })
}
