//! The casebook: an `SQLite` database, encrypted by `SQLCipher`.
//!
//! What could leak beside it: `SQLite` writes pages that it is about to change to a rollback journal (`casebook-journal`,
//! encrypted like the database and gone after each transaction), and what it sorts to temporary files, which are
//! *not* encrypted and are therefore kept in memory. There is no write-ahead log: one program works in the casebook at a time,
//! and a casebook of one file is easier to back up whole. What is deleted is overwritten (`secure_delete`).
//!
//! A file for each of the things in it: [`charter`] (with the manifests), [`enrolments`], [`log`], [`classes`], [`alarms`],
//! [`orders`], [`canaries`], [`outcomes`], [`reports`], [`attachments`] and [`answers`] (with what the board needs); the
//! tables stand in `casebook/schema.sql`.

pub mod alarms;
pub mod answers;
pub mod attachments;
pub mod canaries;
pub mod charter;
pub mod classes;
pub mod enrolments;
pub mod log;
pub mod orders;
pub mod outcomes;
pub mod reports;

use std::{
    fmt, fs,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Once,
};

use marram_crypto::{
    charter::CharterError,
    day::{Day, Epoch},
    enrolment::EnrolmentError,
    secret::SecretBytes,
};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};
use zeroize::Zeroizing;

use crate::key_file;

/// Its name in the home.
pub const FILE: &str = "casebook";

const SCHEMA: &str = include_str!("casebook/schema.sql");
const SCHEMA_VERSION: u32 = 1;
/// "MaRr": tells a casebook from any other database, after the key is right.
const APPLICATION_ID: u32 = 0x4d61_5272;

/// What `SQLite` keeps of the casebook in memory, in KiB: the pages at the upper ends of its trees, and those of a report.
const CACHE_KIB: u32 = 8 << 10;
/// The same for [`Casebook::at_hand`].
const CACHE_AT_HAND_KIB: u32 = 256 << 10;

/// An open casebook.
pub struct Casebook {
    db: Connection,
}

/// Changes to a casebook that are made together or not at all. Dropped without [`Changes::commit`], nothing was changed.
pub struct Changes<'a> {
    tx: rusqlite::Transaction<'a>,
}

/// Why the casebook could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CasebookError {
    /// There is none.
    #[error("there is no casebook at {}", .0.display())]
    Missing(PathBuf),
    /// The key does not fit, or the file is no casebook.
    #[error("{} does not open with this identity's key: it belongs to another identity, or is damaged", .0.display())]
    WrongKey(PathBuf),
    /// Made by a later version of this program.
    #[error("the casebook has the form {found}, and this program knows {SCHEMA_VERSION}: use the newer program")]
    Newer {
        /// The form it has.
        found: u32,
    },
    /// Something in it is not what this program writes.
    #[error("the casebook is damaged: {0}")]
    Damaged(&'static str),
    /// Its charter chain does not verify any more.
    #[error("the casebook is damaged: {0}")]
    Charter(#[from] CharterError),
    /// An enrolment in it does not verify any more.
    #[error("the casebook is damaged: {0}")]
    Enrolment(#[from] EnrolmentError),
    /// The disk is full.
    #[error("the disk of the casebook is full; what it held before is unchanged")]
    Full,
    /// `SQLite` refused.
    #[error("casebook: {0}")]
    Sql(rusqlite::Error),
}

/// A result in the casebook.
pub type Result<T> = std::result::Result<T, CasebookError>;

impl Casebook {
    /// Makes an empty casebook. Refuses to overwrite.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn create(path: &Path, key: &SecretBytes<32>) -> Result<Self> {
        // SQLite would make the file readable for others, as far as the umask lets it.
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        file.map_err(|error| CasebookError::Sql(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        let casebook = Self::connect(path, key)?;
        casebook.db.execute_batch(&format!(
            "BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; {SCHEMA} COMMIT;"
        ))?;
        Ok(casebook)
    }

    /// Opens a casebook.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn open(path: &Path, key: &SecretBytes<32>) -> Result<Self> {
        if !path.exists() {
            return Err(CasebookError::Missing(path.to_owned()));
        }
        let casebook = Self::connect(path, key)?;
        let pragma = |name| casebook.db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        if pragma("application_id")? != APPLICATION_ID {
            return Err(CasebookError::WrongKey(path.to_owned()));
        }
        match pragma("user_version")? {
            SCHEMA_VERSION => Ok(casebook),
            found => Err(CasebookError::Newer { found }),
        }
    }

    /// Begins changes.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn change(&mut self) -> Result<Changes<'_>> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Changes { tx })
    }

    /// Does work that looks up every leaf by its digest, all over the casebook: while it lasts, as much of the casebook may be
    /// in memory as a log of a million leaves takes. A page that is read again is decrypted and authenticated again.
    ///
    /// # Errors
    /// Of the work, and [`CasebookError`].
    pub fn at_hand<T>(&mut self, work: impl FnOnce(&mut Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.db
            .execute_batch(&cache_of(CACHE_AT_HAND_KIB))
            .map_err(CasebookError::from)?;
        let done = work(self);
        self.db
            .execute_batch(&cache_of(CACHE_KIB))
            .map_err(CasebookError::from)?;
        done
    }

    fn connect(path: &Path, key: &SecretBytes<32>) -> Result<Self> {
        // SQLite calls itself ready before SQLCipher is: of two threads that open their first database at once, the second
        // would find no cipher.
        static READY: Once = Once::new();
        READY.call_once(|| drop(Connection::open_in_memory()));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        // A raw key: 32 random bytes need no stretching.
        let digits = key_file::hex_of(key);
        let mut pragma = Zeroizing::new(String::with_capacity(128));
        pragma.push_str("PRAGMA key = \"x'");
        pragma.extend(digits.iter().copied().map(char::from));
        pragma.push_str("'\"");
        // It would write the times of its failures to stderr; what failed, we say ourselves.
        db.execute_batch("PRAGMA cipher_log_level = NONE")?;
        db.execute_batch(&pragma)?;
        // The first read: here it shows whether the key is right.
        let read = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, u32>(0));
        read.map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => CasebookError::WrongKey(path.to_owned()),
            _ => error.into(),
        })?;
        // A plan that holds for every value. Otherwise the partial indices have SQLite plan a query by digest anew for each
        // digest, which takes longer than the query.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.execute_batch(
            "PRAGMA temp_store = MEMORY;
             PRAGMA secure_delete = ON;
             PRAGMA foreign_keys = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA synchronous = EXTRA;",
        )?;
        db.execute_batch(&cache_of(CACHE_KIB))?;
        Ok(Self { db })
    }
}

