//! Alarms: what was raised, and what a caseworker wrote when acknowledging it.

use std::collections::BTreeMap;

use marram_crypto::day::{Day, Epoch};
use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Casebook, CasebookError, Changes, Result, signed, unsigned};
use crate::alarm::Kind;

/// An alarm to be raised.
#[derive(Debug)]
pub struct Raised<'a> {
    /// What it is.
    pub kind: Kind,
    /// What it is about: with the kind, what makes it one alarm and not another.
    pub subject: &'a str,
    /// The leaf it is about.
    pub leaf: Option<u64>,
    /// In words: what was seen, and what to do.
    pub detail: &'a str,
    /// A signed note that proves it.
    pub evidence: Option<&'a str>,
}

/// An alarm in the casebook.
#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub kind: Kind,
    /// What it is about.
    pub subject: String,
    /// The leaf it is about.
    pub leaf: Option<u64>,
    /// In words.
    pub detail: String,
    /// A signed note that proves it.
    pub evidence: Option<String>,
    /// When it was raised.
    pub raised: Day,
    /// Since when what raised it is no longer so.
    pub over: Option<Day>,
    /// When it was acknowledged.
    pub acknowledged: Option<Day>,
    /// What was written then.
    pub comment: Option<String>,
}

const COLUMNS: &str = "id, kind, subject, leaf, detail, evidence, raised, over, acknowledged, comment";

impl Casebook {
    /// Gives each alarm to `each`, oldest first: those that are not acknowledged, or all.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn alarms(&self, all: bool, mut each: impl FnMut(Alarm)) -> Result<()> {
        let sql = format!("SELECT {COLUMNS} FROM alarm WHERE ?1 OR acknowledged IS NULL ORDER BY id");
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([all])?;
        while let Some(row) = rows.next()? {
            each(alarm(row)?);
        }
        Ok(())
    }

    /// Gives each alarm with a higher number to `each`.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn alarms_after(&self, id: i64, mut each: impl FnMut(Alarm)) -> Result<()> {
        let sql = format!("SELECT {COLUMNS} FROM alarm WHERE id > ?1 ORDER BY id");
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([id])?;
        while let Some(row) = rows.next()? {
            each(alarm(row)?);
        }
        Ok(())
    }

    /// The alarm with this number.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn alarm(&self, id: i64) -> Result<Option<Alarm>> {
        let sql = format!("SELECT {COLUMNS} FROM alarm WHERE id = ?1");
        let mut query = self.db.prepare(&sql)?;
        let mut rows = query.query([id])?;
        rows.next()?.map(alarm).transpose()
    }

    /// How many alarms of each kind are not acknowledged.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn open_alarms(&self) -> Result<BTreeMap<Kind, u64>> {
        self.counted_alarms(
            "SELECT kind, count(*) FROM alarm WHERE acknowledged IS NULL GROUP BY kind",
            [],
        )
    }

    /// How many alarms of each kind, about leaves of this epoch and its neighbours or about the log as a whole, are neither
    /// acknowledged nor over.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn open_alarms_about(&self, epoch: Epoch) -> Result<BTreeMap<Kind, u64>> {
        self.counted_alarms(
            "SELECT kind, count(*) FROM alarm LEFT JOIN leaf ON leaf.idx = alarm.leaf
             WHERE acknowledged IS NULL AND over IS NULL
             AND (leaf.epoch BETWEEN ?1 - 1 AND ?1 + 1 OR kind IN ('forked', 'rolled_back', 'false_leaves'))
             GROUP BY kind",
            [epoch.number()],
        )
    }

    fn counted_alarms(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<BTreeMap<Kind, u64>> {
        let mut query = self.db.prepare(sql)?;
        let rows = query.query_map(parameters, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (kind, count) = row?;
            Ok((named(&kind)?, unsigned(count)?))
        })
        .collect()
    }
}

