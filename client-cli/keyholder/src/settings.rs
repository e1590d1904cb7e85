//! `organization.toml`: what the organization decides about its manifests, the same for every epoch until it is changed.
//! `deploy/organization.toml` is the commented sample.

use std::path::Path;

use anyhow::Context as _;
use marram_crypto::{
    day::Epoch,
    digest::Digest,
    instance::InstanceId,
    key::PublicKey,
    manifest::{BoardShape, Contact, DEFAULT_SLOTS, Draft, Locale, MAX_SLOTS, Question, Slot},
};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files,
};
use serde::Deserialize;

/// Largest settings file in bytes.
const MAX_LEN: u64 = 2_000_000;

/// Largest page in bytes: several times what there is.
const MAX_PAGE_LEN: u64 = 4 << 20;
/// So that no other file is named by mistake.
const PAGE_START: &[u8] = b"<!doctype html>";

/// The locale under which a contact is for everybody.
const EVERYBODY: &str = "*";

/// The settings, checked as far as they can be by themselves; [`Draft::to_note`] has the last word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    log_key: PublicKey,
    courier_keys: Vec<PublicKey>,
    limit_bytes: u64,
    retention_days: u32,
    promise_days: u32,
    #[serde(default = "default_slots")]
    pub(crate) slots: usize,
    #[serde(default)]
    page_hashes: Vec<Digest>,
    #[serde(default)]
    board: Board,
    #[serde(default)]
    contacts: Vec<ContactLine>,
    #[serde(default)]
    questions: Vec<Question>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Board {
    shards: u32,
    tags: u32,
    cells: u32,
    cadence_days: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContactLine {
    locale: String,
    text: String,
}

/// What every manifest needs besides the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) instance: InstanceId,
    pub(crate) charter: Digest,
    pub(crate) epoch: Epoch,
    pub(crate) version: u32,
}

impl Settings {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let settings: Self = toml::from_str(text)?;
        if !(1..=MAX_SLOTS).contains(&settings.slots) {
            anyhow::bail!("slots = {}, and 1 to {MAX_SLOTS} are possible", settings.slots);
        }
        settings.contacts()?;
        for question in &settings.questions {
            // The rules that go beyond the shape are those of the line in the manifest.
            question.to_string().parse::<Question>()?;
        }
        Ok(settings)
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = files::read_bounded(path, MAX_LEN).hint(
            "copy organization.toml here, or name it with --settings FILE; deploy/organization.toml is a sample",
        )?;
        let text = std::str::from_utf8(&bytes).context("it is not UTF-8 text");
        text.and_then(Self::parse)
            .with_context(|| format!("cannot use {}", path.display()))
            .hint("correct that line; the comments in deploy/organization.toml say what each setting is")
    }

    /// Adds a page that the server may show, unless it is there already.
    pub(crate) fn name_page(&mut self, path: &Path) -> anyhow::Result<()> {
        let page = files::read_bounded(path, MAX_PAGE_LEN)
            .hint("name the file that ./client-web/build or `marram-server page --out FILE` has written")?;
        if !page.trim_ascii_start().starts_with(PAGE_START) {
            return Err(fail(
                format!("{} is no HTML page", path.display()),
                "name the file that ./client-web/build or `marram-server page --out FILE` has written",
            ));
        }
        let digest = Digest::of(&page);
        if !self.page_hashes.contains(&digest) {
            self.page_hashes.push(digest);
        }
        Ok(())
    }

    /// The manifest's draft with these settings.
    pub(crate) fn draft(&self, place: Place, slots: Vec<Slot>) -> anyhow::Result<Draft> {
        let Board {
            shards,
            tags,
            cells,
            cadence_days,
        } = self.board;
        Ok(Draft {
            instance: place.instance,
            epoch: place.epoch,
            version: place.version,
            charter: place.charter,
            log: self.log_key,
            couriers: self.courier_keys.clone(),
            limit: self.limit_bytes,
            retention_days: self.retention_days,
            promise_days: self.promise_days,
            board: BoardShape {
                shards,
                tags,
                cells,
                cadence_days,
            },
            pages: self.page_hashes.clone(),
            contacts: self.contacts()?,
            questions: self.questions.clone(),
            slots,
        })
    }

    fn contacts(&self) -> anyhow::Result<Vec<Contact>> {
        let contact = |line: &ContactLine| {
            let locale = match line.locale.as_str() {
                EVERYBODY => None,
                tag => Some(
                    tag.parse::<Locale>()
                        .with_context(|| format!("contacts: locale {tag:?}"))?,
                ),
            };
            let text = line.text.clone();
            Ok(Contact { locale, text })
        };
        self.contacts.iter().map(contact).collect()
    }
}

