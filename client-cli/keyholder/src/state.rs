//! What a keyholder's program remembers: one file, wrapped by the passphrase, written anew as a whole.

use std::{io, path::PathBuf};

use marram_crypto::{
    charter::Draft as Charter,
    day::Day,
    key::{PublicKey, SigningKey},
    secret::SecretBytes,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    charter_file::CharterFile, memory::Memory, pseudonym::Pseudonym, root_file::RootFile, secret_hex,
    vetted::VettedList, week,
};

/// Largest state file in bytes: 32 caseworkers with four enrolments of 104 epochs each need 30 MB.
pub(crate) const MAX_LEN: usize = 64 << 20;

/// The version of the file that this program writes.
const VERSION: u32 = 1;
/// Days after its last epoch for which an enrolment is kept, should the computer's clock be wrong.
const ENROLMENTS_KEPT_DAYS: u32 = 182;
/// Most annexes whose whereabouts are remembered.
const MAX_ANNEXES: usize = 16;

/// The content of `keyholder.age`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    pub(crate) name: Pseudonym,
    #[serde(with = "secret_hex")]
    root_seed: SecretBytes<{ SigningKey::SEED_LEN }>,
    /// The charter that this keyholder has signed, complete or not yet.
    pub(crate) charter: Option<CharterFile>,
    /// What the holders of root keys are called; their digits were compared.
    pub(crate) keyholders: Vec<RootFile>,
    pub(crate) vetted: VettedList,
    pub(crate) memory: Memory,
    /// Where annexes were written that nobody has destroyed yet.
    pub(crate) annexes: Vec<PathBuf>,
}

/// A state that this program cannot read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("keyholder.age is of version {0}, and this program knows version {VERSION}: update the program")]
    Version(u32),
    #[error("keyholder.age opens, but is not as this program writes it: {0}")]
    Json(serde_json::Error),
}

impl State {
    /// A keyholder with a new root key.
    pub(crate) fn new(name: Pseudonym, root_seed: SecretBytes<{ SigningKey::SEED_LEN }>) -> Self {
        Self {
            version: VERSION,
            name,
            root_seed,
            charter: None,
            keyholders: Vec::new(),
            vetted: VettedList::default(),
            memory: Memory::default(),
            annexes: Vec::new(),
        }
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, StateError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(json).map_err(StateError::Json)?;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        serde_json::from_slice(json).map_err(StateError::Json)
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        // Counted first, since a buffer that grows leaves copies of the seed behind.
        let mut counter = Counter(0);
        serde_json::to_writer(&mut counter, self)?;
        let mut json = Zeroizing::new(Vec::with_capacity(counter.0));
        serde_json::to_writer(&mut *json, self)?;
        Ok(json)
    }

    /// The root key.
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seed(&self.root_seed)
    }

    /// The root key's public half with its name, as others get it.
    pub(crate) fn root_file(&self) -> RootFile {
        RootFile {
            name: self.name.clone(),
            root: self.key().public(),
        }
    }

    /// What the charter says that this keyholder has signed.
    pub(crate) fn agreed(&self) -> Option<&Charter> {
        self.charter.as_ref().map(CharterFile::newest)
    }

    /// What the holder of a root key is called.
    pub(crate) fn keyholder_name(&self, root: &PublicKey) -> String {
        if self.key().public() == *root {
            return "you".to_owned();
        }
        let known = self.keyholders.iter().find(|keyholder| keyholder.root == *root);
        known.map_or_else(
            || format!("the holder of root key {root}"),
            |keyholder| keyholder.name.to_string(),
        )
    }

    /// What this keyholder calls a caseworker.
    pub(crate) fn caseworker_name(&self, key: &PublicKey) -> String {
        let known = self.vetted.by_key(key);
        known.map_or_else(|| key.to_string(), |caseworker| caseworker.name.to_string())
    }

    /// Remembers that there is an annex in a folder.
    pub(crate) fn annex_written(&mut self, path: PathBuf) {
        self.annexes.retain(|known| *known != path);
        self.annexes.push(path);
        let too_many = self.annexes.len().saturating_sub(MAX_ANNEXES);
        self.annexes.drain(..too_many);
    }

    /// Drops what is no longer needed.
    pub(crate) fn forget_before(&mut self, today: Day) {
        self.memory.forget_before(today);
        self.vetted
            .forget_before(week::epoch_of(today.minus(ENROLMENTS_KEPT_DAYS)));
    }
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn state() -> State {
        State::new("amber".parse().unwrap(), SecretBytes::random(&mut rng()))
    }

    #[test]
    fn a_state_reads_back_and_begins_with_its_version() {
        let state = state();
        let json = state.to_json().unwrap();
        assert!(json.starts_with(b"{\"version\":1,"));
        let back = State::parse(&json).unwrap();
        assert_eq!(back.key().public(), state.key().public());
    }

    #[test]
    fn another_version_and_unknown_fields_are_refused() {
        let json = String::from_utf8(state().to_json().unwrap().to_vec()).unwrap();
        let newer = json.replace("\"version\":1", "\"version\":2,\"news\":[]");
        assert!(matches!(State::parse(newer.as_bytes()), Err(StateError::Version(2))));
        let more = json.replace("\"annexes\":[]", "\"annexes\":[],\"news\":[]");
        assert!(matches!(State::parse(more.as_bytes()), Err(StateError::Json(_))));
    }

    #[test]
    fn the_root_seed_is_not_in_debug_output() {
        let state = state();
        let seed = hex::encode(state.key().seed().expose());
        assert!(!format!("{state:?}").contains(&seed[..16]));
    }
}
