//! `list`: one line for each report.

use marram_terminal::{
    output::{CODE, Output},
    table::Table,
};
use serde_json::{Value, json};

use crate::{casebook::reports::Listed, unlock::Unlocked};

/// Shows every report, oldest first.
///
/// # Errors
/// Of the casebook.
pub fn list(unlocked: &Unlocked, out: &Output) -> anyhow::Result<()> {
    if out.is_json() {
        let mut reports = Vec::new();
        unlocked.casebook.list(|listed| reports.push(to_json(&listed)))?;
        out.json(&json!({ "reports": reports }));
        return Ok(());
    }
    let mut table = Table::new(["#", "day", "what", "methods", "files", "flags"])
        .right(0)
        .right(4)
        .keep(0)
        .keep(1)
        .keep(3);
    unlocked.casebook.list(|listed| table.row(cells(&listed)))?;
    if table.is_empty() {
        out.line(format!(
            "No reports yet. Import what the courier brings: {CODE}marram-casework import BUNDLE{CODE:#}"
        ));
    } else {
        out.table(&table);
    }
    Ok(())
}

/// What a list shows of a report, for programs.
pub(crate) fn to_json(listed: &Listed) -> Value {
    json!({
        "id": listed.id,
        "day": listed.day,
        "headline": listed.headline,
        "methods": listed.methods.split_whitespace().collect::<Vec<_>>(),
        "home_country": Some(&listed.home_country).filter(|home| !home.is_empty()),
        "attachments": listed.attachments,
        "wholly_sealed": listed.unsealed_slots.is_empty(),
        "unsealed_slots": listed.unsealed_slots,
        "continuity": listed.continuity.as_str(),
        "first_report": listed.first_report,
        "readable": !listed.unreadable,
        "repeats": listed.repeats,
        "in_log": listed.in_log,
        "relabelled": listed.relabelled,
    })
}

fn cells(listed: &Listed) -> [String; 6] {
    let what = if listed.unreadable {
        "(cannot be read as an incident)"
    } else {
        &listed.headline
    };
    let files = Some(listed.attachments).filter(|count| *count > 0);
    [
        listed.id.to_string(),
        listed.day.map(|day| day.to_string()).unwrap_or_default(),
        what.to_owned(),
        short(&listed.methods),
        files.map(|count| count.to_string()).unwrap_or_default(),
        listed.flags().join(", "),
    ]
}

/// The first two methods, and how many more there are: the line before already names them in words.
fn short(methods: &str) -> String {
    let all: Vec<&str> = methods.split(' ').collect();
    match all.as_slice() {
        [first, second, _, more @ ..] => format!("{first} {second} +{}", more.len() + 1),
        _ => methods.to_owned(),
    }
}
