//! A file that is complete or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A file under construction beside the one it becomes. Only the owner can read it at any time. Dropped before
/// [`Draft::finish`], it is gone.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Begins a file that will be `target`, named like `events.csv.4711.part` until then.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or(ErrorKind::InvalidFilename)?;
        // The process id keeps two writers out of each other's way.
        let mut draft = name.to_owned();
        draft.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(draft);
        remove(&path)?;
        Ok(Self { file: private_file(&path)?, path, target: target.to_owned() })
    }

    /// Adds bytes at its end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Puts it in its place, where a reader finds the old file or the new one, never a part.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `finish` there is nothing left here; before it, what went wrong first is what is worth telling.
        let _ = remove(&self.path);
    }
}

/// Takes a file away; it is fine if there is none.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A new file that nobody else could ever open. (On Windows the profile's own permissions must do.)
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_it_is_finished_the_old_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("events.csv");
        fs::write(&target, "old").unwrap();
        let mut draft = Draft::beside(&target).unwrap();
        draft.write(b"ne").unwrap();
        draft.write(b"w").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        draft.finish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut draft = Draft::beside(&folder.path().join("events.csv")).unwrap();
        draft.write(b"half").unwrap();
        assert!(draft.path.exists());
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(Draft::beside(Path::new("/")).is_err());
        assert!(Draft::beside(Path::new("")).is_err());
    }
}
