//! Mending and ending: believing a restored manifest, going back to the `.bak`, removing
//! an owner. Nothing here is done unasked.

use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_names::Owner;

use crate::atomic::{self, FileError};
use crate::store::{LARGEST_FILE, decode, pin_after};
use crate::update::Old;
use crate::{Identity, Manifest, Pin, Store, StoreError};

impl Store<'_> {
    /// Believes `owner`'s manifest as it lies there, though it is older than this device
    /// remembers, or signed or sealed otherwise. It is counted past everything seen, so
    /// that other devices believe it too.
    ///
    /// # Errors
    /// [`StoreError`], but no rollback, other signer or changed recipients.
    pub fn accept_restored(
        &self,
        owner: &Owner,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<Manifest, StoreError> {
        let _lock = self.lock(owner)?;
        let path = self.places.manifest(owner);
        let mut manifest = decode(&path, &self.sealed(owner)?, owner, identity)?;
        let pin = self.pin_if_whole(owner)?;
        self.write_then(&mut manifest, pin.as_ref(), identity, now, Old::Keep)?;
        Ok(manifest)
    }

    /// Puts the `.bak` in the place of a manifest that cannot be read. The damaged file is
    /// kept beside it, under the name that is returned.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is no `.bak`; [`StoreError`] when it does not
    /// open either.
    pub fn restore_backup(
        &self,
        owner: &Owner,
        identity: &Identity,
    ) -> Result<Option<PathBuf>, StoreError> {
        let _lock = self.lock(owner)?;
        let backup = self.places.backup(owner);
        let sealed = atomic::read_limited(&backup, LARGEST_FILE)?
            .ok_or_else(|| StoreError::Absent { owner: owner.clone(), path: backup.clone() })?;
        let mut manifest = decode(&backup, &sealed, owner, identity)?;
        let path = self.places.manifest(owner);
        let aside = match path.symlink_metadata() {
            Ok(_) => {
                let aside = self.free_aside(owner);
                atomic::keep(&path, &aside)?;
                Some(aside)
            }
            Err(_) => None,
        };
        let pin = self.pin_if_whole(owner)?;
        manifest.counter = pin.as_ref().map_or(0, |pin| pin.counter).max(manifest.counter) + 1;
        // The backup stays what it is: the damaged file must not take its place.
        self.stage(&manifest, Some(identity))?.commit()?;
        pin_after(&manifest, pin.as_ref(), identity).write(self.places)?;
        Ok(aside)
    }

    /// Removes everything of `owner` that lies in the home and state directories: the
    /// manifest first, without which the rest is ciphertext. Returns what was removed.
    /// The owner's private SSH key and the audit log stay.
    ///
    /// # Errors
    /// [`StoreError::File`], with what is left left.
    pub fn destroy(&self, owner: &Owner) -> Result<Vec<PathBuf>, StoreError> {
        let _lock = self.lock(owner)?;
        let pin = self.pin_if_whole(owner)?;
        let places = self.places;
        atomic::sweep(&places.manifest(owner));
        let mut paths = vec![
            places.manifest(owner),
            places.backup(owner),
            places.personal_vault(owner),
            places.drops(owner),
            places.age_key(owner),
        ];
        paths.extend(pin.map(|pin| places.card(&pin.handle)));
        paths.extend([places.pin(owner), places.pending(owner), places.lock(owner)]);
        let mut removed = Vec::new();
        for path in paths {
            if remove_all(&path)? {
                removed.push(path);
            }
        }
        atomic::sync_dir(&places.home)?;
        Ok(removed)
    }

    /// What this device remembers, if that is whole: a damaged pin is what is being mended.
    fn pin_if_whole(&self, owner: &Owner) -> Result<Option<Pin>, StoreError> {
        match self.pin(owner) {
            Err(StoreError::Tampered { .. }) => Ok(None),
            other => other,
        }
    }

    /// A name for a damaged file that is not taken.
    fn free_aside(&self, owner: &Owner) -> PathBuf {
        let first = self.places.aside(owner);
        let numbered = (2..).map(|n| {
            let mut name = first.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        });
        std::iter::once(first.clone())
            .chain(numbered)
            .find(|path| path.symlink_metadata().is_err())
            .unwrap_or(first)
    }
}

/// Removes a file, or a directory with what is in it. Says whether there was one.
fn remove_all(path: &std::path::Path) -> Result<bool, FileError> {
    let result = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => Err(error),
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    result.map(|()| true).map_err(|error| FileError::new("remove", path, error))
}
