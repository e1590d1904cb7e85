//! Signed notes (C2SP signed-note): the envelope of everything that is signed and read by people.
//!
//! ```text
//! marram/manifest/v1                      the type
//! 0123456789abcdef0123456789abcdef        the instance
//! epoch 2951                              the body's own lines, `name value`
//! …
//!                                         an empty line
//! — marram <base64 of key id(4) ‖ signature(64)>
//! ```
//!
//! Signed is the text up to and including the newline before the empty line. Type and instance stand in it, so that no
//! signature can be replayed as another type or for another organization. All keys have the one name `marram`, since
//! who signs is decided by the list of trusted keys and never by a name: a threshold counts *distinct public keys of
//! that list whose signature is valid*, whatever number of lines there is. Lines of unknown keys are ignored; a line
//! that claims a trusted key and does not verify spoils the note, as C2SP demands.

use std::{collections::BTreeSet, fmt, str};

use signed_note::Signature;

use crate::{
    digest::Digest,
    instance::InstanceId,
    key::{PublicKey, SigningKey},
    lines::{Reader, printable},
};

pub use crate::lines::{LineError, MAX_TEXT_LEN};

/// Largest note in bytes, signatures included.
pub const MAX_LEN: usize = 1_000_000;
/// Largest number of signature lines.
pub const MAX_SIGNATURES: usize = 100;
/// The name of every key.
pub const KEY_NAME: &str = "marram";

const ALGORITHM_ED25519: u8 = 1;

/// What a note is. The first line says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoteType {
    /// Who the organization is.
    Charter,
    /// What is valid for one epoch.
    Manifest,
    /// A caseworker's keys.
    Enrolment,
    /// The server's promise.
    Receipt,
    /// What a caseworker asks of the server.
    Order,
    /// The header of a board.
    Board,
    /// What a caseworker tells a colleague of the log.
    Standing,
    /// What the server says of the log. C2SP tlog-checkpoint: type and instance share the first line.
    Checkpoint,
}

/// A note of which nothing was verified.
#[derive(Clone, PartialEq)]
pub struct UntrustedNote {
    text: String,
    signatures: Vec<Signature>,
}

/// A note's own lines, signed by enough trusted keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    lines: &'a str,
    /// Number of the first of them.
    first: usize,
}

/// What was wrong with a note, whatever its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`MAX_LEN`] bytes.
    #[error("a signed note has at most {MAX_LEN} bytes, this has {0}")]
    TooLarge(usize),
    /// Not text, or a control character in it.
    #[error("a signed note is UTF-8 text without control characters: this file is something else, or damaged")]
    NotText,
    /// No empty line followed by signatures, or no newline at the end.
    #[error("no signature: a signed note ends with an empty line and at least one line beginning with “— marram”")]
    Unsigned,
    /// A line after the empty line is not a signature.
    #[error("signature line {0} is damaged: get the note again, all of it")]
    SignatureLine(usize),
    /// More than [`MAX_SIGNATURES`] signature lines.
    #[error("a signed note has at most {MAX_SIGNATURES} signatures, this has {0}")]
    TooManySignatures(usize),
    /// The first line is no type we know.
    #[error("`{0}` is not a type of Marram: this is another kind of file")]
    UnknownType(String),
    /// The first line is a known type in another version.
    #[error("`{0}` is not a version this program knows: update the program")]
    UnknownVersion(String),
    /// A note of another type.
    #[error("this is a {found}, and a {expected} is needed")]
    WrongType {
        /// The type asked for.
        expected: NoteType,
        /// The type it has.
        found: NoteType,
    },
    /// The second line is not an instance id.
    #[error("the instance id is missing (32 lower-case hexadecimal characters, on line 2; of a checkpoint, on line 1)")]
    Instance,
    /// A note of another organization, or of an earlier founding.
    #[error("this {kind} is of the instance {found}, and {expected} is ours: do not use it")]
    WrongInstance {
        /// The note's type.
        kind: NoteType,
        /// The instance asked for.
        expected: InstanceId,
        /// The instance it names.
        found: InstanceId,
    },
    /// A line claims a trusted key, and its signature is not valid.
    #[error("the signature of key {0} on this {1} is not valid: the text was changed, or the signature damaged")]
    BadSignature(Box<PublicKey>, NoteType),
    /// Fewer distinct trusted keys than the threshold signed.
    #[error("this {kind} is signed by {valid} of the keys that count, and {needed} different ones must sign")]
    TooFewSignatures {
        /// The note's type.
        kind: NoteType,
        /// Distinct trusted keys with a valid signature.
        valid: usize,
        /// The threshold.
        needed: usize,
    },
    /// Signatures were to be gathered from a note that says something else.
    #[error("these are two different texts: a signature on one says nothing about the other")]
    OtherText,
}

