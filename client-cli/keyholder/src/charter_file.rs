//! `charter.json`: the charter chain, also while signatures are still being gathered for its newest charter.

use std::path::Path;

use marram_crypto::{
    charter::{CharterChain, CharterError, Draft, MAX_CHAIN, MAX_CHAIN_LEN, UntrustedCharter, UntrustedCharterChain},
    digest::Digest,
    fingerprint::Digits,
    key::{PublicKey, SigningKey},
};
use marram_terminal::files::{self, Existing, FileError};
use serde::{Deserialize, Serialize};

/// Charters, oldest first, never none. Whether enough keyholders signed is asked by [`Self::chain`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub(crate) struct CharterFile {
    older: Vec<UntrustedCharter>,
    newest: UntrustedCharter,
}

impl CharterFile {
    /// A founding: a chain of one, signed by nobody yet.
    pub(crate) fn founding(draft: &Draft) -> Result<Self, CharterError> {
        Ok(Self {
            older: Vec::new(),
            newest: UntrustedCharter::from_note(draft.to_note()?)?,
        })
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, CharterError> {
        if json.len() > MAX_CHAIN_LEN {
            return Err(CharterError::NotAChain);
        }
        serde_json::from_slice::<Vec<String>>(json)
            .map_err(|_| CharterError::NotAChain)?
            .try_into()
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let bytes = files::read_bounded(path, u64::try_from(MAX_CHAIN_LEN)?)?;
        Self::parse(&bytes).with_context(|| format!("cannot use {}", path.display()))
    }

    pub(crate) fn write(&self, path: &Path, existing: Existing) -> Result<(), FileError> {
        files::atomic_write(path, &self.to_json(), 0o644, existing)
    }

    fn to_json(&self) -> Vec<u8> {
        let notes: Vec<String> = self.clone().into();
        let mut json = serde_json::Value::from(notes).to_string().into_bytes();
        json.push(b'\n');
        json
    }

    /// What the newest charter says.
    pub(crate) fn newest(&self) -> &Draft {
        self.newest.claims()
    }

    pub(crate) fn fingerprint(&self) -> Digest {
        self.newest.note().digest()
    }

    pub(crate) fn digits(&self) -> Digits {
        Digits::of(&self.fingerprint())
    }

    /// The root keys of the newest charter that have signed it.
    pub(crate) fn signers(&self) -> Result<Vec<PublicKey>, CharterError> {
        let signers = self.newest.note().signers(&self.newest().root_keys())?;
        Ok(signers.into_iter().collect())
    }

    /// The verified chain, if enough keyholders have signed. `pinned` is a fingerprint that was agreed to.
    pub(crate) fn chain(&self, pinned: Digest) -> Result<CharterChain, CharterError> {
        UntrustedCharterChain::parse(&self.to_json())?.verify(pinned)
    }

    /// Whether enough keyholders have signed.
    pub(crate) fn is_complete(&self) -> bool {
        self.chain(self.fingerprint()).is_ok()
    }

    pub(crate) fn sign(&mut self, key: &SigningKey) -> Result<(), CharterError> {
        self.newest.add_signature(key)
    }

    /// Takes over signatures of another copy of the same newest charter. They must have been verified.
    pub(crate) fn gather(&mut self, other: &Self) -> Result<(), CharterError> {
        let mut note = self.newest.note().clone();
        note.gather(other.newest.note())?;
        self.newest = UntrustedCharter::from_note(note)?;
        Ok(())
    }
}

impl From<CharterFile> for Vec<String> {
    fn from(file: CharterFile) -> Self {
        let charters = file.older.iter().chain([&file.newest]);
        charters
            .map(|charter| String::from_utf8_lossy(&charter.note().to_bytes()).into_owned())
            .collect()
    }
}

impl TryFrom<Vec<String>> for CharterFile {
    type Error = CharterError;

    fn try_from(notes: Vec<String>) -> Result<Self, CharterError> {
        if notes.len() > MAX_CHAIN {
            return Err(CharterError::NotAChain);
        }
        let parse = |note: &String| UntrustedCharter::parse(note.as_bytes());
        let mut charters = notes.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        let newest = charters.pop().ok_or(CharterError::NotAChain)?;
        Ok(Self {
            older: charters,
            newest,
        })
    }
}
