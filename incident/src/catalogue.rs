//! The catalogue: code lists, questions and texts, as the files under `data/` hold them. The page reads the same files.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

const CODES: &str = include_str!("../data/codes.json");
const COUNTRIES: &str = include_str!("../data/countries.json");
const QUESTIONS: &str = include_str!("../data/questions.json");
/// One file per language, in the order in which they are offered; the first is the source.
const TEXTS: &[&str] = &[
    include_str!("../data/texts/en.json"),
    include_str!("../data/texts/zh-Hans.json"),
    include_str!("../data/texts/zh-Hant.json"),
    include_str!("../data/texts/ug.json"),
    include_str!("../data/texts/bo.json"),
    include_str!("../data/texts/fa.json"),
    include_str!("../data/texts/ar.json"),
    include_str!("../data/texts/tr.json"),
    include_str!("../data/texts/ru.json"),
    include_str!("../data/texts/vi.json"),
    include_str!("../data/texts/es.json"),
    include_str!("../data/texts/fr.json"),
];

/// Everything that a program needs to ask for an incident and to show one.
#[derive(Debug)]
pub struct Catalogue {
    lists: Vec<CodeList>,
    countries: BTreeMap<String, String>,
    sections: Vec<Section>,
    texts: Vec<Texts>,
}

/// A code list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeList {
    /// Its id: `method`.
    pub id: String,
    /// Where it comes from; `judgement` where no source has one.
    pub source: String,
    /// Its codes, in order.
    pub codes: Vec<Code>,
}

/// A code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// As it stands in JSON.
    pub code: String,
    /// What it means, in the English of caseworkers and tables. The words for submitters stand in the texts.
    pub label: String,
    /// Of a method: Safeguard Defenders' type, 1 to 3.
    #[serde(rename = "type")]
    pub type_: Option<u8>,
    /// Of a method: Freedom House's class, one of D, C, M, R.
    pub class: Option<char>,
    /// Of a return mode: the official Chinese term.
    pub official: Option<String>,
}

/// A part of the questionnaire.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its id. Its title is the text `section.<id>`.
    pub id: String,
    /// Its questions, in order.
    pub items: Vec<Question>,
}

/// A question, a notice, or (if `input` is [`Input::Gate`]) a group of questions that is asked as often as wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its id. It is asked by the text `question.<id>`, explained by `question.<id>.help`; a gate is asked by
    /// `question.<id>.first`, then `.again`.
    pub id: String,
    /// What is answered, and so how to ask.
    pub input: Input,
    /// The field of the incident that the answer fills: `act[].method`, where `[]` is the round of a group.
    /// An answer without a path only decides what is asked next and does not leave the program.
    pub path: Option<String>,
    /// The code list to choose from.
    pub codes: Option<String>,
    /// Whether it cannot be skipped. Everything else can.
    #[serde(default)]
    pub required: bool,
    /// When it cannot be skipped.
    pub required_if: Option<Condition>,
    /// When it is asked; always, if there is no condition.
    pub show_if: Option<Condition>,
    /// The most characters of a text, rounds of a group, or files.
    pub most: Option<usize>,
    /// The questions of a group.
    #[serde(default)]
    pub items: Vec<Question>,
}

/// That another question, in the same round of the same group or outside any, has one of these answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The id of the other question, which comes earlier.
    pub question: String,
    /// The answers, as codes, or `yes` and `no`.
    pub is: Vec<String>,
}

/// What is answered, and so how to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Input {
    /// Nothing: a text to be read.
    Notice,
    /// A line of text.
    Text,
    /// Text of any length.
    LongText,
    /// Yes or no.
    YesNo,
    /// One of the choices.
    Choice,
    /// Any of the choices.
    MultiChoice,
    /// A date, EDTF level 1.
    Date,
    /// A country, or a region of one.
    Country,
    /// Several countries.
    Countries,
    /// A language tag.
    Language,
    /// The target or one of the relatives so far.
    Person,
    /// One of the acts so far.
    EarlierAct,
    /// Yes opens one more round of a group.
    Gate,
    /// Files, which the program takes by itself.
    Files,
}

