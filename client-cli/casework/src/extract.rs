//! `extract`: the attachments of a report, as files. They are never opened here.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use marram_crypto::{digest::Hasher, report::Report};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files::{self, AtomicFile, Existing},
    interrupt,
    output::{Output, WARNING},
    text,
};
use serde_json::json;

use crate::{show, unlock::Unlocked};

/// How names of unfinished files begin and end; [`AtomicFile`] gives them.
const PARTIAL: (&str, &str) = (".marram-", ".partial");
/// Longest file name in bytes, its number included: below every file system's 255, with room for a suffix.
const MAX_NAME_BYTES: usize = 120;
/// An extension longer than this is none.
const MAX_EXTENSION_BYTES: usize = 12;

/// What `extract` is told.
#[derive(Debug, clap::Args)]
pub struct ExtractArgs {
    /// The report's number, as `list` shows it
    #[arg(value_name = "ID", value_parser = show::parse_id)]
    pub id: i64,
    /// The folder to write into; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
}

/// Writes the attachments of a report.
///
/// # Errors
/// Each with what to do next; nothing is overwritten, and no file is left half written.
pub fn extract(args: &ExtractArgs, unlocked: &Unlocked, out: &Output) -> anyhow::Result<()> {
    let kept = show::find(&unlocked.casebook, args.id)?;
    let report = Report::parse(&kept.report_json)?;
    let names = show::names(&report);
    if report.attachments.is_empty() {
        out.line(format!("Report #{} has no attachments.", args.id));
    } else {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&args.to)
            .with_context(|| format!("cannot make the folder {}", args.to.display()))?;
    }
    let swept = if report.attachments.is_empty() {
        Vec::new()
    } else {
        sweep(&args.to)?
    };
    if !swept.is_empty() {
        out.warning(format!(
            "an earlier extract was cut off; what it had left in {} is removed: {}",
            args.to.display(),
            text::visible(&swept.join(", "))
        ));
    }
    let mut written = Vec::new();
    let total = report.attachments.iter().map(|attachment| attachment.size_bytes).sum();
    let progress = out.bytes("extracting", total);
    for (position, attachment) in report.attachments.iter().enumerate() {
        let name = safe_name(position + 1, names[position].as_deref());
        let path = args.to.join(&name);
        let mut file = Checked {
            file: AtomicFile::create(&path, 0o600, Existing::Keep)?,
            hasher: Hasher::new(),
        };
        unlocked
            .casebook
            .read_attachment(args.id, position, progress.writer(&mut file))
            .with_context(|| format!("cannot write {}", path.display()))?;
        if file.hasher.finish() != attachment.sha256 {
            return Err(fail(
                format!(
                    "attachment {} in the casebook is not the one that the report names",
                    position + 1
                ),
                "the casebook is damaged: take it from a backup",
            ));
        }
        file.file
            .commit()
            .hint("name another folder with --to; nothing was overwritten")?;
        written.push((name, *attachment));
    }
    progress.finish();
    for (name, attachment) in &written {
        let size = show::size(attachment.size_bytes);
        out.line(format!("  {}  {size}", args.to.join(text::visible(name)).display()));
    }
    if !written.is_empty() {
        out.line(format!(
            "\n{WARNING}A stranger made these files.{WARNING:#} Open them only in an isolated viewer (a disposable virtual machine\n\
             without a network, as in Qubes or Tails), never by double-click on this computer."
        ));
    }
    let listed: Vec<_> = written
        .iter()
        .map(|(name, attachment)| {
            json!({"name": name, "sha256": attachment.sha256, "size_bytes": attachment.size_bytes})
        })
        .collect();
    out.json(&json!({ "report": args.id, "folder": args.to, "files": listed, "swept": swept }));
    Ok(())
}

/// Removes what an extract that was killed left half written: plaintext that nobody would look for. Gives the names.
fn sweep(folder: &Path) -> anyhow::Result<Vec<String>> {
    let cannot = || format!("cannot read the folder {}", folder.display());
    let mut swept = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_partial = name.starts_with(PARTIAL.0) && name.ends_with(PARTIAL.1);
        if is_partial && entry.file_type().with_context(cannot)?.is_file() {
            files::destroy(&entry.path())?;
            swept.push(name);
        }
    }
    Ok(swept)
}

/// A file name that cannot leave its folder, hide, or read as another: the number, then what is harmless of the name
/// that the submitter's program gave.
fn safe_name(number: usize, original: Option<&str>) -> String {
    let base = original
        .unwrap_or_default()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let kept: String = base
        .chars()
        .filter(|c| !text::is_hidden(*c))
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .map(|c| if "<>:\"|?*'`$&;!~".contains(c) { '_' } else { c })
        .collect();
    let kept = kept.trim_start_matches(['.', ' ', '-']).trim_end_matches(['.', ' ']);
    if kept.is_empty() {
        return format!("{number:02}-attachment");
    }
    let (stem, extension) = match kept.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= MAX_EXTENSION_BYTES => (stem, format!(".{extension}")),
        _ => (kept, String::new()),
    };
    let room = MAX_NAME_BYTES - 3 - extension.len();
    let mut end = stem.len().min(room);
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{number:02}-{}{extension}", stem[..end].trim_end())
}

/// Digests what is written.
struct Checked {
    file: AtomicFile,
    hasher: Hasher,
}

impl Write for &mut Checked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder_and_shows_what_it_is() {
        for (original, expected) in [
            ("photo.jpg", "01-photo.jpg"),
            ("../../.ssh/authorized_keys", "01-authorized_keys"),
            ("C:\\Windows\\system32\\evil.dll", "01-evil.dll"),
            ("/etc/passwd", "01-passwd"),
            ("..", "01-attachment"),
            ("", "01-attachment"),
            (".bashrc", "01-bashrc"),
            ("-rf", "01-rf"),
            ("photo\u{202e}gpj.exe", "01-photogpj.exe"),
            ("a\u{1b}[2Jb\nc\0.png", "01-a[2Jbc.png"),
            ("二〇二一年 传唤.pdf", "01-二〇二一年 传唤.pdf"),
            ("رسالة.pdf", "01-رسالة.pdf"),
            ("a:b|c?.txt", "01-a_b_c_.txt"),
            ("trailing. . ", "01-trailing"),
        ] {
            assert_eq!(safe_name(1, Some(original)), expected, "{original:?}");
        }
        assert_eq!(safe_name(12, None), "12-attachment");
    }

    #[test]
    fn a_long_name_is_cut_between_letters_and_keeps_its_extension() {
        let name = safe_name(7, Some(&format!("{}.pdf", "传".repeat(200))));
        assert!(
            name.len() <= MAX_NAME_BYTES && name.starts_with("07-传") && name.ends_with("传.pdf"),
            "{name}"
        );
        let name = safe_name(7, Some(&"x.".repeat(200)));
        assert!(name.len() <= MAX_NAME_BYTES, "{name}");
    }
}
