//! What `Incident::parse` promises. `full.json` fills every field of the schema once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use marram_incident::{Incident, IncidentError, Person, Problems, ReporterRole};
use serde_json::{Value, json};

const FULL: &str = include_str!("full.json");
const LEAST: &str =
    r#"{"schema":"marram/incident/v1","reporter":{"role":"unknown"},"consent":{"store":true},"narrative":"x"}"#;

/// `text` with the value at a JSON pointer changed. The order of the fields is that of the incident's own writing.
fn with(text: &str, pointer: &str, change: impl Into<Value>) -> String {
    let mut json: Value = serde_json::from_str(text).unwrap();
    *json.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = change.into();
    schema_first(&json)
}

fn with_field(text: &str, pointer: &str, name: &str, value: impl Into<Value>) -> String {
    let mut json: Value = serde_json::from_str(text).unwrap();
    json.pointer_mut(pointer)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .insert(name.to_owned(), value.into());
    schema_first(&json)
}

fn schema_first(json: &Value) -> String {
    let mut json = json.clone();
    let schema = json.as_object_mut().unwrap().remove("schema").unwrap_or(Value::Null);
    format!("{{\"schema\":{schema},{}", &json.to_string()[1..])
}

fn problems(text: &str) -> Problems {
    match Incident::parse(text) {
        Err(IncidentError::Invalid(problems)) => problems,
        other => panic!("not refused for its content: {other:?}"),
    }
}

/// The one problem, as it is shown.
fn problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems}");
    problems.to_string()
}

#[test]
fn the_least_that_is_required_is_enough() {
    let incident = Incident::parse(LEAST).unwrap();
    assert!(incident.safe_contact.never_contact_relatives);
    assert!(!incident.consent.contact && !incident.consent.aggregate && !incident.consent.publish_anonymized);
    assert!(incident.validate().is_ok());
}

#[test]
fn everything_that_the_schema_has_is_read_and_written_again() {
    let incident = Incident::parse(FULL).unwrap();
    let written = incident.to_json();
    assert_eq!(Incident::parse(&written).unwrap(), incident);
    assert_eq!(
        serde_json::from_str::<Value>(&written).unwrap(),
        serde_json::from_str::<Value>(FULL).unwrap()
    );
    assert_eq!(serde_json::from_str::<Incident>(FULL).unwrap(), incident);
}

#[test]
fn the_full_example_leaves_out_no_field_of_the_json_schema() {
    let schema = schemars::schema_for!(Incident).to_value();
    let full: Value = serde_json::from_str(FULL).unwrap();
    let mut records = vec![("Incident", full.clone())];
    for (record, pointer) in [
        ("Reporter", "/reporter"),
        ("Target", "/target"),
        ("Country", "/target/home_country"),
        ("Relative", "/relative/0"),
        ("Act", "/act/1"),
        ("Perpetrator", "/act/1/perpetrator/0"),
        ("Legal", "/legal/0"),
        ("Outcome", "/outcome"),
        ("Evidence", "/evidence/0"),
        ("Consent", "/consent"),
        ("PersonConsent", "/consent/person/0"),
        ("SafeContact", "/safe_contact"),
    ] {
        records.push((record, full.pointer(pointer).unwrap().clone()));
    }
    for (record, example) in records {
        let definition = if record == "Incident" {
            &schema
        } else {
            &schema["$defs"][record]
        };
        let properties: Vec<_> = definition["properties"].as_object().unwrap().keys().collect();
        assert_eq!(
            example.as_object().unwrap().keys().collect::<Vec<_>>(),
            properties,
            "{record}"
        );
    }
}

