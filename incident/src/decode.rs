//! From strict JSON to types, collecting every problem with its place instead of stopping at the first.
//!
//! serde's derive stops at the first fault and cannot say where it stands; a person who corrects a report wants the
//! whole list. So each record is written once, with [`record!`], which gives it reading, writing and its JSON Schema.

use schemars::Schema;

use crate::json::Json;
use crate::problem::{Problems, listed, quoted};

/// A type that can be read from [`Json`].
pub(crate) trait Decode: Sized + PartialEq {
    /// The most elements a list of these has.
    const MOST: usize = 50;
    /// Whether a list of these is a set.
    const DISTINCT: bool = false;
    /// Whether a record must have the field.
    const REQUIRED: bool = true;

    /// Reads a value at the path `at`; `None` after adding at least one problem.
    fn decode(json: &Json, at: &str, problems: &mut Problems) -> Option<Self>;

    /// The value of a field that is not there; `None` after adding a problem.
    fn absent(at: &str, problems: &mut Problems) -> Option<Self> {
        problems.add(at, "is missing and is required");
        None
    }

    /// Whether writing leaves the field out.
    fn left_out(&self) -> bool {
        false
    }

    /// Adds to the JSON Schema what the type checks beyond its shape.
    fn narrow(_: &mut Schema) {}
}

impl<T: Decode> Decode for Option<T> {
    const REQUIRED: bool = false;

    fn decode(json: &Json, at: &str, problems: &mut Problems) -> Option<Self> {
        if *json == Json::Null {
            Some(None)
        } else {
            T::decode(json, at, problems).map(Some)
        }
    }

    fn absent(_: &str, _: &mut Problems) -> Option<Self> {
        Some(None)
    }

    fn left_out(&self) -> bool {
        self.is_none()
    }
}

impl<T: Decode> Decode for Vec<T> {
    const REQUIRED: bool = false;

    fn decode(json: &Json, at: &str, problems: &mut Problems) -> Option<Self> {
        let Json::List(elements) = json else {
            problems.add(at, format!("must be a list and is {}", json.kind()));
            return None;
        };
        if elements.len() > T::MOST {
            problems.add(
                at,
                format!("has {} elements; at most {} are accepted", elements.len(), T::MOST),
            );
            return None;
        }
        let mut list = Vec::with_capacity(elements.len());
        let mut whole = true;
        for (n, element) in elements.iter().enumerate() {
            let at = format!("{at}[{n}]");
            match T::decode(element, &at, problems) {
                Some(value) if T::DISTINCT && list.contains(&value) => {
                    problems.add(at, "stands twice in the list");
                    whole = false;
                }
                Some(value) => list.push(value),
                None => whole = false,
            }
        }
        whole.then_some(list)
    }

    fn absent(_: &str, _: &mut Problems) -> Option<Self> {
        Some(Vec::new())
    }

    fn left_out(&self) -> bool {
        self.is_empty()
    }

    fn narrow(schema: &mut Schema) {
        schema.insert("maxItems".to_owned(), T::MOST.into());
        if T::DISTINCT {
            schema.insert("uniqueItems".to_owned(), true.into());
        }
    }
}

impl Decode for bool {
    fn decode(json: &Json, at: &str, problems: &mut Problems) -> Option<Self> {
        let Json::Bool(value) = json else {
            problems.add(at, format!("must be true or false and is {}", json.kind()));
            return None;
        };
        Some(*value)
    }
}

/// Whole numbers up to 2^53 − 1, beyond which a JavaScript page would round them.
impl Decode for u64 {
    fn decode(json: &Json, at: &str, problems: &mut Problems) -> Option<Self> {
        const MOST: u64 = (1 << 53) - 1;
        match json {
            Json::Whole(value) if *value <= MOST => Some(*value),
            Json::Whole(_) | Json::OtherNumber => {
                problems.add(at, format!("must be a whole number from 0 to {MOST}"));
                None
            }
            _ => {
                problems.add(at, format!("must be a whole number and is {}", json.kind()));
                None
            }
        }
    }
}

/// A text, for types that are written as one.
pub(crate) fn text<'a>(json: &'a Json, at: &str, problems: &mut Problems) -> Option<&'a str> {
    let Json::Text(text) = json else {
        problems.add(at, format!("must be a text and is {}", json.kind()));
        return None;
    };
    Some(text)
}

