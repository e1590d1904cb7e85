//! JSON read strictly: order kept, a field that stands twice refused at any depth, objects bounded.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// More fields than this no object of an incident has; a bound keeps the search for duplicates cheap.
const MAX_FIELDS: usize = 64;

/// A JSON value as it stood in the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Whole(u64),
    /// Negative or fractional: nothing in an incident is either, so the value itself is not kept.
    OtherNumber,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// What a person would call this, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::OtherNumber => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Strict)
    }
}

struct Strict;

impl<'de> Visitor<'de> for Strict {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        Json::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::OtherNumber, Json::Whole))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom(format!(
                    "the field {} stands twice",
                    crate::problem::quoted(&name)
                )));
            }
            if fields.len() == MAX_FIELDS {
                return Err(A::Error::custom(format!("an object has more than {MAX_FIELDS} fields")));
            }
            fields.push((name, value));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Json, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"[{"b":[{"a":1,"a":2}]}]"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains("the field \"a\" stands twice"), "{message}");
        }
    }

    #[test]
    fn the_order_of_fields_is_kept() {
        let Json::Object(fields) = read(r#"{"z":1,"a":2}"#).unwrap() else {
            panic!("not an object")
        };
        assert_eq!(
            fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["z", "a"]
        );
    }

    #[test]
    fn an_object_with_endless_fields_is_refused() {
        let text: Vec<_> = (0..65).map(|n| format!("\"f{n}\":0")).collect();
        let message = read(&format!("{{{}}}", text.join(","))).unwrap_err().to_string();
        assert!(message.contains("more than 64 fields"), "{message}");
    }

    #[test]
    fn nesting_without_end_is_an_error_and_no_crash() {
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
