//! The questionnaire, walked as a program walks it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use marram_incident::{Evidence, Incident, Input, Interview, Prompt, Sha256, Step, catalogue};
use proptest::prelude::*;
use serde_json::Value;

fn ask(interview: &Interview) -> Prompt {
    match interview.next() {
        Step::Ask(prompt) => prompt,
        Step::Done => panic!("nothing left to ask"),
    }
}

/// Skips until `key` is asked; says what is required to get there.
fn go_to(interview: &mut Interview, key: &str) -> Prompt {
    for _ in 0..500 {
        let prompt = ask(interview);
        if prompt.key == key {
            return prompt;
        }
        if prompt.required {
            let said = match prompt.key.as_str() {
                "reporter.role" => "relative",
                "narrative" => "They came at night.",
                "consent.store" => "yes",
                other => panic!("{other} is required before {key}"),
            };
            interview.answer(said).unwrap();
        } else {
            interview.skip().unwrap();
        }
    }
    panic!("{key} is never asked");
}

fn answer(interview: &mut Interview, key: &str, said: &str) {
    go_to(interview, key);
    interview
        .answer(said)
        .unwrap_or_else(|message| panic!("{key}: {message}"));
}

fn finish(interview: &mut Interview) -> Incident {
    for _ in 0..500 {
        let Step::Ask(prompt) = interview.next() else {
            return interview.answers().to_incident().unwrap();
        };
        match prompt.key.as_str() {
            "reporter.role" => interview.answer("relative").unwrap(),
            "narrative" => interview.answer("They came at night.").unwrap(),
            "consent.store" => interview.answer("yes").unwrap(),
            _ => interview.skip().unwrap(),
        }
    }
    panic!("the questionnaire has no end");
}

#[test]
fn whoever_skips_everything_but_three_answers_has_made_a_report() {
    let incident = finish(&mut Interview::new("en"));
    assert_eq!(incident.headline(), "no act described");
    assert!(incident.target.is_none() && incident.act.is_empty() && incident.relative.is_empty());
    assert!(!incident.consent.aggregate && incident.safe_contact.never_contact_relatives);
}

#[test]
fn what_was_answered_stands_in_the_incident() {
    let mut interview = Interview::new("en");
    for (key, said) in [
        ("safety.harm", "yes"),
        ("safety.know", "3"),
        ("reporter.role", "2"),
        ("reporter.language", "uyghur"),
        ("narrative", "They came at night.\nTwice."),
        ("target.home_country", "cn-xj"),
        ("target.host_country", "Türkiye"),
        ("relative[0]", "yes"),
        ("relative[0].relation", "sibling"),
        ("relative[0].is_minor", "n"),
        ("relative[1]", "y"),
        ("relative[1].relation", "parent"),
        ("relative[1].status", "held"),
        ("act[0]", "yes"),
        ("act[0].method", "F01"),
        ("act[0].date", "2021-11~"),
        ("act[0].victim", "2"),
        ("act[0].demand", "1, silence"),
        ("act[0].perpetrator[0]", "yes"),
        ("act[0].perpetrator[0].kind", "police"),
        ("act[0].perpetrator[1]", "yes"),
        ("act[0].perpetrator[1].kind", "party_body"),
        ("act[1]", "yes"),
        ("act[1].method", "f08"),
        ("act[1].victim", "target"),
        ("act[1].follows", "1"),
        ("target.nationality", "China, turkey, tr"),
    ] {
        if key == "target.nationality" {
            go_to(&mut interview, key);
            assert!(interview.answer(said).is_err(), "Turkey stands under Türkiye");
            interview.answer("China, TR, tr").unwrap();
        } else {
            answer(&mut interview, key, said);
        }
    }
    let incident = serde_json::to_value(finish(&mut interview)).unwrap();
    let expected = serde_json::json!({
        "schema": "marram/incident/v1",
        "reporter": { "role": "relative", "language": "ug" },
        "target": {
            "nationality": ["CN", "TR"],
            "home_country": { "country": "CN", "subdivision": "CN-XJ" },
            "host_country": { "country": "TR" },
        },
        "relative": [{ "relation": "sibling", "is_minor": false }, { "relation": "parent", "status": "held" }],
        "act": [
            {
                "method": "F01", "date": "2021-11~", "victim": "relative[0]", "demand": ["return", "silence"],
                "perpetrator": [{ "kind": "police" }, { "kind": "party_body" }],
            },
            { "method": "F08", "victim": "target", "follows": 0 },
        ],
        "consent": {
            "store": true, "contact": false, "aggregate": false, "publish_anonymized": false, "publish_named": false,
        },
        "safe_contact": { "channel": "board", "may_leave_message": false, "never_contact_relatives": true },
        "narrative": "They came at night.\nTwice.",
    });
    assert_eq!(incident, expected);
}

