//! `marram-courier status`, and the warning that manifests run out.

use std::fs;

use anyhow::Result;
use marram_crypto::{
    day::Day,
    fingerprint::Digits,
    manifest::{Level, closing_warning},
};
use marram_online::clock::today;
use marram_terminal::{
    home::HomeArgs,
    output::{CODE, Output},
};

use crate::{key, log::OVERLAP, memory::Memory};

/// `marram-courier status`
pub(crate) fn status(out: &Output, home: &HomeArgs) -> Result<()> {
    let memory = Memory::open(home)?;
    let today = today();
    let key = key::load_if_any(&memory.home)?.map(|key| key.public());
    let until = memory.signed_until(today);
    let waiting = waiting(&memory);
    let new = memory.leaves.len() - memory.state.position.min(memory.leaves.len());

    out.heading("Courier");
    out.field("home", memory.home.path().display());
    match &key {
        Some(key) => out.field("public key", key),
        None => out.field("public key", "none yet: run marram-courier key"),
    }
    if let Some(chain) = &memory.chain {
        let charter = chain.newest();
        out.heading("Organization");
        out.field("name", &charter.name);
        out.field("link", memory.state.link.as_deref().unwrap_or("-"));
        out.field("charter", format!("version {}, fingerprint", charter.version));
        for row in Digits::of(&charter.fingerprint()).groups().chunks(4) {
            out.line(format!("      {}", row.join("  ")));
        }
        out.heading("Log");
        out.field("reports seen", memory.leaves.len());
        out.field(
            "compared",
            format!("the last {OVERLAP} by each pull, every one by pull --all"),
        );
        out.field("not in a bundle yet", new);
        out.field(
            "last bundle",
            memory
                .state
                .last_bundle
                .map_or("none yet".to_owned(), |day| day.to_string()),
        );
        if waiting > 0 {
            out.field("begun and not finished", format!("{waiting} ciphertexts in the spool"));
        }
        if !memory.state.missing.is_empty() {
            out.field("not given by the server", memory.state.missing.len());
        }
        out.heading("Manifests");
        out.field(
            "signed until",
            until.map_or(
                "no manifest is valid today, as far as this courier knows".to_owned(),
                |day| format!("{day}, {} days from today", day.days_since(today)),
            ),
        );
    } else {
        out.line(format!(
            "\nThis courier knows no organization yet. next: {CODE}marram-courier pull --link LINK --out FILE{CODE:#}"
        ));
    }
    out.json(&serde_json::json!({
        "courier": key,
        "link": memory.state.link,
        "organization": memory.chain.as_ref().map(|chain| chain.newest().name.clone()),
        "fingerprint": memory.chain.as_ref().map(|chain| chain.newest().fingerprint()),
        "leaves": memory.leaves.len(),
        "position": memory.state.position,
        "last_bundle": memory.state.last_bundle,
        "spool": waiting,
        "missing": memory.state.missing,
        "signed_until": until,
        "days_left": until.map_or(0, |day| day.days_since(today)),
    }));
    if memory.chain.is_some() {
        warn_about_closing(out, &memory, today);
    }
    Ok(())
}

/// A note from 30 days before the last signed manifest closes, a warning from 14, an urgent one from 3.
pub(crate) fn warn_about_closing(out: &Output, memory: &Memory, today: Day) {
    let until = memory.signed_until(today);
    let Some(warning) = closing_warning(until.unwrap_or(today), today) else {
        return;
    };
    let days = warning.days_left;
    let next = "the keyholders sign the next ones (marram-keyholder issue), and marram-courier publish puts them on the server";
    let said = match warning.level {
        Level::Closed => format!("no manifest is valid today: nobody can report. Urgent: {next}"),
        Level::Urgent => format!("manifests are signed for {days} more days only. Urgent, today: {next}"),
        Level::Warning => format!("manifests are signed for {days} more days. This week: {next}"),
        Level::Notice => {
            return out.note(format!(
                "manifests are signed for {days} more days. Plan the next signing: {next}"
            ));
        }
    };
    out.warning(said);
}

fn waiting(memory: &Memory) -> usize {
    fs::read_dir(memory.home.file("spool")).map_or(0, Iterator::count)
}
