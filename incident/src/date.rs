//! Dates as people know them: a day, a month, a year, a season, "about", "since".

use std::{cmp::Ordering, fmt, str::FromStr};

use edtf::level_1::{Date, Edtf, Precision, Terminal};
use thiserror::Error;

use crate::decode::written_as_text;
use crate::problem::quoted;

/// A date or interval of the Extended Date/Time Format, level 1 (Library of Congress, 2019-02-04), kept as written:
/// `2021-11-03`, `2021-11`, `2021-XX`, `2021-11-03~` (about), `2021?` (unsure), `2019/2021-05`, `2019/..` (since, still going on).
///
/// Left out of level 1: times of day, which nobody needs and which could give somebody away, and years outside
/// 1900 to 2199, which are slips of the finger. At most 32 bytes, ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EdtfDate {
    written: String,
    earliest: Option<Ymd>,
    latest: Option<Ymd>,
    year: Option<i32>,
}

/// Year, month (1–12) and day (1–31).
pub type Ymd = (i32, u8, u8);

/// Why a date was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DateError {
    /// Not EDTF level 1, or a day that does not exist.
    #[error(
        "{0} is not a date; write 2021, 2021-11 or 2021-11-03, with ~ for \"about\" (2021-11~) and 2019/.. for \"since 2019\""
    )]
    NotADate(String),
    /// A time of day.
    #[error("{0} has a time of day; give the day alone")]
    TimeOfDay(String),
    /// A year that no report can mean.
    #[error("{0} is not between 1900 and 2199")]
    Year(String),
    /// An interval whose end is before its start.
    #[error("{0} ends before it starts")]
    Backwards(String),
}

impl EdtfDate {
    const MAX_BYTES: usize = 32;

    /// The date as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The first day that may be meant; `None` if the start is open or unknown.
    pub fn earliest(&self) -> Option<Ymd> {
        self.earliest
    }

    /// The last day that may be meant; `None` if the end is open or unknown.
    pub fn latest(&self) -> Option<Ymd> {
        self.latest
    }

    /// The year for statistics: of the start of an interval, else of its end; `None` if the decade or century alone is known.
    pub fn year(&self) -> Option<i32> {
        self.year
    }
}

impl FromStr for EdtfDate {
    type Err = DateError;

    fn from_str(written: &str) -> Result<Self, DateError> {
        let shown = || quoted(written);
        // The parser is given no more than a date can need, and no character outside its alphabet.
        if written.len() > Self::MAX_BYTES || !written.is_ascii() {
            return Err(DateError::NotADate(shown()));
        }
        let (start, end) = match Edtf::parse(written).map_err(|_| DateError::NotADate(shown()))? {
            Edtf::Date(date) => (Some(date), Some(date)),
            Edtf::Interval(start, end) => (Some(start), Some(end)),
            Edtf::IntervalFrom(start, Terminal::Open | Terminal::Unknown) => (Some(start), None),
            Edtf::IntervalTo(_, end) => (None, Some(end)),
            Edtf::DateTime(_) => return Err(DateError::TimeOfDay(shown())),
            Edtf::YYear(_) => return Err(DateError::Year(shown())),
        };
        let earliest = start.map(|date| span(date).0);
        let latest = end.map(|date| span(date).1);
        if [earliest, latest]
            .into_iter()
            .flatten()
            .any(|(year, ..)| !(1900..2200).contains(&year))
        {
            return Err(DateError::Year(shown()));
        }
        if let (Some(earliest), Some(latest)) = (earliest, latest)
            && earliest > latest
        {
            return Err(DateError::Backwards(shown()));
        }
        let year = start.or(end).and_then(|date| match date.precision() {
            Precision::Century(_) | Precision::Decade(_) => None,
            _ => Some(span(date).0.0),
        });
        Ok(Self {
            written: written.to_owned(),
            earliest,
            latest,
            year,
        })
    }
}

/// The first and the last day that a date may mean.
fn span(date: Date) -> (Ymd, Ymd) {
    let months = |year, first: u8, last: u8| ((year, first, 1), (year, last, days_in(year, last)));
    match date.precision() {
        Precision::Century(year) => ((year, 1, 1), (year + 99, 12, 31)),
        Precision::Decade(year) => ((year, 1, 1), (year + 9, 12, 31)),
        // A season is no three months everywhere (it turns round at the equator), so it means its year.
        Precision::Year(year)
        | Precision::MonthOfYear(year)
        | Precision::DayOfYear(year)
        | Precision::Season(year, _) => months(year, 1, 12),
        Precision::Month(year, month) | Precision::DayOfMonth(year, month) => months(year, small(month), small(month)),
        Precision::Day(year, month, day) => ((year, small(month), small(day)), (year, small(month), small(day))),
    }
}

fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn days_in(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// By the first day that may be meant, then the last; open starts come first. For sorting, not for judging.
impl Ord for EdtfDate {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |date: &Self| {
            (
                date.earliest,
                date.latest.unwrap_or((i32::MAX, 0, 0)),
                date.written.clone(),
            )
        };
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for EdtfDate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for EdtfDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

written_as_text!(EdtfDate, "EdtfDate", {
    "type": "string",
    "maxLength": 32,
    "description": "EDTF level 1 without times of day, years 1900 to 2199: 2021, 2021-11, 2021-11-03~, 2019/..",
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(written: &str) -> EdtfDate {
        written.parse().unwrap()
    }

    #[test]
    fn every_form_that_people_know_is_accepted_and_kept_as_written() {
        for written in [
            "2021",
            "2021-11",
            "2021-11-03",
            "2021-11-03~",
            "2021-11~",
            "2021?",
            "2021-05%",
            "2021-XX",
            "2021-XX-XX",
            "2021-11-XX",
            "202X",
            "20XX",
            "2021-21",
            "2019/2021-05",
            "2019/..",
            "2019/",
            "../2021",
            "/2021-03",
            "2019-01~/2020?",
            "2024-02-29",
            "2021-11-XX/2021-11-04",
        ] {
            assert_eq!(date(written).to_string(), written);
        }
    }

    #[test]
    fn what_is_no_date_is_refused_by_its_fault() {
        for written in [
            "",
            "yesterday",
            "2021-13",
            "2021-02-29",
            "2021-11-00",
            "2021-00",
            "03.11.2021",
            "2021/11",
            "2021-1",
            "..",
            "/",
            "../..",
            "~2021",
            "2021-11-03 ",
            "٢٠٢١",
            "2021-11-03/2021-11-04/2021-11-05",
            "20211103",
        ] {
            assert!(
                matches!(written.parse::<EdtfDate>(), Err(DateError::NotADate(_))),
                "{written}"
            );
        }
        assert!(matches!(
            "2021-11-03T10:00:00Z".parse::<EdtfDate>(),
            Err(DateError::TimeOfDay(_))
        ));
        for written in ["0021", "3021-01", "-2021", "Y20211", "1899", "2199/2200"] {
            assert!(
                matches!(written.parse::<EdtfDate>(), Err(DateError::Year(_))),
                "{written}"
            );
        }
        assert!(matches!(
            "2021-05/2021-04".parse::<EdtfDate>(),
            Err(DateError::Backwards(_))
        ));
    }

    #[test]
    fn the_year_for_statistics_is_given_only_where_it_is_known() {
        for (written, year) in [
            ("2021-11-03~", Some(2021)),
            ("2021-XX", Some(2021)),
            ("2021-XX-XX", Some(2021)),
            ("202X", None),
            ("20XX", None),
            ("2019/2021", Some(2019)),
            ("2019/..", Some(2019)),
            ("../2021", Some(2021)),
            ("201X/2021", None),
            ("2021-22", Some(2021)),
        ] {
            assert_eq!(date(written).year(), year, "{written}");
        }
    }

    #[test]
    fn the_span_covers_every_day_that_may_be_meant() {
        assert_eq!(
            (date("2024-02").earliest(), date("2024-02").latest()),
            (Some((2024, 2, 1)), Some((2024, 2, 29)))
        );
        assert_eq!(
            (date("202X").earliest(), date("202X").latest()),
            (Some((2020, 1, 1)), Some((2029, 12, 31)))
        );
        assert_eq!(
            (date("2019/..").earliest(), date("2019/..").latest()),
            (Some((2019, 1, 1)), None)
        );
    }

    #[test]
    fn dates_sort_by_their_first_day() {
        let mut dates = [date("2021-11-03"), date("2021-11"), date("../2022"), date("2019/..")];
        dates.sort();
        assert_eq!(
            dates.map(|date| date.to_string()),
            ["../2022", "2019/..", "2021-11", "2021-11-03"]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(written in ".{0,40}", near in "[-0-9XY/.?~%T:Z]{0,24}") {
            let _ = written.parse::<EdtfDate>();
            if let Ok(date) = near.parse::<EdtfDate>() {
                prop_assert_eq!(date.as_str(), near);
                let _ = (date.year(), date.earliest(), date.latest());
            }
        }
    }
}
