//! What the keyholders have published to this server, verified: the charter chain, and the newest manifest of each
//! epoch that still matters.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use marram_crypto::{
    charter::{CharterChain, CharterError, UntrustedCharterChain},
    day::{Day, Epoch},
    digest::Digest,
    key::PublicKey,
    manifest::{ClosingWarning, GRACE_DAYS, Manifest, UntrustedManifest, closing_warning},
};

use crate::{
    chain,
    failure::{ResultExt, fail},
    store::Store,
};

/// A snapshot; replaced as a whole when something is published.
#[derive(Debug)]
pub struct Published {
    /// The charter chain.
    pub chain: CharterChain,
    manifests: BTreeMap<Epoch, Arc<Manifest>>,
}

/// Whether reports for an epoch are accepted.
#[derive(Debug)]
pub enum Acceptance {
    /// Yes, under this manifest.
    Open(Arc<Manifest>),
    /// Not yet, or nobody has signed a manifest for it.
    NotOpen,
    /// Its grace is over.
    Closed,
}

impl Published {
    /// Reads and verifies what the store has.
    ///
    /// # Errors
    /// If there is no charter, or none with the `pinned` fingerprint, or the store cannot be read.
    pub async fn load(store: &dyn Store, pinned: Digest, today: Day) -> anyhow::Result<Self> {
        let charters = store.charters().await?;
        if charters.is_empty() {
            return Err(fail(
                "the store has no charter",
                "check `data_dir` in the configuration; or make a new server with `marram-server init`",
            ));
        }
        let notes: Vec<_> = charters
            .into_iter()
            .map(|stored| String::from_utf8_lossy(&stored.note).into_owned())
            .collect();
        let chain = match UntrustedCharterChain::parse(&serde_json::to_vec(&notes)?)
            .and_then(|chain| chain.verify(pinned))
            .and_then(|chain| chain::without_junk(&chain))
        {
            Err(CharterError::OtherFingerprint { newest, .. }) => {
                return Err(fail(
                    format!("`charter_fingerprint` is {pinned}, and no charter in the store has it"),
                    format!(
                        "the newest there is {newest}: if a keyholder confirms that it is your organization's, write it \
                         into the configuration; otherwise check `data_dir`"
                    ),
                ));
            }
            chain => chain
                .context("the charter chain in the store does not verify")
                .next("restore the data folder from a backup")?,
        };

        let mut manifests = BTreeMap::new();
        for (epoch, stored) in store.manifests(oldest_of_interest(today)).await? {
            match UntrustedManifest::parse(&stored.note).and_then(|manifest| manifest.verify(&chain)) {
                // Versions ascend, so the newest stays.
                Ok(manifest) => drop(manifests.insert(epoch, Arc::new(manifest))),
                // After a change of charter the old manifests are void.
                Err(error) => tracing::debug!(%epoch, version = stored.version, %error, "a stored manifest is void"),
            }
        }
        Ok(Self { chain, manifests })
    }

    /// The manifest that is valid today.
    pub fn open_today(&self, today: Day) -> Option<&Arc<Manifest>> {
        let manifest = self.manifests.get(&Epoch::of(today)?)?;
        manifest.check_open(today).is_ok().then_some(manifest)
    }

    /// The newest manifest of an epoch.
    pub fn newest(&self, epoch: Epoch) -> Option<&Arc<Manifest>> {
        self.manifests.get(&epoch)
    }

    /// Whether reports for `epoch` are accepted today: while it is open, and for the days of grace.
    pub fn accepts(&self, epoch: Epoch, today: Day) -> Acceptance {
        if today >= epoch.closes().plus(GRACE_DAYS) {
            return Acceptance::Closed;
        }
        match self.manifests.get(&epoch) {
            Some(manifest) if manifest.check_grace(today).is_ok() => Acceptance::Open(Arc::clone(manifest)),
            _ => Acceptance::NotOpen,
        }
    }

    /// The manifests of the epochs whose reports are accepted today, the newest first.
    pub fn accepting(&self, today: Day) -> Vec<Arc<Manifest>> {
        let newest_first = self.manifests.values().rev();
        newest_first
            .filter(|manifest| manifest.check_grace(today).is_ok())
            .cloned()
            .collect()
    }

    /// Whether the manifest that is valid today names this page; none if there is no such manifest.
    pub fn names_page(&self, page: Digest, today: Day) -> Option<bool> {
        self.open_today(today).map(|manifest| manifest.pages.contains(&page))
    }

    /// The couriers of today: of every manifest that is open or in its grace.
    pub fn couriers(&self, today: Day) -> Vec<PublicKey> {
        let current = self
            .manifests
            .values()
            .filter(|manifest| manifest.check_grace(today).is_ok());
        current.flat_map(|manifest| manifest.couriers.iter().copied()).collect()
    }

    /// The first day that no signed manifest covers, counted from today without a gap; today if none is open.
    pub fn covered_until(&self, today: Day) -> Day {
        let mut until = today;
        while let Some(epoch) = Epoch::of(until).filter(|epoch| self.manifests.contains_key(epoch)) {
            until = epoch.closes();
        }
        until
    }

    /// What to warn of today.
    pub fn closing_warning(&self, today: Day) -> Option<ClosingWarning> {
        closing_warning(self.covered_until(today), today)
    }
}

/// The epoch of the last day of grace that may still be running.
fn oldest_of_interest(today: Day) -> Epoch {
    // The first days of 1970 have no epoch.
    Epoch::of(today.minus(GRACE_DAYS))
        .or(Epoch::from_number(0))
        .unwrap_or(Epoch::MAX)
}
