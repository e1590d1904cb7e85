//! What a courier remembers between two runs, in its home folder.
//!
//! ```text
//! courier.key                       see [`crate::key`]
//! state.json                        link, position in the log, day of the last bundle, reports the server did not give
//! charter.json                      the charter chain as last seen
//! manifests/<epoch>-<version>       every manifest ever seen
//! leaves                            every leaf that a checkpoint has proven, 41 bytes each
//! checkpoint                        the last one: of exactly these leaves
//! orders                            `<id> <digest>` of every order that the server has listed
//! canaries/<name>, carried/<name>   receipts of canaries, see [`crate::canary`]
//! evidence/                         see [`crate::evidence`]
//! watch.json                        see [`crate::watch`]
//! spool/<digest>.age, ….part        ciphertext of a bundle that is not finished yet
//! ```
//!
//! Everything is verified again when it is read. What contradicts it is refused by name: rollback, equivocation, fork.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use anyhow::{Context as _, Result};
use marram_crypto::{
    charter::{self, CharterChain, UntrustedCharterChain},
    checkpoint::{Checkpoint, UntrustedCheckpoint},
    day::{Day, Epoch},
    digest::Digest,
    fingerprint::Link,
    key::PublicKey,
    leaf::Leaf,
    manifest::{Manifest, UntrustedManifest},
    note,
};
use marram_terminal::{
    error::{ResultExt as _, fail, usage},
    files::{self, Existing, FileError},
    home::{Home, HomeArgs, HomeError},
};
use serde::{Deserialize, Serialize};

use crate::{alarm::Alarm, orders};

const STATE: &str = "state.json";
const CHARTER: &str = "charter.json";
const LEAVES: &str = "leaves";
const CHECKPOINT: &str = "checkpoint";
const ORDERS: &str = "orders";
const MANIFESTS: &str = "manifests";
const SPOOL: &str = "spool";
/// 10 million leaves.
const MAX_LEAVES_LEN: u64 = 410_000_000;
/// 100,000 orders, of which each has a line of 98 bytes.
const MAX_ORDERS_LEN: u64 = 16 * 1024 * 1024;
/// Several times what [`MAX_MISSING`] digests need, so that whatever was written can be read.
const MAX_STATE_LEN: u64 = 64 * 1024 * 1024;
/// Most reports that are asked for again each time: a log of a million leaves without reports must not fill the home.
pub(crate) const MAX_MISSING: usize = 100_000;

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) home: Home,
    pub(crate) state: State,
    pub(crate) chain: Option<CharterChain>,
    manifests: BTreeMap<(Epoch, u32), Manifest>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) orders: Vec<orders::Known>,
}

/// `state.json`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// The organization's link.
    pub(crate) link: Option<String>,
    /// Leaves from this index on are in no finished bundle yet.
    pub(crate) position: usize,
    /// Day of the last finished bundle.
    pub(crate) last_bundle: Option<Day>,
    /// Reports of the log that the server did not give when asked; asked for again each time. At most [`MAX_MISSING`].
    pub(crate) missing: BTreeSet<Digest>,
    /// Orders from this index on are in no finished bundle yet.
    #[serde(default)]
    pub(crate) order_position: usize,
    /// Ids of orders that the server said it took and that it has not listed since.
    #[serde(default)]
    pub(crate) taken: BTreeSet<String>,
    /// The day and number of the last canary, so that no two have one name.
    #[serde(default)]
    pub(crate) canary: Option<(Day, u32)>,
    /// Names of canaries that got no receipt; the newest only.
    #[serde(default)]
    pub(crate) lost_canaries: Vec<String>,
}

impl State {
    /// Remembers which reports the server did not give: those remembered before first, so that new ones do not displace
    /// them. How many there was no room for.
    pub(crate) fn remember_missing(&mut self, missing: &BTreeSet<Digest>) -> usize {
        let known = self.missing.intersection(missing);
        let new = missing.difference(&self.missing);
        self.missing = known.chain(new).take(MAX_MISSING).copied().collect();
        missing.len() - self.missing.len()
    }
}

/// A manifest that contradicts one seen before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemoryError {
    /// Two of one version.
    #[error(
        "equivocation: version {version} of the manifest of epoch {epoch} was {seen} when first seen, and is {offered} now"
    )]
    Equivocation {
        epoch: Epoch,
        version: u32,
        seen: Digest,
        offered: Digest,
    },
    /// An older one, or none, in the place of one seen before.
    #[error("rollback: version {seen} of the manifest of epoch {epoch} was seen before, and {} is shown now", shown(*.offered))]
    Rollback {
        epoch: Epoch,
        seen: u32,
        offered: Option<u32>,
    },
}

