//! What the unit tests are made of.

use std::collections::BTreeMap;

use marram_crypto::{
    day::Epoch,
    enrolment::{Draft, Enrolment, Pair},
    hybrid::Identity,
    instance::InstanceId,
    key::SigningKey,
};

use crate::rng;

pub(crate) fn instance() -> InstanceId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

/// An epoch, counted from one of November 2026.
pub(crate) fn epoch(number: u32) -> Epoch {
    Epoch::from_number(2968).unwrap().plus(number)
}

/// A caseworker who enrols.
pub(crate) struct Enroller {
    pub(crate) key: SigningKey,
}

impl Enroller {
    pub(crate) fn new() -> Self {
        Self {
            key: SigningKey::random(&mut rng()),
        }
    }

    pub(crate) fn enrolment(&self, counter: u32, from: Epoch, epochs: u32) -> Enrolment {
        let pair = || Pair {
            recipient: Identity::random(&mut rng()).recipient(),
            signer: SigningKey::random(&mut rng()).public(),
        };
        self.sign(counter, (0..epochs).map(|number| (from.plus(number), pair())).collect())
    }

    pub(crate) fn sign(&self, counter: u32, pairs: BTreeMap<Epoch, Pair>) -> Enrolment {
        let draft = Draft {
            instance: instance(),
            key: self.key.public(),
            counter,
            pairs,
        };
        draft.sign(&self.key).unwrap()
    }
}
