//! What is destroyed, and when: reports whose deletion was ordered and is due, and reports past their retention.
//!
//! The store keeps every order for good, and which reports it destroyed; so what still waits is a matter of reading them,
//! at each start. Whether an order is still good is asked again when it takes effect: a caseworker who was dropped in the
//! meantime deletes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use marram_crypto::{
    charter::CharterChain,
    day::{Day, Epoch},
    leaf::Leaf,
    manifest::{GRACE_DAYS, UntrustedManifest},
    order::{UntrustedOrder, What},
};

use crate::{
    orders::{self, Refusal},
    store::{Store, StoreError, Why},
};

/// How many orders are read at a time.
const ORDERS_AT_ONCE: usize = 100;
/// How many leaves are looked at at a time.
const LEAVES_AT_ONCE: usize = 10_000;
/// How many reports, and bytes, are destroyed at a time: new reports wait so long.
const DESTROYED_AT_ONCE: usize = 1000;
const BYTES_AT_ONCE: u64 = 64 << 20;

/// Orders that have not taken effect whole.
#[derive(Debug)]
pub struct Deletions {
    waiting: Mutex<BTreeSet<u64>>,
    /// The day for which everything that was due is destroyed.
    done_for: Mutex<Option<Day>>,
}

impl Deletions {
    /// Reads which orders still wait.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut waiting = BTreeSet::new();
        let mut index = 0;
        loop {
            let notes = store.orders(index, ORDERS_AT_ONCE).await?;
            if notes.is_empty() {
                break;
            }
            for note in notes {
                if still_deletes(store, &note).await? {
                    waiting.insert(index);
                }
                index += 1;
            }
        }
        Ok(Self {
            waiting: Mutex::new(waiting),
            done_for: Mutex::new(None),
        })
    }

    /// Destroys what an order that was just accepted deletes at once, or what is due already. What is not yet, or could
    /// not be, is left to [`Deletions::sweep`].
    pub async fn accepted(&self, store: &dyn Store, chain: &CharterChain, index: u64, today: Day) {
        locked(&self.waiting).insert(index);
        if let Err(error) = self.take_effect(store, chain, index, today).await {
            tracing::error!(%error, "an order that is due has not taken effect yet; tried again");
            *locked(&self.done_for) = None;
        }
    }

    /// Destroys everything that is due, if that was not done today.
    ///
    /// # Errors
    /// What the store said. The next call tries again.
    pub async fn sweep(&self, store: &dyn Store, chain: &CharterChain, today: Day) -> Result<(), StoreError> {
        if locked(&self.done_for).replace(today) == Some(today) {
            return Ok(());
        }
        let swept = self.sweep_now(store, chain, today).await;
        if swept.is_err() {
            *locked(&self.done_for) = None;
        }
        swept
    }

    async fn sweep_now(&self, store: &dyn Store, chain: &CharterChain, today: Day) -> Result<(), StoreError> {
        // What was destroyed and could not be erased.
        store.destroy(BTreeMap::new()).await?;
        let waiting = locked(&self.waiting).clone();
        for index in waiting {
            self.take_effect(store, chain, index, today).await?;
        }
        expire(store, chain, today).await
    }

    /// Destroys what is due of an order, and forgets the order if nothing of it can become due any more.
    async fn take_effect(
        &self,
        store: &dyn Store,
        chain: &CharterChain,
        index: u64,
        today: Day,
    ) -> Result<(), StoreError> {
        if !effect(store, chain, index, today).await? {
            locked(&self.waiting).remove(&index);
        }
        Ok(())
    }
}

