//! Charters: who the organization is.
//!
//! ```text
//! marram/charter/v1
//! <instance>
//! version <1…>
//! previous <digest of the text of the version before | - for version 1>
//! name <text>
//! contact <text>
//! threshold <m>
//! root <public key>                 n lines, ascending by bytes; 1 <= m <= n <= 16
//! ```
//!
//! Version k+1 is signed by m of the old root keys and by m of its own. A chain holds every version from the first on;
//! on the wire it is a JSON array of notes. Whoever has the fingerprint of any version verifies the whole chain and
//! believes the newest. The format allows m = 1; the programs found such an organization only behind a flag that says
//! what is lost: whoever steals one key can read everything sealed from then on.

use std::{collections::BTreeSet, ops::Deref};

use crate::{
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    lines::{LineError, Writer, number, parsed, text},
    note::{NoteError, NoteType, UntrustedNote},
};

/// Largest number of root keys.
pub const MAX_ROOTS: usize = 16;
/// Largest number of versions in a chain.
pub const MAX_CHAIN: usize = 64;
/// Largest chain in bytes of JSON.
pub const MAX_CHAIN_LEN: usize = 1_000_000;

/// What a charter says. Fill one in to make a charter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The founding it belongs to.
    pub instance: InstanceId,
    /// Counted from 1.
    pub version: u32,
    /// Fingerprint of the version before; none for version 1.
    pub previous: Option<Digest>,
    /// The organization's name.
    pub name: String,
    /// How to reach it.
    pub contact: String,
    /// How many different root keys must sign.
    pub threshold: usize,
    /// The root keys.
    pub roots: BTreeSet<PublicKey>,
}

/// A charter of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedCharter {
    note: UntrustedNote,
    draft: Draft,
}

/// A charter that stands in a verified chain. Reads as its [`Draft`].
#[derive(Clone, Debug)]
pub struct Charter(UntrustedCharter);

/// A chain of which nothing was verified.
#[derive(Clone, Debug)]
pub struct UntrustedCharterChain(Vec<UntrustedCharter>);

/// A chain that was verified from its first charter to its newest, and that holds the pinned fingerprint.
#[derive(Clone, Debug)]
pub struct CharterChain {
    charters: Vec<Charter>,
    pinned: Digest,
}

/// What was wrong with a charter or a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A line of it.
    #[error("charter: {0}")]
    Line(#[from] LineError),
    /// The threshold is more than there are root keys.
    #[error("charter: a threshold of {threshold} needs at least as many root keys, and there are {roots}")]
    Threshold {
        /// m.
        threshold: usize,
        /// n.
        roots: usize,
    },
    /// A root key stands twice: one person would count as two.
    #[error("charter: the root key {0} stands twice, so one keyholder would count as two")]
    DuplicateRoot(Box<PublicKey>),
    /// Root keys in another order than ascending: two texts would say the same and have two fingerprints.
    #[error("charter: the root keys must stand in ascending order, and {0} does not")]
    RootOrder(Box<PublicKey>),
    /// Version 1 names a version before it, or a later one names none.
    #[error("charter: version 1 has `previous -`, and every later one the fingerprint of the one before")]
    Previous,
    /// The chain is not a JSON array of notes, or too large.
    #[error("not a charter chain: a JSON array of 1 to {MAX_CHAIN} charters, at most {MAX_CHAIN_LEN} bytes")]
    NotAChain,
    /// The chain does not begin with version 1.
    #[error("the charter chain begins with version {0}, and must begin with version 1")]
    NotFromTheFirst(u32),
    /// A charter does not follow the one before it.
    #[error("charter {version} does not follow the one before it: {what} is wrong; the chain was tampered with")]
    Broken {
        /// The version that should stand here.
        version: u32,
        /// What does not fit.
        what: &'static str,
    },
    /// A change of charter that too few keyholders of the charter before have signed.
    #[error(
        "charter {version} is signed by {valid} root keys of the version before it, and {needed} of them must agree \
         to a change: this may be an attempt to take the organization over"
    )]
    OldKeysDidNotSign {
        /// The new version.
        version: u32,
        /// Valid signatures by old keys.
        valid: usize,
        /// The old threshold.
        needed: usize,
    },
    /// The pinned fingerprint is not in the chain: another organization, or a forged server.
    #[error(
        "this is another organization than the link names: fingerprint {pinned} was expected, and {newest} \
         is what it has. Send nothing. Ask the organization for its link again, by a way you trust"
    )]
    OtherFingerprint {
        /// What was expected.
        pinned: Digest,
        /// The newest that was shown.
        newest: Digest,
    },
    /// Two different charters of one version: the root keys, or a part of them, have signed both.
    #[error(
        "fork: charter {version} was {seen} when last seen, and is {offered} now. Use neither, and call the keyholders"
    )]
    Fork {
        /// The first version that differs.
        version: u32,
        /// What was seen.
        seen: Digest,
        /// What is shown.
        offered: Digest,
    },
    /// The chain ends before a version that was seen already.
    #[error("rollback: charter {seen} was seen before, and this chain ends with {offered}")]
    Rollback {
        /// The newest version seen.
        seen: u32,
        /// The newest version shown.
        offered: u32,
    },
}

