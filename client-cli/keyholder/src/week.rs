//! Epochs as people know them: weeks, by their first day. And how far ahead they may be signed.

use marram_crypto::day::{Day, Epoch};

/// Epochs after today's that may be signed. A superseded manifest in the hands of a hostile server stays believable
/// until it closes.
pub(crate) const MAX_AHEAD: u32 = 5;

/// An epoch that is not to be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WeekError {
    #[error("the {} is over: it closed on {}, and today is {today}", week(*epoch), epoch.closes())]
    Closed { epoch: Epoch, today: Day },
    #[error(
        "the {} is {ahead} weeks ahead of today ({today}), and the limit is {MAX_AHEAD}: what is signed cannot be taken \
         back before it closes",
        week(*epoch)
    )]
    TooFarAhead { epoch: Epoch, ahead: u32, today: Day },
}

/// `week of 2026-11-23 (epoch 2968)`.
pub(crate) fn week(epoch: Epoch) -> String {
    format!("week of {} (epoch {epoch})", epoch.opens())
}

/// The epoch of `today`. Only the first days of 1970 have none.
pub(crate) fn epoch_of(today: Day) -> Epoch {
    Epoch::of(today).unwrap_or(Epoch::MAX)
}

/// The last epoch that may be signed today.
pub(crate) fn last_signable(today: Day) -> Epoch {
    epoch_of(today).plus(MAX_AHEAD)
}

/// Whether `epoch` may be signed today.
pub(crate) fn check(epoch: Epoch, today: Day) -> Result<(), WeekError> {
    let now = epoch_of(today);
    if epoch < now {
        return Err(WeekError::Closed { epoch, today });
    }
    let ahead = epoch.number() - now.number();
    if ahead > MAX_AHEAD {
        return Err(WeekError::TooFarAhead { epoch, ahead, today });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_signed_from_five_weeks_before_it_until_it_closes() {
        let epoch = Epoch::of("2026-11-24".parse().unwrap()).unwrap();
        let (first, closes) = (epoch.opens().minus(5 * 7), epoch.closes());
        assert!(check(epoch, first).is_ok());
        assert!(check(epoch, closes.minus(1)).is_ok());
        assert!(matches!(
            check(epoch, first.minus(1)),
            Err(WeekError::TooFarAhead { ahead: 6, .. })
        ));
        assert!(matches!(check(epoch, closes), Err(WeekError::Closed { .. })));
    }
}