impl NoteType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Charter,
        Self::Manifest,
        Self::Enrolment,
        Self::Receipt,
        Self::Order,
        Self::Board,
        Self::Standing,
        Self::Checkpoint,
    ];

    /// The first line; of a checkpoint, what stands there before `/` and the instance.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charter => "marram/charter/v1",
            Self::Manifest => "marram/manifest/v1",
            Self::Enrolment => "marram/enrolment/v1",
            Self::Receipt => "marram/receipt/v1",
            Self::Order => "marram/order/v1",
            Self::Board => "marram/board/v1",
            Self::Standing => "marram/standing/v1",
            Self::Checkpoint => "marram/log/v1",
        }
    }

    /// Number of the first line after type and instance.
    const fn first_body_line(self) -> usize {
        match self {
            Self::Checkpoint => 2,
            _ => 3,
        }
    }

    fn parse(line: &str) -> Result<Self, NoteError> {
        let named = if origin(line).is_some() {
            Self::Checkpoint.as_str()
        } else {
            line
        };
        if let Some(known) = Self::ALL.into_iter().find(|kind| kind.as_str() == named) {
            return Ok(known);
        }
        let unversioned = line.rsplit_once('/').map(|(name, _)| name);
        let of_a_type = |kind: Self| kind.as_str().rsplit_once('/').map(|(name, _)| name) == unversioned;
        if unversioned.is_some() && Self::ALL.into_iter().any(of_a_type) {
            Err(NoteError::UnknownVersion(printable(line)))
        } else {
            Err(NoteError::UnknownType(printable(line)))
        }
    }
}

