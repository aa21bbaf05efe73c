//! Manifests on disk: opening one, and everything that is held against it before it is
//! believed. Writing is `update` and `create`; mending is `repair`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyrack_names::Owner;

use crate::content::text::{self, TextError};
use crate::disk::atomic;
use crate::disk::lock::{Lock, LockError};
use crate::disk::store_error::{StoreError, Tampered};
use crate::key::seal::{self, OpenError};
use crate::{Identity, Manifest, Pin, Places};

/// Largest manifest file, in bytes: the text, and what age puts around it.
pub(crate) const LARGEST_FILE: u64 = (text::LARGEST as u64) + (1 << 20);

/// The manifests of one home.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    /// Where they lie.
    pub places: &'a Places,
    /// How long to wait for another writer. 30 seconds is a person's patience.
    pub patience: Duration,
}

/// A manifest that was opened and believed.
#[derive(Debug)]
pub struct Opened {
    /// The manifest.
    pub manifest: Manifest,
    /// Whether this device remembered nothing of it: then an old copy would not have been
    /// noticed.
    pub first_sight: bool,
}

impl<'a> Store<'a> {
    /// The manifests at `places`, with a person's patience.
    pub fn new(places: &'a Places) -> Self {
        Self { places, patience: Duration::from_secs(30) }
    }

    /// What this device remembers of `owner`'s manifest.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`Tampered::DamagedPin`].
    pub fn pin(&self, owner: &Owner) -> Result<Option<Pin>, StoreError> {
        Ok(Pin::read(self.places, owner)?)
    }

    /// The bytes of `owner`'s manifest as it lies there, sealed.
    ///
    /// # Errors
    /// [`StoreError::Absent`], [`StoreError::File`].
    pub fn sealed(&self, owner: &Owner) -> Result<Vec<u8>, StoreError> {
        let path = self.places.manifest(owner);
        atomic::read_limited(&path, LARGEST_FILE)?
            .ok_or_else(|| StoreError::Absent { owner: owner.clone(), path })
    }

    /// The sealed bytes of `owner`'s manifest before the last write.
    ///
    /// # Errors
    /// [`StoreError::Absent`] or [`StoreError::File`].
    pub fn sealed_backup(&self, owner: &Owner) -> Result<Vec<u8>, StoreError> {
        let path = self.places.backup(owner);
        atomic::read_limited(&path, LARGEST_FILE)?
            .ok_or_else(|| StoreError::Absent { owner: owner.clone(), path })
    }

    /// Opens `owner`'s manifest and holds it against what this device remembers. What was
    /// seen for the first time, or is newer, is remembered.
    ///
    /// # Errors
    /// [`StoreError`], but nothing that only writing causes.
    pub fn open(&self, owner: &Owner, identity: &Identity) -> Result<Opened, StoreError> {
        let pin = self.pin(owner)?;
        let (manifest, pin) = match self.read_against(pin.as_ref(), owner, identity) {
            Ok(manifest) => (manifest, pin),
            Err(error) => self.read_at_rest(error, pin.as_ref(), owner, identity)?,
        };
        // What a host made up and said of a provisional manifest says nothing of this one.
        let first_sight =
            pin.as_ref().is_none_or(|pin| pin.provisional && !manifest.signing.provisional);
        if pin.as_ref().is_none_or(|pin| is_behind(pin, &manifest, identity)) {
            match self.remember(&manifest, identity) {
                // Whoever is writing remembers more than there is to remember of this.
                Err(StoreError::Busy { .. }) if pin.is_some() => {}
                other => other?,
            }
        }
        Ok(Opened { manifest, first_sight })
    }

    /// Reads again while nobody writes, if what contradicted the pin may have been written
    /// after the pin was read.
    fn read_at_rest(
        &self,
        error: StoreError,
        seen: Option<&Pin>,
        owner: &Owner,
        identity: &Identity,
    ) -> Result<(Manifest, Option<Pin>), StoreError> {
        if !matches!(error, StoreError::Tampered { .. }) {
            return Err(error);
        }
        let Ok(_lock) = self.lock(owner) else { return Err(error) };
        let pin = self.pin(owner)?;
        if pin.as_ref() == seen {
            return Err(error);
        }
        Ok((self.read_against(pin.as_ref(), owner, identity)?, pin))
    }