/// The texts of one language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// Its BCP 47 tag.
    pub language: String,
    /// `ltr` or `rtl`.
    pub direction: String,
    /// Whether a native speaker has read all of it.
    pub reviewed: bool,
    #[serde(rename = "texts")]
    by_key: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodesFile {
    lists: Vec<CodeList>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionsFile {
    sections: Vec<Section>,
}

/// The catalogue that this program was built with.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        #[expect(
            clippy::expect_used,
            reason = "the files are part of the program and are read by every test"
        )]
        Catalogue::read().expect("the catalogue's own files are well formed")
    });
    &CATALOGUE
}

impl Catalogue {
    fn read() -> serde_json::Result<Self> {
        Ok(Self {
            lists: serde_json::from_str::<CodesFile>(CODES)?.lists,
            countries: serde_json::from_str(COUNTRIES)?,
            sections: serde_json::from_str::<QuestionsFile>(QUESTIONS)?.sections,
            texts: TEXTS
                .iter()
                .map(|text| serde_json::from_str(text))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Every code list.
    pub fn lists(&self) -> &[CodeList] {
        &self.lists
    }

    /// A code list by its id.
    pub fn list(&self, id: &str) -> Option<&CodeList> {
        self.lists.iter().find(|list| list.id == id)
    }

    /// A code of a list.
    pub fn code(&self, list: &str, code: &str) -> Option<&Code> {
        self.list(list)?.codes.iter().find(|other| other.code == code)
    }

    /// What a code means, in the English of caseworkers; empty if there is no such code.
    pub fn label(&self, list: &str, code: &str) -> &str {
        self.code(list, code).map_or("", |code| code.label.as_str())
    }

    /// The parts of the questionnaire, in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Every question, those of groups after their gate.
    pub fn questions(&self) -> Vec<&Question> {
        fn gather<'a>(items: &'a [Question], all: &mut Vec<&'a Question>) {
            for item in items {
                all.push(item);
                gather(&item.items, all);
            }
        }
        let mut all = Vec::new();
        self.sections
            .iter()
            .for_each(|section| gather(&section.items, &mut all));
        all
    }

    /// A question by its id.
    pub fn question(&self, id: &str) -> Option<&Question> {
        self.questions().into_iter().find(|question| question.id == id)
    }

    /// The languages that have texts; the source first.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|texts| texts.language.as_str())
    }

    /// The texts of a language.
    pub fn texts(&self, language: &str) -> Option<&Texts> {
        self.texts.iter().find(|texts| texts.language == language)
    }

    /// The language nearest to a wanted one that has texts: itself in any capitals; else by its first part, so that
    /// `es-MX` is `es`, and for Chinese by its script or else its region; else the source.
    pub fn nearest(&self, wanted: &str) -> &str {
        let wanted = wanted.to_ascii_lowercase();
        let parts: Vec<&str> = wanted.split(['-', '_']).collect();
        let has = |part| parts.contains(&part);
        let tag = match parts.first() {
            Some(&"zh") if has("hant") => "zh-Hant",
            Some(&"zh") if !has("hans") && ["tw", "hk", "mo"].into_iter().any(has) => "zh-Hant",
            Some(&"zh") => "zh-Hans",
            Some(&first) => first,
            None => "",
        };
        let source = self.languages().next().unwrap_or_default();
        self.languages().find(|language| *language == tag).unwrap_or(source)
    }

    /// A text in a language, else in the source language; `None` if neither has it.
    pub fn text(&self, language: &str, key: &str) -> Option<&str> {
        let source = self.texts.first();
        self.texts(language)
            .into_iter()
            .chain(source)
            .find_map(|texts| texts.get(key))
    }

    pub(crate) fn country_name(&self, code: &str) -> Option<&str> {
        self.countries.get(code).map(String::as_str)
    }

    pub(crate) fn country_codes(&self) -> impl Iterator<Item = &str> {
        self.countries.keys().map(String::as_str)
    }

    /// The country code of an English name, whatever its capitals.
    pub(crate) fn country_named(&self, name: &str) -> Option<&str> {
        let name = name.to_lowercase();
        self.countries
            .iter()
            .find(|(_, other)| other.to_lowercase() == name)
            .map(|(code, _)| code.as_str())
    }
}

impl Texts {
    /// A text by its key, `question.act.method`; `None` if this language lacks it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.by_key.get(key).map(String::as_str)
    }

