//! How long the signed manifests last: one rule for the server, the courier and the keyholder.

use crate::day::Day;

/// The organization will soon have no signed manifest, and nobody will be able to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosingWarning {
    /// Days until the last signed manifest closes; 0 if it has.
    pub days_left: u32,
    /// How loudly to say it.
    pub level: Level,
}

/// How loudly to say that manifests run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 30 days or fewer: plan the next signing.
    Notice,
    /// 14 days or fewer: sign this week.
    Warning,
    /// 3 days or fewer: sign today.
    Urgent,
    /// No manifest is valid: nobody can report.
    Closed,
}

/// The warning to give when the last signed manifest closes on `last_closes` (the first day it is no longer valid).
///
/// ```
/// use marram_crypto::{day::Day, manifest::{Level, closing_warning}};
/// let closes: Day = "2026-08-31".parse().unwrap();
/// assert_eq!(closing_warning(closes, closes.minus(31)), None);
/// assert_eq!(closing_warning(closes, closes.minus(14)).unwrap().level, Level::Warning);
/// ```
pub fn closing_warning(last_closes: Day, today: Day) -> Option<ClosingWarning> {
    let days_left = last_closes.days_since(today);
    let level = match days_left {
        0 => Level::Closed,
        1..=3 => Level::Urgent,
        4..=14 => Level::Warning,
        15..=30 => Level::Notice,
        _ => return None,
    };
    Some(ClosingWarning { days_left, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_grows_louder_at_30_14_and_3_days() {
        let closes: Day = "2026-08-31".parse().unwrap();
        for (days, level) in [
            (31, None),
            (30, Some(Level::Notice)),
            (15, Some(Level::Notice)),
            (14, Some(Level::Warning)),
            (4, Some(Level::Warning)),
            (3, Some(Level::Urgent)),
            (1, Some(Level::Urgent)),
            (0, Some(Level::Closed)),
        ] {
            let warning = closing_warning(closes, closes.minus(days));
            assert_eq!(warning, level.map(|level| ClosingWarning { days_left: days, level }));
        }
        assert_eq!(
            closing_warning(closes, closes.plus(40)).map(|warning| warning.level),
            Some(Level::Closed)
        );
    }
}
