//! Ciphertexts on their way: fetched one by one, resumed after any cut, believed only when their digest is right.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use marram_crypto::{
    digest::{Digest, Hasher},
    leaf::Leaf,
};
use marram_online::{client::Download, error::OnlineError, retry};
use marram_terminal::{interrupt, output::Output, progress::Progress};

use crate::server::{Server, Signer, report_path};

/// Tries for one ciphertext that bring nothing, before the pull is given up.
const FRUITLESS_TRIES: usize = 3;
/// Tries for one ciphertext in all.
const TRIES: usize = 50;

/// A folder of ciphertexts and parts of them.
pub(crate) struct Spool(PathBuf);

/// What came of fetching one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// It lies in the spool, and its digest is right.
    Here,
    /// The server says that it destroyed it, by an order or past its retention.
    Destroyed,
    /// The server says that it does not have it.
    Gone,
    /// What the server gives under this digest is something else, twice.
    Damaged,
}

impl Spool {
    pub(crate) const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.0.join(format!("{digest}.age"))
    }

    fn part(&self, digest: Digest) -> PathBuf {
        self.0.join(format!("{digest}.part"))
    }

    /// How much of a report is here already, in bytes.
    pub(crate) fn here(&self, leaf: &Leaf) -> u64 {
        let len = |path: PathBuf| fs::metadata(path).map(|found| found.len());
        len(self.path(leaf.digest))
            .or_else(|_| len(self.part(leaf.digest)))
            .map_or(0, |len| len.min(leaf.size()))
    }

    /// A report that was fetched.
    pub(crate) fn open(&self, digest: Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Fetches a report, or the rest of it.
    pub(crate) fn fetch(
        &self,
        out: &Output,
        server: &Server<'_>,
        signer: Signer<'_>,
        leaf: &Leaf,
        progress: &Progress,
    ) -> Result<Fetched> {
        if self.path(leaf.digest).exists() {
            return Ok(Fetched::Here);
        }
        let mut damaged = false;
        let mut fruitless = 0;
        for _ in 0..TRIES {
            interrupt::check()?;
            let before = self.here(leaf);
            match self.fetch_rest(server, signer, leaf, progress) {
                Ok(digest) if digest == leaf.digest => {
                    let (part, path) = (self.part(leaf.digest), self.path(leaf.digest));
                    fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))?;
                    return Ok(Fetched::Here);
                }
                // Once it may be a part from another day that was damaged on this disk.
                Ok(_) => {
                    remove(&self.part(leaf.digest))?;
                    if damaged {
                        return Ok(Fetched::Damaged);
                    }
                    damaged = true;
                }
                Err(Failure::Online(error)) if error.problem() == Some("report-destroyed") => {
                    remove(&self.part(leaf.digest))?;
                    return Ok(Fetched::Destroyed);
                }
                Err(Failure::Online(error)) if matches!(error.status(), Some(404 | 410)) => return Ok(Fetched::Gone),
                Err(Failure::Online(error)) if error.status() == Some(416) => remove(&self.part(leaf.digest))?,
                Err(Failure::Online(error)) if may_go_on(&error) && fruitless < FRUITLESS_TRIES => {
                    fruitless = if self.here(leaf) > before { 0 } else { fruitless + 1 };
                    progress.suspend(|| out.note(format!("{error}; going on from where it broke off")));
                    retry::wait(u64::from(fruitless > 0))?;
                }
                Err(Failure::Online(error)) => return Err(error.explained()),
                Err(Failure::Disk(error)) => {
                    return Err(error).with_context(|| format!("cannot write {}", self.part(leaf.digest).display()));
                }
            }
        }
        Err(marram_terminal::error::fail(
            format!("the report {} broke off {TRIES} times", leaf.digest),
            "what came of it is kept: run the same command again",
        ))
    }

    /// Receives what is missing of a part; the digest of the whole.
    fn fetch_rest(
        &self,
        server: &Server<'_>,
        signer: Signer<'_>,
        leaf: &Leaf,
        progress: &Progress,
    ) -> Result<Digest, Failure> {
        let mut part = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(self.part(leaf.digest))
            .map_err(Failure::Disk)?;
        if part.metadata().map_err(Failure::Disk)?.len() > leaf.size() {
            part.set_len(0).map_err(Failure::Disk)?;
        }
        let mut hasher = Hasher::new();
        let here = hash_up_to_the_end(&mut part, &mut hasher).map_err(Failure::Disk)?;
        if here == leaf.size() {
            return Ok(hasher.finish());
        }
        let mut download = server.report(signer, leaf, here).map_err(Failure::Online)?;
        if download.from < here {
            part = begin_anew(part).map_err(Failure::Disk)?;
            hasher = Hasher::new();
        }
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let got = download
                .read(&mut buffer)
                .map_err(|error| Failure::Online(Download::error(server.client(), &report_path(leaf), error)))?;
            if got == 0 {
                break;
            }
            part.write_all(&buffer[..got]).map_err(Failure::Disk)?;
            hasher.update(&buffer[..got]);
            progress.add(got as u64);
        }
        part.sync_all().map_err(Failure::Disk)?;
        Ok(hasher.finish())
    }

    /// Removes everything: a bundle has it now.
    pub(crate) fn empty(&self) -> Result<()> {
        for entry in fs::read_dir(&self.0).with_context(|| format!("cannot read {}", self.0.display()))? {
            remove(
                &entry
                    .with_context(|| format!("cannot read {}", self.0.display()))?
                    .path(),
            )?;
        }
        Ok(())
    }
}

enum Failure {
    Online(OnlineError),
    Disk(io::Error),
}

/// Also what was too slow: the next try begins where it ended.
const fn may_go_on(error: &OnlineError) -> bool {
    error.is_passing() || matches!(error, OnlineError::Slow { .. })
}

fn hash_up_to_the_end(file: &mut File, hasher: &mut Hasher) -> io::Result<u64> {
    let mut len = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(len),
            got => {
                hasher.update(&buffer[..got]);
                len += got as u64;
            }
        }
    }
}

fn begin_anew(mut file: File) -> io::Result<File> {
    file.set_len(0)?;
    io::Seek::rewind(&mut file)?;
    Ok(file)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
