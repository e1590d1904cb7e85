//! `alarms` and `acknowledge`: what must not vanish quietly, and what a caseworker found out about it.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use marram_crypto::day::Day;
use marram_terminal::{
    ask::{Ask, Question},
    error::fail,
    output::{CODE, DIM, Output, WARNING},
    text::visible,
};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::{account, casebook::alarms::Alarm, class::Class, unlock::Unlocked};

/// How many alarms people are shown one by one; `--json` has all.
const SHOWN: usize = 200;
/// Longest comment in bytes.
const MAX_COMMENT: usize = 4096;

/// What an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A leaf without a body, and without a reason for it.
    Withheld,
    /// A valid order destroyed a report before I could open it.
    DeletedUnopened,
    /// A report was past its retention before I could open it.
    ExpiredUnopened,
    /// A report is gone, and the order that names it was not valid, or not due.
    Destroyed,
    /// A leaf contradicts what is inside, or names an epoch that has no manifest or was over.
    Foreign,
    /// The body is there, and what I need to open it is not.
    Unopened,
    /// A checkpoint is smaller than an earlier one.
    RolledBack,
    /// Two roots at one size.
    Forked,
    /// Leaves that do not lead to the checkpoint they came with.
    FalseLeaves,
    /// The newest checkpoint is more than a week old.
    Stale,
    /// A colleague has opened what I have not.
    OpenedByColleague,
    /// The server has not applied an order of mine.
    OrderNotApplied,
    /// The server is said to have accepted an order that nobody could give.
    InvalidOrder,
    /// A courier's own report did not arrive.
    LostCanary,
    /// A receipt promises a report that the log does not have.
    ReceiptWithheld,
    /// A report bears a codename or a reply key that only its submitter and caseworkers know, and is not the submitter's.
    Forged,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Withheld,
        Self::DeletedUnopened,
        Self::ExpiredUnopened,
        Self::Destroyed,
        Self::Foreign,
        Self::Unopened,
        Self::RolledBack,
        Self::Forked,
        Self::FalseLeaves,
        Self::Stale,
        Self::OpenedByColleague,
        Self::OrderNotApplied,
        Self::InvalidOrder,
        Self::LostCanary,
        Self::ReceiptWithheld,
        Self::Forged,
    ];

    /// The alarm of a class, if the class is one.
    pub const fn of(class: Class) -> Option<Self> {
        match class {
            Class::Opened | Class::NotForMe | Class::Refused | Class::Deleted | Class::Expired => None,
            Class::Withheld => Some(Self::Withheld),
            Class::DeletedUnopened => Some(Self::DeletedUnopened),
            Class::ExpiredUnopened => Some(Self::ExpiredUnopened),
            Class::Destroyed => Some(Self::Destroyed),
            Class::Foreign => Some(Self::Foreign),
            Class::Unopened => Some(Self::Unopened),
        }
    }

    /// Its name in the casebook and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Withheld => Class::Withheld.as_str(),
            Self::DeletedUnopened => Class::DeletedUnopened.as_str(),
            Self::ExpiredUnopened => Class::ExpiredUnopened.as_str(),
            Self::Destroyed => Class::Destroyed.as_str(),
            Self::Foreign => Class::Foreign.as_str(),
            Self::Unopened => Class::Unopened.as_str(),
            Self::RolledBack => "rolled_back",
            Self::Forked => "forked",
            Self::FalseLeaves => "false_leaves",
            Self::Stale => "stale",
            Self::OpenedByColleague => "opened_by_colleague",
            Self::OrderNotApplied => "order_not_applied",
            Self::InvalidOrder => "invalid_order",
            Self::LostCanary => "lost_canary",
            Self::ReceiptWithheld => "receipt_withheld",
            Self::Forged => "forged",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its name for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Withheld => "withheld",
            Self::DeletedUnopened => "deleted before I opened it",
            Self::ExpiredUnopened => "expired before I opened it",
            Self::Destroyed => "destroyed without a valid order",
            Self::Foreign => "foreign leaf",
            Self::Unopened => "could not be opened",
            Self::RolledBack => "rolled back",
            Self::Forked => "forked",
            Self::FalseLeaves => "false leaves",
            Self::Stale => "stale",
            Self::OpenedByColleague => "opened by a colleague but not by me",
            Self::OrderNotApplied => "own order never applied",
            Self::InvalidOrder => "invalid order",
            Self::LostCanary => "lost canary",
            Self::ReceiptWithheld => "receipt withheld",
            Self::Forged => "forged",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What `alarms` is told.
#[derive(Debug, clap::Args)]
pub struct AlarmsArgs {
    /// Also those that were acknowledged, with what was written then
    #[arg(long)]
    pub all: bool,
}

