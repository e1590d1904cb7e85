//! Orders: those that the server accepted, as bundles say, and my own.

use marram_crypto::{
    day::{Day, Epoch},
    digest::Digest,
    note::UntrustedNote,
    order::{Draft, UntrustedOrder, What},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Casebook, CasebookError, Changes, Result, signed};

/// An order of mine, and whether a bundle has shown that the server accepted it.
#[derive(Clone, Debug)]
pub struct OwnOrder {
    /// Digest of its text.
    pub digest: Digest,
    /// Its id.
    pub id: String,
    /// When I made or co-signed it.
    pub made: Day,
    /// The last day on which it may be applied.
    pub expires: Day,
    /// In words.
    pub what: String,
    /// Whether a bundle has shown it among the accepted ones.
    pub accepted: bool,
}

impl Casebook {
    /// My orders, oldest first.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn own_orders(&self) -> Result<Vec<OwnOrder>> {
        let sql = "SELECT digest, id, made, expires, what,
                       EXISTS (SELECT 1 FROM accepted_order WHERE accepted_order.digest = own_order.digest)
                   FROM own_order ORDER BY made, id";
        let mut query = self.db.prepare(sql)?;
        let mut rows = query.query([])?;
        let mut orders = Vec::new();
        while let Some(row) = rows.next()? {
            orders.push(OwnOrder {
                digest: Digest::from_bytes(row.get(0)?),
                id: row.get(1)?,
                made: super::day(row.get(2)?)?,
                expires: super::day(row.get(3)?)?,
                what: row.get(4)?,
                accepted: row.get(5)?,
            });
        }
        Ok(orders)
    }

    /// How many accepted orders are known.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn count_orders(&self) -> Result<u64> {
        let count = self
            .db
            .query_row("SELECT count(*) FROM accepted_order", [], |row| row.get(0))?;
        super::unsigned(count)
    }

    /// The accepted order whose text has this digest.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn accepted_order(&self, digest: Digest) -> Result<Option<UntrustedOrder>> {
        let note = order_note(&self.db, digest)?;
        note.map(|note| {
            UntrustedOrder::parse(&note).map_err(|_| CasebookError::Damaged("an order in it cannot be read"))
        })
        .transpose()
    }

    /// The orders that name this report.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn orders_naming(&self, report: Digest) -> Result<Vec<Digest>> {
        let sql = "SELECT order_digest FROM deletion WHERE digest = ?1 ORDER BY order_digest";
        let mut query = self.db.prepare_cached(sql)?;
        let digests = query.query_map([report.as_bytes()], |row| Ok(Digest::from_bytes(row.get(0)?)))?;
        Ok(digests.collect::<rusqlite::Result<_>>()?)
    }

    /// Some of the orders that were not judged under the newest manifest, whose manifest may be known.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn unjudged_orders(&self, at_most: usize) -> Result<Vec<(Digest, Epoch)>> {
        let sql = "SELECT digest, epoch FROM accepted_order WHERE judged = 0
                   AND EXISTS (SELECT 1 FROM manifest WHERE manifest.epoch = accepted_order.epoch)
                   ORDER BY idx, digest LIMIT ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map([signed(at_most as u64)?], |row| {
            Ok((Digest::from_bytes(row.get(0)?), row.get(1)?))
        })?;
        rows.map(|row| {
            let (digest, epoch) = row?;
            Ok((digest, super::epoch(epoch)?))
        })
        .collect()
    }
}

impl Changes<'_> {
    /// Keeps an order that a bundle says the server accepted, or the signatures that this copy of it has and the kept one
    /// lacks. The leaves that it names are accounted for again.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn add_accepted_order(&self, index: u64, order: &UntrustedOrder) -> Result<()> {
        let digest = order.digest();
        let mut note = order.note().clone();
        if let Some(kept) = order_note(&self.tx, digest)? {
            let kept_note =
                UntrustedNote::parse(&kept).map_err(|_| CasebookError::Damaged("an order in it cannot be read"))?;
            // Of copies that are padded beyond what a note may have, the first one stays.
            if note.gather(&kept_note).is_err() || note.to_bytes() == kept {
                return Ok(());
            }
        }
        let Draft { epoch, what, .. } = order.claims();
        let sql = "INSERT INTO accepted_order (digest, idx, epoch, note) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (digest) DO UPDATE SET note = excluded.note, judged = 0";
        self.tx.execute(
            sql,
            params![digest.as_bytes(), signed(index)?, epoch.number(), note.to_bytes()],
        )?;
        if let What::Delete(reports) = what {
            for report in reports {
                let sql = "INSERT OR IGNORE INTO deletion (digest, order_digest) VALUES (?1, ?2)";
                self.tx
                    .prepare_cached(sql)?
                    .execute(params![report.as_bytes(), digest.as_bytes()])?;
            }
        }
        Ok(())
    }

    /// Notes that an order was judged, and has the leaves that it names accounted for again.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_judged(&self, digest: Digest) -> Result<()> {
        self.tx
            .prepare_cached("UPDATE accepted_order SET judged = 1 WHERE digest = ?1")?
            .execute([digest.as_bytes()])?;
        let sql = "UPDATE leaf SET class = NULL WHERE digest IN (SELECT digest FROM deletion WHERE order_digest = ?1)";
        self.tx.prepare_cached(sql)?.execute([digest.as_bytes()])?;
        Ok(())
    }

    /// Notes that an order has done to a report what it asks, so that it need not be looked at again.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_deletion_done(&self, report: Digest) -> Result<()> {
        self.tx
            .prepare_cached("UPDATE deletion SET done = 1 WHERE digest = ?1 AND done = 0")?
            .execute([report.as_bytes()])?;
        Ok(())
    }

    /// Forgets my orders that no bundle has shown as accepted and that begin with these words: others replace them.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn forget_own_orders(&self, what: &str) -> Result<()> {
        let sql = "DELETE FROM own_order WHERE substr(what, 1, length(?1)) = ?1
                   AND digest NOT IN (SELECT digest FROM accepted_order)";
        self.tx.execute(sql, [what])?;
        Ok(())
    }

    /// Keeps an order of mine.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn add_own_order(&self, order: &UntrustedOrder, what: &str, today: Day) -> Result<()> {
        let Draft { id, expires, .. } = order.claims();
        let sql = "INSERT OR IGNORE INTO own_order (digest, id, made, expires, what) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.tx.execute(
            sql,
            params![
                order.digest().as_bytes(),
                id.to_string(),
                today.number(),
                expires.number(),
                what
            ],
        )?;
        Ok(())
    }
}

fn order_note(db: &Connection, digest: Digest) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT note FROM accepted_order WHERE digest = ?1";
    let mut query = db.prepare_cached(sql)?;
    Ok(query.query_row([digest.as_bytes()], |row| row.get(0)).optional()?)
}
