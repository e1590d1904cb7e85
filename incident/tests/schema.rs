//! The published JSON Schema is the one that the types give.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use marram_incident::Incident;
use serde_json::Value;

#[test]
fn the_json_schema_in_the_repository_is_up_to_date() {
    let published: Value = serde_json::from_str(include_str!("../schema/incident-v1.json")).unwrap();
    let made = schemars::schema_for!(Incident).to_value();
    assert!(
        published == made,
        "run: cargo run -p marram-incident --example schema > incident/schema/incident-v1.json"
    );
}

#[test]
fn the_json_schema_refuses_unknown_fields_everywhere() {
    fn objects<'a>(schema: &'a Value, found: &mut Vec<&'a Value>) {
        match schema {
            Value::Object(fields) => {
                if fields.contains_key("properties") && fields.get("type").is_some_and(|kind| kind == "object") {
                    found.push(schema);
                }
                fields.values().for_each(|value| objects(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| objects(value, found)),
            _ => {}
        }
    }
    let schema = schemars::schema_for!(Incident).to_value();
    let mut found = Vec::new();
    objects(&schema, &mut found);
    assert_eq!(found.len(), 13, "one per record");
    assert!(
        found
            .iter()
            .all(|object| object["additionalProperties"] == Value::Bool(false))
    );
}
