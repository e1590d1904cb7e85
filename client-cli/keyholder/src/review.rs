//! What a keyholder's program checks before it signs a manifest that another has made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use marram_crypto::{
    annex::{self, Annex, AnnexError, AnnexPart, Entry},
    day::{Day, Epoch},
    digest::Digest,
    key::PublicKey,
    manifest::{Draft, UntrustedManifest},
    note::{NoteError, NoteType},
};

use crate::{
    batch::Batch,
    charter_file::CharterFile,
    memory::{Holder, MemoryError, Remembered, Standing},
    pseudonym::Pseudonym,
    state::State,
    week::{self, WeekError},
};

/// The one who reviews: with its own list, its own memory, and the charter it has agreed to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reviewer<'a> {
    pub(crate) state: &'a State,
    pub(crate) charter: &'a CharterFile,
    pub(crate) own: PublicKey,
    pub(crate) today: Day,
}

/// A manifest that passed.
#[derive(Debug)]
pub(crate) struct Reviewed {
    pub(crate) signers: BTreeSet<PublicKey>,
    pub(crate) verdict: Verdict,
}

/// What is to be done with a manifest that passed.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// To be shown and signed.
    Sign {
        holders: Vec<Holder>,
        changes: Vec<Change>,
        /// Caseworkers of the own list who could have a slot and have none.
        missing: Vec<Pseudonym>,
    },
    /// Agreed to before; the signature may have to be put there again.
    Signed,
    /// Others have completed it without this keyholder. It is remembered, so that nothing older is ever signed.
    Seen,
}

/// How a slot differs from the version before, which this keyholder knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Leaves { position: usize, key: PublicKey },
    Joins { position: usize, key: PublicKey },
    NewKeys { position: usize, key: PublicKey },
}

/// Why a manifest is not signed. Slots are counted from 1 here, as people do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("it is made for the charter {found}, and {agreed} is the one you have agreed to")]
    OtherCharter { found: Digest, agreed: Digest },
    #[error(transparent)]
    Week(#[from] WeekError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error("there is no annex beside it, which would say what its slots are")]
    NoAnnex,
    #[error("slot {} is given to {name}, whom you struck from your list on {since}", position + 1)]
    Struck {
        position: usize,
        name: Pseudonym,
        since: Day,
    },
    #[error("slots {} and {} are both given to {name}: a caseworker has one", first + 1, second + 1)]
    Twice { first: usize, second: usize, name: String },
    #[error(
        "{name} had slot {} in version {version} and has slot {} now: no slot may move within a week, or whoever compares \
         the versions learns who is who",
        before + 1, after + 1
    )]
    Moved {
        name: String,
        version: u32,
        before: usize,
        after: usize,
    },
    #[error(
        "slot {} was vacant in version {version} and is vacant now, but with other keys: only slots whose holder changes \
         may change",
        position + 1
    )]
    Reseeded { position: usize, version: u32 },
    #[error("it has {after} slots, and version {version} has {before}: their number is fixed within a week")]
    SlotCount { version: u32, before: usize, after: usize },
    #[error(
        "HIDDEN READER: the recipient in slot {} is not the one {of}. Whoever made this batch may have put in a key of \
         its own, to read every report in secret",
        position + 1
    )]
    HiddenRecipient { position: usize, of: &'static str },
    #[error(
        "HIDDEN SIGNER: the signer in slot {} is not the one {of}. Whoever made this batch may have put in a key of its \
         own, to give orders and hang answers in secret",
        position + 1
    )]
    HiddenSigner { position: usize, of: &'static str },
    #[error(transparent)]
    Annex(AnnexError),
}

/// A caseworker of a batch for whom the own list has no keys.
#[derive(Debug)]
pub(crate) struct Unvetted {
    pub(crate) key: PublicKey,
    /// What the keyholder who made the batch calls the caseworker.
    pub(crate) pseudonym: String,
    /// What the own list calls the caseworker, if only the newest enrolment is missing.
    pub(crate) known_as: Option<Pseudonym>,
    pub(crate) epochs: Vec<Epoch>,
    /// The enrolment, if it came with the batch.
    pub(crate) file: Option<PathBuf>,
}