#[test]
fn whether_a_relative_could_be_harmed_is_asked_first_and_stays_with_the_submitter() {
    let mut interview = Interview::new("en");
    answer(&mut interview, "safety.harm", "yes");
    assert_eq!(ask(&interview).key, "safety.know");
    interview.answer("no").unwrap();
    assert_eq!(ask(&interview).key, "safety.careful");
    let json = finish(&mut interview).to_json();
    assert!(!json.contains("safety") && !json.contains("harm"), "{json}");

    let mut interview = Interview::new("en");
    answer(&mut interview, "safety.harm", "no");
    assert_eq!(ask(&interview).key, "safety.skip");
}

#[test]
fn skip_is_always_allowed_except_where_the_message_says_why_not() {
    let mut interview = Interview::new("en");
    go_to(&mut interview, "reporter.role");
    assert_eq!(
        interview.skip().unwrap_err().to_string(),
        "This one is needed before we can go on."
    );
    go_to(&mut interview, "act[0]");
    interview.answer("yes").unwrap();
    assert!(
        interview
            .skip()
            .unwrap_err()
            .to_string()
            .contains("go back and answer no")
    );
    assert!(interview.back());
    assert_eq!(ask(&interview).key, "act[0]");
    interview.skip().unwrap();
    assert_eq!(ask(&interview).key, "target.nationality");
}

#[test]
fn something_else_has_to_be_said_in_words() {
    let mut interview = Interview::new("en");
    answer(&mut interview, "act[0]", "yes");
    answer(&mut interview, "act[0].method", "X99");
    assert!(ask(&interview).required && interview.skip().is_err());
    interview.answer("They painted the door.").unwrap();
    assert_eq!(finish(&mut interview).act.len(), 1);
}

#[test]
fn without_consent_to_keep_it_the_interview_does_not_go_on() {
    let mut interview = Interview::new("en");
    let before = go_to(&mut interview, "consent.store").key;
    let message = interview.answer("no").unwrap_err().to_string();
    assert!(message.contains("nothing is sent"), "{message}");
    assert_eq!(ask(&interview).key, before);
}

#[test]
fn contact_is_asked_only_of_those_who_agree_to_it() {
    let mut interview = Interview::new("en");
    answer(&mut interview, "consent.contact", "no");
    assert!(matches!(interview.next(), Step::Done));

    let mut interview = Interview::new("en");
    answer(&mut interview, "consent.contact", "yes");
    answer(&mut interview, "safe_contact.channel", "signal");
    assert!(ask(&interview).required);
    interview.answer("invented.01").unwrap();
    go_to(&mut interview, "safe_contact.time_zone");
    let message = interview.answer("when I sleep").unwrap_err().to_string();
    assert!(
        message.starts_with("This cannot be used here: \"when I sleep\" is not a time zone"),
        "{message}"
    );
    interview.answer("Europe/Berlin").unwrap();
    let contact = finish(&mut interview).safe_contact;
    assert_eq!(contact.handle.as_deref(), Some("invented.01"));
    assert!(contact.never_contact_relatives);
}

