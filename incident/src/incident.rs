//! The incident: what one report says.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::codes::{
    ActChannel, Demand, ImmigrationStatus, Involvement, LegalProcedure, LegalStage, Method, OutcomeStatus,
    PerpetratorKind, Profile, Relation, RelativeStatus, ReporterRole, ReturnMode, YesNoUnknown,
};
use crate::consent::{self, Consent, SafeContact};
use crate::country::{Country, CountryCode};
use crate::date::EdtfDate;
use crate::decode::{Decode, record, text};
use crate::evidence::Evidence;
use crate::json::Json;
use crate::language::Language;
use crate::person::Person;
use crate::problem::{IncidentError, Problems, quoted};
use crate::text::Text;

record! {
    /// One immutable submission: what one person tells about one targeted person.
    pub struct Incident, at most 1 {
        /// `marram/incident/v1`; the first field.
        schema: SchemaV1,
        /// Who tells.
        reporter: Reporter,
        /// The person who is targeted, abroad.
        target: Option<Target>,
        /// Relatives and others through whom pressure is put, without names.
        relative: Vec<Relative>,
        /// Who did what to whom, in the order in which it happened where that is known.
        act: Vec<Act>,
        /// Legal procedures against the target.
        legal: Vec<Legal>,
        /// How it stands with the target.
        outcome: Option<Outcome>,
        /// What stands in the attachments, in their order.
        evidence: Vec<Evidence>,
        /// What the submitter agrees to.
        consent: Consent,
        /// How the submitter may be reached.
        safe_contact: SafeContact = SafeContact::default(),
        /// What happened, in the submitter's own words and language.
        narrative: Text<100_000>,
    }
}

record! {
    /// Who tells.
    pub struct Reporter, at most 1 {
        /// What they are to the case.
        role: ReporterRole,
        /// The language they write in.
        language: Option<Language>,
    }
}

record! {
    /// The targeted person. No field is required, least of all the name.
    pub struct Target, at most 1 {
        /// Their name, if the submitter chooses to give it.
        name: Option<Text<200>>,
        /// Another name by which the case can be spoken of.
        alias: Option<Text<200>>,
        /// Their nationalities.
        nationality: Vec<CountryCode>,
        /// Where they come from, and where the pressure comes from.
        home_country: Option<Country>,
        /// Where they live.
        host_country: Option<Country>,
        /// Where else it happened, or where they were lured or held.
        third_country: Option<Country>,
        /// Why they may be targeted.
        profile: Vec<Profile>,
        /// On what footing they live in the host country.
        immigration_status: Option<ImmigrationStatus>,
    }
}

record! {
    /// Somebody near to the target. There is no field for their name.
    pub struct Relative, at most 50 {
        /// What they are to the target.
        relation: Relation,
        /// Whether they are under 18.
        is_minor: Option<bool>,
        /// Where they live.
        country: Option<Country>,
        /// How they are now.
        status: Option<RelativeStatus>,
        /// Whether they know of this report.
        knows_of_report: Option<YesNoUnknown>,
    }
}

record! {
    /// Who did what to whom: the unit that statistics count.
    pub struct Act, at most 100 {
        /// What was done.
        method: Method,
        /// When.
        date: Option<EdtfDate>,
        /// To whom.
        victim: Option<Person>,
        /// What was demanded.
        demand: Vec<Demand>,
        /// Where.
        country: Option<Country>,
        /// By what way it reached the victim.
        channel: Option<ActChannel>,
        /// Who did it.
        perpetrator: Vec<Perpetrator>,
        /// What came of it, in the submitter's words.
        result: Option<Text<5000>>,
        /// Anything else about it; required for the method X99.
        note: Option<Text<5000>>,
        /// The earlier act that it follows, by index from 0: when one method fails, another is used.
        follows: Option<u64>,
    }
}

