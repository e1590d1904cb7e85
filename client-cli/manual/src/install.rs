//! Files for everybody to read, each there whole or not at all.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// A file of the manual could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct ManualError {
    path: PathBuf,
    source: io::Error,
}

impl ManualError {
    /// What to do next.
    pub fn next_step(&self) -> String {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "run it as a user who may write there, or name another folder".to_owned()
            }
            _ => "name a folder in which files can be made".to_owned(),
        }
    }
}

/// What is written below one folder.
pub(crate) struct Folder<'a> {
    root: &'a Path,
    pub(crate) written: Vec<PathBuf>,
}

impl<'a> Folder<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self {
            root,
            written: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, folder: &str, name: &str, bytes: &[u8]) -> Result<(), ManualError> {
        let folder = self.root.join(folder);
        let path = folder.join(name);
        write(&folder, &path, bytes).map_err(|source| ManualError {
            path: path.clone(),
            source,
        })?;
        self.written.push(path);
        Ok(())
    }
}

fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    make(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    // Whoever keeps their own files private by umask still installs these for everybody.
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

/// Makes a folder and those above it, readable for everybody. Folders that are there stay as they are.
fn make(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make(above)?;
    }
    fs::DirBuilder::new().mode(0o755).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))
}