#[test]
fn going_back_takes_the_last_answer_away_and_nothing_else() {
    let mut interview = Interview::new("en");
    assert!(!interview.back());
    answer(&mut interview, "act[0]", "yes");
    answer(&mut interview, "act[0].method", "F01");
    let asked = ask(&interview).key;
    interview.answer("a note").unwrap();
    assert!(interview.back());
    assert_eq!(ask(&interview).key, asked);
    assert!(interview.back() && interview.back());
    assert_eq!(ask(&interview).key, "act[0]");
    while interview.back() {}
    assert_eq!(interview.answers().iter().count(), 0);
}

#[test]
fn wrong_answers_are_met_with_a_sentence_and_change_nothing() {
    for (key, said, part) in [
        ("reporter.role", "9", "choose one of the answers"),
        ("reporter.role", "0", "choose one of the answers"),
        ("reporter.language", "my language", "We do not know this language"),
        ("narrative", "  ", "Nothing has been written yet"),
        ("target.home_country", "Atlantis", "We do not know this country"),
        ("target.profile", "1, 99", "separated by commas"),
        ("target.name", &"x".repeat(201), "longer than the 200 characters"),
        ("outcome.status", "returned, missing", "choose one of the answers"),
        ("consent.aggregate", "perhaps", "answer yes or no"),
    ] {
        let mut interview = Interview::new("en");
        go_to(&mut interview, key);
        let before = interview.answers().iter().count();
        let message = interview.answer(said).unwrap_err().to_string();
        assert!(message.contains(part), "{key}: {message}");
        assert_eq!(
            (ask(&interview).key.as_str(), interview.answers().iter().count()),
            (key, before)
        );
    }
    let mut interview = Interview::new("en");
    answer(&mut interview, "act[0]", "yes");
    answer(&mut interview, "act[0].method", "F01");
    go_to(&mut interview, "act[0].date");
    assert!(
        interview
            .answer("03.11.2021")
            .unwrap_err()
            .to_string()
            .contains("2021-11-03")
    );
}

#[test]
fn an_act_follows_only_what_has_been_told() {
    let mut interview = Interview::new("en");
    answer(&mut interview, "act[0]", "yes");
    answer(&mut interview, "act[0].method", "F01");
    go_to(&mut interview, "act[1]");
    assert!(
        interview.answers().get("act[0].follows").is_none(),
        "the first act follows nothing"
    );
    interview.answer("yes").unwrap();
    answer(&mut interview, "act[1].method", "F04");
    let prompt = go_to(&mut interview, "act[1].follows");
    let choices: Vec<_> = prompt.choices.iter().map(|choice| choice.label.as_str()).collect();
    assert_eq!(choices, ["1. A relative was visited, summoned or questioned"]);
}

#[test]
fn files_stand_in_the_incident_and_going_back_forgets_them() {
    let file = |n| Evidence::new(Sha256::from_bytes([n; 32]), 100);
    let mut interview = Interview::new("en");
    assert_eq!(go_to(&mut interview, "evidence").input, Input::Files);
    interview.attach(file(1)).unwrap();
    interview.answer("").unwrap();
    assert!(interview.back());
    interview.attach(file(1)).unwrap();
    assert!(interview.back(), "while the files are asked for");
    interview.skip().unwrap();
    interview.attach(file(2)).unwrap();
    let mut unfit = file(3);
    unfit.original_filename = Some("a/b".parse().unwrap());
    assert!(
        interview
            .attach(unfit)
            .unwrap_err()
            .to_string()
            .contains("without folders")
    );
    interview.answer("").unwrap();
    assert_eq!(finish(&mut interview).evidence, [file(2)]);
    for n in 1..99 {
        interview.attach(file(n)).unwrap();
    }
    assert!(
        interview
            .attach(file(0))
            .unwrap_err()
            .to_string()
            .contains("No more than 99 files")
    );
}

