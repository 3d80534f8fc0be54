//! Where exported events go.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::Usage;
use crate::cli::draft::Draft;
use crate::cli::terminal::Terminal;

/// Where exported events go.
#[derive(Debug)]
pub(super) enum Output {
    /// To standard output.
    Terminal,
    /// To a file that appears when it is finished.
    File { draft: Draft, path: PathBuf },
}

impl Output {
    /// A file. A link is followed; what is no file (a folder, a device) is wrong usage, since it would be replaced.
    pub(super) fn file(path: &Path) -> anyhow::Result<Self> {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_absent| path.to_owned());
        let is_other = std::fs::metadata(&real).is_ok_and(|found| !found.is_file());
        anyhow::ensure!(!is_other, Usage(format!("{} is no file that can be replaced", path.display())));
        let draft =
            Draft::beside(&real).with_context(|| Usage(format!("cannot write {}", path.display())))?;
        Ok(Self::File { draft, path: real })
    }

    /// Whether events pass by on a person's screen, where nothing else should be.
    pub(super) fn is_screen(&self, terminal: &Terminal<'_>) -> bool {
        match self {
            Self::Terminal => terminal.is_interactive(),
            Self::File { .. } => false,
        }
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8], terminal: &mut Terminal<'_>) -> anyhow::Result<()> {
        match self {
            Self::Terminal => Ok(terminal.bytes(bytes)?),
            Self::File { draft, path } => draft.write(bytes).with_context(|| cannot_write(path)),
        }
    }

    /// Shows the file in its place.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Terminal => Ok(()),
            Self::File { draft, path } => draft.finish().with_context(|| cannot_write(&path)),
        }
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null"), &folder.path().join("absent/events.csv")] {
            let error = Output::file(path).unwrap_err();
            assert!(error.is::<Usage>(), "{error:#}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Output::file(&link).unwrap().finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
    }
}