    /// What a reader should know of a translation that no native speaker has read yet.
    pub fn not_reviewed(&self) -> Option<&str> {
        if self.reviewed {
            None
        } else {
            self.get("message.not_reviewed")
        }
    }

    /// Every key and text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_key.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every key that some program asks for.
    fn wanted() -> BTreeSet<String> {
        let mut keys: BTreeSet<String> = BTreeSet::new();
        for section in catalogue().sections() {
            keys.insert(format!("section.{}", section.id));
        }
        for question in catalogue().questions() {
            match question.input {
                Input::Gate => keys.extend(["first", "again"].map(|turn| format!("question.{}.{turn}", question.id))),
                _ => keys.extend([format!("question.{}", question.id)]),
            }
        }
        for list in catalogue().lists() {
            keys.extend(list.codes.iter().map(|code| format!("code.{}.{}", list.id, code.code)));
        }
        keys
    }

    #[test]
    fn the_source_language_has_every_text_and_none_that_nobody_shows() {
        let texts = catalogue().texts("en").unwrap();
        let wanted = wanted();
        for key in &wanted {
            assert!(texts.get(key).is_some(), "no text for {key}");
        }
        for (key, text) in texts.iter() {
            let asked = wanted.contains(key.strip_suffix(".help").unwrap_or(key));
            let fixed = ["word.", "person.", "message.", "language.", "earlier_act"]
                .iter()
                .any(|start| key.starts_with(start));
            assert!(asked || fixed, "nobody shows {key}");
            assert!(!text.trim().is_empty(), "{key} is empty");
        }
    }

