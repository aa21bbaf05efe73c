//! The one place that writes files. A file is there whole or not at all, whatever dies
//! when: temporary file (0600) in the same directory, fsync, rename, directory fsync.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::OFlag;

pub use crate::disk::file_error::FileError;

/// The one temporary file of a directory with one writer at a time.
const ALONE: &str = ".~new.tmp";

/// A whole file that waits to take its place. Dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    target: PathBuf,
    temp: PathBuf,
    done: bool,
}

impl Staged {
    /// Writes `bytes` to a temporary file beside `target`, on disk when this returns.
    /// Makes the directory (0700) if it is missing.
    ///
    /// # Errors
    /// The directory is missing and cannot be made, is read-only, or the disk is full; no
    /// temporary file is left then.
    pub fn create(target: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| FileError::new("name", target, io::Error::other(error)))?;
        let random = hex::lower::encode_string(&random);
        Self::write(target, temp_beside(target, &random), bytes)
    }

    /// As [`Staged::create`], for who holds the lock of every writer of `target`: what a
    /// killed one left of its temporary file is replaced.
    ///
    /// # Errors
    /// As [`Staged::create`].
    pub fn alone(target: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let temp = temp_beside(target, "new");
        remove(&temp)?;
        Self::write(target, temp, bytes)
    }

    /// As [`Staged::create`], for who holds the lock of every writer of the directory: all
    /// its files come from the same temporary one, so that killed writers leave no more
    /// than that.
    ///
    /// # Errors
    /// As [`Staged::create`].
    pub fn alone_in_directory(target: &Path, bytes: &[u8]) -> Result<Self, FileError> {
        let temp = parent(target).join(ALONE);
        remove(&temp)?;
        Self::write(target, temp, bytes)
    }

    fn write(target: &Path, temp: PathBuf, bytes: &[u8]) -> Result<Self, FileError> {
        make_dir(parent(target))?;
        let staged = Self { target: target.to_owned(), temp, done: false };
        write_new(&staged.temp, bytes, 0o600)
            .map_err(|error| FileError::new("write", target, error))?;
        Ok(staged)
    }

    /// What was written, read back.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_back(&self) -> Result<Vec<u8>, FileError> {
        fs::read(&self.temp).map_err(|error| FileError::new("read back", &self.temp, error))
    }

    /// Puts the file in its place, and makes that last.
    ///
    /// # Errors
    /// The rename is refused; the old file stays then.
    pub fn commit(mut self) -> Result<(), FileError> {
        fs::rename(&self.temp, &self.target)
            .map_err(|error| FileError::new("replace", &self.target, error))?;
        self.done = true;
        sync_dir(parent(&self.target))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.done {
            // Nothing can be done about it, and the next writer replaces what is left.
            let _ = fs::remove_file(&self.temp);
        }
    }
}

/// Writes `bytes` to `target`, replacing what is there.
///
/// # Errors
/// As [`Staged::create`] and [`Staged::commit`].
pub fn replace(target: &Path, bytes: &[u8]) -> Result<(), FileError> {
    Staged::create(target, bytes)?.commit()
}

/// Writes `bytes` to a new file at `target`, whole or not at all. Unlike [`replace`] it never
/// replaces; and it needs a file system that knows hard links.
///
/// # Errors
/// `AlreadyExists`, whatever is there; or as [`Staged::create`].
pub fn create_new(target: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let failed = |error| FileError::new("create", target, error);
    let staged = Staged::create(target, bytes)?;
    fs::set_permissions(&staged.temp, Permissions::from_mode(mode)).map_err(failed)?;
    // A link is made only where nothing is; whoever finds the name finds the whole file.
    fs::hard_link(&staged.temp, target).map_err(failed)?;
    drop(staged);
    sync_dir(parent(target))
}

/// Keeps the file at `target` as `backup` too: the same file under a second name, or a
/// copy where the file system knows no second names. Nothing is done if there is none.
///
/// # Errors
/// The backup cannot be written.
pub fn keep(target: &Path, backup: &Path) -> Result<(), FileError> {
    let failed = |error| FileError::new("keep a backup as", backup, error);
    let temp = temp_beside(backup, "new");
    let mut staged = Staged { target: backup.to_owned(), temp, done: false };
    remove(&staged.temp)?;
    match fs::hard_link(target, &staged.temp) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {
            let bytes = fs::read(target).map_err(failed)?;
            return replace(backup, &bytes);
        }
    }
    // A rename of one name of a file onto another name of it does nothing, and leaves both.
    fs::rename(&staged.temp, backup).map_err(failed)?;
    staged.done = staged.temp.symlink_metadata().is_err();
    Ok(())
}

/// Reads at most `limit` bytes of a file. `None` if there is none.
///
/// # Errors
/// The file cannot be read, is larger, or is no regular file.
pub fn read_limited(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    read_with(path, limit, 0)
}

/// As [`read_limited`], where somebody else may have put the file: a symbolic link is
/// refused.
///
/// # Errors
/// As [`read_limited`]; the file is a symbolic link.
pub fn read_shared(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    read_with(path, limit, OFlag::O_NOFOLLOW.bits())
}

