//! A keyholder at work: the home, the state out of it, and the passphrase to put it back.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use marram_crypto::{charter::CharterError, day::Day, key::SigningKey, secret::SecretBytes};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files::Existing,
    home::{Home, HomeArgs, HomeError},
    output::Output,
    passphrase::PassphraseArgs,
    secret_file::{self, WorkFactor},
};
use secrecy::SecretString;

use crate::{
    charter_file::CharterFile,
    pseudonym::Pseudonym,
    rng,
    state::{self, State},
};

const PROGRAM: &str = "keyholder";
const FILE: &str = "keyholder.age";

/// What every command is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) out: &'a Output,
    pub(crate) home: &'a HomeArgs,
    pub(crate) passphrase: &'a PassphraseArgs,
    pub(crate) today: Day,
}

/// A keyholder whose state is open.
#[derive(Debug)]
pub(crate) struct Keyholder {
    home: Home,
    passphrase: SecretString,
    pub(crate) state: State,
}

/// Today, by this computer's clock.
pub(crate) fn today() -> Day {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    Day::from_unix_seconds(seconds.map_or(0, |duration| duration.as_secs()))
}

impl Context<'_> {
    /// Whether there is a keyholder in this home.
    pub(crate) fn is_set_up(&self) -> anyhow::Result<bool> {
        Ok(self.home.path(PROGRAM)?.join(FILE).exists())
    }

    /// Makes a keyholder with a new root key.
    pub(crate) fn create(&self, name: Pseudonym) -> anyhow::Result<Keyholder> {
        let home = self.home.create(PROGRAM)?;
        let passphrase = self.passphrase.new_one("your root key", &mut rng())?;
        let keyholder = Keyholder {
            home,
            passphrase,
            state: State::new(name, SecretBytes::random(&mut rng())),
        };
        keyholder.write(Existing::Keep)?;
        Ok(keyholder)
    }

    /// Opens the keyholder; asks for the passphrase.
    pub(crate) fn open(&self) -> anyhow::Result<Keyholder> {
        let home = match self.home.open(PROGRAM) {
            Err(HomeError::Missing { path, .. }) => return Err(not_set_up(&path)),
            opened => opened?,
        };
        let path = home.file(FILE);
        if !path.exists() {
            return Err(not_set_up(home.path()));
        }
        let (json, passphrase) = self.passphrase.unlock(&path, "your root key", state::MAX_LEN)?;
        let mut state = State::parse(&json)
            .with_context(|| format!("cannot use {}", path.display()))
            .hint("take the file from a backup, or use the version of the program that wrote it")?;
        state.forget_before(self.today);
        Ok(Keyholder {
            home,
            passphrase,
            state,
        })
    }
}

fn not_set_up(path: &Path) -> anyhow::Error {
    fail(
        format!("there is no root key in {}", path.display()),
        "make one with: marram-keyholder key --name PSEUDONYM   (or name the right folder with --home FOLDER)",
    )
}

impl Keyholder {
    /// Where the state lies.
    pub(crate) fn file(&self) -> PathBuf {
        self.home.file(FILE)
    }

    pub(crate) fn key(&self) -> SigningKey {
        self.state.key()
    }

    /// Writes the state. To be done before anything that was signed leaves the program.
    pub(crate) fn save(&self) -> anyhow::Result<()> {
        self.write(Existing::Replace)
    }

    /// The charter that this keyholder has signed.
    pub(crate) fn charter(&self) -> anyhow::Result<&CharterFile> {
        self.state.charter.as_ref().ok_or_else(|| {
            fail(
                "you have not signed a charter yet",
                "the founding comes first: marram-keyholder found, or marram-keyholder sign charter.json if another \
                 keyholder has drafted it",
            )
        })
    }

    /// Takes over what a charter file has more than the state: signatures, or later charters. Says whether there was
    /// anything.
    pub(crate) fn learn(&mut self, offered: &CharterFile) -> anyhow::Result<bool> {
        let known = self.charter()?;
        if offered.fingerprint() == known.fingerprint() {
            let mut gathered = known.clone();
            gathered.gather(offered)?;
            let more = gathered.signers()?.len() > known.signers()?.len();
            if more {
                self.state.charter = Some(gathered);
            }
            return Ok(more);
        }
        // Another newest charter: it must come after the one that was agreed to, signed by enough of its keyholders.
        match offered.chain(known.fingerprint()) {
            Ok(_) => {
                self.state.charter = Some(offered.clone());
                Ok(true)
            }
            Err(CharterError::OtherFingerprint { .. }) => Err(fail(
                format!(
                    "this charter is another one than you have agreed to: its fingerprint is {}, and yours is {}",
                    offered.fingerprint(),
                    known.fingerprint()
                ),
                "take the charter.json of your own organization, the newest there is",
            )),
            Err(error) => Err(error).hint("ask the other keyholders what was changed, and for the newest charter.json"),
        }
    }

    fn write(&self, existing: Existing) -> anyhow::Result<()> {
        let json = self.state.to_json()?;
        let path = self.file();
        secret_file::write_wrapped(&path, &self.passphrase, &json, WorkFactor::Recommended, existing)?;
        Ok(())
    }
}
