//! Removing what no manifest names any more: what was replaced, and what writers left that
//! were killed. All of it is ciphertext; a key that was taken away may still open it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use keyrack_manifest::{CredId, FileError, RecordRef, atomic};

use super::vault::Personal;
use crate::error::VaultError;

/// What nobody names may be what another device wrote and whose manifest has not arrived
/// yet. After this long it is debris.
pub const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Personal {
    /// Removes records that a manifest named before, and no longer does. Needs no lock:
    /// nobody writes these versions again.
    ///
    /// # Errors
    /// [`VaultError::File`]; then ciphertext is left that nobody names.
    pub fn discard(&self, dropped: impl IntoIterator<Item = RecordRef>) -> Result<(), VaultError> {
        for record in dropped {
            let path = self.layout.record(self.keys.epoch(), &record.id, record.version);
            atomic::remove(&path)?;
        }
        Ok(())
    }

    /// Removes what was replaced by what this vault was opened with: epochs before it, and
    /// other wraps of its keys. For who holds the lock, and knows that the manifest it was
    /// opened with is still the one that is there.
    ///
    /// # Errors
    /// [`VaultError::File`].
    pub fn tidy(&self) -> Result<(), VaultError> {
        let epoch = self.keys.epoch();
        for other in self.layout.epochs()? {
            if other.number() < epoch.number() {
                remove_dir(&self.layout.epoch(&other))?;
                continue;
            }
            // A later one is not ours to judge, but what was half written in it is.
            for dir in self.layout.directories(&other) {
                atomic::clear(&dir)?;
            }
        }
        // Never the last one: it is what stock age opens.
        if self.layout.wrap(epoch, &self.carried.wrap).is_file() {
            for other in self.layout.wraps(epoch)? {
                if other != self.carried.wrap {
                    atomic::remove(&self.layout.wrap(epoch, &other))?;
                }
            }
        }
        Ok(())
    }

    /// Removes what killed writers left: records that are not in `named` nor after it, epochs that were
    /// never finished, temporary files. Only what was last written [`GRACE`] before `now`.
    /// For who holds the lock and opened this vault under it. Returns how many files and
    /// epochs went.
    ///
    /// # Errors
    /// [`VaultError::File`].
    pub fn sweep(
        &self,
        named: impl IntoIterator<Item = RecordRef>,
        now: SystemTime,
    ) -> Result<usize, VaultError> {
        let then = now.checked_sub(GRACE).unwrap_or(SystemTime::UNIX_EPOCH);
        let epoch = self.keys.epoch();
        let mut swept = 0;
        for other in self.layout.epochs()? {
            let dir = self.layout.epoch(&other);
            if other != *epoch && is_older(&dir, then) {
                remove_dir(&dir)?;
                swept += 1;
            }
        }
        let named: HashMap<CredId, u64> =
            named.into_iter().map(|record| (record.id, record.version)).collect();
        for (id, version) in self.layout.list(epoch)? {
            let path = self.layout.record(epoch, &id, version);
            // A later version than is named may be needed: see `get`.
            let is_debris = named.get(&id).is_none_or(|named| version < *named);
            if is_debris && is_older(&path, then) {
                atomic::remove(&path)?;
                swept += 1;
            }
        }
        for dir in self.layout.directories(epoch) {
            swept += atomic::sweep(&dir, then)?;
        }
        Ok(swept)
    }
}

fn is_older(path: &Path, then: SystemTime) -> bool {
    let written = path.symlink_metadata().and_then(|about| about.modified());
    written.is_ok_and(|written| written < then)
}

fn remove_dir(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::new("remove", path, error))
        }
        _ => Ok(()),
    }
}
