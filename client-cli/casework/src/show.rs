//! `show`: one report, all of it.

mod incident;

use std::{borrow::Cow, collections::BTreeMap};

use marram_crypto::{
    charter::CharterChain, day::Epoch, digest::Digest, key::PublicKey, manifest::Locale, report::Report,
};
use marram_incident::{Evidence, Incident};
use marram_terminal::{
    error::fail,
    output::{CODE, Output, WARNING},
    table::Table,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    casebook::{
        Casebook,
        answers::KeptAnswer,
        reports::{Continuity, Kept, NOT_IN_LOG},
    },
    list,
    unlock::Unlocked,
};

/// What `show` is told.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// The report's number, as `list` shows it
    #[arg(value_name = "ID", value_parser = parse_id)]
    pub id: i64,
}

/// Shows a report.
///
/// # Errors
/// Each with what to do next.
pub fn show(args: &ShowArgs, unlocked: &Unlocked, out: &Output) -> anyhow::Result<()> {
    let kept = find(&unlocked.casebook, args.id)?;
    let report = Report::parse(&kept.report_json)?;
    let incident = Incident::parse(report.incident.get());
    if out.is_json() {
        let folded = unlocked.casebook.is_folded(kept.listed.id)?;
        let replies = unlocked.casebook.answers(Some(kept.listed.id))?;
        out.json(&Shown::new(&kept, &report, folded, &replies));
        return Ok(());
    }
    let accepted = kept.listed.day.map(|day| format!(", accepted on {day}"));
    out.heading(format!("Report #{}{}", kept.listed.id, accepted.unwrap_or_default()));
    if !kept.listed.headline.is_empty() {
        out.paragraph(&kept.listed.headline, 2);
    }
    remarks(&kept, out);
    match &incident {
        Ok(incident) => incident::print(incident, out),
        Err(_) => unreadable(&kept, &report, out),
    }
    answers(unlocked, &kept, &report, out)?;
    attachments(&kept, &report, incident.as_ref().ok(), out);
    replies(unlocked, &kept, out)?;
    provenance(&kept, out);
    Ok(())
}

/// A report's number as people type it: `3` or `#3`.
pub(crate) fn parse_id(typed: &str) -> Result<i64, String> {
    let number = typed.strip_prefix('#').unwrap_or(typed);
    let id = number.parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| "a report's number is 1, 2, 3 …, as marram-casework list shows it".to_owned())
}

pub(crate) fn find(casebook: &Casebook, id: i64) -> anyhow::Result<Kept> {
    let (count, last) = casebook.count_reports()?;
    casebook.report(id)?.ok_or_else(|| {
        let has = if count == 0 {
            "it has none".to_owned()
        } else {
            format!("the last is #{last}")
        };
        fail(
            format!("there is no report #{id} in the casebook; {has}"),
            "see marram-casework list",
        )
    })
}

/// The names that the submitter's program gave to the attachments, where the incident can be read and has them.
pub(crate) fn names(report: &Report) -> Vec<Option<String>> {
    let incident = Incident::parse(report.incident.get()).ok();
    let names = report.attachments.iter().map(|attachment| {
        let evidence = evidence(incident.as_ref(), attachment.sha256)?;
        evidence.original_filename.as_deref().map(str::to_owned)
    });
    names.collect()
}

/// `1.4 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    while tenths >= 10_240 && unit + 1 < units.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// What the incident says of an attachment. By its digest: the list in the incident may have another order.
fn evidence(incident: Option<&Incident>, sha256: Digest) -> Option<&Evidence> {
    incident?
        .evidence
        .iter()
        .find(|evidence| evidence.sha256.as_bytes() == sha256.as_bytes())
}

