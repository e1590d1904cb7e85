//! `marram-courier status`, and the warning that manifests run out.

use std::fs;

use anyhow::Result;
use marram_crypto::{
    charter::CharterChain,
    day::Day,
    fingerprint::Digits,
    manifest::{Level, closing_warning},
};
use marram_online::clock::today;
use marram_terminal::{
    home::HomeArgs,
    output::{CODE, Output},
};

use crate::{
    canary, evidence, key,
    log::OVERLAP,
    memory::Memory,
    watch::{self, Rounds},
};

/// `marram-courier status`
pub(crate) fn status(out: &Output, home: &HomeArgs) -> Result<()> {
    let memory = Memory::open(home)?;
    let today = today();
    let key = key::load_if_any(&memory.home)?.map(|key| key.public());
    let until = memory.signed_until(today);
    let waiting = waiting(&memory);
    let evidence = evidence::count(&memory)?;
    let canaries = canary::receipts(&memory, false)?.len();
    let rounds = watch::Rounds::read(&memory.home.file(watch::FILE))?;
    let new = memory.leaves.len() - memory.state.position.min(memory.leaves.len());

    out.heading("Courier");
    out.field("home", memory.home.path().display());
    match &key {
        Some(key) => out.field("public key", key),
        None => out.field("public key", "none yet: run marram-courier key"),
    }
    if let Some(chain) = &memory.chain {
        show_organization(out, &memory, chain);
        out.heading("Log");
        out.field("reports seen", memory.leaves.len());
        out.field(
            "compared",
            format!("all of them by their root, and the last {OVERLAP} one by one (pull --all: every one)"),
        );
        out.field(
            "checkpoint",
            memory.checkpoint.as_ref().map_or("none yet".to_owned(), |seen| {
                format!("of {}, {} reports", seen.day(), seen.head().size)
            }),
        );
        if evidence > 0 {
            out.field(
                "evidence against the server",
                format!("{evidence} files in the folder evidence"),
            );
        }
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
        out.heading("Orders and canaries");
        out.field("orders of the server", memory.orders.len());
        if !memory.state.taken.is_empty() {
            out.field("taken, and not listed yet", memory.state.taken.len());
        }
        out.field("canary receipts not in a bundle yet", canaries);
        for name in &memory.state.lost_canaries {
            out.field("lost: no receipt", name);
        }
        if let Some(rounds) = &rounds {
            show_rounds(out, rounds);
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
        "checkpoint": memory.checkpoint.as_ref().map(|seen| serde_json::json!({"size": seen.head().size, "day": seen.day()})),
        "evidence": evidence,
        "orders": memory.orders.len(),
        "orders_taken": memory.state.taken,
        "canaries": canaries,
        "lost_canaries": memory.state.lost_canaries,
        "watch": rounds,
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

fn show_organization(out: &Output, memory: &Memory, chain: &CharterChain) {
    let charter = chain.newest();
    out.heading("Organization");
    out.field("name", &charter.name);
    out.field("link", memory.state.link.as_deref().unwrap_or("-"));
    out.field("charter", format!("version {}, fingerprint", charter.version));
    for row in Digits::of(&charter.fingerprint()).groups().chunks(4) {
        out.line(format!("      {}", row.join("  ")));
    }
}

fn show_rounds(out: &Output, rounds: &Rounds) {
    out.heading("Watch");
    out.field("last round", rounds.day.map_or("-".to_owned(), |day| day.to_string()));
    out.field("its pull", rounds.pull_failed.as_deref().unwrap_or("done"));
    for (command, failed) in &rounds.undelivered {
        out.field(
            "not delivered",
            format!("{command}: {}, {} times in a row", failed.why, failed.times),
        );
    }
}

fn waiting(memory: &Memory) -> usize {
    fs::read_dir(memory.home.file("spool")).map_or(0, Iterator::count)
}
