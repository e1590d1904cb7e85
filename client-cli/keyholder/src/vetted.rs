//! A keyholder's own list of vetted caseworkers: those whose enrolment key it has compared itself. It is never imported.

use marram_crypto::{
    day::{Day, Epoch},
    enrolment::{Enrolment, EnrolmentError, Pair, UntrustedEnrolment},
    key::PublicKey,
    manifest::Slot,
    note::UntrustedNote,
};
use serde::{Deserialize, Serialize};

use crate::pseudonym::Pseudonym;

/// The list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct VettedList(Vec<Caseworker>);

/// A caseworker who was vetted once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caseworker {
    pub(crate) name: Pseudonym,
    pub(crate) key: PublicKey,
    /// In order of their counters. A later one counts for epochs that both cover.
    enrolments: Vec<KeptEnrolment>,
    /// Since when nothing is to be given to this caseworker any more.
    pub(crate) struck: Option<Day>,
}

/// What [`VettedList::add`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// The very same file was vetted before.
    Already,
    /// A caseworker who was not on the list.
    New,
    /// Further epochs of one who was.
    Renewed,
}

/// Why an enrolment does not come onto the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VetError {
    #[error(
        "{name} is on your list with another enrolment key: this file does not come from the caseworker you vetted \
         under that name"
    )]
    SwappedKey { name: Pseudonym },
    #[error("this enrolment key is on your list as {listed}, not as {name}")]
    OtherName { listed: Pseudonym, name: Pseudonym },
    #[error("{name} was struck from your list on {since}: an enrolment key that was revoked is never used again")]
    Struck { name: Pseudonym, since: Day },
    #[error(
        "the {what} of epoch {epoch} in this file is one that {other} has enrolled: one of the two has copied it, and \
         the {what} cannot belong to both"
    )]
    Copied {
        what: &'static str,
        epoch: Epoch,
        other: Pseudonym,
    },
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
}

/// An enrolment in the state file. That it is signed by its own key is verified whenever it is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct KeptEnrolment(Enrolment);

impl VettedList {
    pub(crate) fn all(&self) -> &[Caseworker] {
        &self.0
    }

    /// Those who are not struck.
    pub(crate) fn standing(&self) -> impl Iterator<Item = &Caseworker> {
        self.0.iter().filter(|caseworker| caseworker.struck.is_none())
    }

