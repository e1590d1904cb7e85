//! What this keyholder has signed or seen signed: the highest version of every epoch, so that nothing older and nothing
//! else of that version is ever signed, and what its slots are, so that a later version can leave them as they are.

use marram_crypto::{
    annex::Entry,
    day::{Day, Epoch},
    digest::Digest,
    key::PublicKey,
    manifest::{Draft, ManifestError, UntrustedManifest},
    secret::SecretBytes,
    vacant,
};
use serde::{Deserialize, Serialize};

use crate::secret_hex;

/// Days after an epoch closes for which its manifest is kept whole. Its version and hash are kept for good, so that a
/// clock that goes wrong does not make the program forget.
const KEPT_DAYS: u32 = 28;

/// Manifests by epoch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Memory(Vec<Remembered>);

/// The highest version of one epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remembered {
    pub(crate) epoch: Epoch,
    pub(crate) version: u32,
    pub(crate) hash: Digest,
    /// None once the epoch is long over.
    manifest: Option<KeptManifest>,
    /// None if this keyholder has only seen it, complete, and never checked it.
    pub(crate) holders: Option<Vec<Holder>>,
}

/// Who holds a slot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Holder {
    /// The caseworker with this enrolment key.
    Caseworker(PublicKey),
    /// Nobody: its keys are sampled from this seed.
    Vacant(#[serde(with = "secret_hex")] SecretBytes<{ vacant::SEED_LEN }>),
}

/// What a manifest is to this memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standing<'a> {
    /// The first of its epoch.
    New,
    /// A higher version than this one.
    Later(&'a Remembered),
    /// The very one.
    Same(&'a Remembered),
}

/// What this keyholder does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemoryError {
    #[error(
        "rollback: version {seen} of the manifest of epoch {epoch} was signed or seen before, and this is version \
         {offered}"
    )]
    Rollback { epoch: Epoch, seen: u32, offered: u32 },
    #[error(
        "another version {version} of the manifest of epoch {epoch} was signed or seen before: to sign both would let \
         a server show one to some people and the other to the rest"
    )]
    Equivocation { epoch: Epoch, version: u32 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct KeptManifest(UntrustedManifest);

impl Memory {
    pub(crate) fn get(&self, epoch: Epoch) -> Option<&Remembered> {
        self.0.iter().find(|known| known.epoch == epoch)
    }

    /// Every epoch that is remembered, in order.
    pub(crate) fn all(&self) -> &[Remembered] {
        &self.0
    }

    /// The manifest of the latest epoch that is remembered whole.
    pub(crate) fn last_manifest(&self) -> Option<&UntrustedManifest> {
        self.0.iter().rev().find_map(Remembered::manifest)
    }

    /// What `manifest` is to what was signed or seen before.
    pub(crate) fn standing(&self, manifest: &UntrustedManifest) -> Result<Standing<'_>, MemoryError> {
        let Draft { epoch, version, .. } = *manifest.claims();
        match self.get(epoch) {
            None => Ok(Standing::New),
            Some(known) if version > known.version => Ok(Standing::Later(known)),
            Some(known) if version < known.version => Err(MemoryError::Rollback {
                epoch,
                seen: known.version,
                offered: version,
            }),
            Some(known) if manifest.claimed_hash() == known.hash => Ok(Standing::Same(known)),
            Some(_) => Err(MemoryError::Equivocation { epoch, version }),
        }
    }

    /// Remembers a manifest that [`Self::standing`] has let pass. Of one that is known, the signatures are gathered.
    pub(crate) fn remember(
        &mut self,
        mut manifest: UntrustedManifest,
        holders: Option<Vec<Holder>>,
    ) -> Result<(), ManifestError> {
        let (epoch, hash) = (manifest.claims().epoch, manifest.claimed_hash());
        let mut remembered = Remembered {
            epoch,
            version: manifest.claims().version,
            hash,
            manifest: None,
            holders,
        };
        match self.0.binary_search_by_key(&epoch, |known| known.epoch) {
            Ok(position) => {
                let known = &mut self.0[position];
                if known.hash == hash {
                    let mut note = manifest.into_note();
                    if let Some(KeptManifest(kept)) = &known.manifest {
                        note.gather(kept.note())?;
                    }
                    manifest = UntrustedManifest::from_note(note)?;
                    remembered.holders = remembered.holders.or_else(|| known.holders.take());
                }
                remembered.manifest = Some(KeptManifest(manifest));
                *known = remembered;
            }
            Err(position) => {
                remembered.manifest = Some(KeptManifest(manifest));
                self.0.insert(position, remembered);
            }
        }
        Ok(())
    }

    /// Drops the content of manifests that are long over, and with it who held their slots. The last one's text stays,
    /// for comparing the next one's settings.
    pub(crate) fn forget_before(&mut self, today: Day) {
        let count = self.0.len();
        for (position, known) in self.0.iter_mut().enumerate() {
            if known.epoch.closes().plus(KEPT_DAYS) < today {
                known.holders = None;
                if position + 1 < count {
                    known.manifest = None;
                }
            }
        }
    }
}

impl Remembered {
    pub(crate) fn manifest(&self) -> Option<&UntrustedManifest> {
        self.manifest.as_ref().map(|kept| &kept.0)
    }

    pub(crate) fn holds(&self, key: &PublicKey) -> bool {
        let holders = self.holders.iter().flatten();
        holders
            .into_iter()
            .any(|holder| matches!(holder, Holder::Caseworker(held) if held == key))
    }
}

impl Holder {
    pub(crate) fn caseworker(&self) -> Option<&PublicKey> {
        match self {
            Self::Caseworker(key) => Some(key),
            Self::Vacant(_) => None,
        }
    }

    /// As the annex says it; `name` is what this keyholder calls a caseworker.
    pub(crate) fn entry(&self, name: impl Fn(&PublicKey) -> String) -> Entry {
        match self {
            Self::Caseworker(key) => Entry::Enrolment {
                key: *key,
                pseudonym: name(key),
            },
            Self::Vacant(seed) => Entry::Vacant { seed: seed.clone() },
        }
    }
}

impl From<KeptManifest> for String {
    fn from(kept: KeptManifest) -> Self {
        String::from_utf8_lossy(&kept.0.note().to_bytes()).into_owned()
    }
}

impl TryFrom<String> for KeptManifest {
    type Error = ManifestError;

    fn try_from(note: String) -> Result<Self, ManifestError> {
        Ok(Self(UntrustedManifest::parse(note.as_bytes())?))
    }
}
