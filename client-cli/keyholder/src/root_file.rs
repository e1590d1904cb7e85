//! `<name>.root`: a keyholder's public root key, to be carried to whoever drafts the charter.
//!
//! ```text
//! marram/root/v1
//! name <pseudonym>
//! root <public key>
//! ```
//!
//! It is neither secret nor signed: whoever reads it compares the digits of the key with its keyholder.

use std::{fmt, path::Path};

use marram_crypto::{
    fingerprint::Digits,
    key::{KeyError, PublicKey},
};
use marram_terminal::{
    error::ResultExt as _,
    files::{self, FileError},
};
use serde::{Deserialize, Serialize};

use crate::pseudonym::{Pseudonym, PseudonymError};

/// How the names of such files end.
pub(crate) const EXTENSION: &str = "root";
/// Largest file in bytes.
pub(crate) const MAX_LEN: u64 = 1_000;

const TYPE_LINE: &str = "marram/root/v1";

/// A keyholder: a pseudonym and a root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootFile {
    pub(crate) name: Pseudonym,
    pub(crate) root: PublicKey,
}

/// What was wrong with such a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RootFileError {
    /// Not three lines of this shape.
    #[error("this is not a root key: `{TYPE_LINE}`, then the lines `name …` and `root …`")]
    Shape,
    /// The name.
    #[error(transparent)]
    Name(#[from] PseudonymError),
    /// The key.
    #[error("the root key: {0}")]
    Key(#[from] KeyError),
}

impl RootFile {
    /// The name of its file.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.{EXTENSION}", self.name)
    }

    /// What people compare.
    pub(crate) fn digits(&self) -> Digits {
        Digits::of_key(&self.root)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RootFileError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RootFileError::Shape)?;
        let mut lines = text.strip_suffix('\n').ok_or(RootFileError::Shape)?.split('\n');
        if lines.next() != Some(TYPE_LINE) {
            return Err(RootFileError::Shape);
        }
        let mut value = |name| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.ok_or(RootFileError::Shape)
        };
        let file = Self {
            name: value("name ")?.parse()?,
            root: value("root ")?.parse()?,
        };
        lines.next().is_none().then_some(file).ok_or(RootFileError::Shape)
    }

    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let bytes = files::read_bounded(path, MAX_LEN)?;
        Self::parse(&bytes)
            .with_context(|| format!("cannot use {}", path.display()))
            .hint("ask its keyholder for the file again: marram-keyholder key writes it")
    }

    /// Those that lie in `folder`, sorted by name. Files that are none are passed over.
    pub(crate) fn beside(folder: &Path) -> Result<Vec<(std::path::PathBuf, Self)>, FileError> {
        let mut found = Vec::new();
        for path in crate::batch::files_ending(folder, EXTENSION)? {
            if let Some(file) = files::read_bounded(&path, MAX_LEN)
                .ok()
                .and_then(|bytes| Self::parse(&bytes).ok())
            {
                found.push((path, file));
            }
        }
        Ok(found)
    }
}

impl fmt::Display for RootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TYPE_LINE}\nname {}\nroot {}\n", self.name, self.root)
    }
}

#[cfg(test)]
mod tests {
    use marram_crypto::key::SigningKey;

    use super::*;
    use crate::rng;

    #[test]
    fn a_root_file_reads_back_and_nothing_may_be_added() {
        let file = RootFile {
            name: "amber".parse().unwrap(),
            root: SigningKey::random(&mut rng()).public(),
        };
        let text = file.to_string();
        assert_eq!(RootFile::parse(text.as_bytes()), Ok(file));
        for wrong in [
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!("{text}root x\n"),
            text.replace("v1", "v2"),
            text.replace("name ", "title "),
            text.replace('\n', "\r\n"),
            String::new(),
        ] {
            assert!(RootFile::parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