/// Destroys what is due of an order. Returns whether it goes on waiting.
async fn effect(store: &dyn Store, chain: &CharterChain, index: u64, today: Day) -> Result<bool, StoreError> {
    let note = store.orders(index, 1).await?.pop().unwrap_or_default();
    let Ok(order) = UntrustedOrder::parse(&note) else {
        return Ok(false);
    };
    let epoch = order.claims().epoch;
    let order = match orders::verify(store, chain, order, today).await {
        Ok(order) => order,
        Err(Refusal::Store(error)) => return Err(error),
        Err(refusal) => {
            // As long as the epoch's manifest may still change, so may this.
            let waits = today < epoch.closes().plus(GRACE_DAYS) && !matches!(refusal, Refusal::Superseded { .. });
            tracing::warn!(order = index, waits, %refusal, "an accepted order is not good any more, and deletes nothing");
            return Ok(waits);
        }
    };
    let What::Delete(digests) = &order.draft().what else {
        return Ok(false);
    };
    let (mut due, mut waits) = (Due::default(), false);
    for digest in digests {
        let Some(logged) = store.leaf_of(*digest).await?.filter(|logged| !logged.destroyed) else {
            continue;
        };
        if order.deletes_from(logged.leaf.day).is_some_and(|day| today < day) {
            waits = true;
        } else {
            due.add(store, (logged.index, &logged.leaf), Why::Ordered { order: index })
                .await?;
        }
    }
    due.destroy(store).await?;
    Ok(waits)
}

/// Destroys every report that is past the retention of the newest manifest of its leaf's epoch.
async fn expire(store: &dyn Store, chain: &CharterChain, today: Day) -> Result<(), StoreError> {
    let mut retentions = BTreeMap::<Epoch, Option<u32>>::new();
    let mut due = Due::default();
    let mut from = 0;
    loop {
        let kept = store.kept(from, LEAVES_AT_ONCE).await?;
        let Some((last, _)) = kept.last() else { break };
        from = last.saturating_add(1);
        for (index, leaf) in &kept {
            let retention = match retentions.get(&leaf.epoch) {
                Some(known) => *known,
                None => *retentions
                    .entry(leaf.epoch)
                    .or_insert(retention(store, chain, leaf.epoch).await?),
            };
            if retention.is_some_and(|days| today > leaf.day.plus(days)) {
                due.add(store, (*index, leaf), Why::Expired).await?;
            }
        }
    }
    due.destroy(store).await
}

/// Days for which reports of an epoch are kept. A change of charter does not change them.
async fn retention(store: &dyn Store, chain: &CharterChain, epoch: Epoch) -> Result<Option<u32>, StoreError> {
    let stored = store.newest_manifest(epoch).await?;
    let manifest = stored.and_then(|stored| {
        UntrustedManifest::parse(&stored.note)
            .and_then(|manifest| manifest.verify_for_opening(chain))
            .ok()
    });
    Ok(manifest.map(|manifest| manifest.retention_days))
}

async fn still_deletes(store: &dyn Store, note: &[u8]) -> Result<bool, StoreError> {
    let Ok(order) = UntrustedOrder::parse(note) else {
        return Ok(false);
    };
    let What::Delete(digests) = &order.claims().what else {
        return Ok(false);
    };
    for digest in digests {
        if store.leaf_of(*digest).await?.is_some_and(|logged| !logged.destroyed) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reports that are destroyed together.
#[derive(Default)]
struct Due {
    targets: BTreeMap<u64, Why>,
    bytes: u64,
}

impl Due {
    async fn add(&mut self, store: &dyn Store, (index, leaf): (u64, &Leaf), why: Why) -> Result<(), StoreError> {
        let full = self.targets.len() >= DESTROYED_AT_ONCE || self.bytes.saturating_add(leaf.size()) > BYTES_AT_ONCE;
        if full {
            std::mem::take(self).destroy(store).await?;
        }
        self.targets.insert(index, why);
        self.bytes += leaf.size();
        Ok(())
    }

    async fn destroy(self, store: &dyn Store) -> Result<(), StoreError> {
        if self.targets.is_empty() {
            return Ok(());
        }
        store.destroy(self.targets).await
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
