//! The files that go with a report. They are read twice, once to measure and once to seal, and never opened by anything
//! that would interpret them.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use marram_crypto::{
    report::{Attachment, MAX_ATTACHMENTS},
    seal::Measure,
};
use marram_incident::{Evidence, Sha256, Text};
use marram_terminal::{error::fail, interrupt::Interruptible, output::Output};

/// Bytes that are looked at to tell the type.
const SNIFFED: usize = 8 * 1024;

/// A file, measured.
#[derive(Clone)]
pub(crate) struct Measured {
    path: PathBuf,
    pub(crate) measure: Measure,
    mime: Option<Text<127>>,
}

/// A name is a part of what somebody reports.
impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Measured(redacted)")
    }
}

impl Measured {
    /// Measures a file. Regular files only: a pipe could not be read twice.
    pub(crate) fn measure(out: &Output, path: &Path) -> Result<Self> {
        let cannot = || format!("cannot read {}", path.display());
        let found = std::fs::metadata(path).with_context(cannot)?;
        if !found.is_file() {
            return Err(fail(
                format!("{} is not a file", path.display()),
                "name the file itself",
            ));
        }
        if found.len() == 0 {
            return Err(fail(
                format!("{} is empty", path.display()),
                "leave it out, or copy it again",
            ));
        }
        let file = File::open(path).with_context(cannot)?;
        let mime = guess(&file).with_context(cannot)?;
        let progress = out.bytes("measuring", found.len());
        let measure = Measure::of(progress.reader(Interruptible(File::open(path).with_context(cannot)?)));
        progress.finish();
        Ok(Self {
            path: path.to_owned(),
            measure: measure.with_context(cannot)?,
            mime,
        })
    }

    /// Its name without folders, as the report gives it.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// What the report says about it.
    pub(crate) fn evidence(&self) -> Evidence {
        let Attachment { sha256, size_bytes } = self.measure.attachment;
        let mut evidence = Evidence::new(Sha256::from_bytes(*sha256.as_bytes()), size_bytes);
        evidence.mime.clone_from(&self.mime);
        evidence.original_filename = self.name().parse().ok();
        evidence
    }

    /// One line about it.
    pub(crate) fn describe(&self) -> String {
        let mime = self.mime.as_deref().unwrap_or("unknown type");
        format!(
            "{}  ({}, {mime})",
            self.name(),
            human_size(self.measure.attachment.size_bytes)
        )
    }

    pub(crate) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

/// Refuses more files than a report can have.
pub(crate) fn check_count(count: usize) -> Result<()> {
    if count > MAX_ATTACHMENTS {
        bail!("{count} files, and a report has at most {MAX_ATTACHMENTS}");
    }
    Ok(())
}

/// The type by the first bytes; text if they are text. A guess, which nobody trusts.
fn guess(mut file: &File) -> io::Result<Option<Text<127>>> {
    let mut start = Vec::new();
    file.by_ref().take(SNIFFED as u64).read_to_end(&mut start)?;
    let known = infer::get(&start).map(|kind| kind.mime_type());
    let text = || {
        let valid = match std::str::from_utf8(&start) {
            Ok(_) => true,
            // A character that the end of what was read cuts in two.
            Err(error) => error.error_len().is_none() && start.len() == SNIFFED,
        };
        (valid && !start.contains(&0)).then_some("text/plain")
    };
    Ok(known.or_else(text).and_then(|mime| mime.parse().ok()))
}

/// A size for people.
pub(crate) fn human_size(bytes: u64) -> String {
    match bytes {
        0..=1_023 => format!("{bytes} bytes"),
        1_024..=1_048_575 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{}.{} MiB", bytes >> 20, ((bytes % (1 << 20)) * 10) >> 20),
    }
}
