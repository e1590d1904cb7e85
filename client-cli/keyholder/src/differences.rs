//! The settings of a manifest in words, and what is different from the manifest before: what a keyholder is asked to
//! agree to.

use std::collections::BTreeSet;

use marram_crypto::manifest::{Contact, Draft, Locale, Question};

/// Every setting, as name and value.
pub(crate) fn settings(draft: &Draft) -> Vec<(&'static str, String)> {
    let mut lines = vec![("log key", draft.log.to_string())];
    lines.extend(draft.couriers.iter().map(|courier| ("courier", courier.to_string())));
    lines.extend([
        ("largest report", bytes(draft.limit)),
        ("server keeps reports", days(draft.retention_days)),
        ("acknowledged within", days(draft.promise_days)),
        ("board", board(draft)),
        ("slots", draft.slots.len().to_string()),
    ]);
    lines.extend(draft.pages.iter().map(|page| ("page", page.to_string())));
    lines.extend(draft.contacts.iter().map(|line| ("emergency contact", contact(line))));
    lines.extend(draft.questions.iter().map(|line| ("question", question(line))));
    lines
}

/// What changes from `before` to `after`, one line each. None: the settings are the same.
pub(crate) fn between(before: &Draft, after: &Draft) -> Vec<String> {
    let mut lines = Vec::new();
    if before.log != after.log {
        lines.push(format!(
            "the server's log key changes from {} to {}: right only if the server was set up anew",
            before.log, after.log
        ));
    }
    set(
        &mut lines,
        "courier",
        &before.couriers,
        &after.couriers,
        ToString::to_string,
    );
    let mut value = |name: &str, before: String, after: String| {
        if before != after {
            lines.push(format!("{name} changes from {before} to {after}"));
        }
    };
    value("the largest report", bytes(before.limit), bytes(after.limit));
    value(
        "the time the server keeps reports",
        days(before.retention_days),
        days(after.retention_days),
    );
    value(
        "the promised time to an acknowledgement",
        days(before.promise_days),
        days(after.promise_days),
    );
    value("the board", board(before), board(after));
    value(
        "the number of slots",
        before.slots.len().to_string(),
        after.slots.len().to_string(),
    );
    value("the charter", before.charter.to_string(), after.charter.to_string());
    set(&mut lines, "page", &before.pages, &after.pages, ToString::to_string);
    set(
        &mut lines,
        "emergency contact",
        &before.contacts,
        &after.contacts,
        contact,
    );
    set(&mut lines, "question", &before.questions, &after.questions, question);
    lines
}

/// What was taken away and what was added; if neither, whether the order is another.
fn set<T: PartialEq>(lines: &mut Vec<String>, name: &str, before: &[T], after: &[T], show: impl Fn(&T) -> String) {
    let unchanged = lines.len();
    let gone = before.iter().filter(|item| !after.contains(item));
    lines.extend(gone.map(|item| format!("{name} removed: {}", show(item))));
    let new = after.iter().filter(|item| !before.contains(item));
    lines.extend(new.map(|item| format!("{name} added: {}", show(item))));
    if lines.len() == unchanged && before != after {
        lines.push(format!("the order of each {name} is another"));
    }
}

fn contact(contact: &Contact) -> String {
    let whom = contact.locale.as_ref().map_or("everybody", Locale::as_str);
    format!("for {whom}: {}", contact.text)
}

/// Every wording of a question, since every wording is somebody's form.
fn question(question: &Question) -> String {
    let wordings = |texts: &marram_crypto::manifest::Texts| {
        let wordings = texts.iter().map(|(locale, text)| format!("{locale}: {text}"));
        wordings.collect::<Vec<_>>().join(" / ")
    };
    let choices = question
        .choices
        .iter()
        .map(|choice| format!("; {} = {}", choice.code, wordings(&choice.text)));
    format!(
        "{} ({}) {}{}",
        question.id,
        kind(question),
        wordings(&question.text),
        choices.collect::<String>()
    )
}