fn read_with(path: &Path, limit: u64, flags: i32) -> Result<Option<Vec<u8>>, FileError> {
    let failed = |error| FileError::new("read", path, error);
    // Without O_NONBLOCK a fifo in the file's place would hold the reader for ever.
    let flags = flags | OFlag::O_NONBLOCK.bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if is_special(&error) => return Err(failed(not_a_file())),
        Err(error) => return Err(failed(error)),
    };
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(failed(not_a_file()));
    }
    let mut bytes = Vec::with_capacity(about.len().min(limit) as usize + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {limit} bytes"),
        )));
    }
    Ok(Some(bytes))
}

/// Removes a file; one that is not there is as good as removed.
///
/// # Errors
/// It is there and stays.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::new("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Makes a directory (0700) and what it lies in, and makes that last.
///
/// # Errors
/// It cannot be made.
pub fn make_dir(path: &Path) -> Result<(), FileError> {
    let make = || DirBuilder::new().mode(0o700).create(path);
    let mut made = if path.is_dir() { return Ok(()) } else { make() };
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        make_dir(parent(path))?;
        made = make();
    }
    match made {
        Ok(()) => sync_dir(parent(path)),
        // Somebody else made it just now.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(FileError::new("make", path, error)),
    }
}

/// Makes what was renamed, made or removed in a directory last.
///
/// # Errors
/// The directory cannot be opened or synced.
pub fn sync_dir(path: &Path) -> Result<(), FileError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| FileError::new("sync", path, error))
}

/// Removes what a killed writer of `target` left that was alone ([`Staged::alone`]).
///
/// # Errors
/// It stays.
pub fn clear_beside(target: &Path) -> Result<(), FileError> {
    remove(&temp_beside(target, "new"))
}

/// Removes what a killed writer left that was alone in `dir` ([`Staged::alone_in_directory`]).
/// For who is that now.
///
/// # Errors
/// It stays.
pub fn clear(dir: &Path) -> Result<(), FileError> {
    remove(&dir.join(ALONE))
}

/// Removes the temporary files in a directory that were last written before `then`: those
/// of writers that were killed.
///
/// # Errors
/// The directory cannot be read, or a file stays.
pub fn sweep(dir: &Path, then: SystemTime) -> Result<usize, FileError> {
    sweep_those(dir, then, is_temp)
}

/// The same, of `target` alone.
///
/// # Errors
/// As [`sweep`].
pub fn sweep_beside(target: &Path, then: SystemTime) -> Result<usize, FileError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let beginning = format!(".{name}~");
    sweep_those(parent(target), then, |name| is_temp(name) && name.starts_with(&beginning))
}

fn sweep_those(
    dir: &Path,
    then: SystemTime,
    is_meant: impl Fn(&str) -> bool,
) -> Result<usize, FileError> {
    let failed = |error| FileError::new("read", dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(error)),
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let is_meant = entry.file_name().to_str().is_some_and(&is_meant);
        let written = entry.metadata().and_then(|about| about.modified());
        if is_meant && written.is_ok_and(|written| written < then) {
            remove(&entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a regular file")
}

/// What opening answers to a link (where none is followed), a socket or a device.
fn is_special(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = new_file(path, mode)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

pub(crate) fn new_file(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of a temporary file beside `target`. `~` is in no name of ours.
fn temp_beside(target: &Path, which: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    parent(target).join(format!(".{name}~{which}.tmp"))
}

fn is_temp(name: &str) -> bool {
    name.starts_with('.') && name.contains('~') && name.ends_with(".tmp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_followed_where_others_write() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        replace(&file, b"x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_limited(&link, 1).unwrap().unwrap(), b"x");
        assert!(read_shared(&link, 1).unwrap_err().is_foreign());
        assert!(read_shared(dir.path(), 1).unwrap_err().is_foreign());
        assert!(read_limited(Path::new("/dev/null"), 1).unwrap_err().is_foreign());
        assert_eq!(read_shared(&dir.path().join("none"), 1).unwrap(), None);
    }

    #[test]
    fn a_limit_is_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        replace(&file, &[0; 10]).unwrap();
        assert_eq!(read_limited(&file, 10).unwrap().unwrap().len(), 10);
        assert!(read_limited(&file, 9).unwrap_err().is_foreign());
    }

    #[test]
    fn a_backup_is_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (file, backup) = (dir.path().join("file"), dir.path().join("file.bak"));
        keep(&file, &backup).unwrap();
        assert!(!backup.exists());
        for (new, old) in [("1", None), ("2", Some("1")), ("3", Some("2"))] {
            keep(&file, &backup).unwrap();
            replace(&file, new.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&backup).ok().as_deref(), old);
        }
        // Killed in between, a writer has kept it already.
        keep(&file, &backup).unwrap();
        keep(&file, &backup).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn only_old_temporary_files_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".file~0011.tmp", ".~new.tmp", "file", ".hidden", "a~b.tmp"] {
            replace(&dir.path().join(name), b"x").unwrap();
        }
        let now = SystemTime::now();
        let hour = std::time::Duration::from_secs(3600);
        assert_eq!(sweep(dir.path(), now - hour).unwrap(), 0);
        let beside = |name: &str| sweep_beside(&dir.path().join(name), now + hour).unwrap();
        assert_eq!((beside("other"), beside("fil"), beside("file")), (0, 0, 1));
        assert_eq!(sweep(dir.path(), now + hour).unwrap(), 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(sweep(&dir.path().join("none"), now).unwrap(), 0);
    }

    #[test]
    fn what_fails_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        replace(&dir.path().join("taken"), b"x").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