impl Changes<'_> {
    /// Raises an alarm, unless it was raised before. Whether it is new.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn raise(&self, raised: &Raised<'_>, today: Day) -> Result<bool> {
        let sql = "INSERT OR IGNORE INTO alarm (kind, subject, leaf, detail, evidence, raised)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let new = self.tx.prepare_cached(sql)?.execute(params![
            raised.kind.as_str(),
            raised.subject,
            raised.leaf.map(signed).transpose()?,
            raised.detail,
            raised.evidence,
            today.number()
        ])?;
        if new == 0 {
            let sql = "UPDATE alarm SET over = NULL WHERE kind = ?1 AND subject = ?2 AND over IS NOT NULL";
            self.tx
                .prepare_cached(sql)?
                .execute([raised.kind.as_str(), raised.subject])?;
        }
        Ok(new > 0)
    }

    /// Notes that what raised an alarm is no longer so. It stays until it is acknowledged.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn is_over(&self, kind: Kind, subject: &str, today: Day) -> Result<()> {
        let sql = "UPDATE alarm SET over = ?3 WHERE kind = ?1 AND subject = ?2 AND over IS NULL";
        self.tx
            .prepare_cached(sql)?
            .execute(params![kind.as_str(), subject, today.number()])?;
        Ok(())
    }

    /// The kinds of the alarms about a leaf that are not over, with their subjects.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn alarms_about(&self, leaf: u64) -> Result<Vec<(Kind, String)>> {
        let sql = "SELECT kind, subject FROM alarm WHERE leaf = ?1 AND over IS NULL";
        let mut query = self.tx.prepare_cached(sql)?;
        let rows = query.query_map([signed(leaf)?], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (kind, subject) = row?;
            Ok((named(&kind)?, subject))
        })
        .collect()
    }

    /// The subjects of the alarms of one kind that are not over.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn subjects_of(&self, kind: Kind) -> Result<Vec<String>> {
        let mut query = self
            .tx
            .prepare("SELECT subject FROM alarm WHERE kind = ?1 AND over IS NULL")?;
        let subjects = query.query_map([kind.as_str()], |row| row.get(0))?;
        Ok(subjects.collect::<rusqlite::Result<_>>()?)
    }

    /// Acknowledges an alarm. Whether there is one of this number that was not acknowledged.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn acknowledge(&self, id: i64, comment: &str, today: Day) -> Result<bool> {
        let sql = "UPDATE alarm SET acknowledged = ?3, comment = ?2 WHERE id = ?1 AND acknowledged IS NULL";
        let changed = self
            .tx
            .prepare_cached(sql)?
            .execute(params![id, comment, today.number()])?;
        Ok(changed > 0)
    }

    /// The highest number of an alarm; 0 if there is none.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn last_alarm(&self) -> Result<i64> {
        let sql = "SELECT max(id) FROM alarm";
        let last: Option<Option<i64>> = self.tx.query_row(sql, [], |row| row.get(0)).optional()?;
        Ok(last.flatten().unwrap_or(0))
    }
}

fn alarm(row: &Row<'_>) -> Result<Alarm> {
    let kind: String = row.get(1)?;
    let day = |column| -> Result<Option<Day>> { row.get::<_, Option<u32>>(column)?.map(super::day).transpose() };
    Ok(Alarm {
        id: row.get(0)?,
        kind: named(&kind)?,
        subject: row.get(2)?,
        leaf: row.get::<_, Option<i64>>(3)?.map(unsigned).transpose()?,
        detail: row.get(4)?,
        evidence: row.get(5)?,
        raised: super::day(row.get(6)?)?,
        over: day(7)?,
        acknowledged: day(8)?,
        comment: row.get(9)?,
    })
}

fn named(name: &str) -> Result<Kind> {
    Kind::named(name).ok_or(CasebookError::Damaged(
        "an alarm in it is of a kind that this program does not know",
    ))
}