impl MemoryError {
    pub(crate) fn alarm(&self) -> Alarm {
        Alarm {
            kind: match self {
                Self::Equivocation { .. } => "manifest-equivocation",
                Self::Rollback { .. } => "manifest-rollback",
            },
            what: self.to_string(),
            next: Self::NEXT,
        }
    }

    pub(crate) const NEXT: &str = "nothing of it was taken over. Tell the keyholders at once: the server shows different \
         people different keys, or old ones. Keep this home folder: it is the proof";
}

impl Memory {
    /// Opens the home, and reads what is remembered there.
    pub(crate) fn open(home: &HomeArgs) -> Result<Self> {
        let home = match home.open("courier") {
            Err(error @ HomeError::Missing { .. }) => Err(error).hint(
                "run marram-courier key first: it makes this folder. If the courier's folder is elsewhere, name it with \
                 --home FOLDER",
            )?,
            home => home?,
        };
        let state: State = match read(&home, STATE, MAX_STATE_LEN)? {
            Some(json) => damaged(&home, STATE, serde_json::from_slice(&json))?,
            None => State::default(),
        };
        let mut memory = Self {
            chain: None,
            manifests: BTreeMap::new(),
            leaves: Vec::new(),
            checkpoint: None,
            orders: Vec::new(),
            state,
            home,
        };
        if let (Some(json), Some(link)) = (
            read(&memory.home, CHARTER, charter::MAX_CHAIN_LEN as u64)?,
            memory.link()?,
        ) {
            let chain = UntrustedCharterChain::parse(&json).and_then(|chain| chain.verify(link.fingerprint()));
            memory.chain = Some(damaged(&memory.home, CHARTER, chain)?);
        }
        if let Some(bytes) = read(&memory.home, LEAVES, MAX_LEAVES_LEN)? {
            let leaves = bytes.chunks(Leaf::LEN).map(Leaf::from_bytes).collect::<Result<_, _>>();
            memory.leaves = damaged(&memory.home, LEAVES, leaves)?;
        }
        if let Some(text) = read(&memory.home, ORDERS, MAX_ORDERS_LEN)? {
            let orders = String::from_utf8_lossy(&text)
                .lines()
                .map(str::parse)
                .collect::<Result<_, _>>();
            memory.orders = damaged(&memory.home, ORDERS, orders.map_err(anyhow::Error::msg))?;
        }
        memory.read_manifests()?;
        if let (Some(note), Some(chain)) = (read(&memory.home, CHECKPOINT, note::MAX_LEN as u64)?, &memory.chain) {
            let checkpoint = damaged(&memory.home, CHECKPOINT, UntrustedCheckpoint::parse(&note))?;
            let keys: Vec<PublicKey> = memory.log_key(checkpoint.claimed_day()).into_iter().collect();
            // One whose key the keyholders have replaced since is as if it were not there; so is one of other leaves, after
            // a power cut between the two files.
            memory.checkpoint = checkpoint.verify(chain.instance(), &keys).ok();
            let size = memory.leaves.len() as u64;
            memory.checkpoint = memory.checkpoint.filter(|checkpoint| checkpoint.head().size == size);
        }
        Ok(memory)
    }

