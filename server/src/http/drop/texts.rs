//! What the answers say, in each language that the page has a form in: a file for each, in the words of `docs/glossary.md`.

use std::{convert::Infallible, sync::LazyLock};

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::Deserialize;

use super::Problem;

/// The first is the source.
const FILES: [&str; 12] = [
    include_str!("texts/en.json"),
    include_str!("texts/zh-Hans.json"),
    include_str!("texts/zh-Hant.json"),
    include_str!("texts/ug.json"),
    include_str!("texts/bo.json"),
    include_str!("texts/fa.json"),
    include_str!("texts/ar.json"),
    include_str!("texts/tr.json"),
    include_str!("texts/ru.json"),
    include_str!("texts/vi.json"),
    include_str!("texts/es.json"),
    include_str!("texts/fr.json"),
];

static TEXTS: LazyLock<[Texts; FILES.len()]> = LazyLock::new(|| {
    FILES.map(|file| {
        #[expect(
            clippy::expect_used,
            reason = "the files are part of the program and are read by every test"
        )]
        serde_json::from_str(file).expect("the answers' own files are well formed")
    })
});

/// The texts of one language. None has markup in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    /// Its BCP 47 tag.
    pub(super) language: String,
    /// `ltr` or `rtl`.
    pub(super) direction: String,
    /// Whether a native speaker has read all of it.
    pub(super) reviewed: bool,
    /// What is said if not.
    pub(super) not_reviewed: String,
    pub(super) received: Received,
    pub(super) refused: Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Received {
    pub(super) title: String,
    pub(super) taken: String,
    pub(super) delete: String,
    pub(super) words: String,
    pub(super) again: String,
    pub(super) promise: String,
    pub(super) proof: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refused {
    pub(super) nothing_stored: String,
    pub(super) back: String,
    not_the_form: Refusal,
    not_sealed: Refusal,
    /// Has `{limit}`.
    too_large: Refusal,
    broken_off: Refusal,
    /// Has `{seconds}`.
    busy: Refusal,
    no_open_manifest: Refusal,
    method_not_allowed: Refusal,
    /// Whatever else is wrong: with the server, not with what was sent.
    server: Refusal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Refusal {
    pub(super) title: String,
    pub(super) what: String,
    pub(super) next: String,
}

/// The language of a form, as the query of its address names it. English if it names none of them.
pub(in crate::http) struct Language(pub(super) &'static Texts);

#[derive(Deserialize)]
struct Asked {
    language: String,
}

impl Language {
    fn tagged(tag: &str) -> Self {
        Self(TEXTS.iter().find(|texts| texts.language == tag).unwrap_or(source()))
    }
}

impl<S: Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let asked = Query::<Asked>::try_from_uri(&parts.uri);
        Ok(asked.map_or(Self(source()), |Query(asked)| Self::tagged(&asked.language)))
    }
}

impl Refused {
    pub(super) const fn by(&self, problem: &Problem) -> &Refusal {
        match problem {
            Problem::Form(_) => &self.not_the_form,
            Problem::Shape(_) | Problem::NotABucket { .. } => &self.not_sealed,
            Problem::TooLarge { .. } => &self.too_large,
            Problem::BodyIncomplete | Problem::TooSlow => &self.broken_off,
            Problem::Busy => &self.busy,
            Problem::NoOpenManifest => &self.no_open_manifest,
            Problem::MethodNotAllowed => &self.method_not_allowed,
            _ => &self.server,
        }
    }
}

/// The English texts.
pub(super) fn source() -> &'static Texts {
    &TEXTS[0]
}

/// Every language's.
#[cfg(test)]
pub(super) fn all() -> &'static [Texts] {
    &*TEXTS
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use serde_json::Value;

    use super::*;

    /// Every text under its path.
    fn gather<'a>(path: &str, value: &'a Value, texts: &mut BTreeMap<String, &'a str>) {
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| gather(&format!("{path}/{name}"), value, texts)),
            Value::String(text) => {
                texts.insert(path.to_owned(), text);
            }
            _ => {}
        }
    }

    /// What is filled in.
    fn placeholders(text: &str) -> Vec<&str> {
        let names = text.split('{').skip(1);
        names
            .map(|rest| rest.split_once('}').map_or("unclosed", |(name, _)| name))
            .collect()
    }

    #[test]
    fn every_text_is_plain_and_has_the_placeholders_of_english() {
        let files = FILES.map(|file| serde_json::from_str::<Value>(file).unwrap());
        let texts = files.each_ref().map(|file| {
            let mut texts = BTreeMap::new();
            gather("", file, &mut texts);
            texts
        });
        assert_eq!(placeholders(texts[0]["/refused/too_large/what"]), ["limit"]);
        assert_eq!(placeholders(texts[0]["/refused/busy/next"]), ["seconds"]);
        for translation in &texts {
            let language = translation["/language"];
            for (path, text) in translation {
                assert!(!text.trim().is_empty(), "{language}{path}");
                assert!(!text.contains(['<', '>', '&', '"', '\n']), "{language}{path}: {text}");
                assert_eq!(placeholders(text), placeholders(texts[0][path]), "{language}{path}");
            }
        }
    }

    #[test]
    fn every_language_of_the_page_has_answers_that_say_in_its_words_whether_they_were_reviewed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let mut languages = 0;
        for entry in fs::read_dir(root.join("client-web/src/texts")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            languages += 1;
            let page = read(&path);
            let asked = read(&root.join("incident/data/texts").join(path.file_name().unwrap()));
            let Language(texts) = Language::tagged(page["language"].as_str().unwrap());
            assert_eq!(page["language"], texts.language);
            assert_eq!(page["direction"], texts.direction, "{}", texts.language);
            assert_eq!(asked["texts"]["message.not_reviewed"], texts.not_reviewed);
        }
        assert_eq!(languages, TEXTS.len());
    }
}
