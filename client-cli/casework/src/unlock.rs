//! What every command but `enrol` begins with: the home locked, the identity unwrapped, the casebook open.

use marram_terminal::{
    error::{ResultExt as _, fail},
    home::{Home, HomeArgs, HomeError},
    passphrase::PassphraseArgs,
};

use crate::{
    casebook::{self, Casebook},
    epochs::Epochs,
    identity::{self, Caseworker},
};

/// The name of the program's home.
pub const PROGRAM: &str = "casework";

const ENROL_FIRST: &str = "enrol first: marram-casework enrol --charter charter.json --out NAME.enrolment   \
                           (or name the right folder with --home FOLDER)";

/// A caseworker's home, unlocked.
#[derive(Debug)]
pub struct Unlocked {
    /// The long-term secrets.
    pub caseworker: Caseworker,
    /// The casebook.
    pub casebook: Casebook,
    /// The keys of the epochs.
    pub epochs: Epochs,
    /// Held locked to the end; dropped last.
    pub home: Home,
}

impl Unlocked {
    /// Locks the home, asks for the passphrase, opens the casebook.
    ///
    /// # Errors
    /// Each with what to do next.
    pub fn open(home: &HomeArgs, passphrase: &PassphraseArgs) -> anyhow::Result<Self> {
        let home = match home.open(PROGRAM) {
            Err(error @ HomeError::Missing { .. }) => return Err(error).hint(ENROL_FIRST),
            home => home?,
        };
        let file = home.file(identity::FILE);
        if !file.exists() {
            return Err(fail(format!("{} is not there", file.display()), ENROL_FIRST));
        }
        let caseworker = Caseworker::unlock(&file, passphrase)?;
        let casebook = Casebook::open(&home.file(casebook::FILE), &caseworker.casebook_key)
            .hint("take the casebook and identity.age of the same backup; marram-casework changed nothing")?;
        Ok(Self {
            epochs: Epochs::open(home.path())?,
            caseworker,
            casebook,
            home,
        })
    }
}
