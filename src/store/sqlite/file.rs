//! The database's file: made private, and held by one process.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::store::{Result, StoreError};

/// A database file that no other process may open as a store.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    lock: File,
}

impl DatabaseFile {
    /// Takes the file for this process, or says that another one has it. A missing file is made, readable by its owner
    /// alone, with its folder; without `create` it is an error.
    ///
    /// What is locked is a file beside it, `<name>.lock`: SQLite's own locks lie on the database, and closing any handle
    /// to it would drop them.
    pub(super) fn hold(path: &Path, create: bool) -> Result<Self> {
        let path = resolve(path, create)?;
        let mut name = path.clone().into_os_string();
        name.push(".lock");
        let lock = private().truncate(false).open(name).map_err(unavailable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(path.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        if create {
            private().truncate(false).open(&path).map_err(unavailable)?;
        }
        Ok(Self { path, lock })
    }

    /// Where it is, links resolved.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets other processes have it.
    pub(super) fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the database file stays locked until this process ends");
        }
    }
}

/// The file's one true path, so that two ways to it meet in one lock.
fn resolve(path: &Path, create: bool) -> Result<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    if !create {
        return Err(StoreError::Schema("there is no database: run `switchboard migrate`".to_owned()));
    }
    let name = path.file_name().ok_or(StoreError::Url)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(unavailable)?;
    Ok(folder.canonicalize().map_err(unavailable)?.join(name))
}

/// Opens a file to write, making it with mode 0600. SQLite gives its `-wal` and `-shm` the mode of the database.
fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn unavailable(error: io::Error) -> StoreError {
    StoreError::Unavailable(format!("the database file: {error}"))
}
