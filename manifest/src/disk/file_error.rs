//! What went wrong with a file: which, at what, and what the system said.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What could not be done to which file, and what the system said.
#[derive(Debug)]
pub struct FileError {
    /// What was tried: `read`, `write`, …
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl FileError {
    /// Puts the three together.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// Whether something is there that we do not write: a link, a fifo, a directory, or a
    /// file that is too large.
    pub fn is_foreign(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.action, self.path.display(), self.source)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
