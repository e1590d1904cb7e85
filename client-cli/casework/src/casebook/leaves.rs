//! The log's leaves as they were first seen, and what else was shown in their places.
//!
//! A bundle is not signed, so a leaf may be a lie. Nothing here ever keeps a later leaf, or a report, out.

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    leaf::Leaf,
};
use rusqlite::{OptionalExtension as _, Row, params};

use super::{Casebook, CasebookError, Changes, Result, signed, unsigned};

/// How many leaves are kept as evidence of a fork. Ample to show; a hostile bundle could bring any number.
const FORKED: u64 = 10_000;
/// The largest index that fits into a column.
const MAX_INDEX: u64 = i64::MAX as u64;

/// A leaf in the casebook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownLeaf {
    /// Its place in the log, from 0.
    pub index: u64,
    /// What the log says.
    pub leaf: Leaf,
}

const COLUMNS: &str = "idx, digest, epoch, day, log2_size";

/// Whether so many leaves from this index on have places in a casebook.
pub const fn have_places(from: u64, count: u64) -> bool {
    matches!(from.checked_add(count), Some(end) if end <= MAX_INDEX)
}

impl Casebook {
    /// How many places before this one have no leaf.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn missing_before(&self, index: u64) -> Result<u64> {
        let sql = "SELECT count(*) FROM leaf WHERE idx < ?1";
        let known = self.db.query_row(sql, [signed(index)?], |row| row.get(0))?;
        Ok(index.saturating_sub(unsigned(known)?))
    }

    /// The first leaf with this digest.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn find_leaf(&self, digest: Digest) -> Result<Option<KnownLeaf>> {
        let sql = format!("SELECT {COLUMNS} FROM leaf WHERE digest = ?1 ORDER BY idx LIMIT 1");
        let mut query = self.db.prepare_cached(&sql)?;
        let mut rows = query.query([digest.as_bytes()])?;
        rows.next()?.map(known_leaf).transpose()
    }

    /// The epoch that a forked leaf names for this digest: a hint where to begin, and no more.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn forked_epoch(&self, digest: Digest) -> Result<Option<Epoch>> {
        let sql = "SELECT epoch FROM forked_leaf WHERE digest = ?1 ORDER BY idx LIMIT 1";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row([digest.as_bytes()], |row| row.get(0)).optional()?;
        found.map(super::epoch).transpose()
    }

    /// How many leaves are kept as evidence of a fork.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn count_forked(&self) -> Result<u64> {
        unsigned(
            self.db
                .query_row("SELECT count(*) FROM forked_leaf", [], |row| row.get(0))?,
        )
    }

    /// The leaves from place `from` to `to` (exclusive) to which no report came yet.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn leaves_without_report(&self, from: u64, to: u64) -> Result<Vec<KnownLeaf>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM leaf WHERE idx >= ?1 AND idx < ?2
             AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.digest = leaf.digest) ORDER BY idx"
        );
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([signed(from)?, signed(to)?])?;
        let mut leaves = Vec::new();
        while let Some(row) = rows.next()? {
            leaves.push(known_leaf(row)?);
        }
        Ok(leaves)
    }
}

impl Changes<'_> {
    /// The leaf at this place.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn leaf_at(&self, index: u64) -> Result<Option<Leaf>> {
        let sql = format!("SELECT {COLUMNS} FROM leaf WHERE idx = ?1");
        let mut query = self.tx.prepare_cached(&sql)?;
        let mut rows = query.query([signed(index)?])?;
        let known = rows.next()?.map(known_leaf).transpose()?;
        Ok(known.map(|known| known.leaf))
    }

    /// Adds a leaf at a place that has none.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_leaf(&self, index: u64, leaf: &Leaf) -> Result<()> {
        self.insert("leaf", index, leaf)
    }

    /// Keeps another leaf for a place that has one, as evidence. Does nothing for one that is kept, nor past a bound.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_forked_leaf(&self, index: u64, leaf: &Leaf) -> Result<()> {
        let sql = "SELECT count(*) FROM forked_leaf";
        let kept = self.tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        if unsigned(kept)? >= FORKED {
            return Ok(());
        }
        self.insert("forked_leaf", index, leaf)
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

    fn insert(&self, table: &str, index: u64, leaf: &Leaf) -> Result<()> {
        let sql = format!("INSERT OR IGNORE INTO {table} ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
        self.tx.prepare_cached(&sql)?.execute(params![
            signed(index)?,
            leaf.digest.as_bytes(),
            leaf.epoch.number(),
            leaf.day.number(),
            leaf.log2_size
        ])?;
        Ok(())
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
    })
}
