//! Days and epochs. Nothing in Marram knows a time finer than a day.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const SECONDS_PER_DAY: u64 = 86_400;

/// 1970-01-05, the first Monday, as days since 1970-01-01.
const FIRST_MONDAY: u32 = 4;

/// A day in UTC, as days since 1970-01-01. Written as `2026-07-20`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day(u32);

/// A week, from Monday 00:00 UTC to the next Monday. Epoch 0 opened on 1970-01-05.
///
/// ```
/// use marram_crypto::day::{Day, Epoch};
/// let day: Day = "2026-07-22".parse().unwrap();
/// let epoch = Epoch::of(day).unwrap();
/// assert_eq!(epoch.opens().to_string(), "2026-07-20");
/// assert_eq!(epoch.closes().to_string(), "2026-07-27");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub struct Epoch(u32);

/// A day was not written as `YYYY-MM-DD`, or lies outside 1970 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a day is written as YYYY-MM-DD, from 1970-01-01 to 9999-12-31")]
pub struct DayError;

/// An epoch number was not a plain decimal number, or lies after the year 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an epoch is a decimal number of weeks since 1970-01-05, at most {max}", max = Epoch::MAX.0)]
pub struct EpochError;

impl Day {
    /// 9999-12-31.
    pub const MAX: Self = Self(2_932_896);

    /// The day that holds this second of Unix time. Days after [`Day::MAX`] are [`Day::MAX`].
    pub fn from_unix_seconds(seconds: u64) -> Self {
        u32::try_from(seconds / SECONDS_PER_DAY).map_or(Self::MAX, |day| Self(day).min(Self::MAX))
    }

    /// Days since 1970-01-01.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The day with this number of days since 1970-01-01, if it lies before the year 10000.
    pub fn from_number(number: u32) -> Option<Self> {
        (number <= Self::MAX.0).then_some(Self(number))
    }

    /// The day `days` later, at most [`Day::MAX`].
    #[must_use]
    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days)).min(Self::MAX)
    }

    /// The day `days` earlier, at least 1970-01-01.
    #[must_use]
    pub const fn minus(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// Whole days from `earlier` to this day; 0 if `earlier` is later.
    pub const fn days_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Epoch {
    /// Length in days.
    pub const DAYS: u32 = 7;

    /// The last whole epoch before the year 10000.
    pub const MAX: Self = Self((Day::MAX.0 - FIRST_MONDAY) / Self::DAYS - 1);

    /// The epoch that holds `day`; none for the four days before epoch 0 and the last of the year 9999.
    pub fn of(day: Day) -> Option<Self> {
        Self::from_number(day.0.checked_sub(FIRST_MONDAY)? / Self::DAYS)
    }

    /// The epoch with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        (number <= Self::MAX.0).then_some(Self(number))
    }

    /// Weeks since 1970-01-05.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Its first day, a Monday.
    pub const fn opens(self) -> Day {
        Day(self.0 * Self::DAYS + FIRST_MONDAY)
    }

    /// The first day that no longer belongs to it, a Monday.
    pub const fn closes(self) -> Day {
        Day((self.0 + 1) * Self::DAYS + FIRST_MONDAY)
    }

    /// The epoch `epochs` later, at most [`Epoch::MAX`].
    #[must_use]
    pub fn plus(self, epochs: u32) -> Self {
        Self(self.0.saturating_add(epochs)).min(Self::MAX)
    }

    /// The epoch before; none before epoch 0.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Howard Hinnant's `civil_from_days` ("chrono-Compatible Low-Level Date Algorithms"), for days from 1970 on.
        let shifted = self.0 + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + u32::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Day({self})")
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.0)
    }
}

impl FromStr for Day {
    type Err = DayError;

    fn from_str(text: &str) -> Result<Self, DayError> {
        let date: jiff::civil::Date = text.parse().map_err(|_| DayError)?;
        let epoch_start = jiff::civil::date(1970, 1, 1);
        let days = date.since(epoch_start).map_err(|_| DayError)?.get_days();
        let day = u32::try_from(days).ok().and_then(Self::from_number).ok_or(DayError)?;
        // One spelling only.
        if day.to_string() == text {
            Ok(day)
        } else {
            Err(DayError)
        }
    }
}

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        let number: u32 = text.parse().map_err(|_| EpochError)?;
        if number.to_string() != text {
            return Err(EpochError);
        }
        Self::from_number(number).ok_or(EpochError)
    }
}

impl From<Epoch> for u32 {
    fn from(epoch: Epoch) -> Self {
        epoch.0
    }
}

impl TryFrom<u32> for Epoch {
    type Error = EpochError;

    fn try_from(number: u32) -> Result<Self, EpochError> {
        Self::from_number(number).ok_or(EpochError)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = DayError;

    fn try_from(text: String) -> Result<Self, DayError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_from_1970_to_2400_reads_back_as_itself() {
        for number in 0..157_000 {
            let day = Day(number);
            assert_eq!(day.to_string().parse(), Ok(day));
        }
        assert_eq!(Day::MAX.to_string(), "9999-12-31");
    }

    #[test]
    fn a_day_has_one_spelling() {
        for wrong in [
            "2026-7-20",
            "20260720",
            "2026-07-20T00:00:00",
            "1969-12-31",
            "+002026-07-20",
            "2026-02-30",
            "",
        ] {
            assert_eq!(wrong.parse::<Day>(), Err(DayError), "{wrong}");
        }
    }

    #[test]
    fn an_epoch_holds_its_seven_days_and_no_other() {
        let epoch = Epoch(2951);
        for day in epoch.opens().0..epoch.closes().0 {
            assert_eq!(Epoch::of(Day(day)), Some(epoch));
        }
        assert_eq!(Epoch::of(epoch.closes()), Some(Epoch(2952)));
        assert_eq!(Epoch::of(Day(3)), None);
        assert_eq!("02951".parse::<Epoch>(), Err(EpochError));
    }

    #[test]
    fn an_epoch_after_the_year_9999_is_refused_wherever_it_comes_from() {
        let beyond = Epoch::MAX.0 + 1;
        assert_eq!(Epoch::try_from(beyond), Err(EpochError));
        assert_eq!(beyond.to_string().parse::<Epoch>(), Err(EpochError));
        assert!(serde_json::from_str::<Epoch>(&u32::MAX.to_string()).is_err());
        assert_eq!(
            serde_json::from_str::<Epoch>(&Epoch::MAX.0.to_string()).unwrap(),
            Epoch::MAX
        );
        assert_eq!(Epoch::MAX.closes().plus(u32::MAX), Day::MAX);
    }
}
