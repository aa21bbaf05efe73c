//! The directories sockets lie in: who may write there, and the lock that whoever binds
//! or removes a socket holds. The lock is on the directory itself: no lock file that a
//! cleaner of `/tmp` could delete, and none that stays behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How long another starter may take.
const LOCK_DEADLINE: Duration = Duration::from_secs(5);
/// Who may write into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// We alone may even look into it.
    Private,
    /// Others may look or put things into it, but not remove ours.
    Shared,
}

/// Looks at a directory, makes it where it is missing.
///
/// # Errors
/// Why it cannot serve, for a person.
pub fn place(dir: &Path, uid: u32) -> Result<Place, String> {
    let shown = dir.display();
    if let Err(e) = fs::DirBuilder::new().mode(0o700).create(dir)
        && e.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(format!("{shown}: {e}"));
    }
    let found = dir.symlink_metadata().map_err(|e| format!("{shown}: {e}"))?;
    let (owner, mode) = (found.uid(), found.mode());
    if !found.is_dir() {
        Err(format!("{shown} is not a directory"))
    } else if owner == uid && mode & 0o077 == 0 {
        Ok(Place::Private)
    } else if mode & 0o1002 == 0o1002 && (owner == 0 || owner == uid) {
        Ok(Place::Shared)
    } else if owner != uid {
        Err(format!("{shown} belongs to uid {owner}"))
    } else if mode & 0o022 == 0 {
        Ok(Place::Shared)
    } else {
        Err(format!("others may write into {shown}"))
    }
}

/// Whether somebody else has put something at `dir`.
pub fn is_anothers(dir: &Path, uid: u32) -> bool {
    dir.symlink_metadata().is_ok_and(|found| found.uid() != uid)
}

/// Locks every private directory we bind in, and for shared ones the user's own: so two
/// starters that would meet at a path meet at a lock, whatever their environments say. Let
/// go when what is returned is dropped.
///
/// # Errors
/// Which lock was not had, for a person.
pub fn lock(dirs: &[(&Path, Place)], uid: u32) -> Result<Vec<Flock<File>>, String> {
    let is_private = |(_, kind): &&(&Path, Place)| *kind == Place::Private;
    let mut wanted: Vec<PathBuf> =
        dirs.iter().filter(is_private).map(|(dir, _)| dir.to_path_buf()).collect();
    if wanted.len() < dirs.len() {
        match own_dir(uid) {
            Ok(own) => wanted.push(own),
            // Somebody else made that one first. Starters still meet where nobody can.
            Err(_) if !wanted.is_empty() => {}
            Err(why) => return Err(why),
        }
    }
    // In one order for all, so that nobody waits for each other.
    wanted.sort();
    wanted.dedup();
    wanted.iter().map(|dir| lock_one(dir)).collect()
}

/// A directory of the user's own that every process of the user agrees on.
fn own_dir(uid: u32) -> Result<PathBuf, String> {
    let runtime = PathBuf::from(format!("/run/user/{uid}"));
    let has_runtime = runtime.symlink_metadata().is_ok_and(|found| found.uid() == uid);
    let dir = if has_runtime {
        runtime.join("keyrack")
    } else {
        PathBuf::from(format!("/tmp/keyrack-{uid}"))
    };
    match place(&dir, uid)? {
        Place::Private => Ok(dir),
        Place::Shared => {
            Err(format!("{} is open to others; it must have mode 0700", dir.display()))
        }
    }
}

/// The lock is on the directory itself: no lock file that a cleaner could delete.
fn lock_one(dir: &Path) -> Result<Flock<File>, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{} cannot be locked: {why}", dir.display());
    let end = Instant::now() + LOCK_DEADLINE;
    loop {
        let mut opened = File::options()
            .read(true)
            .custom_flags((nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_NOFOLLOW).bits())
            .open(dir)
            .map_err(|e| failed(&e))?;
        while Instant::now() < end {
            match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
                Ok(locked) if is_still(dir, &locked) => return Ok(locked),
                // It was replaced while we waited: lock the one that is there now.
                Ok(_) => break,
                Err((file, Errno::EWOULDBLOCK)) => opened = file,
                Err((_, e)) => return Err(failed(&e)),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if Instant::now() >= end {
            return Err(failed(&"another start is under way"));
        }
    }
}

fn is_still(dir: &Path, locked: &File) -> bool {
    let id = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((dir.symlink_metadata(), locked.metadata()), (Ok(a), Ok(b)) if id(&a) == id(&b))
}