    /// The `{names}` in a text, sorted; `{n}` twice counts twice.
    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = text
            .split('{')
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('}')?.0))
            .collect();
        names.sort_unstable();
        names
    }

    fn every_language() -> impl Iterator<Item = &'static Texts> {
        let catalogue = catalogue();
        catalogue
            .languages()
            .filter_map(move |language| catalogue.texts(language))
    }

    #[test]
    fn every_file_of_texts_is_compiled_in_under_its_own_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/texts");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let compiled: BTreeSet<String> = catalogue()
            .languages()
            .map(|language| format!("{language}.json"))
            .collect();
        assert_eq!(files, compiled);
    }

    #[test]
    fn every_language_has_exactly_the_texts_of_the_source() {
        let source: Vec<&str> = catalogue().texts("en").unwrap().iter().map(|(key, _)| key).collect();
        for texts in every_language() {
            let keys: Vec<&str> = texts.iter().map(|(key, _)| key).collect();
            assert_eq!(keys, source, "{}", texts.language);
            for (key, text) in texts.iter() {
                assert!(!text.trim().is_empty(), "{}: {key} is empty", texts.language);
            }
        }
    }

    #[test]
    fn every_language_fills_in_what_the_source_fills_in() {
        let source = catalogue().texts("en").unwrap();
        for texts in every_language() {
            for (key, text) in texts.iter() {
                let wanted = placeholders(source.get(key).unwrap());
                assert_eq!(placeholders(text), wanted, "{}: {key}", texts.language);
            }
        }
    }

    #[test]
    fn a_language_runs_the_way_its_letters_run() {
        for texts in every_language() {
            let letters = || {
                texts
                    .iter()
                    .flat_map(|(_, text)| text.chars())
                    .filter(|c| c.is_alphabetic())
            };
            let arabic = letters().filter(|c| matches!(c, '\u{600}'..='\u{6ff}')).count();
            let direction = if arabic * 2 > letters().count() { "rtl" } else { "ltr" };
            assert_eq!(texts.direction, direction, "{}", texts.language);
        }
    }

    #[test]
    fn from_right_to_left_every_date_with_hyphens_or_dots_is_isolated() {
        // Otherwise 2021-11-03 would be shown as 03-11-2021, and copied as it is seen.
        for texts in every_language() {
            for (key, text) in texts.iter() {
                let hidden = |c: &char| {
                    matches!(
                        c,
                        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2067}' | '\u{2068}'
                    )
                };
                assert!(!text.chars().any(|c| hidden(&c)), "{}: {key}", texts.language);
                let mut outside = String::new();
                for piece in text.split('\u{2069}') {
                    let (before, inside) = piece.split_once('\u{2066}').unwrap_or((piece, ""));
                    assert!(!inside.contains('\u{2066}'), "{}: {key}", texts.language);
                    outside.push_str(before);
                }
                let opened = text.matches('\u{2066}').count();
                assert_eq!(opened, text.matches('\u{2069}').count(), "{}: {key}", texts.language);
                let loose = ["2021-1", "2019/"].iter().any(|date| outside.contains(date));
                assert!(texts.direction == "ltr" || !loose, "{}: {key}", texts.language);
            }
        }
    }

    #[test]
    fn no_two_answers_of_a_question_read_the_same() {
        for texts in every_language() {
            for list in catalogue().lists() {
                let mut seen = BTreeSet::new();
                for code in &list.codes {
                    let key = format!("code.{}.{}", list.id, code.code);
                    assert!(seen.insert(texts.get(&key).unwrap()), "{}: {key}", texts.language);
                }
            }
            assert_ne!(texts.get("word.yes"), texts.get("word.no"), "{}", texts.language);
        }
    }

    #[test]
    fn a_wanted_language_finds_the_nearest_that_has_texts() {
        for (wanted, nearest) in [
            ("fa", "fa"),
            ("es-MX", "es"),
            ("TR_tr", "tr"),
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-hans-HK", "zh-Hans"),
            ("zh-TW", "zh-Hant"),
            ("zh-Hant-US", "zh-Hant"),
            ("de", "en"),
            ("", "en"),
        ] {
            assert_eq!(catalogue().nearest(wanted), nearest, "{wanted}");
        }
        for language in catalogue().languages() {
            assert_eq!(catalogue().nearest(language), language);
        }
    }

    #[test]
    fn questions_are_numbered_once_and_refer_only_to_earlier_ones_and_to_lists_that_exist() {
        let mut seen: Vec<&Question> = Vec::new();
        for question in catalogue().questions() {
            assert!(
                seen.iter().all(|other| other.id != question.id),
                "{} stands twice",
                question.id
            );
            for condition in question.show_if.iter().chain(&question.required_if) {
                let earlier = seen
                    .iter()
                    .find(|other| other.id == condition.question)
                    .expect("an earlier question");
                let codes = earlier.codes.as_deref().and_then(|list| catalogue().list(list));
                for code in &condition.is {
                    let known = match codes {
                        Some(list) => list.codes.iter().any(|other| other.code == *code),
                        None => earlier.input == Input::YesNo && matches!(code.as_str(), "yes" | "no"),
                    };
                    assert!(known, "{} has no answer {code}", earlier.id);
                }
            }
            let choice = matches!(question.input, Input::Choice | Input::MultiChoice);
            assert_eq!(
                choice,
                question
                    .codes
                    .as_deref()
                    .and_then(|list| catalogue().list(list))
                    .is_some(),
                "{}",
                question.id
            );
            assert_eq!(
                question.input == Input::Gate,
                !question.items.is_empty(),
                "{}",
                question.id
            );
            seen.push(question);
        }
    }

    #[test]
    fn harm_to_relatives_is_asked_before_any_name() {
        let ids: Vec<_> = catalogue()
            .questions()
            .iter()
            .map(|question| question.id.as_str())
            .collect();
        let place = |id| ids.iter().position(|other| *other == id).unwrap();
        for name in ["target.name", "target.alias", "safe_contact.handle", "narrative"] {
            assert!(
                place("safety.harm") < place(name) && place("safety.know") < place(name),
                "{name}"
            );
        }
        assert!(place("relative.knows_of_report") < place("target.name"));
    }

    #[test]
    fn only_what_the_schema_requires_is_required_of_a_submitter() {
        let required: Vec<_> = catalogue()
            .questions()
            .iter()
            .filter(|q| q.required && q.show_if.is_none() && !q.path.as_deref().unwrap_or_default().contains("[]"))
            .map(|question| question.id.as_str())
            .collect();
        assert_eq!(required, ["reporter.role", "narrative", "consent.store"]);
    }
}