fn cache_of(kib: u32) -> String {
    // SQLite counts pages, and kibibytes if the number is negative.
    format!("PRAGMA cache_size = -{kib}; PRAGMA shrink_memory;")
}

impl Changes<'_> {
    /// Makes the changes durable.
    ///
    /// # Errors
    /// [`CasebookError`]; then nothing was changed.
    pub fn commit(self) -> Result<()> {
        Ok(self.tx.commit()?)
    }
}

impl From<rusqlite::Error> for CasebookError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged("a page of it does not authenticate: take it from a backup")
            }
            _ => Self::Sql(error),
        }
    }
}

impl fmt::Debug for Casebook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Casebook")
    }
}

impl fmt::Debug for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Changes")
    }
}

/// An epoch as it stands in a column.
fn epoch(number: u32) -> Result<Epoch> {
    Epoch::from_number(number).ok_or(CasebookError::Damaged("an epoch is out of range"))
}

/// A day as it stands in a column.
fn day(number: u32) -> Result<Day> {
    Day::from_number(number).ok_or(CasebookError::Damaged("a day is out of range"))
}

/// `SQLite`'s integers are signed; our sizes and counts stay far below 2^63.
fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| CasebookError::Damaged("a number is out of range"))
}

fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| CasebookError::Damaged("a number is negative"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn key(byte: u8) -> SecretBytes<32> {
        SecretBytes::from([byte; 32])
    }

    #[test]
    fn memory_for_a_long_log_is_given_back_also_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let mut casebook = Casebook::create(&folder.path().join(FILE), &key(1)).unwrap();
        let cache = |casebook: &Casebook| {
            let size: i64 = casebook
                .db
                .pragma_query_value(None, "cache_size", |row| row.get(0))
                .unwrap();
            u32::try_from(-size).unwrap()
        };
        let failed = casebook.at_hand(|casebook| -> anyhow::Result<()> {
            assert_eq!(cache(casebook), CACHE_AT_HAND_KIB);
            anyhow::bail!("stopped")
        });
        assert_eq!(failed.unwrap_err().to_string(), "stopped");
        assert_eq!(cache(&casebook), CACHE_KIB);
    }

    #[test]
    fn a_casebook_opens_with_its_own_key_alone_and_shows_nothing_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        drop(Casebook::create(&path, &key(1)).unwrap());
        Casebook::open(&path, &key(1)).unwrap();
        assert!(matches!(
            Casebook::open(&path, &key(2)),
            Err(CasebookError::WrongKey(_))
        ));
        assert!(Casebook::create(&path, &key(1)).is_err());
        let bytes = fs::read(&path).unwrap();
        assert!(
            !bytes
                .windows(6)
                .any(|window| window == b"SQLite" || window == b"CREATE")
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_casebook_of_a_later_program_is_refused_and_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let casebook = Casebook::create(&path, &key(1)).unwrap();
        casebook.db.execute_batch("PRAGMA user_version = 7").unwrap();
        drop(casebook);
        assert!(matches!(
            Casebook::open(&path, &key(1)),
            Err(CasebookError::Newer { found: 7 })
        ));
    }

    #[test]
    fn changes_that_are_not_committed_never_were() {
        let folder = tempfile::tempdir().unwrap();
        let mut casebook = Casebook::create(&folder.path().join(FILE), &key(1)).unwrap();
        let changes = casebook.change().unwrap();
        changes
            .tx
            .execute("INSERT INTO destroyed_epoch (epoch, day) VALUES (1, 2)", [])
            .unwrap();
        drop(changes);
        let count: u32 = casebook
            .db
            .query_one("SELECT count(*) FROM destroyed_epoch", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 0);
    }

    #[test]
    fn nothing_is_sorted_or_journaled_in_the_clear() {
        let folder = tempfile::tempdir().unwrap();
        let casebook = Casebook::create(&folder.path().join(FILE), &key(1)).unwrap();
        let pragma = |name| {
            casebook
                .db
                .pragma_query_value(None, name, |row| row.get::<_, u32>(0))
                .unwrap()
        };
        assert_eq!(
            (pragma("temp_store"), pragma("secure_delete"), pragma("foreign_keys")),
            (2, 1, 1)
        );
        let mode: String = casebook
            .db
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "delete");
    }
}
