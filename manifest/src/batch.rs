//! Many new files in one directory, at the price of few: all are written, then all are made
//! to last.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::atomic::{FileError, Staged, make_dir, new_file, sync_dir};

/// Up to as many files each is synced by itself: beyond, one flush of the disk is cheaper
/// than one for each, whatever else it writes out.
const FEW: usize = 16;

/// Many new files in one directory, which nobody reads before they are named elsewhere: all
/// are written, then all are made to last, which costs a journal once and not for each. For
/// who holds the lock of the directory's writers.
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

    /// Writes one of them (0600). One that is there already is replaced as a whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, target: &Path, bytes: &[u8]) -> Result<(), FileError> {
        match new_file(target, 0o600).and_then(|mut file| file.write_all(bytes)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Staged::alone_in_directory(target, bytes)?.commit()?;
            }
            Err(error) => {
                let _ = fs::remove_file(target);
                return Err(FileError::new("write", target, error));
            }
            Ok(()) => self.written.push(target.to_owned()),
        }
        Ok(())
    }

    /// Makes all of them last.
    ///
    /// # Errors
    /// One cannot be synced.
    pub fn sync(self) -> Result<(), FileError> {
        if self.written.len() > FEW && self.sync_all_at_once() {
            return Ok(());
        }
        for path in &self.written {
            File::open(path)
                .and_then(|file| file.sync_all())
                .map_err(|error| FileError::new("sync", path, error))?;
        }
        sync_dir(&self.dir)
    }

    /// Syncs the whole file system. If that fails, syncing one by one says where.
    #[cfg(target_os = "linux")]
    fn sync_all_at_once(&self) -> bool {
        File::open(&self.dir).is_ok_and(|dir| nix::unistd::syncfs(dir).is_ok())
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_all_at_once(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_few_and_many_and_replaces_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let sub = dir.path().join("sub");
        for (round, count) in [FEW, FEW + 1, 2].into_iter().enumerate() {
            let mut batch = Batch::new(&sub).unwrap();
            for n in 0..count {
                let text = format!("{round}");
                batch.write(&sub.join(format!("{n}")), text.as_bytes()).unwrap();
            }
            batch.sync().unwrap();
        }
        let read = |n: usize| fs::read_to_string(sub.join(format!("{n}"))).unwrap();
        assert_eq!((read(0), read(2), read(FEW)), ("2".into(), "1".into(), "1".into()));
        assert_eq!(fs::read_dir(&sub).unwrap().count(), FEW + 1, "no temporary file is left");
    }
}