impl UntrustedNote {
    /// Reads a note with at least one signature line.
    ///
    /// # Errors
    /// [`NoteError`], naming what is not as C2SP signed-note has it.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        check_characters(bytes)?;
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        let (text, block) = note.rsplit_once("\n\n").ok_or(NoteError::Unsigned)?;
        let block = block.strip_suffix('\n').ok_or(NoteError::Unsigned)?;
        let count = block.split('\n').count();
        if count > MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures(count));
        }
        let signatures = (1..)
            .zip(block.split('\n'))
            .map(|(number, line)| Signature::from_bytes(line.as_bytes()).map_err(|_| NoteError::SignatureLine(number)));
        Ok(Self {
            text: format!("{text}\n"),
            signatures: signatures.collect::<Result<_, _>>()?,
        })
    }

    /// A note that nobody has signed yet. `text` ends with a newline.
    ///
    /// # Errors
    /// [`NoteError::NotText`] and [`NoteError::TooLarge`], as [`Self::parse`] would say of the signed note.
    pub fn unsigned(text: String) -> Result<Self, NoteError> {
        check_characters(text.as_bytes())?;
        if !text.ends_with('\n') {
            return Err(NoteError::NotText);
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// The bytes that [`Self::parse`] reads, once somebody has signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.text.clone().into_bytes();
        bytes.push(b'\n');
        self.signatures
            .iter()
            .for_each(|signature| bytes.extend(signature.to_bytes()));
        bytes
    }

    /// What it says it is.
    ///
    /// # Errors
    /// [`NoteError::UnknownType`] and [`NoteError::UnknownVersion`].
    pub fn note_type(&self) -> Result<NoteType, NoteError> {
        NoteType::parse(self.text.split_once('\n').map_or("", |(line, _)| line))
    }

    /// The instance it names.
    ///
    /// # Errors
    /// [`NoteError::Instance`].
    pub fn instance(&self) -> Result<InstanceId, NoteError> {
        let mut lines = self.text.split('\n');
        let first = lines.next().unwrap_or_default();
        origin(first)
            .unwrap_or_else(|| lines.next().unwrap_or_default())
            .parse()
            .map_err(|_| NoteError::Instance)
    }

    /// How many signature lines there are, of whatever key.
    pub fn signatures(&self) -> usize {
        self.signatures.len()
    }

    /// The signed text, newline at the end included, signatures excluded.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text. Signatures added or lost do not change it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    /// Signs the text. A key that has signed already does not sign twice.
    ///
    /// # Errors
    /// [`NoteError::TooManySignatures`] and [`NoteError::TooLarge`] if the note has no room for one more.
    pub fn add_signature(&mut self, key: &SigningKey) -> Result<(), NoteError> {
        let public = key.public();
        if self.signed_by(&public) {
            return Ok(());
        }
        let signature = key.sign(self.text.as_bytes()).to_vec();
        let line = Signature::new(KEY_NAME.to_owned(), key_id(&public), signature);
        self.push(line.map_err(|_| NoteError::SignatureLine(self.signatures.len() + 1))?)
    }

    /// Takes over the signatures of another copy of the same text. Nothing is verified by this.
    ///
    /// # Errors
    /// [`NoteError::OtherText`], and as [`Self::add_signature`].
    pub fn gather(&mut self, other: &Self) -> Result<(), NoteError> {
        if self.text != other.text {
            return Err(NoteError::OtherText);
        }
        let new: Vec<_> = other
            .signatures
            .iter()
            .filter(|line| !self.signatures.contains(line))
            .cloned()
            .collect();
        new.into_iter().try_for_each(|line| self.push(line))
    }

    /// Whether there is a valid signature by `key`.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        self.claims_of(key)
            .any(|line| key.verifies(self.text.as_bytes(), line.signature()))
    }

    /// The distinct keys of `trusted` that have signed.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] if a line claims one of these keys, which no line before it was by, and does not
    /// verify; [`NoteError::UnknownType`] and [`NoteError::UnknownVersion`].
    pub fn signers(&self, trusted: &[PublicKey]) -> Result<BTreeSet<PublicKey>, NoteError> {
        let kind = self.note_type()?;
        let trusted: Vec<_> = trusted.iter().map(|key| (key_id(key), key)).collect();
        let mut signers = BTreeSet::new();
        for line in self.signatures.iter().filter(|line| line.name() == KEY_NAME) {
            // Key ids have 32 bits: two trusted keys may share one, and the line is good if either verifies. One that
            // has signed already is not verified again, so that a note costs no more verifications than it has keys
            // and bad lines, of which the first ends it.
            let mut claimed = trusted
                .iter()
                .filter(|(id, _)| *id == line.id())
                .map(|(_, key)| *key)
                .peekable();
            let Some(&first) = claimed.peek() else { continue };
            let mut new = claimed.filter(|key| !signers.contains(*key)).peekable();
            if new.peek().is_none() {
                continue;
            }
            let signer = new.find(|key| key.verifies(self.text.as_bytes(), line.signature()));
            signers.insert(*signer.ok_or(NoteError::BadSignature(Box::new(*first), kind))?);
        }
        Ok(signers)
    }

    /// Drops every signature line but one valid line of each of `keys`: what a server stores and serves holds nothing
    /// that anybody could have added on the way.
    pub fn keep_only(&mut self, keys: &[PublicKey]) {
        let line_of = |key: &PublicKey| {
            let mut lines = self.claims_of(key);
            lines
                .find(|line| key.verifies(self.text.as_bytes(), line.signature()))
                .cloned()
        };
        self.signatures = keys.iter().filter_map(line_of).collect();
    }

    /// The body, if this is a note of this type and instance that at least `threshold` different keys of `trusted` have
    /// signed. A threshold of 0 counts as 1.
    ///
    /// # Errors
    /// [`NoteError`], naming what is missing.
    pub fn verify(
        &self,
        kind: NoteType,
        instance: InstanceId,
        trusted: &[PublicKey],
        threshold: usize,
    ) -> Result<Body<'_>, NoteError> {
        let body = self.body(kind)?;
        let found = self.instance()?;
        if found != instance {
            return Err(NoteError::WrongInstance {
                kind,
                expected: instance,
                found,
            });
        }
        let (valid, needed) = (self.signers(trusted)?.len(), threshold.max(1));
        if valid < needed {
            return Err(NoteError::TooFewSignatures { kind, valid, needed });
        }
        Ok(body)
    }

    /// The lines after type and instance, of which nothing is verified.
    pub(crate) fn body(&self, expected: NoteType) -> Result<Body<'_>, NoteError> {
        let found = self.note_type()?;
        if found != expected {
            return Err(NoteError::WrongType { expected, found });
        }
        self.instance()?;
        let first = expected.first_body_line();
        let lines = self.text.splitn(first, '\n').nth(first - 1).unwrap_or_default();
        Ok(Body { lines, first })
    }

    fn push(&mut self, line: Signature) -> Result<(), NoteError> {
        if self.signatures.len() == MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures(MAX_SIGNATURES + 1));
        }
        self.signatures.push(line);
        let len = self.to_bytes().len();
        if len > MAX_LEN {
            self.signatures.pop();
            return Err(NoteError::TooLarge(len));
        }
        Ok(())
    }

    fn claims_of(&self, key: &PublicKey) -> impl Iterator<Item = &Signature> {
        let id = key_id(key);
        self.signatures
            .iter()
            .filter(move |line| line.name() == KEY_NAME && line.id() == id)
    }
}

