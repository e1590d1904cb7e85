//! What a report says: the incident, its code lists, and the questionnaire that asks for it.
//!
//! In scope: the schema `marram/incident/v1` as types that cannot hold what it does not allow, with messages that say
//! where and what; the catalogue of questions, code lists and texts, which the command line and the page both show; the
//! walk through that catalogue. Out of scope: how a report is sealed and sent, and who decides about it.
//! The server does not depend on this package.
//!
//! Three things follow from whom it serves. Nothing but the story, the submitter's role and the consent to keep it is
//! required. Months are as welcome as days. And every problem is reported at once, so that nobody has to try again and again:
//!
//! ```
//! use marram_incident::Incident;
//!
//! let error = Incident::parse(r#"{
//!     "schema": "marram/incident/v1",
//!     "reporter": { "role": "cousin" },
//!     "act": [{ "method": "F01", "date": "last autumn" }],
//!     "consent": { "store": true },
//!     "narrative": "They went to see my aunt."
//! }"#).unwrap_err().to_string();
//!
//! assert!(error.contains(r#"reporter.role: "cousin" is not in the list reporter_role; it accepts target, relative, "#));
//! assert!(error.contains(r#"act[0].date: "last autumn" is not a date"#));
//! ```
//!
//! The data files stand in `data/`. The JSON Schema in `schema/incident-v1.json` is written from the types by
//! `cargo run -p marram-incident --example schema > incident/schema/incident-v1.json`.

#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod answers;
mod catalogue;
mod codes;
mod consent;
mod country;
mod date;
mod decode;
mod evidence;
mod headline;
mod incident;
mod interview;
mod json;
mod language;
mod person;
mod problem;
mod text;

pub use answers::{Answer, Answers};
pub use catalogue::{Catalogue, Code, CodeList, Condition, Input, Question, Section, Texts, catalogue};
pub use codes::{
    ActChannel, ContactChannel, Demand, EvidenceSource, ImmigrationStatus, Involvement, LegalProcedure, LegalStage,
    Method, OutcomeStatus, PerpetratorKind, Profile, Relation, RelativeStatus, ReporterRole, ReturnMode, Sensitivity,
    ShareWith, UnknownCode, YesNoUnknown,
};
pub use consent::{Consent, PersonConsent, SafeContact};
pub use country::{Country, CountryCode, CountryError, Subdivision};
pub use date::{DateError, EdtfDate, Ymd};
pub use evidence::{Evidence, Sha256, Sha256Error};
pub use incident::{Act, Incident, Legal, Outcome, Perpetrator, Relative, Reporter, SchemaV1, Target};
pub use interview::{Choice, Interview, Message, Prompt, Step};
pub use language::{Language, LanguageError};
pub use person::{Person, PersonError};
pub use problem::{IncidentError, Problem, Problems};
pub use text::{Text, TextError};
