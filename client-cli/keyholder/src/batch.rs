//! A batch: a folder with the manifests of some epochs, the annex that explains their slots, and for convenience the
//! enrolments it speaks of. It travels from keyholder to keyholder until enough have signed; then everything but the
//! manifests is destroyed, since it tells who reads.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use marram_crypto::{
    annex::{self, Annex},
    day::Epoch,
    enrolment::UntrustedEnrolment,
    instance::InstanceId,
    manifest::{Draft, UntrustedManifest},
    note,
};
use marram_terminal::{
    error::{ResultExt as _, fail},
    files::{self, Existing, FileError},
};

/// Most manifests in a batch.
const MAX_MANIFESTS: usize = 16;
/// Most files that are looked at in a folder.
const MAX_FILES: usize = 1_000;

/// How the names of manifests end.
pub(crate) const MANIFEST: &str = "manifest";
const ENROLMENT: &str = "enrolment";
const ANNEX: &str = "annex";

/// A batch as it was found. Nothing in it is verified.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) folder: PathBuf,
    /// By epoch; one of each.
    pub(crate) manifests: Vec<UntrustedManifest>,
    pub(crate) annex: Option<Annex>,
    pub(crate) enrolments: Vec<(PathBuf, UntrustedEnrolment)>,
}

impl Batch {
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let again = "ask for the folder again, copied whole";
        let mut by_epoch = BTreeMap::new();
        for path in files_ending(folder, MANIFEST)? {
            let bytes = files::read_bounded(&path, note::MAX_LEN as u64)?;
            let manifest = UntrustedManifest::parse(&bytes)
                .with_context(|| format!("cannot use {}", path.display()))
                .hint(again)?;
            if path
                .file_name()
                .is_none_or(|name| *name != *file_name(manifest.claims()))
            {
                let name = file_name(manifest.claims());
                return Err(fail(
                    format!("{} holds {name}, which is another file's name", path.display()),
                    again,
                ));
            }
            let epoch = manifest.claims().epoch;
            if by_epoch.insert(epoch, manifest).is_some() {
                return Err(fail(
                    format!("{} holds two manifests of epoch {epoch}", folder.display()),
                    "a batch has one manifest for each week: move the one that is not meant out of the folder",
                ));
            }
            if by_epoch.len() > MAX_MANIFESTS {
                return Err(fail(
                    format!("{} holds more than {MAX_MANIFESTS} manifests", folder.display()),
                    again,
                ));
            }
        }
        if by_epoch.is_empty() {
            return Err(fail(
                format!("there is no *.{MANIFEST} in {}", folder.display()),
                "name the folder of the batch itself",
            ));
        }
        let mut enrolments = Vec::new();
        for path in files_ending(folder, ENROLMENT)? {
            let bytes = files::read_bounded(&path, note::MAX_LEN as u64)?;
            // Only a help for finding the file: one that cannot be read helps nobody, and is in nobody's way.
            if let Ok(enrolment) = UntrustedEnrolment::parse(&bytes) {
                enrolments.push((path, enrolment));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            manifests: by_epoch.into_values().collect(),
            annex: read_annex(&folder.join(ANNEX)).hint(again)?,
            enrolments,
        })
    }

    /// Destroys what tells who reads: the annex and the enrolments.
    pub(crate) fn destroy_private(&self) -> Result<(), FileError> {
        destroy_private(&self.folder)
    }
}

/// A batch that is about to be written: it appears under its name only when it is whole.
#[derive(Debug)]
pub(crate) struct NewBatch {
    partial: PathBuf,
    folder: PathBuf,
}

impl NewBatch {
    /// Writes the batch beside its place.
    pub(crate) fn write(
        folder: &Path,
        manifests: &[UntrustedManifest],
        private: Option<&Private<'_>>,
    ) -> anyhow::Result<Self> {
        if fs::symlink_metadata(folder).is_ok() {
            return Err(fail(
                format!("{} is already there", folder.display()),
                "name another folder with --out",
            ));
        }
        let partial = partial(folder)?;
        if partial.exists() {
            destroy_private(&partial)?;
            fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
        }
        fs::create_dir(&partial)
            .with_context(|| format!("cannot make {}", folder.display()))
            .hint("check that the stick or disk is plugged in and can be written")?;
        let new = Self {
            partial,
            folder: folder.to_owned(),
        };
        let write =
            |name: &str, bytes: &[u8], mode| files::atomic_write(&new.partial.join(name), bytes, mode, Existing::Keep);
        for manifest in manifests {
            write(&file_name(manifest.claims()), &manifest.note().to_bytes(), 0o644)?;
        }
        if let Some(private) = private {
            for (name, note) in &private.enrolments {
                write(&format!("{name}.{ENROLMENT}"), note, 0o600)?;
            }
            write(ANNEX, private.annex.to_text()?.as_bytes(), 0o600)?;
        }
        Ok(new)
    }