/// What must be known before reading on.
fn remarks(kept: &Kept, out: &Output) {
    let remark = |name: &str, text: &str| {
        out.line("");
        out.line(format!("  {WARNING}{name}{WARNING:#}"));
        out.paragraph(text, 4);
    };
    let listed = &kept.listed;
    if !listed.in_log {
        remark(
            "Not in the log as this casebook knows it",
            "No leaf names this report, so nothing here says when it was accepted. What it says is verified all the same. \
             Its leaf may come with another bundle; otherwise the server or a courier showed another log.",
        );
    }
    if listed.relabelled {
        remark(
            "Relabelled leaf",
            "Its leaf names another epoch, or another size, than it has. Whoever sent it may have named a false week; or \
             the server or a courier wanted it to be passed over as noise.",
        );
    }
    if !listed.unsealed_slots.is_empty() {
        let slots: Vec<_> = listed.unsealed_slots.iter().map(ToString::to_string).collect();
        remark(
            "Partly sealed",
            &format!(
                "Slots {} (counted from 0) were not given the key. Whoever made this report wants to see who answers it, \
                 and so learn which slots are live: never acknowledge or answer it.",
                slots.join(", ")
            ),
        );
    }
    let first = listed.first_report.unwrap_or(0);
    match listed.continuity {
        Continuity::First => {}
        Continuity::FollowUp => remark("Follow-up", &format!("It continues #{first}, under the same codename.")),
        Continuity::SameCodename => remark(
            "Same codename",
            &format!("The codename of #{first} has signed it, but it does not say that it continues anything."),
        ),
        Continuity::ContinuesNothing => remark(
            "Continues nothing known",
            "It says that it continues a report, and no report under its codename is here. It may be a follow-up under \
             another codename, or what it continues did not come through. Do not link it to a case by what it says alone.",
        ),
        Continuity::AnotherReplyKey => remark(
            "Another reply key",
            &format!(
                "The codename of #{first} has signed it, but names another reply key: answers to it would go to somebody \
                 else than answers to #{first}. No honest program makes this."
            ),
        ),
        Continuity::AnotherCodename => remark(
            "A follow-up under another codename",
            &format!(
                "It names the reply key of #{first}, but another codename has signed it: it is not from whoever wrote \
                 #{first}, whatever it says. No honest program makes this."
            ),
        ),
    }
    if listed.repeats > 0 {
        remark(
            "Sent again",
            &format!("The same report came {} more times.", listed.repeats),
        );
    }
}

fn unreadable(kept: &Kept, report: &Report, out: &Output) {
    out.heading("The incident cannot be read");
    out.paragraph(
        kept.parse_fault
            .as_deref()
            .unwrap_or("another version of this program could read it"),
        2,
    );
    out.line("");
    out.line("  What it says, as it came:");
    let indented =
        serde_json::from_str(report.incident.get()).and_then(|value: Value| serde_json::to_string_pretty(&value));
    let raw = report.incident.get();
    out.paragraph(&indented.map_or(Cow::Borrowed(raw), Cow::Owned), 4);
}

fn answers(unlocked: &Unlocked, kept: &Kept, report: &Report, out: &Output) -> anyhow::Result<()> {
    if report.answers.is_empty() {
        return Ok(());
    }
    out.heading("Answers to the organization's own questions");
    let chain: CharterChain = unlocked.casebook.charter()?;
    let manifest = unlocked.casebook.manifest(kept.manifest, &chain)?;
    let questions = manifest
        .as_ref()
        .map(|manifest| manifest.questions.as_slice())
        .unwrap_or_default();
    let english: Option<Locale> = "en".parse().ok();
    for (id, answer) in &report.answers {
        let question = questions.iter().find(|question| question.id.as_str() == id);
        let asked = question
            .zip(english.as_ref())
            .map(|(question, english)| question.text_for(english));
        out.paragraph(asked.unwrap_or(id), 2);
        out.paragraph(answer, 4);
    }
    Ok(())
}

fn attachments(kept: &Kept, report: &Report, incident: Option<&Incident>, out: &Output) {
    if report.attachments.is_empty() {
        return;
    }
    out.heading("Attachments");
    let mut table = Table::new(["no", "name", "type", "size", "made", "remarks"])
        .right(0)
        .right(3)
        .keep(0)
        .keep(3);
    for (position, attachment) in report.attachments.iter().enumerate() {
        let evidence = evidence(incident, attachment.sha256);
        let text = |field: fn(&Evidence) -> Option<String>| evidence.and_then(field).unwrap_or_default();
        let remarks = [
            evidence
                .and_then(|evidence| evidence.sensitivity)
                .map(|code| code.label().to_owned()),
            evidence
                .and_then(|evidence| evidence.source)
                .map(|code| code.label().to_owned()),
            evidence
                .and_then(|evidence| evidence.is_original)
                .filter(|original| !original)
                .map(|_| "a copy".to_owned()),
        ];
        table.row([
            (position + 1).to_string(),
            text(|evidence| evidence.original_filename.as_deref().map(str::to_owned)),
            text(|evidence| evidence.mime.as_deref().map(str::to_owned)),
            size(attachment.size_bytes),
            text(|evidence| evidence.captured_on.as_ref().map(ToString::to_string)),
            remarks.into_iter().flatten().collect::<Vec<_>>().join("; "),
        ]);
    }
    out.table(&table);
    out.line(format!(
        "  {CODE}marram-casework extract {} --to FOLDER{CODE:#}",
        kept.listed.id
    ));
}

