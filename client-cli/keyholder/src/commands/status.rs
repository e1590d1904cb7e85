//! `status`: where you are, and what to do next.

use marram_crypto::{fingerprint::Digits, manifest::Level};
use marram_terminal::{
    output::{CODE, GOOD, HEADING, Output},
    table::Table,
};

use crate::{
    compare,
    differences::counted,
    founding,
    keyholder::Context,
    status::{Caseworker, Charter, Manifest, Status},
};

pub(crate) fn run(context: &Context<'_>) -> anyhow::Result<()> {
    let out = context.out;
    let keyholder = context.open()?;
    let status = Status::of(&keyholder.state, context.today);
    out.heading(format!("{}, keyholder", status.name));
    out.line(format!("  Today is {} by this computer's clock.", status.today));
    show_digits(out, "your root key", &status.digits);
    match &status.charter {
        Some(charter) => show_charter(out, charter),
        None => out.line("\nNo charter yet: the founding has not come so far."),
    }
    show_caseworkers(out, &status.caseworkers);
    show_manifests(
        out,
        &status.manifests,
        status.charter.as_ref().map_or(0, |charter| charter.threshold),
    );
    show_warning(out, &status);
    show_due(out, &status);
    out.json(&status);
    Ok(())
}

fn show_digits(out: &Output, whose: &str, digits: &str) {
    if let Ok(digits) = digits.parse::<Digits>() {
        compare::show(out, whose, &digits);
    }
}

fn show_charter(out: &Output, charter: &Charter) {
    out.heading(format!("Charter, version {}", charter.version));
    out.field("organization", &charter.organization);
    out.field("signed by", charter.signed_by.join(", "));
    if !charter.not_yet_by.is_empty() {
        out.field("not yet by", charter.not_yet_by.join(", "));
    }
    out.field(
        "signatures",
        founding::signatures(charter.signed_by.len(), charter.threshold),
    );
    out.field("link", format!("https://YOUR-SERVER/#{}", charter.fingerprint));
    show_digits(out, "the charter", &charter.digits);
}

fn show_caseworkers(out: &Output, caseworkers: &[Caseworker]) {
    if caseworkers.is_empty() {
        return;
    }
    out.heading("Caseworkers on your own list");
    let mut table = Table::new(["name", "keys until", "begin of digits"]).keep(1).keep(2);
    for one in caseworkers {
        let keys = match (one.struck, one.keys_until) {
            (Some(since), _) => format!("struck {since}"),
            (None, Some(until)) => until.minus(1).to_string(),
            (None, None) => "no keys any more".to_owned(),
        };
        let begin: Vec<&str> = one.digits.split(' ').take(3).collect();
        table.row([one.name.clone(), keys, format!("{} …", begin.join(" "))]);
    }
    out.table(&table);
}

fn show_manifests(out: &Output, manifests: &[Manifest], threshold: usize) {
    if manifests.is_empty() {
        return;
    }
    out.heading("Manifests from this week on");
    let mut table = Table::new(["week of", "epoch", "version", "who can read", "signatures"])
        .keep(0)
        .keep(1)
        .right(2)
        .keep(4);
    for one in manifests {
        table.row([
            one.opens.to_string(),
            one.epoch.to_string(),
            one.version.to_string(),
            if one.checked {
                one.caseworkers.join(", ")
            } else {
                "(not checked by you)".to_owned()
            },
            format!("{} of {threshold}", one.signatures),
        ]);
    }
    out.table(&table);
    if manifests.iter().any(|one| !one.complete) {
        out.line("\n  (signatures as far as this computer has seen)");
    }
}

fn show_warning(out: &Output, status: &Status) {
    let Some(warning) = status.warning else { return };
    let days = counted(warning.days_left.into(), "day");
    match warning.level {
        Level::Notice => out.line(format!("\n  What you have signed lasts {days} more.")),
        Level::Warning => out.warning(format!(
            "what you have signed lasts only {days} more: sign the next weeks this week"
        )),
        Level::Urgent => out.warning(format!(
            "what you have signed lasts only {days} more: sign the next weeks TODAY"
        )),
        Level::Closed => out.warning("no manifest that this computer knows is valid today: NOBODY CAN REPORT"),
    }
}

fn show_due(out: &Output, status: &Status) {
    if status.due.is_empty() {
        out.heading("Due now: nothing");
        if let Some(later) = &status.later {
            out.paragraph(later, 2);
        }
        out.line(format!("\n  {GOOD}✓{GOOD:#} You may switch this computer off."));
        return;
    }
    out.heading("Due now");
    for due in &status.due {
        out.paragraph(&format!("- {}:", due.why), 2);
        out.line(format!("\n      {CODE}{}{CODE:#}\n", due.command));
    }
    out.line(format!(
        "{HEADING}Afterwards:{HEADING:#} {CODE}marram-keyholder status{CODE:#}"
    ));
}