impl Refusal {
    /// What to do next.
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::Week(WeekError::Closed { .. }) => "nothing: nobody can report under it any more",
            Self::Week(_) => {
                "check this computer's date; if it is right, ask for a batch of fewer weeks, or wait until that week is near"
            }
            Self::OtherCharter { .. } => {
                "if the charter was changed, sign the new charter.json first; if not, do not sign, and call the other \
                 keyholders"
            }
            Self::Memory(MemoryError::Rollback { .. }) => {
                "ask for the newest batch of that week; if nobody has one, make a higher version: marram-keyholder issue \
                 --from EPOCH"
            }
            Self::Memory(MemoryError::Equivocation { .. }) => {
                "speak with the other keyholders: one of you makes a higher version (marram-keyholder issue --from \
                 EPOCH), and the rest sign that"
            }
            Self::NoAnnex => "ask the keyholder who made the batch for the whole folder",
            Self::Struck { .. } => {
                "tell the keyholder who made the batch: marram-keyholder revoke there too, then issue it again"
            }
            Self::Note(NoteError::WrongInstance { .. }) => {
                "this batch belongs to another organization or another founding: ask for yours"
            }
            Self::HiddenRecipient { .. } | Self::HiddenSigner { .. } => {
                "do not sign. Call the other keyholders, not only the one who gave you this, and keep the folder as \
                 evidence"
            }
            Self::Twice { .. } | Self::Moved { .. } | Self::Reseeded { .. } | Self::SlotCount { .. } => {
                "do not sign; ask the keyholder who made the batch to issue it again with marram-keyholder, from the \
                 computer that signed the version before"
            }
            Self::Note(_) | Self::Annex(_) => "do not sign; ask the keyholder who made the batch for the folder again",
        }
    }
}

