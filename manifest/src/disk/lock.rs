//! The lock that every writer of an owner's files holds.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::disk::atomic::{self, FileError};

/// How long to wait between two tries.
const PAUSE: Duration = Duration::from_millis(2);

/// Held until dropped; the kernel lets go when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Somebody held it all the time.
    #[error("another keyrack is writing")]
    Busy,
    /// The lock file cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Lock {
    /// Takes the lock at `path`, waiting up to `patience` for whoever holds it.
    ///
    /// # Errors
    /// [`LockError`].
    pub(crate) fn take(path: &Path, patience: Duration) -> Result<Self, LockError> {
        let give_up = Instant::now() + patience;
        if let Some(dir) = path.parent() {
            atomic::make_dir(dir)?;
        }
        loop {
            match Self::try_take(path)? {
                Some(lock) => return Ok(lock),
                None if Instant::now() >= give_up => return Err(LockError::Busy),
                None => std::thread::sleep(PAUSE),
            }
        }
    }

    fn try_take(path: &Path) -> Result<Option<Self>, LockError> {
        let failed = |error| FileError::new("lock", path, error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)
            .map_err(failed)?;
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => return Ok(None),
            Err((_, error)) => return Err(failed(error.into()).into()),
        };
        // Who removed the file and made a new one would lock that: two would hold "the" lock.
        let held = file.metadata().map_err(failed)?;
        match path.symlink_metadata() {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {
                Ok(Some(Self { _file: file }))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/a.lock");
        let held = Lock::take(&path, NOW).unwrap();
        assert!(matches!(Lock::take(&path, NOW), Err(LockError::Busy)));
        drop(held);
        Lock::take(&path, NOW).unwrap();
    }

    #[test]
    fn a_removed_lock_file_fools_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let held = Lock::take(&path, NOW).unwrap();
        std::fs::remove_file(&path).unwrap();
        let second = Lock::take(&path, NOW).unwrap();
        drop(held);
        assert!(matches!(Lock::take(&path, NOW), Err(LockError::Busy)));
        drop(second);
    }

    #[test]
    fn a_symlink_is_no_lock_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(Lock::take(&path, NOW), Err(LockError::File(_))));
        assert!(!dir.path().join("elsewhere").exists());
    }
}
