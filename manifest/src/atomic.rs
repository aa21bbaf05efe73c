//! The one place that writes files. A file is there whole or not at all, whatever dies
//! when: temporary file (0600) in the same directory, fsync, rename, directory fsync.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
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
        make_dir(parent(target))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| FileError::new("name", target, io::Error::other(error)))?;
        let name = format!("{}{}.tmp", temp_prefix(target), hex::lower::encode_string(&random));
        let staged =
            Self { target: target.to_owned(), temp: parent(target).join(name), done: false };
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
            // Nothing can be done about it, and the next writer sweeps what is left.
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

/// Writes `bytes` to a new file at `target`. Unlike [`replace`] it never replaces, and a
/// killed process may leave part of it.
///
/// # Errors
/// `AlreadyExists`, whatever is there; or as [`Staged::create`].
pub fn create_new(target: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    make_dir(parent(target))?;
    write_new(target, bytes, mode).map_err(|error| FileError::new("create", target, error))?;
    sync_dir(parent(target))
}

/// Keeps the file at `target` as `backup` too: the same file under a second name, or a
/// copy where the file system knows no second names. Nothing is done if there is none.
///
/// # Errors
/// The backup cannot be written.
pub fn keep(target: &Path, backup: &Path) -> Result<(), FileError> {
    let failed = |error| FileError::new("keep a backup as", backup, error);
    let mut staged = Staged { target: backup.to_owned(), temp: temp_beside(backup), done: false };
    let _ = fs::remove_file(&staged.temp);
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
/// The file cannot be read, or is larger.
pub fn read_limited(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
    let failed = |error| FileError::new("read", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let mut bytes = Vec::with_capacity(about.len().min(limit) as usize + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
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

/// Makes a directory (0700) and what it lies in.
///
/// # Errors
/// It cannot be made.
pub fn make_dir(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| FileError::new("make", path, error))
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

/// Removes what killed writers of `target` left. For who holds the lock of its writers.
pub(crate) fn sweep(target: &Path) {
    let prefix = temp_prefix(target);
    // A directory that cannot be listed or written is the next write's to report.
    let Ok(entries) = fs::read_dir(parent(target)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(".tmp")) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the names of `target`'s temporary files begin with. No other file's do: `~` is in
/// no name of ours.
fn temp_prefix(target: &Path) -> String {
    format!(".{}~", target.file_name().unwrap_or_default().to_string_lossy())
}

fn temp_beside(target: &Path) -> PathBuf {
    parent(target).join(format!("{}link.tmp", temp_prefix(target)))
}
