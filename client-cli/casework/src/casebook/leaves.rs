//! The log's leaves, and what became of each one's report.

use std::collections::BTreeMap;

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Casebook, CasebookError, Changes, Result, signed, unsigned};
use crate::outcome::Outcome;

/// A leaf in the casebook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLeaf {
    /// Its place in the log, from 0.
    pub index: u64,
    /// What the log says.
    pub leaf: Leaf,
    /// What became of its report; none if no report came yet.
    pub outcome: Option<Outcome>,
    /// The report, if it was opened or is a repeat of one.
    pub report: Option<i64>,
}

const COLUMNS: &str = "idx, digest, epoch, day, log2_size, outcome, report";

impl Casebook {
    /// How many leaves are known, without a gap from the first.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn leaf_count(&self) -> Result<u64> {
        let count = self
            .db
            .query_row("SELECT coalesce(max(idx) + 1, 0) FROM leaf", [], |row| row.get(0))?;
        unsigned(count)
    }

    /// The leaf at this place.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn leaf_at(&self, index: u64) -> Result<Option<KnownLeaf>> {
        self.one_leaf("idx = ?1", signed(index)?)
    }

    /// The first leaf with this digest.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn find_leaf(&self, digest: Digest) -> Result<Option<KnownLeaf>> {
        self.one_leaf("digest = ?1 ORDER BY idx LIMIT 1", digest.as_bytes())
    }

    /// The leaves from place `from` to `to` (exclusive) to which no report came yet.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn leaves_without_report(&self, from: u64, to: u64) -> Result<Vec<KnownLeaf>> {
        let sql = format!("SELECT {COLUMNS} FROM leaf WHERE outcome IS NULL AND idx >= ?1 AND idx < ?2 ORDER BY idx");
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([signed(from)?, signed(to)?])?;
        let mut leaves = Vec::new();
        while let Some(row) = rows.next()? {
            leaves.push(known_leaf(row)?);
        }
        Ok(leaves)
    }

    /// How many leaves have which outcome; those without a report count as [`Outcome::Withheld`]. Of one epoch, or all.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn count_outcomes(&self, of: Option<Epoch>) -> Result<BTreeMap<Outcome, u64>> {
        let mut query = self
            .db
            .prepare("SELECT outcome, count(*) FROM leaf WHERE ?1 IS NULL OR epoch = ?1 GROUP BY outcome")?;
        let rows = query.query_map([of.map(Epoch::number)], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get(1)?))
        })?;
        rows.map(|row| {
            let (name, count) = row?;
            Ok((named(name)?.unwrap_or(Outcome::Withheld), unsigned(count)?))
        })
        .collect()
    }

    fn one_leaf(&self, condition: &str, parameter: impl rusqlite::ToSql) -> Result<Option<KnownLeaf>> {
        let mut query = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM leaf WHERE {condition}"))?;
        let mut rows = query.query([parameter])?;
        rows.next()?.map(known_leaf).transpose()
    }
}

impl Changes<'_> {
    /// Adds the leaf at this place, which must be the next one.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_leaf(&self, index: u64, leaf: &Leaf) -> Result<()> {
        let mut insert = self
            .tx
            .prepare_cached("INSERT INTO leaf (idx, digest, epoch, day, log2_size) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        insert.execute(params![
            signed(index)?,
            leaf.digest.as_bytes(),
            leaf.epoch.number(),
            leaf.day.number(),
            leaf.log2_size
        ])?;
        Ok(())
    }

    /// Notes what became of a leaf's report.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_outcome(&self, index: u64, outcome: Outcome, detail: Option<&str>, report: Option<i64>) -> Result<()> {
        let mut update = self
            .tx
            .prepare_cached("UPDATE leaf SET outcome = ?2, detail = ?3, report = ?4 WHERE idx = ?1")?;
        update.execute(params![signed(index)?, outcome.as_str(), detail, report])?;
        Ok(())
    }

    /// The place of an earlier leaf with the same digest.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn index_of(&self, digest: Digest) -> Result<Option<u64>> {
        let sql = "SELECT min(idx) FROM leaf WHERE digest = ?1";
        let mut query = self.tx.prepare_cached(sql)?;
        let index: Option<Option<i64>> = query.query_row([digest.as_bytes()], |row| row.get(0)).optional()?;
        index.flatten().map(unsigned).transpose()
    }
}

fn known_leaf(row: &Row<'_>) -> Result<KnownLeaf> {
    Ok(KnownLeaf {
        index: unsigned(row.get(0)?)?,
        leaf: Leaf {
            digest: Digest::from_bytes(row.get(1)?),
            epoch: super::epoch(row.get(2)?)?,
            day: Day::from_number(row.get(3)?).ok_or(CasebookError::Damaged("a day is out of range"))?,
            log2_size: row.get(4)?,
        },
        outcome: named(row.get(5)?)?,
        report: row.get(6)?,
    })
}

fn named(outcome: Option<String>) -> Result<Option<Outcome>> {
    let unknown = CasebookError::Damaged("a leaf has an outcome that this program does not know");
    outcome.map(|name| Outcome::named(&name).ok_or(unknown)).transpose()
}