impl<'a> Body<'a> {
    /// The lines after type and instance, each ended by a newline.
    pub const fn as_str(self) -> &'a str {
        self.lines
    }

    pub(crate) fn lines(self) -> Reader<'a> {
        Reader::new(self.lines, self.first)
    }
}

/// The instance in the first line of a checkpoint.
fn origin(line: &str) -> Option<&str> {
    let instance = line.strip_prefix(NoteType::Checkpoint.as_str())?.strip_prefix('/')?;
    instance.parse::<InstanceId>().is_ok().then_some(instance)
}

/// `SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[..4]`, big-endian (C2SP signed-note).
fn key_id(key: &PublicKey) -> u32 {
    let mut encoded = [ALGORITHM_ED25519; 1 + PublicKey::LEN];
    encoded[1..].copy_from_slice(key.as_bytes());
    signed_note::key_id(KEY_NAME, &encoded)
}

fn check_characters(bytes: &[u8]) -> Result<(), NoteError> {
    if bytes.len() > MAX_LEN {
        return Err(NoteError::TooLarge(bytes.len()));
    }
    let is_text = |byte: &u8| *byte >= b' ' || *byte == b'\n';
    if bytes.iter().all(is_text) {
        Ok(())
    } else {
        Err(NoteError::NotText)
    }
}

impl fmt::Display for NoteType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Charter => "charter",
            Self::Manifest => "manifest",
            Self::Enrolment => "enrolment",
            Self::Receipt => "receipt",
            Self::Order => "order",
            Self::Board => "board",
            Self::Standing => "standing",
            Self::Checkpoint => "checkpoint",
        })
    }
}

impl fmt::Debug for UntrustedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.text.split('\n').next().unwrap_or_default();
        write!(
            f,
            "UntrustedNote({}, {} signatures)",
            printable(first),
            self.signatures.len()
        )
    }
}