impl Draft {
    /// The note to be signed.
    ///
    /// # Errors
    /// [`CharterError`], exactly as [`UntrustedCharter::parse`] would refuse it.
    pub fn to_note(&self) -> Result<UntrustedNote, CharterError> {
        let mut lines = Writer::new(NoteType::Charter.as_str(), self.instance);
        lines.line("version", self.version);
        lines.line(
            "previous",
            self.previous
                .map_or_else(|| "-".to_owned(), |digest| digest.to_string()),
        );
        lines.text("name", "", &self.name)?;
        lines.text("contact", "", &self.contact)?;
        lines.line("threshold", self.threshold);
        self.roots.iter().for_each(|root| lines.line("root", root));
        Ok(UntrustedCharter::from_note(UntrustedNote::unsigned(lines.finish())?)?.note)
    }

    /// The root keys as a list of trusted keys.
    pub fn root_keys(&self) -> Vec<PublicKey> {
        self.roots.iter().copied().collect()
    }
}

impl UntrustedCharter {
    /// Reads a charter.
    ///
    /// # Errors
    /// [`CharterError`], naming the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, CharterError> {
        Self::from_note(UntrustedNote::parse(bytes)?)
    }

    /// Reads a note as a charter. It may be one that nobody has signed yet.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_note(note: UntrustedNote) -> Result<Self, CharterError> {
        let draft = read(&note)?;
        Ok(Self { note, draft })
    }

    /// What it claims to say; for showing to a keyholder who is asked to sign it.
    pub const fn claims(&self) -> &Draft {
        &self.draft
    }

    /// The note it came in.
    pub const fn note(&self) -> &UntrustedNote {
        &self.note
    }

    /// The note it came in, to add a signature to.
    pub fn into_note(self) -> UntrustedNote {
        self.note
    }

    /// Signs it. Show [`Self::claims`] to the keyholder first.
    ///
    /// # Errors
    /// As [`UntrustedNote::add_signature`].
    pub fn add_signature(&mut self, key: &SigningKey) -> Result<(), CharterError> {
        Ok(self.note.add_signature(key)?)
    }

    fn verify_own(&self) -> Result<(), CharterError> {
        let Draft {
            instance, threshold, ..
        } = self.draft;
        self.note
            .verify(NoteType::Charter, instance, &self.draft.root_keys(), threshold)?;
        Ok(())
    }

    /// Everything but the new keys' own signatures.
    fn verify_follows(&self, before: &Self) -> Result<(), CharterError> {
        self.check_follows(before)?;
        let needed = before.draft.threshold;
        let valid = self.note.signers(&before.draft.root_keys())?.len();
        if valid < needed {
            return Err(CharterError::OldKeysDidNotSign {
                version: self.draft.version,
                valid,
                needed,
            });
        }
        Ok(())
    }

    fn check_follows(&self, before: &Self) -> Result<(), CharterError> {
        let version = before.draft.version.saturating_add(1);
        let broken = |what| Err(CharterError::Broken { version, what });
        if self.draft.version != version {
            return broken("its version number");
        }
        if self.draft.previous != Some(before.note.digest()) {
            return broken("the fingerprint of the version before");
        }
        if self.draft.instance != before.draft.instance {
            return broken("its instance");
        }
        Ok(())
    }
}

