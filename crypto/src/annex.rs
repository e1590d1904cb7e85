//! The annex: which slot is which, for the eyes of keyholders only.
//!
//! ```text
//! marram/annex/v1
//! <instance>
//! manifest <hash>                                            for each manifest of a batch,
//! slot <position> enrolment <enrolment key> <pseudonym>      and each of its slots in order, one of these
//! slot <position> vacant <seed, 64 hexadecimal characters>
//! slot <position> kept                                       as in the version before, which the co-signer signed
//! ```
//!
//! It is private, unsigned, and deleted once the manifests are signed. It need not be believed: with it, a co-signer's
//! program checks *from its own list of vetted enrolments* that no slot is a hidden reader and no signer a hidden one
//! ([`check`]). A slot is either a vetted caseworker's, or was sampled so that nobody can hold it, or is one that this
//! co-signer has checked before.

use std::{fmt, str};

use zeroize::Zeroizing;

use crate::{
    day::Epoch,
    digest::Digest,
    enrolment::Pair,
    instance::{InstanceId, InstanceIdError},
    key::PublicKey,
    lines::{LineError, Reader, Writer, number, parsed, text},
    manifest::{MAX_SLOTS, Manifest, ManifestError, Slot, UntrustedManifest},
    secret::SecretBytes,
    vacant,
};

/// The first line.
pub const TYPE_LINE: &str = "marram/annex/v1";
/// Largest annex in bytes.
pub const MAX_LEN: usize = 1_000_000;
/// Largest number of manifests in a batch.
pub const MAX_PARTS: usize = 64;

/// What the slots of a batch of manifests are.
#[derive(Clone, Debug)]
pub struct Annex {
    /// The founding it belongs to.
    pub instance: InstanceId,
    /// A part for each manifest.
    pub parts: Vec<AnnexPart>,
}

/// What the slots of one manifest are.
#[derive(Clone, Debug)]
pub struct AnnexPart {
    /// The manifest's hash.
    pub manifest: Digest,
    /// One entry for each slot, in order.
    pub slots: Vec<Entry>,
}

/// What a slot is.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a part has at most 32 of them")]
pub enum Entry {
    /// A caseworker's.
    Enrolment {
        /// The enrolment key.
        key: PublicKey,
        /// What the keyholders call the caseworker.
        pseudonym: String,
    },
    /// Nobody's.
    Vacant {
        /// What its keys are sampled from.
        seed: SecretBytes<{ vacant::SEED_LEN }>,
    },
    /// The same as in the version before.
    Kept,
}

/// What was wrong with an annex, or what it shows about a manifest. Slots are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnexError {
    /// Not UTF-8, too large, or without a newline at the end.
    #[error("not an annex: UTF-8 text of at most {MAX_LEN} bytes beginning with `{TYPE_LINE}`")]
    NotAnAnnex,
    /// The second line is not an instance id.
    #[error("annex: line 2: {0}")]
    Instance(#[from] InstanceIdError),
    /// A line of it.
    #[error("annex: {0}")]
    Line(#[from] LineError),
    /// No part names this manifest.
    #[error("the annex does not speak of the manifest {0}: do not sign it; ask for the annex that belongs to it")]
    NoPart(Digest),
    /// Another number of entries than slots.
    #[error("the manifest has {slots} slots, and the annex explains {entries}: do not sign it")]
    SlotCount {
        /// Slots of the manifest.
        slots: usize,
        /// Entries of the annex.
        entries: usize,
    },
    /// The recipient is not what the annex says: somebody else could read.
    #[error(
        "HIDDEN READER: the recipient of slot {position} is not the one {of}. Do not sign; somebody tried to read in \
         secret, or the annex belongs to another manifest. Speak with the other keyholders"
    )]
    HiddenRecipient {
        /// The slot.
        position: usize,
        /// What it should be.
        of: &'static str,
    },
    /// The signer is not what the annex says: somebody else could give orders and hang boards.
    #[error(
        "HIDDEN SIGNER: the signer of slot {position} is not the one {of}. Do not sign; somebody tried to give orders \
         in a caseworker's place, or the annex belongs to another manifest. Speak with the other keyholders"
    )]
    HiddenSigner {
        /// The slot.
        position: usize,
        /// What it should be.
        of: &'static str,
    },
    /// An enrolment that is not on the co-signer's own list for this epoch.
    #[error(
        "slot {position} is given to the enrolment {key} ({pseudonym}), which is not on your own list of vetted \
         enrolments for epoch {epoch}: compare its digits with the caseworker and vet it, or do not sign"
    )]
    NotVetted {
        /// The slot.
        position: usize,
        /// The enrolment key.
        key: Box<PublicKey>,
        /// The name that the annex gives.
        pseudonym: String,
        /// The manifest's epoch.
        epoch: Epoch,
    },
    /// A slot is said to be kept, and there is nothing to compare with that this co-signer has signed.
    #[error(
        "slot {position} is said to be kept from the version before, and you have signed no version before: ask for an \
         annex that explains every slot"
    )]
    NothingKept {
        /// The slot.
        position: usize,
    },
    /// The manifest cannot follow the one before.
    #[error(transparent)]
    Replaces(#[from] ManifestError),
}

