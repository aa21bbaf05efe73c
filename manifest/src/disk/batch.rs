//! Many new files at the price of few: all are written, then all are made to last.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::disk::atomic::{FileError, Staged, new_file, parent, sync_dir};

/// Up to as many files each is synced by itself: beyond, one flush of the disk is cheaper
/// than one for each, whatever else it writes out.
const FEW: usize = 16;

/// Many new files, which nobody reads before they are named elsewhere: all are written, then
/// all are made to last, which costs a journal once and not for each. For who holds the lock
/// of the writers of their directories, which are there.
#[derive(Debug, Default)]
pub struct Batch {
    /// Directories that were written to, by this or for it: they are synced with the files.
    pub dirs: BTreeSet<PathBuf>,
    written: Vec<PathBuf>,
}

impl Batch {
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
            Ok(()) => {
                self.written.push(target.to_owned());
                self.dirs.insert(parent(target).to_owned());
            }
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
        self.dirs.iter().try_for_each(|dir| sync_dir(dir))
    }

    /// Syncs the whole file system. If that fails, syncing one by one says where.
    #[cfg(target_os = "linux")]
    fn sync_all_at_once(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let mut synced = BTreeSet::new();
        self.dirs.iter().all(|dir| {
            let Ok(file) = File::open(dir) else { return false };
            let Ok(about) = file.metadata() else { return false };
            !synced.insert(about.dev()) || nix::unistd::syncfs(file).is_ok()
        })
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
        fs::create_dir(&sub).unwrap();
        for (round, count) in [FEW, FEW + 1, 2].into_iter().enumerate() {
            let mut batch = Batch::default();
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