record! {
    /// Who did it, as far as it is known.
    pub struct Perpetrator, at most 20 {
        /// What kind of body or person.
        kind: PerpetratorKind,
        /// Which one, in the submitter's words.
        agency: Option<Text<300>>,
        /// How they were involved.
        involvement: Option<Involvement>,
    }
}

record! {
    /// A legal procedure against the target.
    pub struct Legal, at most 20 {
        /// Which.
        procedure: LegalProcedure,
        /// How far it has come.
        stage: Option<LegalStage>,
        /// Before the courts or authorities of which country.
        forum_country: Option<Country>,
        /// When.
        date: Option<EdtfDate>,
    }
}

record! {
    /// How it stands with the target.
    pub struct Outcome, at most 1 {
        /// How.
        status: OutcomeStatus,
        /// How a return came about.
        return_mode: Option<ReturnMode>,
        /// Since when.
        date: Option<EdtfDate>,
    }
}

/// The one value of the field `schema`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchemaV1;

impl Decode for SchemaV1 {
    fn decode(json: &Json, at: &str, problems: &mut Problems) -> Option<Self> {
        let schema = text(json, at, problems)?;
        if schema != Incident::SCHEMA {
            let what = format!("is {}; this program reads \"{}\"", quoted(schema), Incident::SCHEMA);
            problems.add(at, what);
            return None;
        }
        Some(Self)
    }
}

impl Serialize for SchemaV1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Incident::SCHEMA)
    }
}

impl JsonSchema for SchemaV1 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SchemaV1".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": Incident::SCHEMA })
    }
}

impl Incident {
    /// The value of the field `schema`.
    pub const SCHEMA: &str = "marram/incident/v1";

    /// The longest JSON that is read, in bytes.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Reads and validates the JSON of an incident.
    ///
    /// # Errors
    /// [`IncidentError::TooLarge`] above [`Self::MAX_BYTES`]; [`IncidentError::NotJson`] if it is not JSON or a field
    /// stands twice; [`IncidentError::Invalid`] with every problem found.
    pub fn parse(json: &str) -> Result<Self, IncidentError> {
        if json.len() > Self::MAX_BYTES {
            return Err(IncidentError::TooLarge {
                size: json.len(),
                limit: Self::MAX_BYTES,
            });
        }
        let json: Json = serde_json::from_str(json).map_err(|error| IncidentError::NotJson(error.to_string()))?;
        Self::from_json(&json)
    }

    pub(crate) fn from_json(json: &Json) -> Result<Self, IncidentError> {
        let mut problems = Problems::default();
        if let Json::Object(fields) = json
            && let Some((first, _)) = fields.first()
            && first != "schema"
            && fields.iter().any(|(name, _)| name == "schema")
        {
            problems.add("schema", "must be the first field");
        }
        if let Some(incident) = Self::decode(json, "", &mut problems) {
            incident.check(&mut problems);
            if problems.is_empty() {
                return Ok(incident);
            }
        }
        Err(IncidentError::Invalid(problems))
    }