    pub(crate) fn by_key(&self, key: &PublicKey) -> Option<&Caseworker> {
        self.0.iter().find(|caseworker| caseworker.key == *key)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Caseworker> {
        self.0.iter().find(|caseworker| caseworker.name.is(name))
    }

    /// Those who can be given a slot in `epoch`.
    pub(crate) fn ready(&self, epoch: Epoch) -> impl Iterator<Item = (&Caseworker, &Pair)> {
        self.standing()
            .filter_map(move |caseworker| Some((caseworker, caseworker.pair(epoch)?)))
    }

    /// The pair of an enrolment key in `epoch`, if its holder is not struck. Where two enrolments of the holder cover
    /// the epoch, the one that stands in `slots` is meant, or else the later.
    pub(crate) fn pair(&self, key: &PublicKey, epoch: Epoch, slots: &[Slot]) -> Option<Pair> {
        let caseworker = self.by_key(key).filter(|caseworker| caseworker.struck.is_none())?;
        let pairs = || caseworker.enrolments.iter().rev().filter_map(|kept| kept.0.pair(epoch));
        let in_use = pairs().find(|pair| slots.iter().any(|slot| slot.recipient == pair.recipient));
        in_use.or_else(|| pairs().next()).cloned()
    }

    /// Whether `enrolment` may come onto the list as `name`. The digits of a new caseworker's key must be compared before
    /// [`Self::add`].
    pub(crate) fn check(&self, enrolment: &Enrolment, name: &Pseudonym) -> Result<Added, VetError> {
        let listed = self.by_key(&enrolment.key);
        if listed.is_none()
            && let Some(other) = self.by_name(name.as_str())
        {
            return Err(VetError::SwappedKey {
                name: other.name.clone(),
            });
        }
        for other in self.0.iter().filter(|other| other.key != enrolment.key) {
            other.check_not_copied(enrolment)?;
        }
        let Some(listed) = listed else { return Ok(Added::New) };
        if let Some(since) = listed.struck {
            let name = listed.name.clone();
            return Err(VetError::Struck { name, since });
        }
        if !listed.name.is(name.as_str()) {
            return Err(VetError::OtherName {
                listed: listed.name.clone(),
                name: name.clone(),
            });
        }
        let digest = enrolment.note().digest();
        if listed.enrolments.iter().any(|kept| kept.0.note().digest() == digest) {
            return Ok(Added::Already);
        }
        if let Some(last) = listed.enrolments.last() {
            enrolment.follows(&last.0)?;
        }
        Ok(Added::Renewed)
    }

    /// Puts an enrolment onto the list that [`Self::check`] has let pass. A name that is listed stays.
    pub(crate) fn add(&mut self, enrolment: Enrolment, name: Pseudonym) -> Result<Added, VetError> {
        let added = self.check(&enrolment, &name)?;
        let key = enrolment.key;
        match added {
            Added::Already => {}
            Added::New => self.0.push(Caseworker {
                name,
                key,
                enrolments: vec![KeptEnrolment(enrolment)],
                struck: None,
            }),
            Added::Renewed => self
                .0
                .iter_mut()
                .filter(|caseworker| caseworker.key == key)
                .for_each(|caseworker| caseworker.enrolments.push(KeptEnrolment(enrolment.clone()))),
        }
        Ok(added)
    }

    /// Strikes a caseworker for good; one who is struck already stays so since that day.
    pub(crate) fn strike(&mut self, key: &PublicKey, today: Day) {
        for caseworker in self.0.iter_mut().filter(|caseworker| caseworker.key == *key) {
            caseworker.struck.get_or_insert(today);
        }
    }

    /// Drops enrolments that are over, but for each caseworker's last, whose counter is still needed.
    pub(crate) fn forget_before(&mut self, epoch: Epoch) {
        for caseworker in &mut self.0 {
            let last = caseworker.enrolments.len().saturating_sub(1);
            let mut position = 0;
            caseworker.enrolments.retain(|kept| {
                position += 1;
                position > last || kept.0.pairs.keys().next_back().is_some_and(|end| *end >= epoch)
            });
        }
    }
}

impl Caseworker {
    pub(crate) fn pair(&self, epoch: Epoch) -> Option<&Pair> {
        self.enrolments.iter().rev().find_map(|kept| kept.0.pair(epoch))
    }

    /// The first epoch from `from` on for which this caseworker has enrolled no keys.
    pub(crate) fn runs_out(&self, from: Epoch) -> Epoch {
        let mut epoch = from;
        while epoch < Epoch::MAX && self.pair(epoch).is_some() {
            epoch = epoch.plus(1);
        }
        epoch
    }

    /// The notes of its enrolments that have keys for one of `epochs`.
    pub(crate) fn notes(&self, epochs: &[Epoch]) -> Vec<(u32, &UntrustedNote)> {
        let covers = |kept: &&KeptEnrolment| epochs.iter().any(|epoch| kept.0.pair(*epoch).is_some());
        let covering = self.enrolments.iter().filter(covers);
        covering.map(|kept| (kept.0.counter, kept.0.note())).collect()
    }

    fn check_not_copied(&self, enrolment: &Enrolment) -> Result<(), VetError> {
        let own = || self.enrolments.iter().flat_map(|kept| kept.0.pairs.values());
        for (epoch, pair) in &enrolment.pairs {
            let copied = |what| VetError::Copied {
                what,
                epoch: *epoch,
                other: self.name.clone(),
            };
            if own().any(|own| own.recipient == pair.recipient) {
                return Err(copied("recipient"));
            }
            if own().any(|own| own.signer == pair.signer) {
                return Err(copied("signer"));
            }
        }
        Ok(())
    }
}

impl From<KeptEnrolment> for String {
    fn from(kept: KeptEnrolment) -> Self {
        String::from_utf8_lossy(&kept.0.note().to_bytes()).into_owned()
    }
}

impl TryFrom<String> for KeptEnrolment {
    type Error = EnrolmentError;