impl Charter {
    /// SHA-256 of its text: what a link carries.
    pub fn fingerprint(&self) -> Digest {
        self.0.note.digest()
    }

    /// The signed note.
    pub const fn note(&self) -> &UntrustedNote {
        &self.0.note
    }

    /// A draft of the next version, the same but for version and predecessor.
    pub fn successor(&self) -> Draft {
        Draft {
            version: self.version.saturating_add(1),
            previous: Some(self.fingerprint()),
            ..self.0.draft.clone()
        }
    }
}

impl Deref for Charter {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0.draft
    }
}

impl UntrustedCharterChain {
    /// Reads the JSON array of notes.
    ///
    /// # Errors
    /// [`CharterError::NotAChain`], or what is wrong with a charter in it.
    pub fn parse(json: &[u8]) -> Result<Self, CharterError> {
        if json.len() > MAX_CHAIN_LEN {
            return Err(CharterError::NotAChain);
        }
        let notes: Vec<String> = serde_json::from_slice(json).map_err(|_| CharterError::NotAChain)?;
        Self::of(
            notes
                .iter()
                .map(|note| UntrustedCharter::parse(note.as_bytes()))
                .collect::<Result<_, _>>()?,
        )
    }

    /// A chain of one: the charter of a founding.
    pub fn founding(charter: UntrustedCharter) -> Self {
        Self(vec![charter])
    }

    fn of(charters: Vec<UntrustedCharter>) -> Result<Self, CharterError> {
        if charters.is_empty() || charters.len() > MAX_CHAIN {
            return Err(CharterError::NotAChain);
        }
        Ok(Self(charters))
    }

    /// The fingerprint of the last charter, which nothing was verified about: what `pinned` is at the founding itself,
    /// once the keyholders have compared its digits.
    pub fn claimed_fingerprint(&self) -> Option<Digest> {
        self.0.last().map(|charter| charter.note.digest())
    }

    /// Verifies every charter from the first to the newest and finds `pinned` among them.
    ///
    /// # Errors
    /// [`CharterError`], naming the charter and what is wrong; [`CharterError::OtherFingerprint`] if the chain is
    /// another organization's.
    pub fn verify(self, pinned: Digest) -> Result<CharterChain, CharterError> {
        let newest = self.claimed_fingerprint().ok_or(CharterError::NotAChain)?;
        // First of all: to whoever follows a link, a foreign chain is foreign whatever else is wrong with it.
        if !self.0.iter().any(|charter| charter.note.digest() == pinned) {
            return Err(CharterError::OtherFingerprint { pinned, newest });
        }
        if let Some(first) = self.0.first().filter(|first| first.draft.version != 1) {
            return Err(CharterError::NotFromTheFirst(first.draft.version));
        }
        // In order, each fully before the next: whoever appends nonsense to a real chain makes nobody verify much of it.
        let mut before: Option<&UntrustedCharter> = None;
        for charter in &self.0 {
            if let Some(before) = before {
                charter.verify_follows(before)?;
            }
            charter.verify_own()?;
            before = Some(charter);
        }
        Ok(CharterChain {
            charters: self.0.into_iter().map(Charter).collect(),
            pinned,
        })
    }
}