    /// Gives it its name.
    pub(crate) fn commit(self) -> anyhow::Result<()> {
        rename(&self.partial, &self.folder)
    }

    /// Takes it back.
    pub(crate) fn discard(self) -> anyhow::Result<()> {
        destroy_private(&self.partial)?;
        Ok(fs::remove_dir_all(&self.partial)?)
    }

    /// A batch for this place whose writing was cut off, if all of it is there and `known` says that all of it was
    /// signed. It gets its name.
    pub(crate) fn resume(folder: &Path, known: impl Fn(&UntrustedManifest) -> bool) -> anyhow::Result<bool> {
        let partial = partial(folder)?;
        if folder.exists() || !partial.exists() {
            return Ok(false);
        }
        let whole = Batch::read(&partial).is_ok_and(|batch| batch.manifests.iter().all(known));
        if whole {
            rename(&partial, folder)?;
        }
        Ok(whole)
    }
}

/// What must not leave the keyholders.
#[derive(Debug)]
pub(crate) struct Private<'a> {
    pub(crate) annex: &'a Annex,
    /// File name without ending, and the note.
    pub(crate) enrolments: Vec<(String, Vec<u8>)>,
}

/// `<epoch>-<version>.manifest`.
pub(crate) fn file_name(draft: &Draft) -> String {
    format!("{}-{}.{MANIFEST}", draft.epoch, draft.version)
}

/// Where the annex of a batch lies.
pub(crate) fn annex_path(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder);
    absolute.unwrap_or_else(|_| folder.to_owned()).join(ANNEX)
}

/// The batch that begins with `epoch`, unless it is called otherwise.
pub(crate) fn default_folder(epoch: Epoch) -> PathBuf {
    PathBuf::from(format!("batch-{}", epoch.opens()))
}

/// The files of a folder whose names end so, sorted.
pub(crate) fn files_ending(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, FileError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => FileError::Missing {
            path: folder.to_owned(),
        },
        _ => FileError::Io {
            doing: "read",
            path: folder.to_owned(),
            source,
        },
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)?.take(MAX_FILES) {
        let path = entry.map_err(io)?.path();
        // Editors and other systems leave hidden files of the same ending.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|ending| ending == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A manifest of another instance than its annex: somebody mixed two batches.
pub(crate) fn check_annex_instance(annex: &Annex, instance: InstanceId) -> anyhow::Result<()> {
    if annex.instance == instance {
        return Ok(());
    }
    Err(fail(
        format!(
            "the annex is of the instance {}, and {instance} is ours",
            annex.instance
        ),
        "ask for the folder again, with its own annex",
    ))
}

fn read_annex(path: &Path) -> anyhow::Result<Option<Annex>> {
    match files::read_bounded(path, annex::MAX_LEN as u64) {
        Ok(bytes) => Ok(Some(
            Annex::parse(&bytes).with_context(|| format!("cannot use {}", path.display()))?,
        )),
        Err(FileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn destroy_private(folder: &Path) -> Result<(), FileError> {
    for path in files_ending(folder, ENROLMENT)? {
        files::destroy(&path)?;
    }
    let annex = folder.join(ANNEX);
    if annex.exists() { files::destroy(&annex) } else { Ok(()) }
}

fn partial(folder: &Path) -> anyhow::Result<PathBuf> {
    let name = folder
        .file_name()
        .ok_or_else(|| fail("the folder of a batch needs a name", "name one with --out"))?;
    Ok(folder.with_file_name(format!(".{}.partial", name.to_string_lossy())))
}

fn rename(partial: &Path, folder: &Path) -> anyhow::Result<()> {
    fs::rename(partial, folder)
        .with_context(|| format!("cannot give {} its name", folder.display()))
        .hint(format!("move {} there yourself", partial.display()))
}
