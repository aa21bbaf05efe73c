//! Many new files in one directory, at the price of few: all are written, then all are made
//! to last.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::atomic::{FileError, make_dir, new_file, sync_dir};

/// Many new files in a directory that nobody reads yet: all are written, then all are made
/// to last, which costs a journal once and not for each.
#[derive(Debug)]
pub struct Batch {
    dir: PathBuf,
    written: Vec<PathBuf>,
}

impl Batch {
    /// Begins with a directory, which is made if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(dir: &Path) -> Result<Self, FileError> {
        make_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), written: Vec::new() })
    }

    /// Writes one of them (0600).
    ///
    /// # Errors
    /// It is there already, or cannot be written.
    pub fn create(&mut self, target: &Path, bytes: &[u8]) -> Result<(), FileError> {
        let written = new_file(target, 0o600).and_then(|mut file| file.write_all(bytes));
        written.map_err(|error| FileError::new("create", target, error))?;
        self.written.push(target.to_owned());
        Ok(())
    }

    /// Makes all of them last.
    ///
    /// # Errors
    /// One cannot be synced.
    pub fn sync(self) -> Result<(), FileError> {
        for path in &self.written {
            File::open(path)
                .and_then(|file| file.sync_all())
                .map_err(|error| FileError::new("sync", path, error))?;
        }
        sync_dir(&self.dir)
    }
}