#[test]
fn what_is_required_is_asked_for_by_name() {
    for (pointer, name, at) in [
        ("", "schema", "schema"),
        ("", "reporter", "reporter"),
        ("/reporter", "role", "reporter.role"),
        ("", "consent", "consent"),
        ("/consent", "store", "consent.store"),
        ("", "narrative", "narrative"),
        ("/act/1", "method", "act[1].method"),
        ("/relative/0", "relation", "relative[0].relation"),
        ("/evidence/0", "sha256", "evidence[0].sha256"),
    ] {
        let mut json: Value = serde_json::from_str(FULL).unwrap();
        json.pointer_mut(pointer)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(name)
            .unwrap();
        let text = if name == "schema" {
            json.to_string()
        } else {
            schema_first(&json)
        };
        assert_eq!(problem(&text), format!("{at}: is missing and is required"));
    }
}

#[test]
fn every_unknown_code_is_named_with_its_field_and_list() {
    for (pointer, at, list, accepted) in [
        ("/reporter/role", "reporter.role", "reporter_role", "same_organization"),
        ("/target/profile/0", "target.profile[0]", "profile", "former_official"),
        (
            "/target/immigration_status",
            "target.immigration_status",
            "immigration_status",
            "refugee",
        ),
        ("/relative/0/relation", "relative[0].relation", "relation", "coworker"),
        (
            "/relative/0/status",
            "relative[0].status",
            "relative_status",
            "at_liberty",
        ),
        (
            "/relative/0/knows_of_report",
            "relative[0].knows_of_report",
            "yes_no_unknown",
            "unknown",
        ),
        ("/act/0/method", "act[0].method", "method", "K03"),
        ("/act/1/demand/1", "act[1].demand[1]", "demand", "stop_activity"),
        ("/act/1/channel", "act[1].channel", "act_channel", "messaging_app"),
        (
            "/act/1/perpetrator/0/kind",
            "act[1].perpetrator[0].kind",
            "perpetrator_kind",
            "party_body",
        ),
        (
            "/act/1/perpetrator/0/involvement",
            "act[1].perpetrator[0].involvement",
            "involvement",
            "ordered",
        ),
        (
            "/legal/0/procedure",
            "legal[0].procedure",
            "legal_procedure",
            "refoulement",
        ),
        ("/legal/0/stage", "legal[0].stage", "legal_stage", "hearing"),
        ("/outcome/status", "outcome.status", "outcome_status", "detained_abroad"),
        (
            "/outcome/return_mode",
            "outcome.return_mode",
            "return_mode",
            "border_alert",
        ),
        (
            "/evidence/0/source",
            "evidence[0].source",
            "evidence_source",
            "public_url",
        ),
        (
            "/evidence/0/sensitivity",
            "evidence[0].sensitivity",
            "sensitivity",
            "distressing",
        ),
        (
            "/consent/share_with/0",
            "consent.share_with[0]",
            "share_with",
            "host_authority",
        ),
        (
            "/safe_contact/channel",
            "safe_contact.channel",
            "contact_channel",
            "trusted_person",
        ),
    ] {
        let shown = problem(&with(FULL, pointer, "f01"));
        assert!(
            shown.starts_with(&format!("{at}: \"f01\" is not in the list {list}; it accepts ")),
            "{shown}"
        );
        assert!(shown.contains(accepted), "{shown}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = with(FULL, "/act/0/method", "F99");
    let text = with(&text, "/act/1/date", "2021-13");
    let text = with(&text, "/target/home_country/country", "China");
    let text = with_field(&text, "/outcome", "mood", "bad");
    let text = with(&text, "/narrative", "");
    let at: Vec<_> = problems(&text).iter().map(|problem| problem.at.clone()).collect();
    assert_eq!(
        at,
        [
            "target.home_country.country",
            "act[0].method",
            "act[1].date",
            "outcome",
            "narrative"
        ]
    );
}

#[test]
fn an_unknown_field_is_refused_at_any_depth_with_the_fields_there_are() {
    for (pointer, at) in [
        ("", ""),
        ("/reporter", "reporter: "),
        ("/target/home_country", "target.home_country: "),
        ("/act/1/perpetrator/0", "act[1].perpetrator[0]: "),
        ("/evidence/0", "evidence[0]: "),
        ("/consent/person/0", "consent.person[0]: "),
    ] {
        let shown = problem(&with_field(FULL, pointer, "zeal", 1));
        assert!(
            shown.starts_with(&format!("{at}has no field \"zeal\"; its fields are ")),
            "{shown}"
        );
    }
    let shown = problem(&with_field(FULL, "/relative/0", "name", "somebody"));
    assert!(
        shown.contains("relation, is_minor, country, status, knows_of_report"),
        "{shown}"
    );
}

#[test]
fn a_field_that_stands_twice_is_refused_at_any_depth() {
    for (once, twice) in [
        (r#""role": "relative""#, r#""role": "relative", "role": "relative""#),
        (r#""kind": "police""#, r#""kind": "police", "kind": "police""#),
        (r#""store": true"#, r#""store": true, "store": false"#),
    ] {
        assert!(FULL.contains(once));
        let error = Incident::parse(&FULL.replacen(once, twice, 1)).unwrap_err();
        assert!(matches!(error, IncidentError::NotJson(_)), "{error}");
        assert!(error.to_string().contains("stands twice"), "{error}");
        assert!(serde_json::from_str::<Incident>(&FULL.replacen(once, twice, 1)).is_err());
    }
}

#[test]
fn the_schema_comes_first_and_no_other_version_is_read() {
    let late = LEAST.replacen(r#""schema":"marram/incident/v1","#, "", 1).replacen(
        '}',
        r#"},"schema":"marram/incident/v1""#,
        1,
    );
    assert_eq!(problem(&late), "schema: must be the first field");
    let shown = problem(&LEAST.replacen("/v1", "/v2", 1));
    assert_eq!(
        shown,
        r#"schema: is "marram/incident/v2"; this program reads "marram/incident/v1""#
    );
}

#[test]
fn a_bad_date_is_refused_with_how_to_write_it() {
    for (pointer, at) in [
        ("/act/1/date", "act[1].date"),
        ("/legal/0/date", "legal[0].date"),
        ("/outcome/date", "outcome.date"),
        ("/evidence/0/captured_on", "evidence[0].captured_on"),
    ] {
        let shown = problem(&with(FULL, pointer, "3 November 2021"));
        assert!(
            shown.starts_with(&format!("{at}: \"3 November 2021\" is not a date; write 2021, 2021-11")),
            "{shown}"
        );
    }
}

#[test]
fn a_wrong_country_and_a_region_of_another_country_are_refused() {
    let shown = problem(&with(FULL, "/target/host_country/country", "UK"));
    assert!(
        shown.starts_with("target.host_country.country: \"UK\" is not a country code"),
        "{shown}"
    );
    for (pointer, at) in [
        ("/target/home_country/country", "target.home_country.subdivision"),
        ("/relative/0/country/country", "relative[0].country.subdivision"),
    ] {
        assert_eq!(
            problem(&with(FULL, pointer, "TR")),
            format!("{at}: \"CN-XJ\" is not a region of TR")
        );
    }
    let shown = problem(&with_field(FULL, "/act/1/country", "subdivision", "CN-XYZ"));
    assert!(
        shown.starts_with("act[1].country.subdivision: \"CN-XYZ\" is not a region code"),
        "{shown}"
    );
}

#[test]
fn a_dangling_victim_is_refused() {
    let shown = problem(&with(FULL, "/act/1/victim", "relative[1]"));
    assert_eq!(
        shown,
        "act[1].victim: is relative[1], but the report has 1: relative[0] to relative[0]"
    );
    let shown = problem(&with(FULL, "/consent/person/0/person", "relative[7]"));
    assert!(shown.starts_with("consent.person[0].person: is relative[7]"), "{shown}");
    let alone = with(&with(FULL, "/relative", json!([])), "/consent/person", json!([]));
    assert_eq!(
        problem(&alone),
        "act[1].victim: is relative[0], but the report has no relatives"
    );
}

#[test]
fn an_act_follows_only_an_earlier_one() {
    for index in [1, 2, 9_007_199_254_740_991_u64] {
        let shown = problem(&with(FULL, "/act/1/follows", index));
        assert!(
            shown.starts_with(&format!("act[1].follows: is {index}, which is no earlier act")),
            "{shown}"
        );
    }
    for wrong in [json!(-1), json!(0.5), json!("0"), json!(1e300)] {
        assert!(problem(&with(FULL, "/act/1/follows", wrong)).contains("whole number"));
    }
}

#[test]
fn the_method_that_says_other_must_say_what() {
    let shown = problem(&with(FULL, "/act/1/note", Value::Null));
    assert_eq!(shown, "act[1].note: is required for the method X99: say what was done");
}

#[test]
fn without_consent_to_store_there_is_no_report() {
    assert!(problem(&with(FULL, "/consent/store", false)).starts_with("consent.store: must be true"));
}

#[test]
fn nobody_consents_to_naming_somebody_else() {
    let shown = problem(&with(FULL, "/consent/person/0/publish_named", true));
    assert!(
        shown.starts_with("consent.person[0].publish_named: nobody can consent to naming somebody else"),
        "{shown}"
    );
    let target = with(
        &with(FULL, "/consent/person/0/person", "target"),
        "/consent/person/0/publish_named",
        true,
    );
    assert!(problem(&target).contains("nobody can consent"));
    let oneself = Incident::parse(&with(&target, "/reporter/role", "target")).unwrap();
    assert!(oneself.may_name(Person::Target) && !oneself.may_name(Person::Relative(0)));
}

#[test]
fn a_relative_who_agrees_to_be_named_does_not_name_the_target() {
    let incident = Incident::parse(&with(FULL, "/consent/publish_named", true)).unwrap();
    assert_eq!(incident.reporter.role, ReporterRole::Relative);
    assert!(!incident.may_name(Person::Target) && !incident.may_name(Person::Relative(0)));
}

#[test]
fn consent_and_contact_must_agree() {
    let shown = problem(&with(FULL, "/consent/contact", false));
    assert_eq!(
        shown,
        "safe_contact.channel: signal is given, but consent.contact is not true"
    );
    assert!(problem(&with(FULL, "/safe_contact/handle", Value::Null)).starts_with("safe_contact.handle: is required"));
    assert!(problem(&with(FULL, "/safe_contact/channel", "board")).starts_with("safe_contact.handle: is given, but"));
    assert!(problem(&with(FULL, "/safe_contact/time_zone", "when I sleep")).contains("is not a time zone"));
    let twice = json!([{ "person": "target" }, { "person": "target" }]);
    assert_eq!(
        problem(&with(FULL, "/consent/person", twice)),
        "consent.person[1].person: target stands twice in the list"
    );
}

#[test]
fn relatives_are_not_contacted_unless_that_is_said() {
    let text = with(FULL, "/safe_contact", json!({ "channel": "none" }));
    assert!(Incident::parse(&text).unwrap().safe_contact.never_contact_relatives);
}

#[test]
fn evidence_is_held_to_digest_size_name_and_type() {
    for (field, wrong, part) in [
        ("sha256", json!("00"), "is not a SHA-256 digest"),
        ("sha256", json!("A".repeat(64)), "small letters"),
        ("size_bytes", json!(-1), "whole number"),
        ("size_bytes", json!("1"), "whole number"),
        ("original_filename", json!("../photo.png"), "without folders"),
        ("original_filename", json!(".."), "without folders"),
        ("original_filename", json!("a\nb"), "control characters"),
        ("mime", json!("picture"), "is not a media type"),
        ("mime", json!("text/html; charset=x"), "is not a media type"),
    ] {
        let shown = problem(&with(FULL, &format!("/evidence/0/{field}"), wrong));
        assert!(
            shown.starts_with(&format!("evidence[0].{field}: ")) && shown.contains(part),
            "{shown}"
        );
    }
}

#[test]
fn lists_and_texts_are_bounded() {
    let act = json!({ "method": "F01" });
    for (pointer, element, most) in [
        ("/act", act, 100),
        ("/relative", json!({ "relation": "child" }), 50),
        ("/legal", json!({ "procedure": "extradition" }), 20),
        ("/act/1/perpetrator", json!({ "kind": "police" }), 20),
    ] {
        let list = |count| with(FULL, pointer, vec![element.clone(); count]);
        assert!(Incident::parse(&list(most)).is_ok(), "{pointer}");
        let shown = problem(&list(most + 1));
        assert!(
            shown.contains(&format!("has {} elements; at most {most} are accepted", most + 1)),
            "{shown}"
        );
    }
    let story = |count| with(FULL, "/narrative", "字".repeat(count));
    assert!(Incident::parse(&story(100_000)).is_ok());
    assert_eq!(
        problem(&story(100_001)),
        "narrative: has 100001 characters; at most 100000 are accepted"
    );
    assert_eq!(
        problem(&with(FULL, "/act/1/demand/1", "return")),
        "act[1].demand[1]: stands twice in the list"
    );
}

#[test]
fn an_incident_over_a_mebibyte_is_refused_with_the_limit() {
    let padding = " ".repeat(Incident::MAX_BYTES - LEAST.len());
    assert!(Incident::parse(&format!("{LEAST}{padding}")).is_ok());
    let error = Incident::parse(&format!("{LEAST}{padding} ")).unwrap_err();
    assert_eq!(
        error,
        IncidentError::TooLarge {
            size: (1 << 20) + 1,
            limit: 1 << 20
        }
    );
    assert!(error.to_string().contains("at most 1048576 are accepted"));
}

#[test]
fn a_value_of_another_kind_is_named() {
    assert_eq!(
        problem(&with(FULL, "/act", "none")),
        "act: must be a list and is a text"
    );
    assert_eq!(
        problem(&with(FULL, "/act/0", json!(["F01"]))),
        "act[0]: must be an object and is a list"
    );
    assert_eq!(
        problem(&with(FULL, "/consent/contact", "yes")),
        "consent.contact: must be true or false and is a text"
    );
    assert_eq!(
        problem(&with(FULL, "/narrative", 5)),
        "narrative: must be a text and is a number"
    );
    assert_eq!(problem("[]"), "must be an object and is a list");
}

#[test]
fn what_was_changed_in_code_is_held_to_the_same_rules() {
    let mut incident = Incident::parse(FULL).unwrap();
    incident.relative.clear();
    let repeated = vec![incident.act[0].clone(); 101];
    incident.act.extend(repeated);
    let shown = incident.validate().unwrap_err().to_string();
    assert!(
        shown.contains("act: has 103 elements; at most 100 are accepted"),
        "{shown}"
    );
    assert!(
        shown.contains("act[1].victim: is relative[0], but the report has no relatives"),
        "{shown}"
    );
}

#[test]
fn debug_output_shows_no_name_no_story_and_no_handle() {
    let shown = format!("{:?}", Incident::parse(FULL).unwrap());
    for secret in ["invented", "teacher", "at night", "photo", "door"] {
        assert!(!shown.to_lowercase().contains(secret), "{secret}");
    }
}

#[test]
fn a_headline_is_one_short_line_without_a_name() {
    let headline = Incident::parse(FULL).unwrap().headline();
    assert_eq!(
        headline,
        "China (CN-XJ) → Türkiye · 2021-11-03~ · returned · relative visited, summoned or interrogated; other"
    );
    let many: Vec<_> = ["F01", "F02", "F08", "T07"]
        .map(|method| json!({ "method": method }))
        .into();
    let headline = Incident::parse(&with(FULL, "/act", many)).unwrap().headline();
    assert!(
        headline.ends_with(" · relative visited, summoned or interrogated; relative threatened; and 2 more"),
        "{headline}"
    );
    assert_eq!(Incident::parse(LEAST).unwrap().headline(), "no act described");
}

#[test]
fn every_country_that_is_named_is_found() {
    let countries = Incident::parse(FULL).unwrap().countries();
    assert_eq!(
        countries.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["CN", "TR", "AE"]
    );
}
