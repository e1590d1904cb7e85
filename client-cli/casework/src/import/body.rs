//! Readers between a bundle and what opens its reports.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    rc::Rc,
};

use marram_crypto::digest::{Aside, Digest};
use marram_terminal::interrupt;

/// Knows how far it has read, and ends at Ctrl-C.
pub(super) struct Counting<R> {
    inner: R,
    position: Rc<Cell<u64>>,
}

impl<R: Read> Counting<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            position: Rc::default(),
        }
    }

    /// Bytes read so far, also while something else holds the reader.
    pub(super) fn position(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.position)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        let got = self.inner.read(buffer)?;
        self.position.set(self.position.get() + got as u64);
        Ok(got)
    }
}

/// Reads a file from some place on, whoever else reads it.
pub(super) struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl<'a> At<'a> {
    pub(super) const fn new(file: &'a File, offset: u64) -> Self {
        Self { file, offset }
    }
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(buffer, self.offset)?;
        self.offset += got as u64;
        Ok(got)
    }
}

/// The bytes of one sealed report: digests them, ends at Ctrl-C, and remembers its own failures apart, since whoever
/// opens a report takes every failure for the report's.
pub(super) struct Body<R> {
    inner: R,
    hasher: Aside,
    failed: Option<io::Error>,
}

impl<R: Read> Body<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Aside::new(),
            failed: None,
        }
    }

    /// Reads what is left. Gives the digest of everything.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        if self.failed.is_none() {
            // The error is in `failed`, too.
            let _ = io::copy(&mut self, &mut io::sink());
        }
        match self.failed {
            None => Ok(self.hasher.finish()),
            Some(error) => Err(error),
        }
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failed.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        let read = interrupt::check()
            .map_err(io::Error::other)
            .and_then(|()| self.inner.read(buffer));
        match read {
            Ok(got) => {
                self.hasher.update(&buffer[..got]);
                Ok(got)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}