    /// Checks an incident that was built or changed in code. What [`Self::parse`] returns is valid already.
    ///
    /// # Errors
    /// Every problem found, with its place.
    pub fn validate(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        self.check_lengths(&mut problems);
        self.check(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The incident as JSON that [`Self::parse`] reads: `schema` first, what is not given left out.
    pub fn to_json(&self) -> String {
        // Writing to memory what consists of texts, numbers and lists cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The methods of all acts, each once, in the order in which they appear.
    pub fn methods(&self) -> Vec<Method> {
        let mut seen = BTreeSet::new();
        self.act
            .iter()
            .map(|act| act.method)
            .filter(|method| seen.insert(*method))
            .collect()
    }

    /// Every country that is named, each once, in the order in which they appear.
    pub fn countries(&self) -> Vec<CountryCode> {
        let target = self.target.iter();
        let mut seen = BTreeSet::new();
        target
            .clone()
            .flat_map(|target| [&target.home_country, &target.host_country, &target.third_country])
            .chain(self.relative.iter().map(|relative| &relative.country))
            .chain(self.act.iter().map(|act| &act.country))
            .chain(self.legal.iter().map(|legal| &legal.forum_country))
            .flatten()
            .map(|country| country.country)
            .chain(target.flat_map(|target| target.nationality.iter().copied()))
            .filter(|country| seen.insert(*country))
            .collect()
    }

    /// The date of the earliest act that has one.
    pub fn first_date(&self) -> Option<&EdtfDate> {
        self.act.iter().filter_map(|act| act.date.as_ref()).min()
    }

    /// Whether this person may be named in public: only the target, only by their own word.
    pub fn may_name(&self, who: Person) -> bool {
        let own_report = self.reporter.role == ReporterRole::Target && who == Person::Target;
        own_report
            && (self.consent.publish_named || self.consent.person.iter().any(|p| p.person == who && p.publish_named))
    }

    fn check(&self, problems: &mut Problems) {
        self.check_countries(problems);
        for (n, act) in self.act.iter().enumerate() {
            let at = format!("act[{n}]");
            if act.method == Method::X99 && act.note.is_none() {
                problems.add(
                    format!("{at}.note"),
                    "is required for the method X99: say what was done",
                );
            }
            if let Some(victim) = act.victim {
                self.check_person(victim, &format!("{at}.victim"), problems);
            }
            if let Some(earlier) = act
                .follows
                .filter(|earlier| usize::try_from(*earlier).is_ok_and(|earlier| earlier >= n))
            {
                let what = format!("is {earlier}, which is no earlier act; the first act is 0, and this one is {n}");
                problems.add(format!("{at}.follows"), what);
            }
        }
        if let Some(outcome) = &self.outcome
            && let Some(mode) = outcome.return_mode
            && outcome.status == OutcomeStatus::NotReturned
        {
            problems.add(
                "outcome.return_mode",
                format!("is {mode}, but outcome.status is not_returned"),
            );
        }
        for (n, evidence) in self.evidence.iter().enumerate() {
            evidence.check(&format!("evidence[{n}]"), problems);
        }
        consent::check(self, problems);
    }

    fn check_countries(&self, problems: &mut Problems) {
        let mut check = |country: &Option<Country>, at: String| {
            if let Some(country) = country {
                country.check(&at, problems);
            }
        };
        if let Some(target) = &self.target {
            check(&target.home_country, "target.home_country".to_owned());
            check(&target.host_country, "target.host_country".to_owned());
            check(&target.third_country, "target.third_country".to_owned());
        }
        for (n, relative) in self.relative.iter().enumerate() {
            check(&relative.country, format!("relative[{n}].country"));
        }
        for (n, act) in self.act.iter().enumerate() {
            check(&act.country, format!("act[{n}].country"));
        }
        for (n, legal) in self.legal.iter().enumerate() {
            check(&legal.forum_country, format!("legal[{n}].forum_country"));
        }
    }

    /// Checks that a person of whom the report speaks is in it. The target always is, described or not.
    pub(crate) fn check_person(&self, person: Person, at: &str, problems: &mut Problems) {
        if let Person::Relative(index) = person
            && index >= self.relative.len()
        {
            let what = match self.relative.len() {
                0 => format!("is {person}, but the report has no relatives"),
                count => format!(
                    "is {person}, but the report has {count}: relative[0] to relative[{}]",
                    count - 1
                ),
            };
            problems.add(at, what);
        }
    }

    /// What reading checks by itself: that lists are no longer than they may be and sets have nothing twice.
    fn check_lengths(&self, problems: &mut Problems) {
        let read_again = serde_json::to_string(self).map(|json| serde_json::from_str::<Json>(&json));
        if let Ok(Ok(json)) = read_again {
            Self::decode(&json, "", problems);
        }
    }
}

impl<'de> Deserialize<'de> for Incident {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Json::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