    fn try_from(note: String) -> Result<Self, EnrolmentError> {
        let instance = UntrustedNote::parse(note.as_bytes())?.instance()?;
        Ok(Self(UntrustedEnrolment::parse(note.as_bytes())?.verify(instance)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Enroller, epoch, instance};

    fn name(name: &str) -> Pseudonym {
        name.parse().unwrap()
    }

    #[test]
    fn another_key_under_a_name_that_is_vetted_is_refused() {
        let mut list = VettedList::default();
        let heron = Enroller::new();
        assert_eq!(list.add(heron.enrolment(1, epoch(0), 4), name("heron")), Ok(Added::New));
        let swapped = Enroller::new().enrolment(1, epoch(0), 4);
        assert_eq!(
            list.check(&swapped, &name("Heron")),
            Err(VetError::SwappedKey { name: name("heron") })
        );
    }

    #[test]
    fn a_later_batch_renews_and_an_older_one_is_a_rollback() {
        let mut list = VettedList::default();
        let heron = Enroller::new();
        let (first, second) = (heron.enrolment(1, epoch(0), 4), heron.enrolment(2, epoch(4), 4));
        list.add(second.clone(), name("heron")).unwrap();
        assert_eq!(list.check(&second, &name("heron")), Ok(Added::Already));
        assert_eq!(
            list.check(&first, &name("heron")),
            Err(VetError::Enrolment(EnrolmentError::Rollback { seen: 2, offered: 1 }))
        );
        assert_eq!(
            list.add(heron.enrolment(3, epoch(8), 4), name("heron")),
            Ok(Added::Renewed)
        );
        assert_eq!(list.all()[0].runs_out(epoch(4)), epoch(12));
        list.forget_before(epoch(12));
        assert_eq!(list.all()[0].enrolments.len(), 1);
    }

    #[test]
    fn keys_copied_from_a_colleague_are_refused() {
        let mut list = VettedList::default();
        let (heron, ibis) = (Enroller::new(), Enroller::new());
        let original = heron.enrolment(1, epoch(0), 2);
        list.add(original.clone(), name("heron")).unwrap();
        let copy = ibis.sign(1, original.pairs.clone());
        assert!(matches!(
            list.check(&copy, &name("ibis")),
            Err(VetError::Copied { what: "recipient", .. })
        ));
    }

    #[test]
    fn a_struck_caseworker_is_given_nothing_and_never_comes_back() {
        let mut list = VettedList::default();
        let heron = Enroller::new();
        list.add(heron.enrolment(1, epoch(0), 4), name("heron")).unwrap();
        list.strike(&heron.key.public(), epoch(0).opens());
        assert_eq!(list.ready(epoch(0)).count(), 0);
        assert_eq!(list.pair(&heron.key.public(), epoch(0), &[]), None);
        assert!(matches!(
            list.check(&heron.enrolment(2, epoch(4), 4), &name("heron")),
            Err(VetError::Struck { .. })
        ));
        assert!(matches!(
            list.check(&Enroller::new().enrolment(1, epoch(0), 1), &name("heron")),
            Err(VetError::SwappedKey { .. })
        ));
    }

    #[test]
    fn the_list_reads_back_from_the_state_file_and_a_changed_enrolment_does_not() {
        let mut list = VettedList::default();
        list.add(Enroller::new().enrolment(1, epoch(0), 1), name("heron"))
            .unwrap();
        let json = serde_json::to_string(&list).unwrap();
        let back: VettedList = serde_json::from_str(&json).unwrap();
        assert_eq!(back.all()[0].key, list.all()[0].key);
        assert!(json.contains(&instance().to_string()));
        let changed = json.replace("counter 1", "counter 2");
        assert!(serde_json::from_str::<VettedList>(&changed).is_err());
    }
}