#[test]
fn debug_output_of_an_interview_shows_no_answer() {
    let mut interview = Interview::new("en");
    answer(&mut interview, "narrative", "a planted secret");
    answer(&mut interview, "target.name", "a planted name");
    assert!(!format!("{interview:?}").contains("planted"));
}

#[test]
fn an_unknown_language_is_asked_in_english() {
    assert_eq!(ask(&Interview::new("tlh")).label, ask(&Interview::new("en")).label);
}

/// The JSON Schema of the field at a question's path.
fn schema_of<'a>(root: &'a Value, path: &str) -> &'a Value {
    let mut at = root;
    let resolve = |mut at: &'a Value| -> &'a Value {
        loop {
            if let Some(name) = at["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
                at = &root["$defs"][name];
            } else if let Some(any) = at["anyOf"].as_array() {
                at = any.iter().find(|one| one["type"] != "null").unwrap();
            } else {
                return at;
            }
        }
    };
    for part in path.split('.') {
        at = resolve(at);
        at = &at["properties"][part.trim_end_matches("[]")];
        assert!(!at.is_null(), "the schema has no {path}");
        if part.ends_with("[]") && path.ends_with(part) {
            return resolve(at);
        }
        if part.ends_with("[]") {
            at = &resolve(at)["items"];
        }
    }
    resolve(at)
}

#[test]
fn every_question_fits_the_field_that_it_fills() {
    let root = schemars::schema_for!(Incident).to_value();
    for question in catalogue().questions() {
        let Some(path) = &question.path else { continue };
        let schema = schema_of(&root, path);
        let codes = || -> Vec<&str> {
            let list = catalogue().list(question.codes.as_deref().unwrap()).unwrap();
            list.codes.iter().map(|code| code.code.as_str()).collect()
        };
        let id = &question.id;
        match question.input {
            Input::Text | Input::LongText => assert_eq!(schema["maxLength"], question.most.unwrap(), "{id}"),
            Input::Gate | Input::Files => assert_eq!(schema["maxItems"], question.most.unwrap(), "{id}"),
            Input::Choice => assert_eq!(schema["enum"], Value::from(codes()), "{id}"),
            Input::MultiChoice => {
                let name = schema["items"]["$ref"].as_str().unwrap().trim_start_matches("#/$defs/");
                assert_eq!(root["$defs"][name]["enum"], Value::from(codes()), "{id}");
            }
            Input::YesNo => assert!(schema["type"].to_string().contains("boolean"), "{id}"),
            Input::Date => assert_eq!(schema, &root["$defs"]["EdtfDate"], "{id}"),
            Input::Country => assert_eq!(schema, &root["$defs"]["Country"], "{id}"),
            Input::Countries => assert_eq!(schema["items"]["$ref"], "#/$defs/CountryCode", "{id}"),
            Input::Language => assert_eq!(schema, &root["$defs"]["Language"], "{id}"),
            Input::Person => assert_eq!(schema, &root["$defs"]["Person"], "{id}"),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_the_walk_goes_on_and_what_it_makes_is_valid(
        said in prop::collection::vec(
            prop_oneof![Just("yes".to_owned()), Just("1".to_owned()), Just("2".to_owned()), Just("no".to_owned()), Just("2021".to_owned()), Just("CN".to_owned()), ".{0,12}"],
            0..150,
        ),
        backs in prop::collection::vec(any::<bool>(), 16),
    ) {
        let mut interview = Interview::new("en");
        for (n, said) in said.iter().enumerate() {
            if backs[n % 16] && said.len() > 6 {
                interview.back();
            } else if interview.answer(said).is_err() {
                let _ = interview.skip();
            }
        }
        if let Ok(incident) = interview.answers().to_incident() {
            prop_assert!(incident.validate().is_ok());
        }
    }
}
