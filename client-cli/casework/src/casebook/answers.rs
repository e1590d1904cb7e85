//! What the board needs: answers, what was folded away, and whom to acknowledge.

use marram_crypto::{
    board::{Answer, AnswerId},
    day::Day,
    report::Report,
};
use rusqlite::{OptionalExtension as _, params};

use super::{Casebook, CasebookError, Changes, Result};

/// An answer, and the report that it answers.
#[derive(Clone, Debug)]
pub struct KeptAnswer {
    /// The answer.
    pub answer: Answer,
    /// Number of the report.
    pub report: i64,
}

/// A report that counts for an acknowledgement.
#[derive(Debug)]
pub struct Acknowledged {
    /// What it says.
    pub report: Report,
    /// The day of its leaf, or the first of its epoch where no leaf is proven.
    pub day: Day,
}

impl Casebook {
    /// The answers to a report, or all, oldest first.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn answers(&self, report: Option<i64>) -> Result<Vec<KeptAnswer>> {
        let sql = "SELECT id, day, text, report FROM answer WHERE ?1 IS NULL OR report = ?1 ORDER BY day, id";
        let mut query = self.db.prepare(sql)?;
        let mut rows = query.query([report])?;
        let mut answers = Vec::new();
        while let Some(row) = rows.next()? {
            let id = AnswerId::from_bytes(row.get(0)?);
            let answer = Answer::new(id, super::day(row.get(1)?)?, row.get(2)?)
                .map_err(|_| CasebookError::Damaged("an answer in it is empty or too long"))?;
            answers.push(KeptAnswer {
                answer,
                report: row.get(3)?,
            });
        }
        Ok(answers)
    }

    /// Whether a report was folded away.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn is_folded(&self, report: i64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM folded WHERE report = ?1)";
        Ok(self.db.query_row(sql, [report], |row| row.get(0))?)
    }

    /// Gives each report that counts for an acknowledgement to `each`: wholly sealed, not folded away, no canary, and not one
    /// that bears somebody else's reply key.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn acknowledged(&self, mut each: impl FnMut(Acknowledged)) -> Result<()> {
        let sql = "SELECT report_json, (SELECT min(leaf.day) FROM leaf WHERE leaf.digest = report.digest), epoch
                   FROM report WHERE unsealed_slots = '[]' AND canary IS NULL
                   AND continuity NOT IN ('another_reply_key', 'another_codename')
                   AND id NOT IN (SELECT report FROM folded) ORDER BY id";
        let mut query = self.db.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let json: Vec<u8> = row.get(0)?;
            let day: Option<u32> = row.get(1)?;
            each(Acknowledged {
                report: Report::parse(&json).map_err(|_| CasebookError::Damaged("a report in it cannot be read"))?,
                day: match day {
                    Some(day) => super::day(day)?,
                    None => super::epoch(row.get(2)?)?.opens(),
                },
            });
        }
        Ok(())
    }

    /// The day of the last board that was made here.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn last_board(&self) -> Result<Option<Day>> {
        let day = self
            .db
            .query_row("SELECT day FROM board", [], |row| row.get(0))
            .optional()?;
        day.map(super::day).transpose()
    }
}

impl Changes<'_> {
    /// Keeps an answer to a report.
    ///
    /// # Errors
    /// [`CasebookError`]; so for all here.
    pub fn add_answer(&self, report: i64, answer: &Answer) -> Result<()> {
        let sql = "INSERT INTO answer (id, report, day, text) VALUES (?1, ?2, ?3, ?4)";
        self.tx.execute(
            sql,
            params![answer.id.as_bytes(), report, answer.day.number(), answer.text()],
        )?;
        Ok(())
    }

    /// Forgets answers that were written before this day. How many.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn forget_answers_before(&self, day: Day) -> Result<usize> {
        Ok(self.tx.execute("DELETE FROM answer WHERE day < ?1", [day.number()])?)
    }

    /// Folds a report away as abuse, or takes that back. Whether that changed anything.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_folded(&self, report: i64, folded: bool, today: Day) -> Result<bool> {
        let changed = if folded {
            let sql = "INSERT OR IGNORE INTO folded (report, day) VALUES (?1, ?2)";
            self.tx.execute(sql, params![report, today.number()])?
        } else {
            self.tx.execute("DELETE FROM folded WHERE report = ?1", [report])?
        };
        Ok(changed > 0)
    }

    /// Notes that a board was made.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_board(&self, today: Day) -> Result<()> {
        let sql = "INSERT INTO board (id, day) VALUES (1, ?1) ON CONFLICT DO UPDATE SET day = excluded.day";
        self.tx.execute(sql, [today.number()])?;
        Ok(())
    }
}