    fn read_manifests(&mut self) -> Result<()> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let folder = self.home.file(MANIFESTS);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
        };
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot read {}", folder.display()))?
                .path();
            let bytes = files::read_bounded(&path, note::MAX_LEN as u64)?;
            let manifest = UntrustedManifest::parse(&bytes).and_then(|manifest| manifest.verify_for_opening(chain));
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let manifest = damaged(&self.home, &format!("{MANIFESTS}/{name}"), manifest)?;
            self.manifests.insert((manifest.epoch, manifest.version), manifest);
        }
        Ok(())
    }

    fn link(&self) -> Result<Option<Link>> {
        let link = self.state.link.as_deref().map(Link::parse).transpose();
        damaged(&self.home, STATE, link)
    }

    /// The link to use: the one given, else the one remembered.
    pub(crate) fn link_or(&self, given: Option<&Link>) -> Result<Link> {
        match given {
            Some(link) => Ok(link.clone()),
            None => self
                .link()?
                .ok_or_else(|| usage("the first time, name the organization's link: --link https://HOST/#FINGERPRINT")),
        }
    }

    /// Refuses a charter chain that contradicts what was seen.
    pub(crate) fn check_charter(&self, chain: &CharterChain) -> Result<()> {
        if let Some(seen) = &self.chain {
            if seen.instance() != chain.instance() {
                return Err(fail(
                    format!(
                        "this home folder belongs to another organization, {:?} (instance {})",
                        seen.newest().name,
                        seen.instance()
                    ),
                    "use another home folder for each organization: --home FOLDER",
                ));
            }
            chain.extends(seen).hint(
                "nothing of it was taken over. Call the keyholders by a way you trust: somebody may be using stolen root keys",
            )?;
        }
        Ok(())
    }

    /// Takes over a link and the charter chain that its server shows, unless they contradict what was seen.
    pub(crate) fn accept_charter(&mut self, link: &Link, chain: CharterChain) -> Result<()> {
        self.check_charter(&chain)?;
        self.state.link = Some(format!("{}/#{}", link.base(), link.fingerprint()));
        self.write(CHARTER, chain.to_json().as_bytes())?;
        self.chain = Some(chain);
        self.save_state()
    }

    /// Refuses a manifest that contradicts one seen before.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), MemoryError> {
        let (epoch, version) = (manifest.epoch, manifest.version);
        match self.manifests.get(&(epoch, version)) {
            Some(seen) if seen.hash() != manifest.hash() => Err(MemoryError::Equivocation {
                epoch,
                version,
                seen: seen.hash(),
                offered: manifest.hash(),
            }),
            _ => Ok(()),
        }
    }

    /// The highest version seen of an epoch.
    pub(crate) fn highest(&self, epoch: Epoch) -> Option<u32> {
        let versions = self.manifests.range((epoch, 0)..=(epoch, u32::MAX));
        versions.last().map(|((_, version), _)| *version)
    }

    /// Takes over the manifests that the server shows of the epochs from `from` on, but for those that contradict what
    /// was seen; what does is given back.
    pub(crate) fn accept_manifests(
        &mut self,
        from: Epoch,
        today: Day,
        offered: Vec<Manifest>,
    ) -> Result<Vec<MemoryError>> {
        let mut contradictions = Vec::new();
        let mut highest: BTreeMap<Epoch, u32> = BTreeMap::new();
        for manifest in &offered {
            let version = highest.entry(manifest.epoch).or_default();
            *version = manifest.version.max(*version);
        }
        // A server may forget what is long over, and a bundle has it from here then.
        let still_used = Epoch::of(today).map_or(from, |current| current.max(from));
        for epoch in self.manifests.range((still_used, 0)..).map(|((epoch, _), _)| *epoch) {
            let (seen, offered) = (self.highest(epoch).unwrap_or(0), highest.get(&epoch).copied());
            if offered < Some(seen) {
                let rollback = MemoryError::Rollback { epoch, seen, offered };
                // An epoch with several versions comes by several times, one after the other.
                if contradictions.last() != Some(&rollback) {
                    contradictions.push(rollback);
                }
            }
        }
        for manifest in offered {
            // Against what this answer itself has shown before, too.
            match self.check(&manifest) {
                Ok(()) => self.remember(manifest)?,
                Err(equivocation) => contradictions.push(equivocation),
            }
        }
        Ok(contradictions)
    }

    /// Keeps a manifest that was checked.
    pub(crate) fn remember(&mut self, manifest: Manifest) -> Result<()> {
        let place = (manifest.epoch, manifest.version);
        if !self.manifests.contains_key(&place) {
            self.folder(MANIFESTS)?;
            self.write(&format!("{MANIFESTS}/{}-{}", place.0, place.1), &manifest.to_bytes())?;
            self.manifests.insert(place, manifest);
        }
        Ok(())
    }

    /// Manifests of the epochs from `from` on, by epoch and version.
    pub(crate) fn manifests_from(&self, from: Epoch) -> impl Iterator<Item = &Manifest> {
        self.manifests.range((from, 0)..).map(|(_, manifest)| manifest)
    }

    /// Leaves of reports that the server did not give when asked.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves
            .iter()
            .filter(|leaf| self.state.missing.contains(&leaf.digest))
    }

    /// The log key that the newest manifest of a day names.
    pub(crate) fn log_key(&self, day: Day) -> Option<PublicKey> {
        let epoch = Epoch::of(day)?;
        let mut versions = self.manifests.range((epoch, 0)..=(epoch, u32::MAX));
        versions.next_back().map(|(_, manifest)| manifest.log)
    }

    /// Every version seen of the manifest of an epoch.
    pub(crate) fn manifests_of(&self, epoch: Epoch) -> impl Iterator<Item = &Manifest> {
        self.manifests
            .range((epoch, 0)..=(epoch, u32::MAX))
            .map(|(_, manifest)| manifest)
    }

    /// The largest sealed report that a manifest of this epoch allows; none if no manifest of it was seen.
    pub(crate) fn limit(&self, epoch: Epoch) -> Option<u64> {
        self.manifests
            .range((epoch, 0)..=(epoch, u32::MAX))
            .map(|(_, manifest)| manifest.limit)
            .max()
    }

    /// The first day on which no manifest is valid any more, counted without a gap from today.
    pub(crate) fn signed_until(&self, today: Day) -> Option<Day> {
        let mut epoch = Epoch::of(today)?;
        let mut until = None;
        while self.highest(epoch).is_some() && until != Some(epoch.closes()) {
            until = Some(epoch.closes());
            epoch = epoch.plus(1);
        }
        until
    }

    pub(crate) fn save_state(&self) -> Result<()> {
        self.write(STATE, &serde_json::to_vec_pretty(&self.state)?)
    }

    /// Takes over what a checkpoint proves.
    pub(crate) fn accept_log(&mut self, new: &[Leaf], checkpoint: Checkpoint) -> Result<()> {
        if !new.is_empty() {
            self.leaves.extend(new);
            let bytes: Vec<u8> = self.leaves.iter().flat_map(Leaf::to_bytes).collect();
            self.write(LEAVES, &bytes)?;
        }
        self.write(CHECKPOINT, &checkpoint.to_bytes())?;
        self.checkpoint = Some(checkpoint);
        Ok(())
    }

    /// Takes over orders that the server lists.
    pub(crate) fn accept_orders(&mut self, new: &[orders::Known]) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        self.orders.extend(new);
        let lines: Vec<String> = self.orders.iter().map(ToString::to_string).collect();
        self.write(ORDERS, lines.join("\n").as_bytes())
    }

    /// The folder of ciphertexts on their way.
    pub(crate) fn spool(&self) -> Result<PathBuf> {
        self.folder(SPOOL)
    }

    /// A folder in the home.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.home.file(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(files::atomic_write(
            &self.home.file(name),
            bytes,
            0o600,
            Existing::Replace,
        )?)
    }
}

