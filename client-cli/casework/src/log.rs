//! How far the log is proven, for `status` and at the end of an import.

use std::collections::BTreeMap;

use marram_crypto::{day::Day, digest::Digest};
use marram_terminal::output::Output;
use serde::Serialize;

use crate::{
    casebook::{Casebook, Result},
    class::Class,
};

/// How far the log is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// How many leaves a checkpoint has proven.
    pub size: u64,
    /// The root of the tree of these.
    pub root: Digest,
    /// The day of the newest checkpoint.
    pub day: Option<Day>,
    /// How many leaves that checkpoint has; more than `size` while a gap is open.
    pub newest_size: u64,
}

impl Log {
    /// As the casebook knows it.
    ///
    /// # Errors
    /// [`CasebookError`](crate::casebook::CasebookError).
    pub fn of(casebook: &Casebook) -> Result<Self> {
        let head = casebook.tree()?.head();
        let newest = casebook.newest_checkpoint()?;
        Ok(Self {
            size: head.size,
            root: head.root,
            day: newest.map(|(day, _)| day),
            newest_size: newest.map_or(0, |(_, size)| size),
        })
    }

    /// One line, or two while a gap is open.
    pub fn print(&self, out: &Output) {
        let Some(day) = self.day else {
            out.field("log", "no checkpoint was imported yet");
            return;
        };
        out.field(
            "log",
            format!("{} leaves proven; newest checkpoint of {day}", self.size),
        );
        if self.newest_size > self.size {
            out.field(
                "gap",
                format!(
                    "{} leaves are signed, {} are proven here: import the bundles between",
                    self.newest_size, self.size
                ),
            );
        }
    }
}

/// How many leaves are of which class.
pub(crate) fn print_classes(classes: &BTreeMap<Class, u64>, out: &Output) {
    for (class, count) in classes {
        out.field(&format!("leaves, {}", class.label()), count);
    }
}