impl Annex {
    /// Reads an annex.
    ///
    /// # Errors
    /// [`AnnexError`], naming the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnnexError> {
        if bytes.len() > MAX_LEN || bytes.last() != Some(&b'\n') {
            return Err(AnnexError::NotAnAnnex);
        }
        let whole = str::from_utf8(bytes).map_err(|_| AnnexError::NotAnAnnex)?;
        let rest = whole
            .strip_prefix(TYPE_LINE)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(AnnexError::NotAnAnnex)?;
        let (instance, body) = rest.split_once('\n').ok_or(InstanceIdError)?;
        let instance = instance.parse()?;
        let mut lines = Reader::new(body, 3);
        let mut parts = vec![read_part(&mut lines)?];
        while lines.next_name() == Some("manifest") {
            if parts.len() == MAX_PARTS {
                return Err(AnnexError::Line(LineError::Count {
                    line: lines.line(),
                    name: "manifest",
                    count: MAX_PARTS + 1,
                    at_least: 1,
                    at_most: MAX_PARTS,
                }));
            }
            parts.push(read_part(&mut lines)?);
        }
        lines.end()?;
        Ok(Self { instance, parts })
    }

    /// The text that [`Self::parse`] reads.
    ///
    /// # Errors
    /// [`AnnexError`], exactly as [`Self::parse`] would refuse it.
    pub fn to_text(&self) -> Result<Zeroizing<String>, AnnexError> {
        let mut lines = Writer::new(TYPE_LINE, self.instance);
        for part in &self.parts {
            lines.line("manifest", part.manifest);
            for (position, entry) in part.slots.iter().enumerate() {
                match entry {
                    Entry::Enrolment { key, pseudonym } => {
                        lines.text("slot", &format!("{position} enrolment {key} "), pseudonym)?;
                    }
                    Entry::Vacant { seed } => {
                        lines.line("slot", format_args!("{position} vacant {}", hex::encode(seed.expose())));
                    }
                    Entry::Kept => lines.line("slot", format_args!("{position} kept")),
                }
            }
        }
        let text = Zeroizing::new(lines.finish());
        Self::parse(text.as_bytes())?;
        Ok(text)
    }

    /// The part that explains the manifest with this hash.
    ///
    /// # Errors
    /// [`AnnexError::NoPart`].
    pub fn part(&self, manifest: Digest) -> Result<&AnnexPart, AnnexError> {
        self.parts
            .iter()
            .find(|part| part.manifest == manifest)
            .ok_or(AnnexError::NoPart(manifest))
    }
}

