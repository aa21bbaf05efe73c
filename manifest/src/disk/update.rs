//! Changing a manifest: read, change and write again under the owner's lock, so that two
//! writers never lose an update and a killed one leaves the old file or the new.

use std::time::Duration;

use jiff::Timestamp;
use keyrack_names::Owner;

use crate::card::Card;
use crate::content::text;
use crate::disk::atomic::{self, Staged};
use crate::disk::handle::unwritable;
use crate::disk::store::pin_after;
use crate::key::seal;
use crate::{Identity, Manifest, Pin, Rack, Signing, SigningKey, Store, StoreError};

/// Why a change was not made: the store failed, or the change itself did.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<E> {
    /// Opening or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The change refused; nothing was written.
    #[error("{0}")]
    Refused(E),
}

/// A change that was made.
#[derive(Debug)]
pub struct Updated<T> {
    /// What the change returned.
    pub result: T,
    /// The manifest as the change found it.
    pub before: Manifest,
    /// The manifest as it was written.
    pub after: Manifest,
}

impl Store<'_> {
    /// Changes `owner`'s manifest by `change`, which sees it as it is under the lock.
    /// Files the change writes elsewhere (records of a vault) are in place before the
    /// manifest that names them.
    ///
    /// # Errors
    /// [`UpdateError::Refused`] with the change's own error, and then nothing was written;
    /// [`UpdateError::Store`], [`StoreError::Provisional`] among them.
    pub fn update<T, E>(
        &self,
        owner: &Owner,
        identity: &Identity,
        now: Timestamp,
        change: impl FnOnce(&mut Manifest) -> Result<T, E>,
    ) -> Result<Updated<T>, UpdateError<E>> {
        let _lock = self.lock(owner)?;
        let (before, pin) = self.read(owner, identity)?;
        if before.signing.provisional {
            return Err(StoreError::Provisional { owner: owner.clone() }.into());
        }
        let mut after = before.clone();
        let result = change(&mut after).map_err(UpdateError::Refused)?;
        self.write(&mut after, pin.as_ref(), identity, now)?;
        Ok(Updated { result, before, after })
    }

    /// Runs `work` under the lock if nobody is writing now and `manifest` is still what this
    /// device wrote or saw last. `None` if not: then somebody else comes after.
    ///
    /// # Errors
    /// [`StoreError::File`]; [`Tampered::DamagedPin`](crate::Tampered::DamagedPin).
    pub fn at_rest<T>(
        &self,
        manifest: &Manifest,
        work: impl FnOnce() -> T,
    ) -> Result<Option<T>, StoreError> {
        let owner = &manifest.owner.name;
        let now = Store { patience: Duration::ZERO, ..*self };
        let _lock = match now.lock(owner) {
            Err(StoreError::Busy { .. }) => return Ok(None),
            other => other?,
        };
        let is_last = self.pin(owner)?.is_some_and(|pin| pin.counter == manifest.counter);
        Ok(is_last.then(work))
    }

    /// Replaces everything a host made up for an owner that only now opens its manifest:
    /// rack, signing key, name in vaults. `found` adds a personal vault. Returns the
    /// manifest as it is now; one that is not provisional is returned as it was.
    ///
    /// # Errors
    /// As [`Store::update`].
    pub fn replace_provisional<E>(
        &self,
        owner: &Owner,
        identity: &Identity,
        now: Timestamp,
        found: impl FnOnce(&mut Manifest) -> Result<(), E>,
    ) -> Result<Manifest, UpdateError<E>> {
        let _lock = self.lock(owner)?;
        let (mut manifest, pin) = self.read(owner, identity)?;
        if manifest.signing.provisional {
            manifest.rack = Rack::generate().map_err(StoreError::from)?;
            let key = SigningKey::generate().map_err(StoreError::from)?;
            let card = Card::issue(&manifest.owner.handle, &key, &manifest.all_recipients(), now)
                .map_err(|_| unwritable())?;
            manifest.signing = Signing { key, member: card.member_id(), provisional: false };
            manifest.vaults.clear();
            found(&mut manifest).map_err(UpdateError::Refused)?;
            // The copy the host knows everything of is no backup.
            self.write_then(&mut manifest, pin.as_ref(), identity, now, Old::Destroy)?;
        }
        Ok(manifest)
    }

    /// Writes `manifest` under the lock: counted, signed, sealed, read back, renamed,
    /// pinned. The old file is kept as `.bak`, unless somebody who can open it no longer
    /// may.
    pub(crate) fn write(
        &self,
        manifest: &mut Manifest,
        pin: Option<&Pin>,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let recipients = manifest.all_recipients();
        let removed = pin.is_some_and(|pin| pin.recipients.iter().any(|r| !recipients.contains(r)));
        let old = if removed { Old::Destroy } else { Old::Keep };
        self.write_then(manifest, pin, identity, now, old)
    }

    pub(crate) fn write_then(
        &self,
        manifest: &mut Manifest,
        pin: Option<&Pin>,
        identity: &Identity,
        now: Timestamp,
        old: Old,
    ) -> Result<(), StoreError> {
        let owner = manifest.owner.name.clone();
        let path = self.places.manifest(&owner);
        manifest.counter = pin.map_or(0, |pin| pin.counter).max(manifest.counter) + 1;
        let staged = self.stage(manifest, Some(identity))?;
        let backup = self.places.backup(&owner);
        match old {
            Old::Keep => atomic::keep(&path, &backup)?,
            // Before the rename: killed in between, the old manifest is still whole.
            Old::Destroy => atomic::remove(&backup)?,
        }
        self.renew_card(manifest, now)?;
        self.commit(staged, manifest, pin, identity)
    }

    /// Puts a manifest in its place and pins it. What the pin would not let pass (another
    /// signer, other recipients) is announced in the pin before: killed in between, the
    /// next reader knows that it was this device.
    pub(crate) fn commit(
        &self,
        staged: Staged,
        manifest: &Manifest,
        pin: Option<&Pin>,
        identity: &Identity,
    ) -> Result<(), StoreError> {
        let next = pin_after(manifest, pin, identity);
        if let Some(pin) = pin.filter(|pin| pin.check(manifest).is_err()) {
            pin.announcing(next.clone()).write(self.places)?;
        }
        staged.commit()?;
        Ok(next.write(self.places)?)
    }

    /// Signs and seals `manifest` into a temporary file, and opens that again where an
    /// identity is at hand that needs nobody's finger for it.
    pub(crate) fn stage(
        &self,
        manifest: &Manifest,
        identity: Option<&Identity>,
    ) -> Result<Staged, StoreError> {
        let path = self.places.manifest(&manifest.owner.name);
        let recipients = manifest.all_recipients();
        let text = text::write(manifest).map_err(StoreError::Unwritable)?;
        let sealed = seal::seal(&recipients, text.as_bytes())?;
        let staged = Staged::alone(&path, &sealed)?;
        let written = staged.read_back()?;
        let opens_it = |id: &&Identity| {
            !id.asks_again() && id.publics().iter().any(|public| recipients.contains(public))
        };
        let same = written == sealed
            && identity.filter(opens_it).is_none_or(|identity| {
                seal::open(identity, &written, text::LARGEST)
                    .is_ok_and(|plain| plain.expose() == text.as_bytes())
            });
        if same { Ok(staged) } else { Err(StoreError::ReadBack { path }) }
    }
}

/// What becomes of the file that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// It stays as `.bak`.
    Keep,
    /// It goes, and the `.bak` before it: a key that was taken away opens both.
    Destroy,
}
