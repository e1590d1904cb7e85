//! An incident, for reading. Labels come from the code lists; every text of the submitter is made visible.

use marram_incident::{Act, Incident, Perpetrator, Person, Relative};
use marram_terminal::{
    output::{ERROR, Output},
    text::width,
};

/// Prints it: first what may be done with it, then who and what.
pub(super) fn print(incident: &Incident, out: &Output) {
    consent(incident, out);
    contact(incident, out);
    people(incident, out);
    out.heading("In their own words");
    out.paragraph(&incident.narrative, 2);
    acts(incident, out);
    legal_and_outcome(incident, out);
}

fn consent(incident: &Incident, out: &Output) {
    let consent = &incident.consent;
    out.heading("What the submitter agrees to");
    let shared = list(consent.share_with.iter().map(|with| with.label()));
    field(out, "kept by the caseworkers", yes(consent.store));
    field(out, "being contacted", yes(consent.contact));
    field(out, "counted in figures", yes(consent.aggregate));
    field(out, "shared with", shared.as_deref().unwrap_or("nobody"));
    field(out, "published anonymously", yes(consent.publish_anonymized));
    field(out, "published under their own name", yes(consent.publish_named));
    for person in &consent.person {
        let shared = list(person.share_with.iter().map(|with| with.label()));
        let given = [
            person.aggregate.then(|| "counted in figures".to_owned()),
            shared.map(|shared| format!("shared with {shared}")),
            person.publish_anonymized.then(|| "published anonymously".to_owned()),
            person.publish_named.then(|| "published under their name".to_owned()),
        ];
        let given = list(given.into_iter().flatten()).unwrap_or_else(|| "nothing".to_owned());
        field(
            out,
            &format!("{}, as passed on (ask again)", named(person.person, incident)),
            given,
        );
    }
}

fn contact(incident: &Incident, out: &Output) {
    let contact = &incident.safe_contact;
    out.heading("How they may be reached");
    if contact.never_contact_relatives {
        out.line(format!("  {ERROR}NEVER CONTACT RELATIVES{ERROR:#}"));
    } else {
        field(out, "relatives", "may be contacted");
    }
    field(out, "by", contact.channel.label());
    let optional = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            field(out, name, value);
        }
    };
    optional("address", contact.handle.as_deref());
    optional(
        "language",
        contact.language.as_ref().map(ToString::to_string).as_deref(),
    );
    optional("safe hours", contact.safe_hours.as_deref());
    optional("time zone", contact.time_zone.as_deref());
    field(out, "a message may be left", yes(contact.may_leave_message));
}

fn people(incident: &Incident, out: &Output) {
    out.heading("Who");
    let language = incident.reporter.language.as_ref();
    let writes = language
        .map(|language| format!(", writes {language}"))
        .unwrap_or_default();
    field(out, "told by", format!("{}{writes}", incident.reporter.role.label()));
    if let Some(target) = &incident.target {
        let given = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                field(out, name, value);
            }
        };
        given("target", target.name.as_deref().map(str::to_owned));
        given("called", target.alias.as_deref().map(str::to_owned));
        given("profile", list(target.profile.iter().map(|profile| profile.label())));
        given("nationality", list(target.nationality.iter().map(ToString::to_string)));
        given("from", target.home_country.as_ref().map(ToString::to_string));
        given("lives in", target.host_country.as_ref().map(ToString::to_string));
        given("third country", target.third_country.as_ref().map(ToString::to_string));
        given(
            "immigration status",
            target.immigration_status.map(|status| status.label().to_owned()),
        );
    }
    for (n, relative) in incident.relative.iter().enumerate() {
        field(out, &format!("relative {}", n + 1), described(relative));
    }
}

fn described(relative: &Relative) -> String {
    let parts = [
        Some(relative.relation.label().to_owned()),
        relative.is_minor.filter(|minor| *minor).map(|_| "under 18".to_owned()),
        relative.country.as_ref().map(|country| format!("in {country}")),
        relative.status.map(|status| status.label().to_owned()),
        relative
            .knows_of_report
            .map(|knows| format!("knows of this report: {}", knows.label())),
    ];
    list(parts.into_iter().flatten()).unwrap_or_default()
}

