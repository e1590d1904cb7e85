//! What became of a report when a bundle was imported.

use std::fmt;

use serde::{Serialize, Serializer};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Opened, verified, kept.
    Opened,
    /// Opened, and it is word for word a report that is kept already: sent twice.
    Repeat,
    /// My slot does not open it: noise, or sealed to others only. Anyone can send it, so it is counted and no more.
    NotForMe,
    /// Opened, and what is inside no honest program makes.
    HostilePayload,
    /// Changed or cut after sealing and before the log took it.
    Damaged,
    /// Not signed by the codename it names.
    Forged,
    /// Written for another organization.
    AnotherInstance,
    /// Written for another epoch than the one whose key opens it.
    AnotherEpoch,
    /// Written under a manifest that is not known here.
    AnotherManifest,
    /// Without the shape of a sealed report.
    NotASealedReport,
    /// The bundle's bytes are not those of the digest that they are named by.
    Swapped,
    /// No manifest of its epoch is known here.
    NoManifest,
    /// No manifest of its epoch that is known here has a slot of mine.
    NoSlot,
    /// The keys of its epoch are destroyed.
    KeyDestroyed,
    /// The file with the keys of its epoch is damaged.
    KeyUnreadable,
}

impl Outcome {
    /// Every outcome, in the order in which a summary shows them.
    pub const ALL: [Self; 15] = [
        Self::Opened,
        Self::Repeat,
        Self::NotForMe,
        Self::HostilePayload,
        Self::Damaged,
        Self::Forged,
        Self::AnotherInstance,
        Self::AnotherEpoch,
        Self::AnotherManifest,
        Self::NotASealedReport,
        Self::Swapped,
        Self::NoManifest,
        Self::NoSlot,
        Self::KeyDestroyed,
        Self::KeyUnreadable,
    ];

    /// Its name in the casebook and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Repeat => "repeat",
            Self::NotForMe => "not_for_me",
            Self::HostilePayload => "hostile_payload",
            Self::Damaged => "damaged",
            Self::Forged => "forged",
            Self::AnotherInstance => "another_instance",
            Self::AnotherEpoch => "another_epoch",
            Self::AnotherManifest => "another_manifest",
            Self::NotASealedReport => "not_a_sealed_report",
            Self::Swapped => "swapped",
            Self::NoManifest => "no_manifest",
            Self::NoSlot => "no_slot",
            Self::KeyDestroyed => "key_destroyed",
            Self::KeyUnreadable => "key_unreadable",
        }
    }

    /// The outcome of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// Its name for people.
    pub fn label(self) -> String {
        self.as_str().replace('_', " ")
    }

    /// Whether trying again could not change it: the bytes are those of their digest, and one of my keys has opened them.
    ///
    /// [`Outcome::NotForMe`] and [`Outcome::NotASealedReport`] are not: whoever kept a manifest back could otherwise make
    /// a report be passed over for good.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Opened
                | Self::Repeat
                | Self::HostilePayload
                | Self::Damaged
                | Self::Forged
                | Self::AnotherInstance
                | Self::AnotherEpoch
        )
    }

    /// Whether it says more than `later` would: that my key does not fit is not taken back for want of a key.
    pub const fn outweighs(self, later: Self) -> bool {
        matches!(self, Self::NotForMe | Self::NotASealedReport)
            && matches!(
                later,
                Self::NoManifest | Self::NoSlot | Self::KeyDestroyed | Self::KeyUnreadable
            )
    }

    /// Whether it shows that somebody attacks: who imports by script must not overlook it.
    pub const fn is_alarm(self) -> bool {
        matches!(self, Self::HostilePayload | Self::Forged | Self::Swapped)
    }

    /// Whether no slot of mine opens it: as anybody can send it, or of an epoch in which I have none.
    pub const fn is_noise(self) -> bool {
        matches!(self, Self::NotForMe | Self::NotASealedReport | Self::NoSlot)
    }

    /// Whether my slot opens it, and no honest program made it.
    pub const fn is_refused(self) -> bool {
        matches!(
            self,
            Self::HostilePayload | Self::Damaged | Self::Forged | Self::AnotherInstance | Self::AnotherEpoch
        )
    }

    /// Whether it is a fault to be told about one by one, and not only counted.
    pub const fn is_fault(self) -> bool {
        !matches!(self, Self::Opened | Self::Repeat | Self::NotForMe)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_one_name_and_is_found_by_it() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::named(outcome.as_str()), Some(outcome));
        }
        assert_eq!(Outcome::named("lost"), None);
    }
}
