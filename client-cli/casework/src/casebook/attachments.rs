//! Attachments: in chunks of 1 MiB, so that one of any size needs no more memory than that.

use std::io::{self, Write};

use marram_crypto::payload;
use rusqlite::params;

use super::{Casebook, Changes, Result, signed, unsigned};

/// Length in bytes of every chunk but the last.
pub const CHUNK_LEN: usize = 1 << 20;

/// Takes the attachments of a report that is being opened. What it wrote is forgotten with its [`Changes`], if the
/// report does not authenticate to its end.
#[derive(Debug)]
pub struct Sink<'a, 'b> {
    changes: &'a Changes<'b>,
    report: i64,
    position: usize,
    chunk: u32,
    left: u64,
    buffer: Vec<u8>,
}

impl<'b> Changes<'b> {
    /// Where the attachments of the report that will have this id go.
    pub fn attachments(&self, report: i64) -> Sink<'_, 'b> {
        Sink {
            changes: self,
            report,
            position: 0,
            chunk: 0,
            left: 0,
            buffer: Vec::new(),
        }
    }
}

impl payload::Attachments for Sink<'_, '_> {
    fn begin(&mut self, index: usize, size: u64) -> io::Result<()> {
        (self.position, self.chunk, self.left) = (index, 0, size);
        let size = signed(size).map_err(io::Error::other)?;
        let sql = "INSERT INTO attachment (report, position, size_bytes) VALUES (?1, ?2, ?3)";
        let mut insert = self.changes.tx.prepare_cached(sql).map_err(io::Error::other)?;
        let inserted = insert.execute(params![self.report, row_position(index)?, size]);
        inserted.map(drop).map_err(io::Error::other)
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = CHUNK_LEN - self.buffer.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.buffer.extend_from_slice(now);
            self.left = self.left.saturating_sub(now.len() as u64);
            bytes = later;
            if self.buffer.len() == CHUNK_LEN || self.left == 0 {
                self.store()?;
            }
        }
        Ok(())
    }
}

impl Sink<'_, '_> {
    fn store(&mut self) -> io::Result<()> {
        let sql = "INSERT INTO attachment_chunk (report, position, chunk, bytes) VALUES (?1, ?2, ?3, ?4)";
        let mut insert = self.changes.tx.prepare_cached(sql).map_err(io::Error::other)?;
        let position = row_position(self.position)?;
        let inserted = insert.execute(params![self.report, position, self.chunk, self.buffer]);
        inserted.map_err(io::Error::other)?;
        self.chunk += 1;
        self.buffer.clear();
        Ok(())
    }
}

impl Casebook {
    /// Writes the attachment at `position` (from 0) of a report, chunk by chunk. Gives its length in bytes.
    ///
    /// # Errors
    /// Of the casebook, and of `output`.
    pub fn read_attachment(&self, report: i64, position: usize, mut output: impl Write) -> anyhow::Result<u64> {
        let mut query = self
            .db
            .prepare("SELECT bytes FROM attachment_chunk WHERE report = ?1 AND position = ?2 ORDER BY chunk")?;
        let mut rows = query.query(params![report, row_position(position)?])?;
        let mut len = 0;
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(0)?.as_blob()?;
            output.write_all(bytes)?;
            len += bytes.len() as u64;
        }
        Ok(len)
    }

    /// How many attachments there are, and their length in bytes together.
    ///
    /// # Errors
    /// [`super::CasebookError`].
    pub fn count_attachments(&self) -> Result<(u64, u64)> {
        let sql = "SELECT count(*), coalesce(sum(size_bytes), 0) FROM attachment";
        let (count, bytes) = self.db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((unsigned(count)?, unsigned(bytes)?))
    }
}

fn row_position(position: usize) -> io::Result<u32> {
    u32::try_from(position).map_err(io::Error::other)
}