impl CharterChain {
    /// The charter that is valid now.
    pub fn newest(&self) -> &Charter {
        #[expect(
            clippy::expect_used,
            clippy::missing_panics_doc,
            reason = "no chain is verified without a charter"
        )]
        self.charters.last().expect("a chain is not empty")
    }

    /// Every charter, oldest first.
    pub fn charters(&self) -> &[Charter] {
        &self.charters
    }

    /// The charter with this fingerprint, if it is in the chain.
    pub fn find(&self, fingerprint: Digest) -> Option<&Charter> {
        self.charters
            .iter()
            .find(|charter| charter.fingerprint() == fingerprint)
    }

    /// The instance.
    pub fn instance(&self) -> InstanceId {
        self.newest().instance
    }

    /// The fingerprint it was verified with.
    pub const fn pinned(&self) -> Digest {
        self.pinned
    }

    /// The JSON array of notes that [`UntrustedCharterChain::parse`] reads.
    pub fn to_json(&self) -> String {
        let notes = self
            .charters
            .iter()
            .map(|charter| String::from_utf8_lossy(&charter.note().to_bytes()).into_owned());
        serde_json::Value::from(notes.collect::<Vec<_>>()).to_string()
    }

    /// Whether this chain holds everything that `older`, seen before, held.
    ///
    /// # Errors
    /// [`CharterError::Fork`] and [`CharterError::Rollback`].
    pub fn extends(&self, older: &Self) -> Result<(), CharterError> {
        for (offered, seen) in self.charters.iter().zip(&older.charters) {
            if offered.fingerprint() != seen.fingerprint() {
                return Err(CharterError::Fork {
                    version: seen.version,
                    seen: seen.fingerprint(),
                    offered: offered.fingerprint(),
                });
            }
        }
        if self.charters.len() < older.charters.len() {
            return Err(CharterError::Rollback {
                seen: older.newest().version,
                offered: self.newest().version,
            });
        }
        Ok(())
    }

    /// Whether `next` would follow the newest charter, signatures aside: what a keyholder's program checks before it
    /// signs.
    ///
    /// # Errors
    /// [`CharterError::Broken`].
    pub fn check_next(&self, next: &UntrustedCharter) -> Result<(), CharterError> {
        next.check_follows(&self.newest().0)
    }

    /// The chain with `next` at its end.
    ///
    /// # Errors
    /// [`CharterError`], as [`UntrustedCharterChain::verify`].
    pub fn append(&self, next: UntrustedCharter) -> Result<Self, CharterError> {
        let charters = self
            .charters
            .iter()
            .map(|charter| charter.0.clone())
            .chain([next])
            .collect();
        UntrustedCharterChain::of(charters)?.verify(self.pinned)
    }
}

fn read(note: &UntrustedNote) -> Result<Draft, CharterError> {
    let mut lines = note.body(NoteType::Charter)?.lines();
    let instance = note.instance()?;
    let version = lines.read("version", |value| number(value, 1..=u32::MAX))?;
    let previous = lines.read("previous", |value| match value {
        "-" => Ok(None),
        _ => value.parse().map(Some),
    })?;
    let name = lines.read("name", text)?;
    let contact = lines.read("contact", text)?;
    let threshold = lines.read("threshold", |value| number(value, 1..=MAX_ROOTS))?;
    let in_order: Vec<PublicKey> = lines.read_all("root", 1..=MAX_ROOTS, parsed)?;
    lines.end()?;

    if previous.is_none() != (version == 1) {
        return Err(CharterError::Previous);
    }
    let mut roots = BTreeSet::new();
    for root in in_order {
        if roots.contains(&root) {
            return Err(CharterError::DuplicateRoot(Box::new(root)));
        }
        if roots.last().is_some_and(|last| *last > root) {
            return Err(CharterError::RootOrder(Box::new(root)));
        }
        roots.insert(root);
    }
    if threshold > roots.len() {
        return Err(CharterError::Threshold {
            threshold,
            roots: roots.len(),
        });
    }
    Ok(Draft {
        instance,
        version,
        previous,
        name,
        contact,
        threshold,
        roots,
    })
}