    /// Remembers whose vault keeps `owner`'s identity: nothing but this device's pin says
    /// so.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn remember_keeper(
        &self,
        owner: &Owner,
        identity: &Identity,
        keeper: &Owner,
    ) -> Result<(), StoreError> {
        let _lock = self.lock(owner)?;
        let (manifest, pin) = self.read(owner, identity)?;
        let pin = pin_after(&manifest, pin.as_ref(), identity);
        Ok(Pin { kept_by: Some(keeper.clone()), ..pin }.write(self.places)?)
    }

    pub(crate) fn lock(&self, owner: &Owner) -> Result<Lock, StoreError> {
        self.lock_at(&self.places.lock(owner), owner)
    }

    pub(crate) fn lock_at(&self, path: &Path, owner: &Owner) -> Result<Lock, StoreError> {
        Lock::take(path, self.patience).map_err(|error| match error {
            LockError::Busy => StoreError::Busy { owner: owner.clone() },
            LockError::File(error) => error.into(),
        })
    }

    /// Opens and checks; changes nothing. For who holds the lock.
    pub(crate) fn read(
        &self,
        owner: &Owner,
        identity: &Identity,
    ) -> Result<(Manifest, Option<Pin>), StoreError> {
        let pin = self.pin(owner)?;
        Ok((self.read_against(pin.as_ref(), owner, identity)?, pin))
    }

    /// Opens the manifest and holds it against a pin that was read before: a writer
    /// replaces the manifest before the pin, so that the other order could hold a manifest
    /// against its own successor.
    fn read_against(
        &self,
        pin: Option<&Pin>,
        owner: &Owner,
        identity: &Identity,
    ) -> Result<Manifest, StoreError> {
        let path = self.places.manifest(owner);
        let is_own = |pin: &Pin| {
            let own = pin.recipients.first();
            own.is_some_and(|own| identity.publics().iter().any(|public| public.same_key(own)))
        };
        let manifest = match decode(&path, &self.sealed(owner)?, owner, identity) {
            Err(StoreError::WrongKey { path }) if pin.is_some_and(is_own) => {
                let kind = Tampered::ForOthers { expected: owner.clone() };
                return Err(StoreError::Tampered { path, kind });
            }
            decoded => decoded?,
        };
        match pin.map(|pin| pin.check(&manifest)) {
            Some(Err(kind)) => Err(StoreError::Tampered { path, kind }),
            None | Some(Ok(())) => Ok(manifest),
        }
    }

    fn remember(&self, manifest: &Manifest, identity: &Identity) -> Result<(), StoreError> {
        let owner = &manifest.owner.name;
        let _lock = self.lock(owner)?;
        let pin = self.pin(owner)?;
        if pin.as_ref().is_none_or(|pin| is_behind(pin, manifest, identity)) {
            pin_after(manifest, pin.as_ref(), identity).write(self.places)?;
        }
        Ok(())
    }
}

/// Opens a sealed manifest and reads it; `path` is for errors only.
pub(crate) fn decode(
    path: &Path,
    sealed: &[u8],
    owner: &Owner,
    identity: &Identity,
) -> Result<Manifest, StoreError> {
    let path = || path.to_owned();
    let tampered = |kind| StoreError::Tampered { path: path(), kind };
    let plain = seal::open(identity, sealed, text::LARGEST).map_err(|error| match error {
        OpenError::OtherKey => StoreError::WrongKey { path: path() },
        OpenError::Yubikey(error) => StoreError::Yubikey(error),
        OpenError::Plugin(why) => StoreError::Plugin { path: path(), why },
        OpenError::NotAge => tampered(Tampered::NotAge),
        OpenError::Truncated => tampered(Tampered::Truncated),
        OpenError::Damaged => tampered(Tampered::Damaged),
        OpenError::TooLarge { .. } => {
            tampered(Tampered::Garbage(TextError::Shape("it is larger than 16 MiB")))
        }
    })?;
    text::read(plain.expose(), owner).map_err(|error| match error {
        TextError::Newer { theirs, ours } => StoreError::Newer { path: path(), theirs, ours },
        TextError::Swapped { is, expected } => tampered(Tampered::Swapped { is, expected }),
        TextError::BadSignature => tampered(Tampered::BadSignature),
        other => tampered(Tampered::Garbage(other)),
    })
}

/// Whether the pin has something to learn from a manifest it does not contradict.
fn is_behind(pin: &Pin, manifest: &Manifest, identity: &Identity) -> bool {
    pin.counter < manifest.counter
        || (pin.identity_path.is_none() && identity.path().is_some())
        || (pin.serial.is_none() && identity.on_yubikey(&manifest.owner.pubkey).is_some())
}

/// The pin of `manifest`, with what only the device knows taken over from the old one.
pub(crate) fn pin_after(manifest: &Manifest, old: Option<&Pin>, identity: &Identity) -> Pin {
    let path = identity.path().map(PathBuf::from);
    let same_key = old.filter(|pin| pin.recipients.first() == Some(&manifest.owner.pubkey));
    let on_yubikey = same_key.and_then(Pin::yubikey);
    let old_path = old.and_then(|pin| pin.identity_path.clone());
    Pin { kept_by: old.and_then(|pin| pin.kept_by.clone()), ..Pin::of(manifest, path.or(old_path)) }
        .on_yubikey(on_yubikey.or_else(|| identity.on_yubikey(&manifest.owner.pubkey)))
}
