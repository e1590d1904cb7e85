//! No input makes the parser panic, and whatever it accepts is valid and stays the same when written and read again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use marram_incident::Incident;
use proptest::prelude::*;
use serde_json::Value;

const FULL: &str = include_str!("full.json");

fn accepted_is_stable(text: &str) {
    if let Ok(incident) = Incident::parse(text) {
        incident.validate().expect("what was accepted is valid");
        assert_eq!(
            Incident::parse(&incident.to_json()).expect("what was written is accepted"),
            incident
        );
        let headline = incident.headline();
        assert!(headline.chars().count() <= 160 && !headline.contains(char::is_control));
        let _ = (incident.methods(), incident.countries(), incident.first_date());
    }
}

/// Any JSON, with words of the schema among its names and values.
fn json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("schema"),
        Just("marram/incident/v1"),
        Just("act"),
        Just("method"),
        Just("F01"),
        Just("target"),
        Just("relative"),
        Just("relative[0]"),
        Just("2021-11"),
        Just("CN"),
        Just("CN-XJ"),
        Just("consent"),
        Just("store"),
        Just("person"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(word.clone().prop_map(str::to_owned), inner, 0..5).prop_map(Value::from_iter),
        ]
    })
}

/// The pointer of every value inside `json`.
fn pointers(json: &Value, at: &str, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            found.push(format!("{at}/{name}"));
            pointers(value, &format!("{at}/{name}"), found);
        }),
        Value::Array(values) => values.iter().enumerate().for_each(|(n, value)| {
            found.push(format!("{at}/{n}"));
            pointers(value, &format!("{at}/{n}"), found);
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        accepted_is_stable(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_json_never_panics(json in json()) {
        accepted_is_stable(&json.to_string());
    }

    #[test]
    fn a_valid_incident_with_one_value_changed_never_panics(which in any::<prop::sample::Index>(), change in json()) {
        let mut full: Value = serde_json::from_str(FULL).unwrap();
        let mut found = Vec::new();
        pointers(&full, "", &mut found);
        *full.pointer_mut(&found[which.index(found.len())]).unwrap() = change;
        let schema = full.as_object_mut().unwrap().remove("schema").unwrap();
        accepted_is_stable(&format!("{{\"schema\":{schema},{}", &full.to_string()[1..]));
    }

    #[test]
    fn a_valid_incident_with_bytes_changed_never_panics(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = FULL.as_bytes().to_vec();
        for (place, byte) in &places {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        accepted_is_stable(&String::from_utf8_lossy(&bytes));
        accepted_is_stable(&String::from_utf8_lossy(&bytes[..cut.index(bytes.len())]));
    }
}
