//! The organization behind a link: its charter chain and manifest, verified up to the fingerprint.

use anyhow::{Context as _, Result};
use marram_crypto::{
    charter::{self, CharterChain, CharterError, UntrustedCharterChain},
    day::Day,
    fingerprint::{Digits, Link},
    manifest::{Contact, Manifest, ManifestError, UntrustedManifest},
    note,
};
use marram_online::{client::Client, clock::today, error::OnlineError, retry::retry};
use marram_terminal::{error::ResultExt as _, files, output::Output, text};

use crate::{OrganizationArgs, screen::Screen};

/// Everything there is to know about whom a report goes to.
#[derive(Debug)]
pub(crate) struct Organization {
    /// The chain, which holds the charter that the link names.
    pub(crate) chain: CharterChain,
    /// A manifest that is valid today.
    pub(crate) manifest: Manifest,
}

const DO_NOT_GO_ON: &str = "do not go on. Nothing of your report was sent. Either the link was changed on its way to you, or \
    somebody stands between you and the organization and shows you keys of their own, to read what you write. Compare \
    the link, letter by letter, with one from another place: the organization's own paper, a phone call, somebody who \
    has it from them. Then try from another network, or through Tor (--proxy)";
const WRONG_KEYS: &str = "do not go on. Nothing of your report was sent. What the server shows is not what the organization's \
    keyholders have signed. Tell the organization, by another way than this server";
const OLD_KEYS: &str = "look at this computer's date first. If it is right, do not go on: the server shows keys that are \
    no longer valid, or not yet. Nothing of your report was sent. Tell the organization, or try again tomorrow";

impl Organization {
    /// Reads the organization from files, or asks its server.
    pub(crate) fn find(out: &Output, link: &Link, args: &OrganizationArgs) -> Result<Self> {
        let (charter, manifest) = if let (Some(charter), Some(manifest)) = (&args.charter, &args.manifest) {
            (
                files::read_bounded(charter, charter::MAX_CHAIN_LEN as u64)?,
                files::read_bounded(manifest, note::MAX_LEN as u64)?,
            )
        } else {
            let client = Client::new(link, &args.online).map_err(OnlineError::explained)?;
            (
                get(out, &client, "/v1/charter", charter::MAX_CHAIN_LEN as u64)?,
                get(out, &client, "/v1/manifest", note::MAX_LEN as u64)?,
            )
        };
        Self::verify(link, &charter, &manifest, today())
    }

    fn verify(link: &Link, charter: &[u8], manifest: &[u8], today: Day) -> Result<Self> {
        let chain = UntrustedCharterChain::parse(charter).and_then(|chain| chain.verify(link.fingerprint()));
        let chain = match chain {
            Err(error @ CharterError::OtherFingerprint { .. }) => {
                return Err(error)
                    .context("THIS IS NOT THE ORGANIZATION THAT YOUR LINK NAMES")
                    .hint(DO_NOT_GO_ON);
            }
            chain => chain
                .context("the organization's charter cannot be trusted")
                .hint(DO_NOT_GO_ON)?,
        };
        let manifest = UntrustedManifest::parse(manifest)
            .and_then(|manifest| manifest.verify(&chain))
            .context("the organization's keys cannot be trusted")
            .hint(WRONG_KEYS)?;
        match manifest.check_open(today) {
            Err(error @ (ManifestError::Closed { .. } | ManifestError::NotYetOpen { .. })) => Err(error)
                .context("the organization's keys are not valid today")
                .hint(OLD_KEYS),
            Err(error) => Err(error).hint(WRONG_KEYS),
            Ok(()) => Ok(Self { chain, manifest }),
        }
    }

    /// Whether the questionnaire has taken so long that a new week has begun.
    pub(crate) fn has_closed(&self) -> bool {
        self.manifest.check_open(today()).is_err()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.chain.newest().name
    }

    /// Shows who it is and what it promises.
    pub(crate) fn show(&self, screen: Screen, language: &str) {
        let charter = self.chain.newest();
        screen.part("Who you are writing to", "");
        screen.field("name", &charter.name);
        screen.field("contact", &charter.contact);
        screen.field(
            "answers",
            &format!(
                "a sign that your report was read is promised within {} days, under your codename (marram-submit check)",
                self.manifest.promise_days
            ),
        );
        screen.field(
            "kept",
            &format!(
                "the server is to destroy your sealed report {} days after it came",
                self.manifest.retention_days
            ),
        );
        screen.blank();
        screen.paragraph(
            "The keys and promises above are signed by the organization that your link names. Whether the link itself is \
             the right one, only you can tell: if you have the organization's digits from another place (paper, a call), \
             compare them:",
        );
        screen.blank();
        for row in Digits::of(&charter.fingerprint()).groups().chunks(4) {
            screen.plain(&format!("      {}", row.join("  ")));
        }
        let contacts: Vec<&Contact> = self.contacts(language).collect();
        if !contacts.is_empty() {
            screen.heading("If you are in danger now, call somebody first:");
            for contact in contacts {
                screen.paragraph(&contact.text);
            }
        }
        screen.blank();
        screen.warning(
            "Only as safe as this device: whoever controls this computer sees what you type. Do not use one that belongs \
             to your work, or that somebody else could have changed.",
        );
    }

    /// The emergency contacts for a language, and those for everybody.
    fn contacts(&self, language: &str) -> impl Iterator<Item = &Contact> {
        let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_lowercase();
        let mine = primary(language);
        let for_me = move |contact: &&Contact| {
            let locale = contact.locale.as_ref();
            locale.is_none_or(|locale| primary(locale.as_str()) == mine)
        };
        self.manifest.contacts.iter().filter(for_me)
    }
}

fn get(out: &Output, client: &Client, path: &str, limit: u64) -> Result<Vec<u8>> {
    let answer = retry(
        || client.get(path, None, limit),
        |error| out.note(text::wrap(&format!("{error}. Trying again."), out.width(), 0)),
    );
    match answer {
        // 503 for the manifest is the server's word for "none is valid today".
        Err(error) if matches!((path, error.status()), (_, Some(404)) | ("/v1/manifest", Some(503))) => Err(error)
            .context("this server has no charter, or no keys for this week")
            .hint("nothing about you was sent. Tell the organization that nobody can report at the moment"),
        answer => answer.map_err(OnlineError::explained),
    }
}
