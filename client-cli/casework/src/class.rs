//! What became of a leaf: of every report that the log names, exactly one of these.

use std::fmt;

use serde::{Serialize, Serializer};

/// What became of a leaf. The accounting gives each leaf one; those that [`Class::is_alarm`] names are alarms of the same
/// name, and stay alarms until a caseworker acknowledges them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Opened, and in the casebook.
    Opened,
    /// Body present, digest right, and no slot of mine opens it: noise, or of weeks in which I have no slot. Anyone can
    /// send noise, so it is counted and no more.
    NotForMe,
    /// My slot opens it, and what is inside no honest program made: damaged, forged, of another organization. Counted, and
    /// named one by one when it is imported.
    Refused,
    /// Opened, and since then deleted on the server by a valid order that was due.
    Deleted,
    /// Opened, and since then past its retention on the server.
    Expired,
    /// No body, and no reason for it.
    Withheld,
    /// A valid order destroyed it before I could open it.
    DeletedUnopened,
    /// It was past its retention before I could open it.
    ExpiredUnopened,
    /// No body, and the order that names it was not valid, or not due.
    Destroyed,
    /// The leaf contradicts what is inside, or names an epoch that has no manifest or was over.
    Foreign,
    /// Body present, and what I need to open it is not: my key, or the manifest it names.
    Unopened,
}

impl Class {
    /// Every class, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Opened,
        Self::NotForMe,
        Self::Refused,
        Self::Deleted,
        Self::Expired,
        Self::Withheld,
        Self::DeletedUnopened,
        Self::ExpiredUnopened,
        Self::Destroyed,
        Self::Foreign,
        Self::Unopened,
    ];

    /// Its name in the casebook and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::NotForMe => "not_for_me",
            Self::Refused => "refused",
            Self::Deleted => "deleted",
            Self::Expired => "expired",
            Self::Withheld => "withheld",
            Self::DeletedUnopened => "deleted_unopened",
            Self::ExpiredUnopened => "expired_unopened",
            Self::Destroyed => "destroyed",
            Self::Foreign => "foreign_leaf",
            Self::Unopened => "unopened",
        }
    }

    /// The class of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == name)
    }

    /// Its name for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::NotForMe => "not for me",
            Self::Refused => "refused",
            Self::Deleted => "opened, then deleted by order",
            Self::Expired => "opened, then expired",
            Self::Withheld => "withheld",
            Self::DeletedUnopened => "deleted before I opened it",
            Self::ExpiredUnopened => "expired before I opened it",
            Self::Destroyed => "destroyed without a valid order",
            Self::Foreign => "foreign leaf",
            Self::Unopened => "could not be opened",
        }
    }

    /// Whether a caseworker must be told, and must acknowledge it.
    pub const fn is_alarm(self) -> bool {
        !matches!(
            self,
            Self::Opened | Self::NotForMe | Self::Refused | Self::Deleted | Self::Expired
        )
    }

    /// Whether the report is in the casebook.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Opened | Self::Deleted | Self::Expired)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_one_name_and_is_found_by_it() {
        for class in Class::ALL {
            assert_eq!(Class::named(class.as_str()), Some(class));
        }
        assert_eq!(Class::named("lost"), None);
    }
}
