//! Making a manifest, once: asked again for the same, nothing is written; asked for
//! another, nothing is overwritten.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_names::Owner;

use crate::card::Card;
use crate::content::document::{Backup, Manifest, OnOff, OwnerInfo, Provisioner, Rack, Signing};
use crate::disk::atomic::{self, Staged};
use crate::disk::handle::unwritable;
use crate::disk::repair::remove_all;
use crate::disk::store::decode;
use crate::{
    Conflict, Header, Identity, OnYubikey, Pin, Recipient, SigningKey, Store, StoreError, Tampered,
    UpdateError, VERSION, Word,
};

/// What a new manifest is made of.
#[derive(Debug)]
pub struct NewOwner<'a> {
    /// Whose.
    pub owner: Owner,
    /// What teams call this owner.
    pub handle: Owner,
    /// The key that opens it.
    pub recipient: Recipient,
    /// Keys that open it too.
    pub backups: Vec<Recipient>,
    /// Whether it is made by a host that cannot open it.
    pub provisional: bool,
    /// Who may drop values into it later.
    pub provisioner: Option<Provisioner>,
    /// The private key, where it is at hand: to check what was written, and to compare
    /// with what is there.
    pub identity: Option<&'a Identity>,
    /// Where the private key lies, to find it again.
    pub identity_path: Option<PathBuf>,
    /// On which YubiKey the private key is.
    pub on_yubikey: Option<OnYubikey>,
    /// The owner whose vault keeps the private key instead of a file.
    pub kept_by: Option<Owner>,
    /// The time now.
    pub now: Timestamp,
}

/// What became of [`Store::create`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was made.
    New,
    /// It was there; nothing was written.
    Same,
}

