//! A sealed report on its way: sealed into a file without a name, sent as often as it takes, and arrived only with a valid
//! receipt. One way for every program that sends one, so that what a courier sends to try the server looks like what a
//! submitter sends.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    os::unix::fs::FileExt as _,
    sync::Arc,
};

use marram_crypto::{
    codename::Codename,
    day::{Day, Epoch},
    digest::{Aside, Digest},
    manifest::Manifest,
    receipt::{Receipt, ReceiptError, UntrustedReceipt},
    seal::{Content, Draft, Measure, SealError, Target},
};
use marram_terminal::{output::Output, text};

use crate::{
    client::{Client, Outgoing},
    error::OnlineError,
    retry::retry,
};

/// An answer to a report is a receipt, which is far shorter.
const MAX_RECEIPT_LEN: u64 = 4 * 1024;

/// A sealed report, ready to be sent as often as needed.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The ciphertext.
    pub file: Arc<File>,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length in bytes: a bucket.
    pub size: u64,
    /// The epoch it was sealed for.
    pub epoch: Epoch,
}

/// Why a report could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum NotSealed {
    /// No room for the ciphertext.
    #[error("cannot make a temporary file: {0}")]
    File(io::Error),
    /// What is to be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Why a report is not with the organization, as far as its sender can know.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// On the way, or refused.
    #[error(transparent)]
    Online(#[from] OnlineError),
    /// The server took it and did not promise to keep it.
    #[error("the server took the report, but its receipt is not valid: {0}")]
    Receipt(#[from] ReceiptError),
}

impl Sealed {
    /// Seals into a file without a name, so that nothing is left of it when the program ends, however it ends. `open`
    /// gives the attachments' contents.
    ///
    /// # Errors
    /// [`NotSealed`].
    pub fn seal(
        out: &Output,
        manifest: &Manifest,
        codename: &Codename,
        content: Content,
        attachments: &[Measure],
        open: impl FnMut(usize) -> io::Result<Box<dyn Read>>,
    ) -> Result<Self, NotSealed> {
        let target = Target::from(manifest);
        let draft = Draft::new(&target, codename, content, attachments)?;
        let file = tempfile::tempfile().map_err(NotSealed::File)?;
        let progress = out.bytes("sealing", draft.bucket());
        // As it was sealed: whatever happens to the file, no receipt is taken for anything else.
        let digest = {
            let mut output = Digesting {
                inner: BufWriter::new(progress.writer(&file)),
                hasher: Aside::new(),
            };
            draft.seal(&mut output, open)?;
            output.hasher.finish()
        };
        progress.finish();
        Ok(Self {
            file: Arc::new(file),
            digest,
            size: draft.bucket(),
            epoch: manifest.epoch,
        })
    }

    /// Sends it, again if the connection breaks, and verifies the receipt with the log key of `manifest`.
    ///
    /// # Errors
    /// [`NotSent`].
    pub fn send(&self, out: &Output, client: &Client, manifest: &Manifest, today: Day) -> Result<Receipt, NotSent> {
        let path = format!("/v1/reports?epoch={}", self.epoch);
        let answer = retry(
            || {
                let progress = out.bytes("sending", self.size);
                let body = Outgoing(progress.reader(self.reader()));
                client.post(&path, body, self.size, MAX_RECEIPT_LEN)
            },
            |error| out.note(text::wrap(&format!("{error}. Sending again."), out.width(), 0)),
        )?;
        let receipt = UntrustedReceipt::parse(&answer)?.verify(manifest.instance, &manifest.log)?;
        receipt.check_for(self.digest, self.epoch, self.size, today)?;
        Ok(receipt)
    }

    /// Reads it from its beginning.
    pub fn reader(&self) -> impl Read + Send + use<> {
        FromStart {
            file: Arc::clone(&self.file),
            position: 0,
        }
    }
}

/// Digests what is written.
struct Digesting<W> {
    inner: W,
    hasher: Aside,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a file from its beginning, wherever others that read it are.
#[derive(Debug)]
struct FromStart {
    file: Arc<File>,
    position: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(buffer, self.position)?;
        self.position += got as u64;
        Ok(got)
    }
}