impl Reviewer<'_> {
    /// Checks everything but whether its caseworkers are vetted, which [`Self::unvetted`] tells of all at once.
    pub(crate) fn standing(&self, manifest: &UntrustedManifest) -> Result<Standing<'_>, Refusal> {
        let draft = manifest.claims();
        let expected = self.charter.newest().instance;
        if draft.instance != expected {
            return Err(Refusal::Note(NoteError::WrongInstance {
                kind: NoteType::Manifest,
                expected,
                found: draft.instance,
            }));
        }
        if draft.charter != self.charter.fingerprint() {
            return Err(Refusal::OtherCharter {
                found: draft.charter,
                agreed: self.charter.fingerprint(),
            });
        }
        week::check(draft.epoch, self.today)?;
        Ok(self.state.memory.standing(manifest)?)
    }

    /// The caseworkers of a batch for whom the own list has no keys.
    pub(crate) fn unvetted(&self, batch: &Batch) -> Vec<Unvetted> {
        let mut unvetted = BTreeMap::<PublicKey, Unvetted>::new();
        for manifest in &batch.manifests {
            let (epoch, slots) = (manifest.claims().epoch, &manifest.claims().slots);
            let part = batch
                .annex
                .as_ref()
                .and_then(|annex| annex.part(manifest.claimed_hash()).ok());
            let known = matches!(self.standing(manifest), Ok(Standing::Same(_)) | Err(_));
            for entry in part.iter().flat_map(|part| &part.slots).filter(|_| !known) {
                let Entry::Enrolment { key, pseudonym } = entry else {
                    continue;
                };
                let listed = self.state.vetted.by_key(key);
                let struck = listed.is_some_and(|caseworker| caseworker.struck.is_some());
                if struck || self.state.vetted.pair(key, epoch, slots).is_some() {
                    continue;
                }
                let one = unvetted.entry(*key).or_insert_with(|| Unvetted {
                    key: *key,
                    pseudonym: pseudonym.clone(),
                    known_as: listed.map(|caseworker| caseworker.name.clone()),
                    epochs: Vec::new(),
                    file: None,
                });
                one.epochs.push(epoch);
                one.file = one
                    .file
                    .take()
                    .or_else(|| file_of(batch, key, epoch).map(Path::to_owned));
            }
        }
        unvetted.into_values().collect()
    }

    /// Checks a manifest.
    pub(crate) fn review(&self, manifest: &UntrustedManifest, annex: Option<&Annex>) -> Result<Reviewed, Refusal> {
        let standing = self.standing(manifest)?;
        let charter = self.charter.newest();
        let signers = manifest.note().signers(&charter.root_keys())?;
        let reviewed = |verdict, signers| Ok(Reviewed { signers, verdict });
        let before = match standing {
            // One that was only seen can still be checked and signed while the annex is there.
            Standing::Same(known) if known.holders.is_some() || annex.is_none() => {
                return reviewed(
                    if known.holders.is_some() {
                        Verdict::Signed
                    } else {
                        Verdict::Seen
                    },
                    signers,
                );
            }
            Standing::Later(before) => Some(before),
            Standing::Same(_) | Standing::New => None,
        };
        let Some(annex) = annex else {
            return if signers.len() >= charter.threshold {
                reviewed(Verdict::Seen, signers)
            } else {
                Err(Refusal::NoAnnex)
            };
        };
        let part = self.resolved(annex.part(manifest.claimed_hash()).map_err(Refusal::Annex)?, before);
        let holders = self.check_slots(manifest, &part)?;
        let changes = before.map_or(Ok(Vec::new()), |before| self.changes(before, manifest, &holders))?;
        let has_slot = |key| holders.iter().any(|holder| holder.caseworker() == Some(key));
        let missing = self
            .state
            .vetted
            .ready(manifest.claims().epoch)
            .filter(|(caseworker, _)| !has_slot(&caseworker.key))
            .map(|(caseworker, _)| caseworker.name.clone())
            .collect();
        reviewed(
            Verdict::Sign {
                holders,
                changes,
                missing,
            },
            signers,
        )
    }

    /// `kept` entries as what this keyholder knows of that slot from the version before.
    fn resolved(&self, part: &AnnexPart, before: Option<&Remembered>) -> AnnexPart {
        let known = before.and_then(|before| before.holders.as_deref()).unwrap_or_default();
        let resolve = |(position, entry): (usize, &Entry)| match (entry, known.get(position)) {
            (Entry::Kept, Some(holder)) => holder.entry(|key| self.state.caseworker_name(key)),
            _ => entry.clone(),
        };
        AnnexPart {
            manifest: part.manifest,
            slots: part.slots.iter().enumerate().map(resolve).collect(),
        }
    }

    /// Checks that every slot is a caseworker's of the own list, or nobody's.
    fn check_slots(&self, manifest: &UntrustedManifest, part: &AnnexPart) -> Result<Vec<Holder>, Refusal> {
        let draft = manifest.claims();
        let vetted = &self.state.vetted;
        let mut seen = BTreeMap::new();
        for (position, entry) in part.slots.iter().enumerate() {
            let Entry::Enrolment { key, .. } = entry else { continue };
            if let Some(caseworker) = vetted.by_key(key)
                && let Some(since) = caseworker.struck
            {
                let name = caseworker.name.clone();
                return Err(Refusal::Struck { position, name, since });
            }
            if let Some(first) = seen.insert(*key, position) {
                return Err(Refusal::Twice {
                    first,
                    second: position,
                    name: self.state.caseworker_name(key),
                });
            }
        }
        let pair = |key: &PublicKey, epoch| vetted.pair(key, epoch, &draft.slots);
        annex::check(manifest, part, &self.own, &pair, None).map_err(|error| match error {
            AnnexError::HiddenRecipient { position, of } => Refusal::HiddenRecipient { position, of },
            AnnexError::HiddenSigner { position, of } => Refusal::HiddenSigner { position, of },
            other => Refusal::Annex(other),
        })?;
        let holder = |entry: &Entry| match entry {
            Entry::Enrolment { key, .. } => Ok(Holder::Caseworker(*key)),
            Entry::Vacant { seed } => Ok(Holder::Vacant(seed.clone())),
            // The check has refused it already.
            Entry::Kept => Err(Refusal::NoAnnex),
        };
        part.slots.iter().map(holder).collect()
    }

    /// What changes from the version before, and that nothing changes that may not.
    fn changes(
        &self,
        before: &Remembered,
        manifest: &UntrustedManifest,
        holders: &[Holder],
    ) -> Result<Vec<Change>, Refusal> {
        let version = before.version;
        let Some((old, old_holders)) = before.manifest().zip(before.holders.as_ref()) else {
            return Ok(Vec::new());
        };
        let (old, new): (&Draft, &Draft) = (old.claims(), manifest.claims());
        if old.slots.len() != new.slots.len() {
            return Err(Refusal::SlotCount {
                version,
                before: old.slots.len(),
                after: new.slots.len(),
            });
        }
        let place = |key: &PublicKey| holders.iter().position(|holder| holder.caseworker() == Some(key));
        let mut changes = Vec::new();
        for (position, (was, is)) in old_holders.iter().zip(holders).enumerate() {
            if let Some(key) = was.caseworker()
                && let Some(after) = place(key).filter(|after| *after != position)
            {
                return Err(Refusal::Moved {
                    name: self.state.caseworker_name(key),
                    version,
                    before: position,
                    after,
                });
            }
            if old.slots[position] == new.slots[position] {
                continue;
            }
            match (was.caseworker(), is.caseworker()) {
                (None, None) => return Err(Refusal::Reseeded { position, version }),
                (Some(was), Some(is)) if was == is => changes.push(Change::NewKeys { position, key: *is }),
                (was, is) => {
                    changes.extend(was.map(|key| Change::Leaves { position, key: *key }));
                    changes.extend(is.map(|key| Change::Joins { position, key: *key }));
                }
            }
        }
        Ok(changes)
    }
}

/// The enrolment of `key` for `epoch` that came with a batch. It is not believed, only named.
fn file_of<'a>(batch: &'a Batch, key: &PublicKey, epoch: Epoch) -> Option<&'a Path> {
    batch.enrolments.iter().find_map(|(path, enrolment)| {
        let enrolment = enrolment
            .clone()
            .verify(batch.manifests.first()?.claims().instance)
            .ok()?;
        (enrolment.key == *key && enrolment.pair(epoch).is_some()).then_some(path.as_path())
    })
}