/// What was answered, and whether it is acknowledged at all.
fn replies(unlocked: &Unlocked, kept: &Kept, out: &Output) -> anyhow::Result<()> {
    let id = kept.listed.id;
    if unlocked.casebook.is_folded(id)? {
        out.heading("Folded away as abuse");
        out.line(format!(
            "  It is not acknowledged: {CODE}marram-casework unfold {id}{CODE:#}"
        ));
    }
    let answers = unlocked.casebook.answers(Some(id))?;
    if !answers.is_empty() {
        out.heading("Our answers");
    }
    for KeptAnswer { answer, .. } in answers {
        out.line(format!("  {}", answer.day));
        out.paragraph(answer.text(), 4);
    }
    Ok(())
}

fn provenance(kept: &Kept, out: &Output) {
    out.heading("Where it comes from");
    match kept.leaf {
        Some(leaf) => out.field("leaf", leaf),
        None => out.field("leaf", NOT_IN_LOG),
    }
    out.field("digest", kept.digest);
    out.field(
        "epoch",
        format!("{} ({} to {})", kept.epoch, kept.epoch.opens(), kept.epoch.closes()),
    );
    out.field("manifest", kept.manifest);
    let key: String = kept.codename_key.to_string().chars().take(12).collect();
    out.field("codename key", format!("{key}…"));
    if !kept.same_codename.is_empty() {
        let others: Vec<_> = kept.same_codename.iter().map(|id| format!("#{id}")).collect();
        out.field("same codename", others.join(", "));
    }
}

/// A report for programs. Without the reply key, which answers are sealed with.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    listed: Value,
    leaf: Option<u64>,
    digest: Digest,
    epoch: Epoch,
    manifest: Digest,
    codename_key: PublicKey,
    same_codename: &'a [i64],
    attached: Value,
    /// To the organization's own questions.
    answers: &'a BTreeMap<String, String>,
    folded: bool,
    /// What was answered.
    replies: Value,
    parse_fault: Option<&'a str>,
    incident: ShownIncident,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ShownIncident {
    /// In the order of the schema.
    Read(Box<Incident>),
    /// Whatever it is.
    Unreadable(Value),
}

impl<'a> Shown<'a> {
    fn new(kept: &'a Kept, report: &'a Report, folded: bool, replies: &[KeptAnswer]) -> Self {
        let replies = replies
            .iter()
            .map(|kept| json!({"day": kept.answer.day, "text": kept.answer.text()}));
        let incident = Incident::parse(report.incident.get()).ok();
        let unread = || ShownIncident::Unreadable(serde_json::from_str(report.incident.get()).unwrap_or_default());
        let attached = report.attachments.iter().map(|attachment| {
            let evidence = evidence(incident.as_ref(), attachment.sha256);
            json!({"sha256": attachment.sha256, "size_bytes": attachment.size_bytes, "evidence": evidence})
        });
        Self {
            listed: list::to_json(&kept.listed),
            leaf: kept.leaf,
            digest: kept.digest,
            epoch: kept.epoch,
            manifest: kept.manifest,
            codename_key: kept.codename_key,
            same_codename: &kept.same_codename,
            attached: attached.collect(),
            folded,
            replies: replies.collect(),
            incident: incident.map_or_else(unread, |incident| ShownIncident::Read(Box::new(incident))),
            answers: &report.answers,
            parse_fault: kept.parse_fault.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_units_that_people_read() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn a_number_may_be_typed_with_its_sign() {
        assert_eq!((parse_id("3"), parse_id("#3")), (Ok(3), Ok(3)));
        assert!(parse_id("0").is_err() && parse_id("-1").is_err() && parse_id("x").is_err());
    }
}
