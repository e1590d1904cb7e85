//! What became of each ciphertext that a bundle brought. By its digest, since a leaf may come later, or never.

use std::collections::BTreeMap;

use marram_crypto::{day::Epoch, digest::Digest};
use rusqlite::{OptionalExtension as _, params};

use super::{Casebook, CasebookError, Changes, Result, unsigned};
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

    /// How many ciphertexts have which outcome; leaves to which none came count as [`Outcome::Withheld`]. All, or those
    /// that are or may be of one epoch.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn count_outcomes(&self, of: Option<Epoch>) -> Result<BTreeMap<Outcome, u64>> {
        let of = of.map(Epoch::number);
        let mut query = self.db.prepare(
            "SELECT outcome, count(*) FROM outcome WHERE ?1 IS NULL OR epoch IS NULL OR epoch = ?1 GROUP BY outcome",
        )?;
        let rows = query.query_map([of], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        let mut counts = rows
            .map(|row| {
                let (name, count) = row?;
                Ok((named(&name)?, unsigned(count)?))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        let sql = "SELECT count(DISTINCT digest) FROM leaf WHERE (?1 IS NULL OR epoch = ?1)
                   AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.digest = leaf.digest)";
        let withheld = unsigned(self.db.query_row(sql, [of], |row| row.get(0))?)?;
        if withheld > 0 {
            counts.insert(Outcome::Withheld, withheld);
        }
        Ok(counts)
    }
}

impl Changes<'_> {
    /// Notes what became of a ciphertext. Never takes back that it was opened.
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
        Ok(())
    }
}

fn named(name: &str) -> Result<Outcome> {
    Outcome::named(name).ok_or(CasebookError::Damaged(
        "a report has an outcome that this program does not know",
    ))
}