/// Checks, before a co-signer signs `manifest`, that every slot is what `part` says.
///
/// `own` is the co-signer's root key; `vetted` gives the pair of an enrolment key for an epoch from the co-signer's own
/// list; `previous` is the version before of this epoch, if there is one. A slot may be kept only from a version that
/// carries the co-signer's own signature: others' signatures say that others have looked.
///
/// # Errors
/// [`AnnexError`], naming the slot and what is wrong with it.
pub fn check(
    manifest: &UntrustedManifest,
    part: &AnnexPart,
    own: &PublicKey,
    vetted: &dyn Fn(&PublicKey, Epoch) -> Option<Pair>,
    previous: Option<&Manifest>,
) -> Result<(), AnnexError> {
    if part.manifest != manifest.claimed_hash() {
        return Err(AnnexError::NoPart(manifest.claimed_hash()));
    }
    let draft = manifest.claims();
    if part.slots.len() != draft.slots.len() {
        return Err(AnnexError::SlotCount {
            slots: draft.slots.len(),
            entries: part.slots.len(),
        });
    }
    if let Some(previous) = previous {
        draft.replaces(previous)?;
    }
    let signed_before = previous.filter(|previous| previous.note().signed_by(own));
    for (position, (slot, entry)) in (0_u8..).zip(draft.slots.iter().zip(&part.slots)) {
        let at = usize::from(position);
        let (expected, of) = match entry {
            Entry::Enrolment { key, pseudonym } => {
                let pair = vetted(key, draft.epoch).ok_or_else(|| AnnexError::NotVetted {
                    position: at,
                    key: Box::new(*key),
                    pseudonym: pseudonym.clone(),
                    epoch: draft.epoch,
                })?;
                (Slot::from(pair), "that you vetted for its caseworker")
            }
            Entry::Vacant { seed } => (
                vacant::slot(seed.expose(), draft.epoch, position),
                "that its seed gives, though it is said to be vacant",
            ),
            Entry::Kept => {
                let kept = signed_before.and_then(|previous| previous.slots.get(at));
                let kept = kept.ok_or(AnnexError::NothingKept { position: at })?;
                (kept.clone(), "of the version before, though it is said to be kept")
            }
        };
        if slot.recipient != expected.recipient {
            return Err(AnnexError::HiddenRecipient { position: at, of });
        }
        if slot.signer != expected.signer {
            return Err(AnnexError::HiddenSigner { position: at, of });
        }
    }
    Ok(())
}

fn read_part(lines: &mut Reader<'_>) -> Result<AnnexPart, LineError> {
    let manifest = lines.read("manifest", parsed)?;
    let mut position = 0_usize;
    let slots = lines.read_all("slot", 1..=MAX_SLOTS, |value| {
        let entry = read_entry(value, position);
        position += 1;
        entry
    })?;
    Ok(AnnexPart { manifest, slots })
}

fn read_entry(value: &str, position: usize) -> Result<Entry, String> {
    let (at, entry) = value
        .split_once(' ')
        .ok_or("a position, a space and what the slot is")?;
    number(at, position..=position).map_err(|_| format!("the slots must stand in order, and {position} is next"))?;
    if entry == "kept" {
        return Ok(Entry::Kept);
    }
    if let Some(seed) = entry.strip_prefix("vacant ") {
        let digest: Digest = seed
            .parse()
            .map_err(|_| "a seed is 64 lower-case hexadecimal characters")?;
        let seed = SecretBytes::from(*digest.as_bytes());
        return Ok(Entry::Vacant { seed });
    }
    let (key, pseudonym) = entry
        .strip_prefix("enrolment ")
        .and_then(|rest| rest.split_once(' '))
        .ok_or("`enrolment <key> <pseudonym>`, `vacant <seed>` or `kept`")?;
    Ok(Entry::Enrolment {
        key: key.parse().map_err(|error| format!("enrolment key: {error}"))?,
        pseudonym: text(pseudonym)?,
    })
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enrolment { pseudonym, .. } => f.write_str(pseudonym),
            Self::Vacant { .. } => f.write_str("vacant"),
            Self::Kept => f.write_str("kept"),
        }
    }
}