/// The fields of an object, after naming those it does not have.
pub(crate) fn fields<'a>(
    json: &'a Json,
    at: &str,
    known: &[&str],
    problems: &mut Problems,
) -> Option<&'a [(String, Json)]> {
    let Json::Object(fields) = json else {
        problems.add(at, format!("must be an object and is {}", json.kind()));
        return None;
    };
    for (name, _) in fields {
        if !known.contains(&name.as_str()) {
            let known = listed(known.iter().copied());
            problems.add(at, format!("has no field {}; its fields are {known}", quoted(name)));
        }
    }
    Some(fields)
}

/// One field of an object: read, or its default, or a problem.
pub(crate) fn field<T: Decode>(
    fields: &[(String, Json)],
    name: &str,
    default: Option<T>,
    at: &str,
    problems: &mut Problems,
) -> Option<T> {
    let at = below(at, name);
    match (fields.iter().find(|(other, _)| other == name), default) {
        (Some((_, json)), _) => T::decode(json, &at, problems),
        (None, Some(default)) => Some(default),
        (None, None) => T::absent(&at, problems),
    }
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}.{name}")
    }
}

/// A record of the schema: a struct with its documentation, its fields, the default of a field that may be left out
/// (`name: bool = false`) and how many of it a list may have (`at most 100`). Unknown fields are always refused.
macro_rules! record {
    (
        $(#[doc = $doc:literal])+
        pub struct $name:ident, at most $most:literal {
            $( $(#[doc = $field_doc:literal])+ $field:ident: $type:ty $(= $default:expr)?, )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $field_doc])+ pub $field: $type, )+
        }

        impl $crate::decode::Decode for $name {
            const MOST: usize = $most;

            fn decode(
                json: &$crate::json::Json,
                at: &str,
                problems: &mut $crate::problem::Problems,
            ) -> Option<Self> {
                let before = problems.len();
                let fields = $crate::decode::fields(json, at, &[$(stringify!($field)),+], problems)?;
                $(
                    let default: Option<$type> = None;
                    $( let default = default.or(Some($default)); )?
                    let $field = $crate::decode::field(fields, stringify!($field), default, at, problems);
                )+
                let record = Self { $( $field: $field?, )+ };
                (problems.len() == before).then_some(record)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = serializer.serialize_map(None)?;
                $(
                    if !$crate::decode::Decode::left_out(&self.$field) {
                        map.serialize_entry(stringify!($field), &self.$field)?;
                    }
                )+
                map.end()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut properties = serde_json::Map::new();
                let mut required: Vec<&str> = Vec::new();
                $(
                    let mut schema = generator.subschema_for::<$type>();
                    <$type as $crate::decode::Decode>::narrow(&mut schema);
                    schema.insert("description".to_owned(), concat!($($field_doc),+).trim().into());
                    let default: Option<$type> = None;
                    $( let default = default.or(Some($default)); )?
                    match default.and_then(|default| serde_json::to_value(default).ok()) {
                        Some(default) => _ = schema.insert("default".to_owned(), default),
                        None if <$type as $crate::decode::Decode>::REQUIRED => required.push(stringify!($field)),
                        None => {}
                    }
                    properties.insert(stringify!($field).to_owned(), schema.into());
                )+
                schemars::json_schema!({
                    "type": "object",
                    "description": concat!($($doc),+).trim(),
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                })
            }
        }
    };
}
pub(crate) use record;

/// Reading, writing and showing for a type that stands in JSON as one text, by its `FromStr` and `Display`.
macro_rules! written_as_text {
    ($type:ty, $name:expr, $schema:tt $(, $constant:ident = $value:expr)*) => {
        impl $crate::decode::Decode for $type {
            $( const $constant: usize = $value; )*
            const DISTINCT: bool = true;

            fn decode(
                json: &$crate::json::Json,
                at: &str,
                problems: &mut $crate::problem::Problems,
            ) -> Option<Self> {
                match $crate::decode::text(json, at, problems)?.parse::<Self>() {
                    Ok(value) => Some(value),
                    Err(error) => {
                        problems.add(at, error.to_string());
                        None
                    }
                }
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}
pub(crate) use written_as_text;
