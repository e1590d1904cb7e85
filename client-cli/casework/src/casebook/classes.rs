//! The class of every proven leaf, and how many there are of each.

use std::collections::BTreeMap;

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
};
use rusqlite::params;

use super::{
    Casebook, CasebookError, Changes, Result,
    log::{ProvenLeaf, known_leaf},
    signed, unsigned,
};
use crate::class::Class;

impl Casebook {
    /// How many leaves are of each class.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn classes(&self) -> Result<BTreeMap<Class, u64>> {
        let mut query = self
            .db
            .prepare("SELECT class, sum(count) FROM tally GROUP BY class HAVING sum(count) > 0")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (class, count) = row?;
            Ok((named(&class)?, unsigned(count)?))
        })
        .collect()
    }

    /// How many leaves of an epoch are of each class.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn classes_of(&self, epoch: Epoch) -> Result<BTreeMap<Class, u64>> {
        let mut query = self
            .db
            .prepare("SELECT class, count FROM tally WHERE epoch = ?1 AND count > 0")?;
        let rows = query.query_map([epoch.number()], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (class, count) = row?;
            Ok((named(&class)?, unsigned(count)?))
        })
        .collect()
    }

    /// The indices of the leaves whose reports are in the casebook, as ranges (first and last), ascending.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn read_ranges(&self) -> Result<Vec<(u64, u64)>> {
        let sql = "SELECT min(idx), max(idx) FROM
                   (SELECT idx, idx - row_number() OVER (ORDER BY idx) AS run FROM leaf
                    WHERE class IN ('opened', 'deleted', 'expired'))
                   GROUP BY run ORDER BY 1";
        let mut query = self.db.prepare(sql)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (first, last) = row?;
            Ok((unsigned(first)?, unsigned(last)?))
        })
        .collect()
    }

    /// The class of a proven leaf; none if it is not proven, or not accounted for yet.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn class_of(&self, index: u64) -> Result<Option<Class>> {
        let sql = "SELECT class FROM leaf WHERE idx = ?1";
        let found: std::result::Result<Option<String>, _> = self.db.query_row(sql, [signed(index)?], |row| row.get(0));
        match found {
            Ok(class) => class.as_deref().map(named).transpose(),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Some of the leaves that have no class, in their order.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn unaccounted(&self, at_most: usize) -> Result<Vec<ProvenLeaf>> {
        let sql = "SELECT idx, digest, epoch, day, log2_size, seen FROM leaf WHERE class IS NULL ORDER BY idx LIMIT ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let mut rows = query.query([signed(at_most as u64)?])?;
        let mut leaves = Vec::new();
        while let Some(row) = rows.next()? {
            leaves.push(ProvenLeaf {
                known: known_leaf(row)?,
                seen: super::day(row.get(5)?)?,
            });
        }
        Ok(leaves)
    }

    /// The epochs of which opened leaves may expire.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn epochs_with_opened(&self) -> Result<Vec<Epoch>> {
        let mut query = self
            .db
            .prepare("SELECT epoch FROM tally WHERE class = 'opened' AND count > 0 ORDER BY epoch")?;
        let rows = query.query_map([], |row| row.get(0))?;
        rows.map(|number| super::epoch(number?)).collect()
    }
}

impl Changes<'_> {
    /// Gives all leaves from one to another that have no class this one. Together, for each statement costs more than what
    /// it writes.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn set_class(&self, first: u64, last: u64, class: Class) -> Result<()> {
        let sql = "UPDATE leaf SET class = ?3 WHERE class IS NULL AND idx BETWEEN ?1 AND ?2";
        self.tx
            .prepare_cached(sql)?
            .execute(params![signed(first)?, signed(last)?, class.as_str()])?;
        Ok(())
    }

    /// Has the leaves of a report accounted for again.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn account_again(&self, digest: Digest) -> Result<()> {
        let sql = "UPDATE leaf SET class = NULL WHERE digest = ?1";
        self.tx.prepare_cached(sql)?.execute([digest.as_bytes()])?;
        Ok(())
    }

    /// Has the leaves of an epoch that are alarms accounted for again, and the orders of it judged again: another manifest
    /// of it has come.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn account_again_in(&self, epoch: Epoch) -> Result<()> {
        let sql = "UPDATE leaf SET class = NULL WHERE epoch = ?1
                   AND class NOT IN ('opened', 'not_for_me', 'refused', 'deleted', 'expired')";
        self.tx.execute(sql, [epoch.number()])?;
        let sql = "UPDATE accepted_order SET judged = 0 WHERE epoch = ?1";
        self.tx.execute(sql, [epoch.number()])?;
        Ok(())
    }

    /// Opened leaves of an epoch that are of a day before this one have expired.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn expire_before(&self, epoch: Epoch, day: Day) -> Result<()> {
        let sql = "UPDATE leaf SET class = 'expired' WHERE class = 'opened' AND epoch = ?1 AND day < ?2";
        self.tx.execute(sql, [epoch.number(), day.number()])?;
        Ok(())
    }

    /// Has the opened leaves accounted for again that an order names: it may be due by now.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn account_again_for_due_orders(&self) -> Result<()> {
        let sql = "UPDATE leaf SET class = NULL WHERE class = 'opened'
                   AND digest IN (SELECT digest FROM deletion WHERE done = 0)";
        self.tx.execute(sql, [])?;
        Ok(())
    }
}

fn named(name: &str) -> Result<Class> {
    Class::named(name).ok_or(CasebookError::Damaged(
        "a leaf has a class that this program does not know",
    ))
}
