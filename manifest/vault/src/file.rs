//! The engine that keeps a vault in a directory: the usual one. A name is there whole or not
//! at all, and of two writers who make the same one, one is told.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use keyrack_manifest::{Batch, FileError, atomic};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::engine::{Guard, VaultStore};
use crate::modes::Modes;

/// How long to wait for another writer: a person's patience.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// A vault in a directory.
#[derive(Debug)]
pub struct FileStore {
    dir: PathBuf,
    modes: Modes,
    /// Folders that were looked at: they are directories and no links to elsewhere.
    folders: Mutex<BTreeSet<String>>,
    /// Folders that this one cleared while it was alone; `None` when it is not.
    cleared: Arc<Mutex<Option<BTreeSet<PathBuf>>>>,
}

/// Held while this store is the only writer.
struct Held {
    _lock: Flock<File>,
    cleared: Arc<Mutex<Option<BTreeSet<PathBuf>>>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        *whole(&self.cleared) = None;
    }
}

/// What is behind a mutex is whole after any panic: it is replaced, never half changed.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileStore {
    /// The vault at `dir`, which need not be there yet.
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            modes: Modes::of(dir),
            folders: Mutex::default(),
            cleared: Arc::default(),
        }
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where an object lies, if every folder on the way is one.
    fn path(&self, name: &str) -> Result<PathBuf, FileError> {
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.check_folder(folder)?;
        }
        Ok(self.dir.join(name))
    }

    /// A folder that is a link would lead what is written, or read, out of the vault.
    fn check_folder(&self, folder: &str) -> Result<(), FileError> {
        let mut known = whole(&self.folders);
        if known.contains(folder) {
            return Ok(());
        }
        let mut path = self.dir.clone();
        for part in folder.split('/') {
            path.push(part);
            match path.symlink_metadata() {
                Ok(about) if about.is_dir() => {}
                Ok(_) => {
                    let foreign = io::Error::new(io::ErrorKind::InvalidData, "not a directory");
                    return Err(FileError::new("read", &path, foreign));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(FileError::new("read", &path, error)),
            }
        }
        known.insert(folder.to_owned());
        Ok(())
    }

    /// Makes a folder, which lasts once `changed` is synced. What killed writers left in it
    /// goes with the first write of who is alone.
    fn prepare(&self, folder: &Path, changed: &mut BTreeSet<PathBuf>) -> Result<(), FileError> {
        self.modes.make_dirs_in(&self.dir, folder, changed)?;
        if let Some(cleared) = whole(&self.cleared).as_mut()
            && cleared.insert(folder.to_owned())
        {
            atomic::sweep(folder, SystemTime::now())?;
        }
        Ok(())
    }

    fn hand_over(&self, path: &Path) -> Result<(), FileError> {
        File::open(path)
            .and_then(|file| self.modes.file(&file))
            .map_err(|error| FileError::new("share", path, error))
    }
}

impl VaultStore for FileStore {
    fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        atomic::read_shared(&self.path(name)?, limit)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, FileError> {
        self.check_folder(prefix)?;
        let dir = self.dir.join(prefix);
        let failed = |error| FileError::new("read", &dir, error);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            // Temporary files begin with a dot, and no name of ours in a folder does.
            if let Some(name) = entry.file_name().to_str().filter(|name| !name.starts_with('.')) {
                found.push(if is_dir { format!("{name}/") } else { name.to_owned() });
            }
        }
        Ok(found)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, FileError> {
        let path = self.path(name)?;
        // Nothing is written in vain, and no time is lost on a disk that is full.
        if path.symlink_metadata().is_ok() {
            return Ok(false);
        }
        let mut changed = BTreeSet::new();
        self.prepare(path.parent().unwrap_or(&self.dir), &mut changed)?;
        changed.iter().try_for_each(|dir| atomic::sync_dir(dir))?;
        match atomic::create_new(&path, bytes, self.modes.of_files()) {
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn stage(&self, objects: &[(String, Vec<u8>)]) -> Result<(), FileError> {
        let (mut batch, mut prepared) = (Batch::default(), BTreeSet::new());
        for (name, bytes) in objects {
            let path = self.path(name)?;
            let folder = path.parent().unwrap_or(&self.dir);
            if prepared.insert(folder.to_owned()) {
                self.prepare(folder, &mut batch.dirs)?;
            }
            batch.write(&path, bytes)?;
            if !self.modes.is_private() {
                self.hand_over(&path)?;
            }
        }
        batch.sync()
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        atomic::remove(&self.path(name)?)
    }

    fn written(&self, name: &str) -> Result<Option<SystemTime>, FileError> {
        let path = self.path(name)?;
        match path.symlink_metadata().and_then(|about| about.modified()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(|error| FileError::new("read", &path, error)),
        }
    }

    fn lock(&self) -> Result<Guard, FileError> {
        self.modes.make_dirs(&self.dir, &self.dir)?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(held) = try_lock(&self.dir)? {
                *whole(&self.cleared) = Some(BTreeSet::new());
                return Ok(Box::new(Held { _lock: held, cleared: self.cleared.clone() }));
            }
            if Instant::now() >= give_up {
                let busy = io::Error::new(io::ErrorKind::TimedOut, "another keyrack is writing");
                return Err(FileError::new("lock", &self.dir, busy));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Locks the directory itself, which needs no right to write and leaves nothing behind.
fn try_lock(dir: &Path) -> Result<Option<Flock<File>>, FileError> {
    let failed = |error| FileError::new("lock", dir, error);
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_DIRECTORY)
        .open(dir)
        .map_err(failed)?;
    let held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => held,
        Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => return Ok(None),
        Err((_, error)) => return Err(failed(error.into())),
    };
    // Somebody may have put another directory in the place of the one that is locked.
    let about = held.metadata().map_err(failed)?;
    let there = dir.metadata().map_err(failed)?;
    Ok(((there.dev(), there.ino()) == (about.dev(), about.ino())).then_some(held))
}