/// What `acknowledge` is told.
#[derive(Debug, clap::Args)]
pub struct AcknowledgeArgs {
    /// Numbers of alarms, as `alarms` shows them; 4-9 are all from 4 to 9
    #[arg(required = true, value_name = "ALARM", value_parser = parse_range)]
    pub alarms: Vec<RangeInclusive<i64>>,
    /// What was found out, and what is done about it [default: asked]
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
}

/// Shows the alarms.
///
/// # Errors
/// Of the casebook.
pub fn alarms(args: &AlarmsArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    account::refresh(&mut unlocked.casebook, today)?;
    if out.is_json() {
        let mut alarms = Vec::new();
        unlocked.casebook.alarms(args.all, |alarm| alarms.push(alarm))?;
        out.json(&json!({ "alarms": alarms }));
        return Ok(());
    }
    let mut count = 0;
    unlocked.casebook.alarms(args.all, |alarm| {
        count += 1;
        if count <= SHOWN {
            print(&alarm, out);
        }
    })?;
    if count > SHOWN {
        out.line(format!("… and {} more; --json has all of them", count - SHOWN));
    }
    if count == 0 {
        out.line("No alarm that was not acknowledged.");
    } else {
        out.line("");
        out.line(format!(
            "When you know what happened: {CODE}marram-casework acknowledge ALARM --comment TEXT{CODE:#}"
        ));
    }
    Ok(())
}

/// Acknowledges alarms, all or none.
///
/// # Errors
/// Each with what to do next; then none was acknowledged.
pub fn acknowledge(args: &AcknowledgeArgs, unlocked: &mut Unlocked, today: Day, out: &Output) -> anyhow::Result<()> {
    let comment = match &args.comment {
        Some(comment) => comment.trim().to_owned(),
        None => Ask::stdin()?
            .line(&Question::new("What was found out, and what is done about it?").max_bytes(MAX_COMMENT))?
            .given()
            .unwrap_or_default(),
    };
    if comment.is_empty() || comment.len() > MAX_COMMENT {
        return Err(fail(
            format!("a comment has 1 to {MAX_COMMENT} bytes, and this has {}", comment.len()),
            "write in a sentence what was found out; whoever destroys keys later relies on it",
        ));
    }
    let changes = unlocked.casebook.change()?;
    let last = changes.last_alarm()?;
    let mut acknowledged = Vec::new();
    for range in &args.alarms {
        if *range.end() > last {
            let has = if last == 0 {
                "there is none".to_owned()
            } else {
                format!("the last is {last}")
            };
            return Err(fail(
                format!("there is no alarm {}; {has}", range.end()),
                "see marram-casework alarms",
            ));
        }
        let single = range.start() == range.end();
        for id in range.clone() {
            if changes.acknowledge(id, &comment, today)? {
                acknowledged.push(id);
            } else if single {
                return Err(fail(
                    format!("alarm {id} was acknowledged before"),
                    "see marram-casework alarms --all",
                ));
            }
        }
    }
    changes.commit()?;
    let left = unlocked.casebook.open_alarms()?.values().sum::<u64>();
    out.line(format!("Acknowledged: {}. Alarms left: {left}.", acknowledged.len()));
    out.json(&json!({ "acknowledged": acknowledged, "left": left }));
    Ok(())
}

/// `forked (1), withheld (12)`.
pub(crate) fn counted(alarms: &BTreeMap<Kind, u64>) -> String {
    let named = alarms.iter().map(|(kind, count)| format!("{} ({count})", kind.label()));
    named.collect::<Vec<_>>().join(", ")
}

fn print(alarm: &Alarm, out: &Output) {
    out.line("");
    out.line(format!(
        "{WARNING}{} {}{WARNING:#}: {} {DIM}(raised on {}){DIM:#}",
        alarm.id,
        alarm.kind.label(),
        visible(&alarm.subject),
        alarm.raised
    ));
    out.paragraph(&alarm.detail, 2);
    if let Some(over) = alarm.over {
        out.paragraph(&format!("Since {over} this is no longer so."), 2);
    }
    if let (Some(day), Some(comment)) = (alarm.acknowledged, &alarm.comment) {
        out.paragraph(&format!("Acknowledged on {day}: {comment}"), 2);
    }
}

fn parse_range(typed: &str) -> Result<RangeInclusive<i64>, String> {
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number > 0);
    let (first, last) = typed.split_once('-').unwrap_or((typed, typed));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err("an alarm's number is 1, 2, 3 …, and 4-9 are all from 4 to 9".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_name_and_is_found_by_it() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::named("lost"), None);
        // A class that is an alarm is the alarm of its name.
        for class in Class::ALL {
            assert_eq!(
                Kind::of(class).map(Kind::as_str),
                class.is_alarm().then(|| class.as_str())
            );
        }
    }

    #[test]
    fn a_range_of_alarms_goes_upwards() {
        assert_eq!((parse_range("3"), parse_range("4-9")), (Ok(3..=3), Ok(4..=9)));
        for wrong in ["", "0", "9-4", "1-", "-1", "x"] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
    }
}
