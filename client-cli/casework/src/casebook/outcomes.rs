//! What became of each ciphertext that a bundle brought. By its digest, since a leaf may come later, or never.

use marram_crypto::{day::Epoch, digest::Digest};
use rusqlite::{OptionalExtension as _, params};

use super::{Casebook, CasebookError, Changes, Result};
use crate::outcome::Outcome;

/// What became of a ciphertext.
#[derive(Clone, Debug)]
pub struct Decided {
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// Whose key opened it, or else what a leaf says.
    pub epoch: Option<Epoch>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in words.
    pub detail: Option<String>,
    /// The report, if it was opened or is a repeat of one.
    pub report: Option<i64>,
}

impl Casebook {
    /// What became of this ciphertext; none if it never came.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn outcome(&self, digest: Digest) -> Result<Option<(Outcome, Option<i64>)>> {
        let sql = "SELECT outcome, report FROM outcome WHERE digest = ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row([digest.as_bytes()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
        let found = found.optional()?;
        found.map(|(name, report)| Ok((named(&name)?, report))).transpose()
    }

    /// The digests of the ciphertexts that hold this report: its own, and of those that say the same word for word.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn ciphertexts_of(&self, report: i64) -> Result<Vec<Digest>> {
        let mut query = self
            .db
            .prepare("SELECT digest FROM outcome WHERE report = ?1 ORDER BY digest")?;
        let digests = query.query_map([report], |row| Ok(Digest::from_bytes(row.get(0)?)))?;
        Ok(digests.collect::<rusqlite::Result<_>>()?)
    }
}

impl Changes<'_> {
    /// Notes what became of a ciphertext, and has its leaf accounted for again. Never takes back that it was opened.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_outcome(&self, decided: &Decided) -> Result<()> {
        let mut upsert = self.tx.prepare_cached(
            "INSERT INTO outcome (digest, epoch, outcome, detail, report) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (digest) DO UPDATE SET epoch = excluded.epoch, outcome = excluded.outcome,
                detail = excluded.detail, report = excluded.report
             WHERE outcome.outcome <> 'opened'",
        )?;
        upsert.execute(params![
            decided.digest.as_bytes(),
            decided.epoch.map(Epoch::number),
            decided.outcome.as_str(),
            decided.detail,
            decided.report
        ])?;
        self.account_again(decided.digest)
    }
}

fn named(name: &str) -> Result<Outcome> {
    Outcome::named(name).ok_or(CasebookError::Damaged(
        "a report has an outcome that this program does not know",
    ))
}
