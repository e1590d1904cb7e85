//! Who gets which slot: in random order in a new epoch, and never moved within one.

use marram_crypto::{
    annex::AnnexPart, day::Epoch, digest::Digest, enrolment::Pair, key::PublicKey, manifest::Slot, secret::SecretBytes,
    vacant,
};
use rand_core::CryptoRng;

use crate::{memory::Holder, state::State};

/// More caseworkers than slots.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{caseworkers} caseworkers are to have a slot, and there are {slots} slots")]
pub(crate) struct TooManyCaseworkers {
    caseworkers: usize,
    slots: usize,
}

/// The slots of one manifest with their keys.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    pub(crate) holders: Vec<Holder>,
    pub(crate) keys: Vec<Slot>,
}

impl Slots {
    /// The slots of an epoch that has none yet.
    pub(crate) fn new<R: CryptoRng + ?Sized>(
        epoch: Epoch,
        count: usize,
        caseworkers: &[(PublicKey, Pair)],
        rng: &mut R,
    ) -> Result<Self, TooManyCaseworkers> {
        let vacant = (0..count).map(|_| Holder::Vacant(SecretBytes::random(rng))).collect();
        let mut slots = Self {
            holders: vacant,
            keys: Vec::new(),
        };
        slots.keys = (0_u8..)
            .zip(&slots.holders)
            .filter_map(|(position, holder)| vacant_keys(holder, epoch, position))
            .collect();
        slots.give(caseworkers, rng)?;
        Ok(slots)
    }

    /// The slots of a later version: those of caseworkers for whom `stays` is false become vacant, `caseworkers` who
    /// have none get a vacant one, and all others stay as they are, byte for byte.
    pub(crate) fn after<R: CryptoRng + ?Sized>(
        mut self,
        epoch: Epoch,
        stays: impl Fn(&PublicKey) -> bool,
        caseworkers: &[(PublicKey, Pair)],
        rng: &mut R,
    ) -> Result<Self, TooManyCaseworkers> {
        let leaving: Vec<usize> = self.positions(|holder| holder.caseworker().is_some_and(|key| !stays(key)));
        let new: Vec<_> = caseworkers
            .iter()
            .filter(|(key, _)| self.holders.iter().all(|holder| holder.caseworker() != Some(key)))
            .cloned()
            .collect();
        // New caseworkers first: one who took the place of one who leaves would tell that the two are related.
        self.give(&new, rng)?;
        for at in leaving {
            self.holders[at] = Holder::Vacant(SecretBytes::random(rng));
            let position = u8::try_from(at).unwrap_or(u8::MAX);
            self.keys[at] = vacant_keys(&self.holders[at], epoch, position).unwrap_or_else(|| self.keys[at].clone());
        }
        Ok(self)
    }

    /// What the annex says of them. Every slot is explained, so that a keyholder who did not sign the version before
    /// can check it too.
    pub(crate) fn part(&self, manifest: Digest, state: &State) -> AnnexPart {
        let name = |key: &PublicKey| state.caseworker_name(key);
        AnnexPart {
            manifest,
            slots: self.holders.iter().map(|holder| holder.entry(name)).collect(),
        }
    }

    /// Gives each caseworker a vacant slot, any of them with the same probability.
    fn give<R: CryptoRng + ?Sized>(
        &mut self,
        caseworkers: &[(PublicKey, Pair)],
        rng: &mut R,
    ) -> Result<(), TooManyCaseworkers> {
        let mut vacant = self.positions(|holder| holder.caseworker().is_none());
        if caseworkers.len() > vacant.len() {
            return Err(TooManyCaseworkers {
                caseworkers: self.holders.len() - vacant.len() + caseworkers.len(),
                slots: self.holders.len(),
            });
        }
        vacant.sort_by_cached_key(|_| {
            let mut random = [0; 16];
            rng.fill_bytes(&mut random);
            random
        });
        for (at, (key, pair)) in vacant.into_iter().zip(caseworkers) {
            self.holders[at] = Holder::Caseworker(*key);
            self.keys[at] = pair.clone().into();
        }
        Ok(())
    }

    fn positions(&self, which: impl Fn(&Holder) -> bool) -> Vec<usize> {
        let all = self.holders.iter().enumerate();
        all.filter(|(_, holder)| which(holder)).map(|(at, _)| at).collect()
    }
}

fn vacant_keys(holder: &Holder, epoch: Epoch, position: u8) -> Option<Slot> {
    match holder {
        Holder::Vacant(seed) => Some(vacant::slot(seed.expose(), epoch, position)),
        Holder::Caseworker(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{Enroller, epoch},
        rng,
    };

    fn caseworkers(count: usize) -> Vec<(PublicKey, Pair)> {
        let one = || {
            let enroller = Enroller::new();
            let pair = enroller.enrolment(1, epoch(0), 1).pairs[&epoch(0)].clone();
            (enroller.key.public(), pair)
        };
        (0..count).map(|_| one()).collect()
    }

    fn place(slots: &Slots, key: &PublicKey) -> usize {
        let is = |holder: &Holder| holder.caseworker() == Some(key);
        slots.holders.iter().position(is).unwrap()
    }

    #[test]
    fn the_order_is_random_and_every_place_is_reached() {
        let one = caseworkers(1);
        let places: std::collections::BTreeSet<usize> = (0..200)
            .map(|_| place(&Slots::new(epoch(0), 8, &one, &mut rng()).unwrap(), &one[0].0))
            .collect();
        assert_eq!(places.len(), 8);
    }

    #[test]
    fn seeds_are_fresh_in_every_epoch_and_slot() {
        let mut recipients = std::collections::HashSet::new();
        for number in 0..4 {
            let slots = Slots::new(epoch(number), 8, &[], &mut rng()).unwrap();
            recipients.extend(slots.keys.into_iter().map(|slot| slot.recipient));
        }
        assert_eq!(recipients.len(), 32);
    }

    #[test]
    fn a_later_version_changes_only_the_slots_concerned() {
        let old = caseworkers(3);
        let before = Slots::new(epoch(0), 8, &old, &mut rng()).unwrap();
        let (leaves, new) = (old[1].0, caseworkers(1));
        let all: Vec<_> = [old[0].clone(), old[2].clone(), new[0].clone()].into();
        let after = before
            .clone()
            .after(epoch(0), |key| *key != leaves, &all, &mut rng())
            .unwrap();
        let changed: Vec<usize> = (0..8).filter(|at| before.keys[*at] != after.keys[*at]).collect();
        let mut expected = vec![place(&before, &leaves), place(&after, &new[0].0)];
        expected.sort_unstable();
        assert_eq!(changed, expected);
        assert!(matches!(after.holders[place(&before, &leaves)], Holder::Vacant(_)));
    }

    #[test]
    fn more_caseworkers_than_slots_are_refused() {
        assert!(Slots::new(epoch(0), 2, &caseworkers(2), &mut rng()).is_ok());
        let error = Slots::new(epoch(0), 2, &caseworkers(3), &mut rng()).unwrap_err();
        assert_eq!(
            error,
            TooManyCaseworkers {
                caseworkers: 3,
                slots: 2
            }
        );
    }
}
