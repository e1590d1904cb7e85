//! The outbox: a folder of order files that a courier takes along.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use marram_crypto::order::{OrderFile, OrderId};
use marram_terminal::{
    error::ResultExt as _,
    files::{Existing, atomic_write},
};

/// A folder for couriers.
#[derive(Debug)]
pub(crate) struct Outbox(PathBuf);

impl Outbox {
    /// Opens it, and makes it if it is not there.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("cannot make the outbox {}", path.display()))
            .hint("name a folder on the stick with --out FOLDER")?;
        Ok(Self(path.to_owned()))
    }

    /// Writes an order file, whole or not at all.
    pub(crate) fn put(&self, file: &OrderFile) -> anyhow::Result<PathBuf> {
        let path = self.path(&file.order.claims().id.to_string());
        atomic_write(&path, &file.to_bytes()?, 0o644, Existing::Replace)?;
        Ok(path)
    }

    /// Takes back an order of mine that another replaces. Whether it was still there.
    pub(crate) fn take_back(&self, id: &str) -> anyhow::Result<bool> {
        // An id from our own casebook, all the same: it must not name anything but a file in the outbox.
        let Ok(id) = id.parse::<OrderId>() else {
            return Ok(false);
        };
        let path = self.path(&id.to_string());
        if !path.is_file() {
            return Ok(false);
        }
        fs::remove_file(&path)
            .with_context(|| format!("cannot remove {}, which a newer one replaces", path.display()))?;
        Ok(true)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.order"))
    }
}
