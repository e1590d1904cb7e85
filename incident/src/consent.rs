//! What a submitter agrees to, and how they may be reached.

use crate::codes::{ContactChannel, ReporterRole, ShareWith};
use crate::decode::record;
use crate::incident::Incident;
use crate::language::Language;
use crate::person::Person;
use crate::problem::{Problems, quoted};
use crate::text::Text;

record! {
    /// What the submitter agrees to, for themselves and for what they told. Everything but `store` is off unless switched on.
    pub struct Consent, at most 1 {
        /// That the vetted caseworkers keep the report. Must be true: without it there is no report.
        store: bool,
        /// That they are contacted by the way given in `safe_contact`. The board needs no consent: it is they who look.
        contact: bool = false,
        /// That the case is counted in figures from which nobody can be recognized.
        aggregate: bool = false,
        /// With whom the report may be shared.
        share_with: Vec<ShareWith>,
        /// That the case is published without anything that identifies somebody.
        publish_anonymized: bool = false,
        /// That the submitter's own name is published. Never anybody else's.
        publish_named: bool = false,
        /// What other people have told the submitter that they agree to, to be asked again by a caseworker.
        person: Vec<PersonConsent>,
    }
}

record! {
    /// What another person agrees to, as the submitter passes it on. Nobody consents to naming somebody else.
    pub struct PersonConsent, at most 51 {
        /// Who agrees.
        person: Person,
        /// To being counted.
        aggregate: bool = false,
        /// To sharing what concerns them.
        share_with: Vec<ShareWith>,
        /// To publication without anything that identifies them.
        publish_anonymized: bool = false,
        /// To being named: accepted only of the target, and only if the target is the submitter.
        publish_named: bool = false,
    }
}

record! {
    /// How the submitter may be reached.
    pub struct SafeContact, at most 1 {
        /// By what. The board, where answers are left under the codename, if nothing else is said.
        channel: ContactChannel = ContactChannel::Board,
        /// The address, number or name; required if the channel has one.
        handle: Option<Text<300>>,
        /// The language to write or speak.
        language: Option<Language>,
        /// When it is safe, in the submitter's words: "weekdays after 20".
        safe_hours: Option<Text<300>>,
        /// The time zone of those hours: `Europe/Berlin` or `UTC+3`.
        time_zone: Option<Text<64>>,
        /// Whether a message may be left where others could hear or see it.
        may_leave_message: bool = false,
        /// That relatives are never contacted.
        never_contact_relatives: bool = true,
    }
}

impl Default for SafeContact {
    fn default() -> Self {
        Self {
            channel: ContactChannel::Board,
            handle: None,
            language: None,
            safe_hours: None,
            time_zone: None,
            may_leave_message: false,
            never_contact_relatives: true,
        }
    }
}

impl Consent {
    /// The consent without which there is no report, and nothing else.
    pub fn to_store_only() -> Self {
        Self {
            store: true,
            contact: false,
            aggregate: false,
            share_with: Vec::new(),
            publish_anonymized: false,
            publish_named: false,
            person: Vec::new(),
        }
    }
}

/// The rules between consent, contact and the people of the report.
pub(crate) fn check(incident: &Incident, problems: &mut Problems) {
    let consent = &incident.consent;
    if !consent.store {
        problems.add(
            "consent.store",
            "must be true: without consent to keep it there is no report, and nothing is sent",
        );
    }
    for (n, given) in consent.person.iter().enumerate() {
        let at = format!("consent.person[{n}]");
        incident.check_person(given.person, &format!("{at}.person"), problems);
        if consent.person[..n].iter().any(|other| other.person == given.person) {
            problems.add(
                format!("{at}.person"),
                format!("{} stands twice in the list", given.person),
            );
        }
        let oneself = given.person == Person::Target && incident.reporter.role == ReporterRole::Target;
        if given.publish_named && !oneself {
            let what = "nobody can consent to naming somebody else; that person has to tell us themselves";
            problems.add(format!("{at}.publish_named"), what);
        }
    }
    let contact = &incident.safe_contact;
    match (&contact.handle, contact.channel.needs_handle()) {
        (None, true) => {
            let what = format!(
                "is required for the channel {}: the address, number or name",
                contact.channel
            );
            problems.add("safe_contact.handle", what);
        }
        (Some(_), false) => {
            problems.add(
                "safe_contact.handle",
                format!("is given, but the channel {} uses none", contact.channel),
            );
        }
        _ => {}
    }
    if contact.channel.needs_handle() && !consent.contact {
        let what = format!("{} is given, but consent.contact is not true", contact.channel);
        problems.add("safe_contact.channel", what);
    }
    if let Some(zone) = contact.time_zone.as_deref()
        && !zone.bytes().all(|c| c.is_ascii_alphanumeric() || b"/_+-:".contains(&c))
    {
        let what = format!(
            "{} is not a time zone; write for example Europe/Berlin or UTC+3",
            quoted(zone)
        );
        problems.add("safe_contact.time_zone", what);
    }
}
