//! Mending and ending: believing a restored manifest, going back to the `.bak`, removing
//! an owner. Nothing here is done unasked.

use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_names::Owner;

use crate::card::{self, Card};
use crate::disk::atomic::{self, FileError};
use crate::disk::store::decode;
use crate::disk::update::Old;
use crate::{Identity, Manifest, Pin, Store, StoreError};

/// What became of [`Store::restore_backup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the damaged file is kept, if there was one.
    pub aside: Option<PathBuf>,
    /// How many writes this device saw that the backup does not hold. One is what the
    /// damaged file was.
    pub lost: u64,
}

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

    /// Puts the `.bak` in the place of a manifest that cannot be read.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is no `.bak`; [`StoreError`] when it does not
    /// open either, or is no earlier state of what this device remembers.
    pub fn restore_backup(
        &self,
        owner: &Owner,
        identity: &Identity,
    ) -> Result<Restored, StoreError> {
        let _lock = self.lock(owner)?;
        let backup = self.places.backup(owner);
        let sealed = self.sealed_backup(owner)?;
        let mut manifest = decode(&backup, &sealed, owner, identity)?;
        let pin = self.pin_if_whole(owner)?;
        if let Some(pin) = &pin {
            // Whoever can damage the manifest can put a file of their own beside it.
            pin.check_backup(&manifest)
                .map_err(|kind| StoreError::Tampered { path: backup, kind })?;
        }
        let path = self.places.manifest(owner);
        let aside = match path.symlink_metadata() {
            Ok(_) => {
                let aside = self.free_aside(owner);
                atomic::keep(&path, &aside)?;
                Some(aside)
            }
            Err(_) => None,
        };
        let seen = pin.as_ref().map_or(0, |pin| pin.counter);
        let lost = seen.saturating_sub(manifest.counter);
        manifest.counter = seen.max(manifest.counter) + 1;
        // The backup stays what it is: the damaged file must not take its place.
        let staged = self.stage(&manifest, Some(identity))?;
        self.commit(staged, &manifest, pin.as_ref(), identity)?;
        Ok(Restored { aside, lost })
    }

    /// Removes everything of `owner` that lies in the home and state directories: the
    /// manifest first, without which the rest is ciphertext. Returns what was removed.
    /// The owner's private SSH key and the audit log stay.
    ///
    /// # Errors
    /// [`StoreError::File`], with what is left left.
    pub fn destroy(&self, owner: &Owner) -> Result<Vec<PathBuf>, StoreError> {
        let _lock = self.lock(owner)?;
        let pin = self.pin_if_whole(owner)?.filter(|pin| self.is_card_of(pin));
        let paths = self.belongings(owner, pin.as_ref().map(|pin| &pin.handle));
        let mut removed = Vec::new();
        for path in paths {
            if remove_all(&path)? {
                removed.push(path);
            }
        }
        atomic::sync_dir(&self.places.home)?;
        Ok(removed)
    }

    /// All that may lie here of `owner`, and of the handle it bears, in the order in which it
    /// is removed.
    fn belongings(&self, owner: &Owner, handle: Option<&Owner>) -> Vec<PathBuf> {
        let places = self.places;
        // The backup first: a backup alone would be taken for what is left of a manifest.
        let mut paths = vec![
            places.backup(owner),
            places.manifest(owner),
            places.personal_vault(owner),
            places.drops(owner),
            places.grants(owner),
            places.age_key(owner),
        ];
        if let Some(handle) = handle {
            paths.extend([
                places.card(handle),
                places.attestation(handle),
                places.handle_lock(handle),
            ]);
        }
        let seen = places.state.join("vaults").join(owner.as_str());
        paths.extend([places.pin(owner), seen, places.pending(owner), places.left(owner)]);
        let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
        paths.extend(places.asides(owner).take_while(is_there));
        paths.push(places.lock(owner));
        paths
    }

    /// What making `owner` would bring here: what is not here yet, and the locks that are
    /// held for it.
    pub(crate) fn not_here_yet(&self, owner: &Owner, handle: &Owner) -> Vec<PathBuf> {
        let locks = [self.places.lock(owner), self.places.handle_lock(handle)];
        let mut paths = self.belongings(owner, Some(handle));
        paths.retain(|path| locks.contains(path) || path.symlink_metadata().is_err());
        paths
    }

    /// Whether the card that bears the owner's handle is the owner's: an older home may have
    /// one handle twice.
    fn is_card_of(&self, pin: &Pin) -> bool {
        let card = atomic::read_limited(&self.places.card(&pin.handle), card::LARGEST);
        let card = card.ok().flatten().and_then(|bytes| Card::read(&bytes).ok());
        card.is_some_and(|signed| signed.card.sig_key == pin.signer)
    }

    /// What this device remembers, if that is whole: a damaged pin is what is being mended.
    pub(crate) fn pin_if_whole(&self, owner: &Owner) -> Result<Option<Pin>, StoreError> {
        match self.pin(owner) {
            Err(StoreError::Tampered { .. }) => Ok(None),
            other => other,
        }
    }

    /// A name for a damaged file that is not taken.
    fn free_aside(&self, owner: &Owner) -> PathBuf {
        let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
        let mut names = self.places.asides(owner);
        names.find(is_free).unwrap_or_else(|| self.places.manifest(owner))
    }
}

/// Removes a file, or a directory with what is in it. Says whether there was one.
pub(crate) fn remove_all(path: &std::path::Path) -> Result<bool, FileError> {
    let result = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => Err(error),
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    result.map(|()| true).map_err(|error| FileError::new("remove", path, error))
}