impl Store<'_> {
    /// Makes a manifest, with the owner's card and this device's pin. `found` adds what
    /// has files of its own, such as a personal vault, before the manifest is written.
    ///
    /// # Errors
    /// Then nothing is here that was not before, as far as it can be removed.
    /// [`StoreError::Conflict`] when a manifest of another key is there, or one whose key
    /// cannot be told; [`UpdateError::Refused`] with the error of `found`.
    pub fn create<E>(
        &self,
        new: &NewOwner<'_>,
        found: impl FnOnce(&mut Manifest) -> Result<(), E>,
    ) -> Result<Created, UpdateError<E>> {
        let _lock = self.lock(&new.owner)?;
        match self.sealed(&new.owner) {
            Ok(sealed) => {
                self.compare(new, &sealed)?;
                return Ok(Created::Same);
            }
            Err(StoreError::Absent { .. }) => self.nothing_is_left(&new.owner)?,
            Err(error) => return Err(error.into()),
        }
        let _claimed = self.claim(&new.owner, &new.handle)?;
        let new_here = self.not_here_yet(&new.owner, &new.handle);
        let made = self.make(new, found);
        if made.is_err() {
            // Best effort: what went wrong is said, and it may go wrong here as well.
            for path in &new_here {
                let _ = remove_all(path);
            }
        }
        made.map(|()| Created::New)
    }

    fn make<E>(
        &self,
        new: &NewOwner<'_>,
        found: impl FnOnce(&mut Manifest) -> Result<(), E>,
    ) -> Result<(), UpdateError<E>> {
        let key = SigningKey::generate().map_err(StoreError::from)?;
        let recipients: Vec<_> =
            std::iter::once(&new.recipient).chain(&new.backups).cloned().collect();
        let card =
            Card::issue(&new.handle, &key, &recipients, new.now).map_err(|_| unwritable())?;
        let signing = Signing { key, member: card.member_id(), provisional: new.provisional };
        let mut manifest = manifest(new, signing).map_err(StoreError::from)?;
        found(&mut manifest).map_err(UpdateError::Refused)?;

        let staged = self.stage(&manifest, new.identity)?;
        // The pin first: nothing else says who keeps the identity, and whose the card is.
        // Killed in between, it is a pin without a manifest, and the next try replaces it.
        Pin { kept_by: new.kept_by.clone(), ..Pin::of(&manifest, new.identity_path.clone()) }
            .on_yubikey(new.on_yubikey)
            .write(self.places)
            .map_err(StoreError::from)?;
        Staged::alone(&self.places.card(&new.handle), &card.bytes)
            .and_then(Staged::commit)
            .map_err(StoreError::from)?;
        Ok(staged.commit().map_err(StoreError::from)?)
    }

    /// A manifest that is gone, with its backup still there, is to be restored: a new one
    /// would take the backup's place at its second write. So is one whose vault is there,
    /// which the new one's would be written over.
    fn nothing_is_left(&self, owner: &Owner) -> Result<(), StoreError> {
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let conflict = |conflict| Err(StoreError::Conflict { owner: owner.clone(), conflict });
        let backup = self.places.backup(owner);
        if is_there(&backup) {
            return conflict(Conflict::BackupOnly { path: backup });
        }
        let vault = self.places.personal_vault(owner);
        // A killed maker leaves a vault, too, and a pin of the first write.
        let was_written_to = self.pin_if_whole(owner)?.is_some_and(|pin| pin.counter > 1);
        if was_written_to && is_there(&vault) {
            return conflict(Conflict::VaultOnly { path: vault });
        }
        Ok(())
    }

    /// Whether the manifest that is there is the one asked for, as far as can be told.
    fn compare(&self, new: &NewOwner<'_>, sealed: &[u8]) -> Result<(), StoreError> {
        let conflict = |conflict| Err(StoreError::Conflict { owner: new.owner.clone(), conflict });
        let path = self.places.manifest(&new.owner);
        let Some(header) = Header::read(sealed) else {
            let kind = if sealed.is_empty() { Tampered::Truncated } else { Tampered::NotAge };
            return Err(StoreError::Tampered { path, kind });
        };
        let opened = new
            .identity
            .filter(|identity| !identity.asks_again())
            .map(|identity| decode(&path, sealed, &new.owner, identity));
        let known = match opened {
            Some(Ok(manifest)) => Some(manifest.all_recipients()),
            Some(Err(StoreError::WrongKey { .. })) => return conflict(Conflict::OtherRecipient),
            Some(Err(error)) => return Err(error),
            None => self.known_recipients(new)?,
        };
        let is_owner = match &known {
            Some(known) => known.first().map(|owner| owner.same_key(&new.recipient)),
            None => None,
        };
        match (is_owner, header.sealed_to(&new.recipient)) {
            (_, Some(false)) | (Some(false), _) => return conflict(Conflict::OtherRecipient),
            (None, None) => return conflict(Conflict::CannotTell),
            (Some(true), _) | (None, Some(true)) => {}
        }
        let has = |backup: &&Recipient| match &known {
            Some(known) => known.contains(backup),
            None => header.sealed_to(backup) == Some(true),
        };
        let missing: Vec<_> = new.backups.iter().filter(|backup| !has(backup)).cloned().collect();
        if missing.is_empty() { Ok(()) } else { conflict(Conflict::OtherBackups { missing }) }
    }

    /// Whom the manifest is sealed to, by what this device remembers; else by the card
    /// that lies there.
    fn known_recipients(&self, new: &NewOwner<'_>) -> Result<Option<Vec<Recipient>>, StoreError> {
        if let Some(pin) = self.pin(&new.owner)? {
            return Ok(Some(pin.recipients));
        }
        let card = atomic::read_limited(&self.places.card(&new.handle), crate::card::LARGEST)?;
        Ok(card.and_then(|bytes| Card::read(&bytes).ok()).map(|signed| signed.card.recipients))
    }
}

fn manifest(new: &NewOwner<'_>, signing: Signing) -> Result<Manifest, getrandom::Error> {
    let backups = new.backups.iter().enumerate().map(|(at, recipient)| Backup {
        label: Word::numbered_backup(at + 1),
        via: recipient.via(),
        recipient: recipient.clone(),
        added_at: new.now,
    });
    Ok(Manifest {
        version: VERSION,
        owner: OwnerInfo {
            name: new.owner.clone(),
            via: new.recipient.via(),
            pubkey: new.recipient.clone(),
            handle: new.handle.clone(),
        },
        recipients: backups.collect(),
        rack: Rack::generate()?,
        signing,
        self_proof: OnOff::On,
        keys: Default::default(),
        vaults: Default::default(),
        provisioner: new.provisioner.clone(),
        dropped: Default::default(),
        last_drop: None,
        forgotten_drops: None,
        counter: 1,
    })
}