fn acts(incident: &Incident, out: &Output) {
    if !incident.act.is_empty() {
        out.heading("What was done");
    }
    for (n, act) in incident.act.iter().enumerate() {
        out.paragraph(
            &format!("{}. {}  {}", n + 1, act.method.as_str(), act.method.label()),
            2,
        );
        for line in circumstances(act, incident) {
            out.paragraph(&line, 5);
        }
        for (name, text) in [("result", act.result.as_deref()), ("note", act.note.as_deref())] {
            if let Some(text) = text {
                out.paragraph(&format!("{name}:"), 5);
                out.paragraph(text, 7);
            }
        }
    }
}

fn circumstances(act: &Act, incident: &Incident) -> Vec<String> {
    let first = [
        act.date.as_ref().map(ToString::to_string),
        act.victim.map(|victim| format!("to {}", named(victim, incident))),
        act.country.as_ref().map(|country| format!("in {country}")),
        act.channel.map(|channel| channel.label().to_owned()),
        act.follows
            .map(|earlier| format!("after act {}", earlier.saturating_add(1))),
    ];
    let first: Vec<_> = first.into_iter().flatten().collect();
    let mut lines = Vec::new();
    if !first.is_empty() {
        lines.push(first.join(" · "));
    }
    lines.extend(list(act.demand.iter().map(|demand| demand.label())).map(|demands| format!("demanded: {demands}")));
    lines.extend(act.perpetrator.iter().map(|who| format!("by: {}", perpetrator(who))));
    lines
}

fn perpetrator(who: &Perpetrator) -> String {
    // The submitter's words last: in a script that runs from right to left they reorder nothing then.
    let kind = who.kind.label();
    let involvement = who
        .involvement
        .map(|involvement| format!(", {}", involvement.label()))
        .unwrap_or_default();
    let agency = who
        .agency
        .as_deref()
        .map(|agency| format!(": {agency}"))
        .unwrap_or_default();
    format!("{kind}{involvement}{agency}")
}

fn legal_and_outcome(incident: &Incident, out: &Output) {
    if !incident.legal.is_empty() {
        out.heading("Legal procedures");
    }
    for legal in &incident.legal {
        let parts = [
            legal.stage.map(|stage| stage.label().to_owned()),
            legal.forum_country.as_ref().map(|country| format!("in {country}")),
            legal.date.as_ref().map(ToString::to_string),
        ];
        field(
            out,
            legal.procedure.label(),
            list(parts.into_iter().flatten()).unwrap_or_default(),
        );
    }
    if let Some(outcome) = &incident.outcome {
        out.heading("How it stands");
        let mode = outcome.return_mode.map(|mode| match mode.official() {
            Some(official) => format!("{} ({official})", mode.label()),
            None => mode.label().to_owned(),
        });
        let since = outcome.date.as_ref().map(|date| format!("since {date}"));
        let parts = [Some(outcome.status.label().to_owned()), mode, since];
        field(out, "the target", list(parts.into_iter().flatten()).unwrap_or_default());
    }
}

fn named(person: Person, incident: &Incident) -> String {
    match person {
        Person::Target => "the target".to_owned(),
        Person::Relative(index) => match incident.relative.get(index) {
            Some(relative) => format!("relative {} ({})", index + 1, relative.relation.label()),
            None => format!("relative {}", index + 1),
        },
    }
}

/// A field that breaks between words where it is longer than the line.
fn field(out: &Output, name: &str, value: impl Into<String>) {
    let value = value.into();
    if width(name) + width(&value) + 4 > out.width() {
        out.paragraph(&format!("{name}: {value}"), 2);
    } else {
        out.field(name, value);
    }
}

/// Several on one line; none if there is nothing.
fn list(items: impl Iterator<Item = impl ToString>) -> Option<String> {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    (!items.is_empty()).then(|| items.join(", "))
}

const fn yes(given: bool) -> &'static str {
    if given { "yes" } else { "no" }
}
