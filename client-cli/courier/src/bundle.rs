//! The bundle: what goes into it, and how it is written, whole or not at all.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result};
use marram_crypto::{bundle::BundleWriter, day::Epoch, leaf::Leaf};
use marram_terminal::{
    files::{AtomicFile, Existing},
    interrupt,
    output::Output,
};

use crate::{memory::Memory, orders::Accepted, spool::Spool};

/// What goes into a bundle, beside the charter.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Index in the log of the first leaf.
    pub(crate) start: u64,
    /// The leaves.
    pub(crate) leaves: Vec<Leaf>,
    /// The epoch from which on the manifests go in.
    pub(crate) from: Epoch,
    /// Orders that the server has accepted.
    pub(crate) orders: Vec<Accepted>,
    /// Receipts of canaries, by name.
    pub(crate) canaries: Vec<(String, Vec<u8>)>,
    /// The reports, which lie in the spool.
    pub(crate) reports: Vec<Leaf>,
}

impl Bundle {
    /// Writes it; its length in bytes. Nothing has its name before it is whole.
    pub(crate) fn write(&self, out: &Output, memory: &Memory, spool: &Spool, path: &Path) -> Result<u64> {
        let chain = memory.chain.as_ref().context("there is no charter")?;
        let file = Counting {
            file: AtomicFile::create(path, 0o600, Existing::Keep)?,
            written: 0,
        };
        let mut writer = BundleWriter::new(BufWriter::new(file));
        writer.charter(chain.to_json().as_bytes())?;
        if let Some(checkpoint) = &memory.checkpoint {
            writer.checkpoint(&checkpoint.to_bytes())?;
        }
        writer.leaves(chain.instance(), self.start, &self.leaves)?;
        for manifest in memory.manifests_from(self.from) {
            writer.manifest(manifest.epoch, manifest.version, &manifest.to_bytes())?;
        }
        for Accepted { index, order } in &self.orders {
            writer.order(*index, &order.to_bytes())?;
        }
        for (name, receipt) in &self.canaries {
            writer.canary(name, receipt)?;
        }
        let sizes = self.reports.iter().map(Leaf::size);
        let progress = out.bytes("writing the bundle", sizes.fold(0, u64::saturating_add));
        for leaf in &self.reports {
            interrupt::check()?;
            writer.report(leaf.digest, leaf.size(), progress.reader(spool.open(leaf.digest)?))?;
        }
        let Counting { file, written } = writer.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.commit()?;
        progress.finish();
        Ok(written)
    }
}

struct Counting {
    file: AtomicFile,
    written: u64,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
