//! Canaries: reports that couriers sent themselves, to see whether they arrive.

use marram_crypto::{day::Day, digest::Digest};
use rusqlite::params;

use super::{Casebook, Changes, Result};

/// A canary that was sent.
#[derive(Clone, Debug)]
pub struct Canary {
    /// SHA-256 of its ciphertext.
    pub digest: Digest,
    /// The courier's name for it.
    pub name: String,
    /// The server's receipt for it.
    pub receipt: Vec<u8>,
    /// The receipt's day.
    pub day: Day,
    /// Whether it was opened here.
    pub arrived: bool,
}

impl Casebook {
    /// Every canary whose receipt was brought, oldest first.
    ///
    /// # Errors
    /// [`CasebookError`](super::CasebookError); so for all here.
    pub fn canaries(&self) -> Result<Vec<Canary>> {
        let mut query = self
            .db
            .prepare("SELECT digest, name, receipt, day, arrived FROM canary ORDER BY day, name")?;
        let mut rows = query.query([])?;
        let mut canaries = Vec::new();
        while let Some(row) = rows.next()? {
            canaries.push(Canary {
                digest: Digest::from_bytes(row.get(0)?),
                name: row.get(1)?,
                receipt: row.get(2)?,
                day: super::day(row.get(3)?)?,
                arrived: row.get(4)?,
            });
        }
        Ok(canaries)
    }
}

impl Changes<'_> {
    /// Keeps a canary's receipt. One that is known stays as it is.
    ///
    /// # Errors
    /// [`CasebookError`](super::CasebookError); so for all here.
    pub fn add_canary(&self, digest: Digest, name: &str, receipt: &[u8], day: Day) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO canary (digest, name, receipt, day) VALUES (?1, ?2, ?3, ?4)";
        self.tx
            .execute(sql, params![digest.as_bytes(), name, receipt, day.number()])?;
        Ok(())
    }

    /// Ticks off the canaries that were opened under the name that their receipt came with.
    ///
    /// # Errors
    /// [`CasebookError`](super::CasebookError).
    pub fn tick_canaries(&self) -> Result<()> {
        let sql = "UPDATE canary SET arrived = 1 WHERE arrived = 0 AND EXISTS (
                       SELECT 1 FROM report WHERE report.digest = canary.digest AND report.canary = canary.name)";
        self.tx.execute(sql, [])?;
        Ok(())
    }
}
