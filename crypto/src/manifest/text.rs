//! The lines of a manifest, written and read.

use std::{collections::HashSet, fmt, hash::Hash};

use super::{
    BoardShape, Contact, Draft, Locale, LocaleError, MAX_CELLS, MAX_CONTACTS, MAX_COURIERS, MAX_DAYS, MAX_LIMIT,
    MAX_PAGES, MAX_QUESTIONS, MAX_SHARDS, MAX_SLOTS, MAX_TAGS, ManifestError, Question, Slot,
};
use crate::{
    bucket,
    day::Epoch,
    enrolment::{SlotKeys, slot_keys},
    lines::{LineError, Writer, number, parsed, text},
    note::{NoteType, UntrustedNote},
};

/// The text to be signed. Whoever calls this reads the result again.
pub(super) fn write(draft: &Draft) -> Result<String, LineError> {
    let mut lines = Writer::new(NoteType::Manifest.as_str(), draft.instance);
    lines.line("epoch", draft.epoch);
    lines.line("version", draft.version);
    lines.line("opens", draft.epoch.opens());
    lines.line("closes", draft.epoch.closes());
    lines.line("charter", draft.charter);
    lines.line("log", draft.log);
    draft.couriers.iter().for_each(|key| lines.line("courier", key));
    lines.line("limit", draft.limit);
    lines.line("retention", draft.retention_days);
    lines.line("promise", draft.promise_days);
    lines.line("board", draft.board);
    draft.pages.iter().for_each(|page| lines.line("page", page));
    for Contact { locale, text } in &draft.contacts {
        let locale = locale.as_ref().map_or("*", Locale::as_str);
        lines.text("contact", &format!("{locale} "), text)?;
    }
    draft
        .questions
        .iter()
        .for_each(|question| lines.line("question", question));
    draft.slots.iter().for_each(|slot| lines.line("slot", slot));
    Ok(lines.finish())
}

pub(super) fn read(note: &UntrustedNote) -> Result<Draft, ManifestError> {
    let mut lines = note.body(NoteType::Manifest)?.lines();
    let instance = note.instance()?;
    let epoch: Epoch = lines.read("epoch", parsed)?;
    let version = lines.read("version", |value| number(value, 1..=u32::MAX))?;
    for (name, expected) in [("opens", epoch.opens()), ("closes", epoch.closes())] {
        let found = lines.read(name, parsed)?;
        if found != expected {
            return Err(ManifestError::Dates {
                name,
                epoch,
                expected,
                found,
            });
        }
    }
    let charter = lines.read("charter", parsed)?;
    let log = lines.read("log", parsed)?;
    let couriers = lines.read_all("courier", 0..=MAX_COURIERS, parsed)?;
    let limit: u64 = lines.read("limit", |value| number(value, 1..=MAX_LIMIT))?;
    let retention_days = lines.read("retention", |value| number(value, 1..=MAX_DAYS))?;
    let promise_days = lines.read("promise", |value| number(value, 1..=MAX_DAYS))?;
    let board = lines.read("board", read_board)?;
    let pages = lines.read_all("page", 0..=MAX_PAGES, parsed)?;
    let contacts = lines.read_all("contact", 0..=MAX_CONTACTS, read_contact)?;
    let questions: Vec<Question> = lines.read_all("question", 0..=MAX_QUESTIONS, parsed)?;
    let keys = lines.read_all("slot", 1..=MAX_SLOTS, slot_keys)?;
    lines.end()?;

    let mut slots = Vec::with_capacity(keys.len());
    for (position, keys) in keys.into_iter().enumerate() {
        let SlotKeys::PostQuantum(pair) = keys else {
            return Err(ManifestError::ClassicalRecipient { position });
        };
        slots.push(Slot::from(*pair));
    }
    let smallest = bucket::smallest(slots.len());
    if !limit.is_power_of_two() || limit < smallest {
        return Err(ManifestError::Limit { limit, smallest });
    }
    distinct("courier", &couriers, |key| key)?;
    distinct("page", &pages, |page| page)?;
    distinct("question", &questions, |question| &question.id)?;
    distinct("slot recipient", &slots, |slot| &slot.recipient)?;
    distinct("slot signer", &slots, |slot| &slot.signer)?;
    Ok(Draft {
        instance,
        epoch,
        version,
        charter,
        log,
        couriers,
        limit,
        retention_days,
        promise_days,
        board,
        pages,
        contacts,
        questions,
        slots,
    })
}

fn read_board(value: &str) -> Result<BoardShape, String> {
    let [shards, tags, cells, cadence] = value.split(' ').collect::<Vec<_>>()[..] else {
        return Err("four numbers: shards, tags, cells, and days from one board to the next".to_owned());
    };
    let shards = number(shards, 1..=MAX_SHARDS)?;
    if !shards.is_power_of_two() {
        return Err(format!(
            "the number of shards must be a power of two, and {shards} is none"
        ));
    }
    Ok(BoardShape {
        shards,
        tags: number(tags, 1..=MAX_TAGS)?,
        cells: number(cells, 1..=MAX_CELLS)?,
        cadence_days: number(cadence, 1..=MAX_DAYS)?,
    })
}

fn read_contact(value: &str) -> Result<Contact, String> {
    let (locale, contact) = value.split_once(' ').ok_or("a locale (or *), a space and a text")?;
    let locale = match locale {
        "*" => None,
        _ => Some(locale.parse().map_err(|error: LocaleError| error.to_string())?),
    };
    Ok(Contact {
        locale,
        text: text(contact)?,
    })
}

fn distinct<'a, T, K: Eq + Hash + 'a>(
    what: &'static str,
    items: &'a [T],
    key: impl Fn(&'a T) -> &'a K,
) -> Result<(), ManifestError> {
    let mut seen = HashSet::new();
    let Some(second) = items.iter().position(|item| !seen.insert(key(item))) else {
        return Ok(());
    };
    let first = items
        .iter()
        .position(|item| key(item) == key(&items[second]))
        .unwrap_or(second);
    Err(ManifestError::Repeated { what, first, second })
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.recipient, self.signer)
    }
}

impl fmt::Display for BoardShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.shards, self.tags, self.cells, self.cadence_days)
    }
}