impl Default for Board {
    fn default() -> Self {
        let BoardShape {
            shards,
            tags,
            cells,
            cadence_days,
        } = BoardShape::default();
        Self {
            shards,
            tags,
            cells,
            cadence_days,
        }
    }
}

fn default_slots() -> usize {
    DEFAULT_SLOTS
}

#[cfg(test)]
mod tests {
    use marram_crypto::{bucket, key::SigningKey};

    use super::*;
    use crate::{fixture, rng};

    const SAMPLE: &str = include_str!("../../../deploy/organization.toml");

    /// The sample as an organization fills it in.
    fn filled_in() -> String {
        let key = SigningKey::random(&mut rng()).public().to_string();
        let courier = SigningKey::random(&mut rng()).public().to_string();
        assert!(SAMPLE.contains("LOG-KEY") && SAMPLE.contains("COURIER-KEY"));
        SAMPLE.replace("LOG-KEY", &key).replace("COURIER-KEY", &courier)
    }

    fn place() -> Place {
        Place {
            instance: fixture::instance(),
            charter: Digest::of(b"charter"),
            epoch: fixture::epoch(0),
            version: 1,
        }
    }

    #[test]
    fn the_sample_needs_only_the_keys_and_makes_a_manifest() {
        let settings = Settings::parse(&filled_in()).unwrap();
        let heron = fixture::Enroller::new().enrolment(1, fixture::epoch(0), 8);
        let slots = heron.pairs.values().cloned().map(Slot::from).collect();
        let draft = settings.draft(place(), slots).unwrap();
        draft.to_note().unwrap();
        assert_eq!(draft.board, BoardShape::default());
        assert!(draft.limit >= bucket::smallest(8));
        assert!(!draft.contacts.is_empty());
    }

    #[test]
    fn every_line_that_the_sample_has_commented_out_is_right_too() {
        let whole = filled_in();
        let whole: Vec<&str> = whole
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .collect();
        let whole = whole.join("\n");
        assert_ne!(whole.trim(), filled_in().trim());
        let settings = Settings::parse(&whole).unwrap();
        assert!(settings.questions.len() >= 2 && !settings.page_hashes.is_empty());
    }

    #[test]
    fn the_sample_as_it_is_names_the_key_that_is_missing() {
        let error = format!("{:#}", Settings::parse(SAMPLE).unwrap_err());
        assert!(
            ["log_key", "courier_keys"].iter().any(|name| error.contains(name)),
            "{error}"
        );
    }

    #[test]
    fn settings_that_nobody_knows_are_refused_by_name() {
        for (line, name) in [
            ("limit_mb = 5\n", "limit_mb"),
            ("slots = 0\n", "slots"),
            ("[[contacts]]\nlocale = \"english!\"\ntext = \"x\"\n", "english!"),
            (
                "[[questions]]\nid = \"x\"\nkind = \"text\"\ntext = {ug = \"x\"}\n",
                "en",
            ),
        ] {
            let text = format!("{}{line}", filled_in().replace("slots = 8\n", ""));
            // Top-level settings cannot follow a table: they go first.
            let text = if line.starts_with('[') {
                text
            } else {
                format!("{line}{}", filled_in().replace("slots = 8\n", ""))
            };
            let error = format!("{:#}", Settings::parse(&text).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
    }
}
