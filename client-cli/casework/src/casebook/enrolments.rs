//! The caseworker's own enrolments, and which epochs' keys were destroyed here.

use std::collections::BTreeMap;

use marram_crypto::{
    day::{Day, Epoch},
    enrolment::{Enrolment, UntrustedEnrolment},
    instance::InstanceId,
};
use rusqlite::params;

use super::{Casebook, CasebookError, Changes, Result};

impl Casebook {
    /// Every enrolment, oldest first.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn enrolments(&self, instance: InstanceId) -> Result<Vec<Enrolment>> {
        let mut query = self.db.prepare("SELECT note FROM enrolment ORDER BY counter")?;
        let notes = query.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
        notes
            .map(|note| Ok(UntrustedEnrolment::parse(&note?)?.verify(instance)?))
            .collect()
    }

    /// The epochs of which the keys were destroyed, and when.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn destroyed_epochs(&self) -> Result<BTreeMap<Epoch, Day>> {
        let mut query = self.db.prepare("SELECT epoch, day FROM destroyed_epoch")?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (number, day) = row?;
            let day = Day::from_number(day).ok_or(CasebookError::Damaged("a day is out of range"))?;
            Ok((super::epoch(number)?, day))
        })
        .collect()
    }
}

impl Changes<'_> {
    /// Keeps an enrolment.
    ///
    /// # Errors
    /// [`CasebookError`]; also if there is one of this counter.
    pub fn add_enrolment(&self, enrolment: &Enrolment) -> Result<()> {
        self.tx.execute(
            "INSERT INTO enrolment (counter, note) VALUES (?1, ?2)",
            params![enrolment.counter, enrolment.note().to_bytes()],
        )?;
        Ok(())
    }

    /// Notes that the keys of an epoch were destroyed.
    ///
    /// # Errors
    /// [`CasebookError`].
    pub fn set_destroyed(&self, epoch: Epoch, day: Day) -> Result<()> {
        self.tx.execute(
            "INSERT INTO destroyed_epoch (epoch, day) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            [epoch.number(), day.number()],
        )?;
        Ok(())
    }
}