fn kind(question: &Question) -> &'static str {
    use marram_crypto::manifest::Kind;
    match question.kind {
        Kind::Text => "one line",
        Kind::LongText => "several lines",
        Kind::YesNo => "yes or no",
        Kind::Choice => "a choice",
    }
}

fn board(draft: &Draft) -> String {
    let board = draft.board;
    format!(
        "{}, {}, {}, every {}",
        counted(board.shards.into(), "shard"),
        counted(board.tags.into(), "tag"),
        counted(board.cells.into(), "cell"),
        days(board.cadence_days)
    )
}

fn days(days: u32) -> String {
    counted(days.into(), "day")
}

/// `1 day`, `7 days`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let exact = units.into_iter().find(|(power, _)| bytes.is_multiple_of(1 << power));
    let (power, unit) = exact.unwrap_or((0, "bytes"));
    format!("{} {unit}", bytes >> power)
}

/// Whether all manifests have the same settings.
pub(crate) fn agree<'a>(drafts: impl IntoIterator<Item = &'a Draft>) -> bool {
    let all: BTreeSet<_> = drafts.into_iter().map(settings).collect();
    all.len() <= 1
}

#[cfg(test)]
mod tests {
    use marram_crypto::{
        digest::Digest,
        key::SigningKey,
        manifest::{BoardShape, Slot},
    };

    use super::*;
    use crate::{
        fixture::{Enroller, epoch, instance},
        rng,
    };

    fn draft() -> Draft {
        let heron = Enroller::new().enrolment(1, epoch(0), 2);
        Draft {
            instance: instance(),
            epoch: epoch(0),
            version: 1,
            charter: Digest::of(b"charter"),
            log: SigningKey::random(&mut rng()).public(),
            couriers: vec![SigningKey::random(&mut rng()).public()],
            limit: 64 << 20,
            retention_days: 90,
            promise_days: 14,
            board: BoardShape::default(),
            pages: vec![],
            contacts: vec![Contact {
                locale: None,
                text: "112".into(),
            }],
            questions: vec![],
            slots: heron.pairs.values().cloned().map(Slot::from).collect(),
        }
    }

    #[test]
    fn every_setting_that_changes_is_said_and_nothing_else() {
        let before = draft();
        assert!(between(&before, &before).is_empty());
        let mut after = before.clone();
        after.version = 2;
        after.slots.reverse();
        assert!(between(&before, &after).is_empty());

        let other = SigningKey::random(&mut rng()).public();
        let said = |change: &dyn Fn(&mut Draft), words: &[&str]| {
            let mut after = before.clone();
            change(&mut after);
            let lines = between(&before, &after).join("\n");
            assert!(words.iter().all(|word| lines.contains(word)), "{lines}");
            assert!(!agree([&before, &after]));
        };
        said(
            &|draft| draft.log = other,
            &["log key", &other.to_string(), "set up anew"],
        );
        said(
            &|draft| draft.couriers = vec![other],
            &["courier removed", "courier added", &other.to_string()],
        );
        said(&|draft| draft.limit = 1 << 20, &["64 MiB to 1 MiB"]);
        said(&|draft| draft.retention_days = 1, &["90 days to 1 day"]);
        said(&|draft| draft.promise_days = 7, &["14 days to 7 days"]);
        said(&|draft| draft.board.shards = 2, &["1 shard,", "2 shards"]);
        said(&|draft| draft.pages.push(Digest::of(b"page")), &["page added"]);
        said(
            &|draft| draft.contacts[0].text = "999".into(),
            &["contact removed: for everybody: 112", "added", "999"],
        );
        said(
            &|draft| {
                let question = r#"{"id":"member","kind":"yes_no","text":{"en":"Are you a member?"}}"#;
                draft.questions.push(question.parse().unwrap());
            },
            &["question added: member (yes or no) en: Are you a member?"],
        );
        said(
            &|draft| {
                draft.slots.pop();
            },
            &["slots changes from 2 to 1"],
        );
    }
}