fn read(home: &Home, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
    match files::read_bounded(&home.file(name), limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A file of the home that is not what was written there.
fn damaged<T, E>(home: &Home, name: &str, read: Result<T, E>) -> Result<T>
where
    Result<T, E>: anyhow::Context<T, E>,
{
    let path = home.file(name);
    read.with_context(|| format!("{} is damaged", path.display())).hint(format!(
        "check the disk, and restore this courier's folder from a backup. Without one: move {} out of the folder, then \
         pull --link LINK --all and publish what was published before; what the server showed up to now is no longer \
         compared, so tell the keyholders",
        path.display()
    ))
}

fn shown(version: Option<u32>) -> String {
    version.map_or_else(|| "none".to_owned(), |version| format!("version {version}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn digests(numbers: std::ops::Range<usize>) -> BTreeSet<Digest> {
        numbers.map(|n| Digest::of(&n.to_be_bytes())).collect()
    }

    #[test]
    fn what_is_remembered_as_missing_is_bounded_and_can_always_be_read_again() {
        let mut state = State {
            // The longest that a command line can bring.
            link: Some("x".repeat(128 * 1024)),
            position: usize::MAX,
            last_bundle: Some(Day::from_number(20_700).unwrap()),
            ..State::default()
        };
        assert_eq!(state.remember_missing(&digests(0..10)), 0);
        assert_eq!(state.remember_missing(&digests(5..MAX_MISSING + 12)), 7);
        assert_eq!(state.missing.len(), MAX_MISSING);
        assert!(
            state.missing.is_superset(&digests(5..10)),
            "a known one is not displaced by new ones"
        );
        assert!(
            state.missing.is_disjoint(&digests(0..5)),
            "what came is missing no more"
        );
        assert!((serde_json::to_vec_pretty(&state).unwrap().len() as u64) < MAX_STATE_LEN);
    }
}
