//! A pin: what this device remembers of an owner's manifest, so that an old or forged one
//! is noticed. Kept in the state directory, outside of what is synced. Holds no secret.

use std::path::PathBuf;

use keyrack_names::{Owner, RackId};
use keyrack_piv::{PinPolicy, TouchPolicy};
use serde::{Deserialize, Serialize};

use crate::disk::atomic::{self, FileError, Staged};
use crate::{Manifest, MemberId, Places, PublicKey, Recipient, Tampered, Via};

/// Largest pin, in bytes.
const LARGEST: u64 = 1 << 20;

/// What is remembered of one owner's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The version of this format: 1.
    pub v: u32,
    /// Whose manifest.
    pub owner: Owner,
    /// What teams call the owner; the name of its card.
    pub handle: Owner,
    /// By which kind of key it opens.
    pub via: Via,
    /// Whom it is sealed to, the owner first.
    pub recipients: Vec<Recipient>,
    /// The private key file that served last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_path: Option<PathBuf>,
    /// The owner whose vault keeps this owner's identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_by: Option<Owner>,
    /// The YubiKey's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// When the owner's key on it asks for the PIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_policy: Option<PinPolicy>,
    /// When it asks for a touch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touch_policy: Option<TouchPolicy>,
    /// The rack's name.
    pub rack_id: RackId,
    /// Who signs the manifest.
    pub signer: PublicKey,
    /// The owner's name in vaults.
    pub member: MemberId,
    /// The newest counter seen.
    pub counter: u64,
    /// Whether the manifest was made by this host on the owner's behalf, and the owner was
    /// not seen since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub provisional: bool,
    /// What this device was about to write in place of all that, when it differs in more
    /// than the counter. A writer that was killed leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Box<Self>>,
}

/// On which YubiKey an owner's key is, and what it takes to use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnYubikey {
    /// The YubiKey's serial number.
    pub serial: u32,
    /// When the key asks for the PIN, where that can be told.
    pub pin_policy: Option<PinPolicy>,
    /// When it asks for a touch, where that can be told.
    pub touch_policy: Option<TouchPolicy>,
}

/// A pin cannot be read, or does not read as one.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is damaged.
    #[error("{} does not read as a pin", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl Pin {
    /// What there is to remember of `manifest`.
    pub fn of(manifest: &Manifest, identity_path: Option<PathBuf>) -> Self {
        Self {
            v: 1,
            owner: manifest.owner.name.clone(),
            handle: manifest.owner.handle.clone(),
            via: manifest.owner.via,
            recipients: manifest.all_recipients(),
            // JSON is UTF-8. A path that is not is searched for anew each time.
            identity_path: identity_path.filter(|path| path.to_str().is_some()),
            kept_by: None,
            serial: None,
            pin_policy: None,
            touch_policy: None,
            rack_id: manifest.rack.id,
            signer: manifest.signing.key.public(),
            member: manifest.signing.member,
            counter: manifest.counter,
            provisional: manifest.signing.provisional,
            next: None,
        }
    }

    /// On which YubiKey the owner's key is, where this device saw it.
    pub fn yubikey(&self) -> Option<OnYubikey> {
        let (pin_policy, touch_policy) = (self.pin_policy, self.touch_policy);
        Some(OnYubikey { serial: self.serial?, pin_policy, touch_policy })
    }

    /// The same pin, of an owner whose key is on a YubiKey.
    #[must_use]
    pub fn on_yubikey(self, on: Option<OnYubikey>) -> Self {
        match on {
            Some(OnYubikey { serial, pin_policy, touch_policy }) => {
                Self { serial: Some(serial), pin_policy, touch_policy, ..self }
            }
            None => self,
        }
    }

    /// The same pin, with what is about to be written besides.
    pub(crate) fn announcing(&self, next: Self) -> Self {
        Self { next: Some(Box::new(Self { next: None, ..next })), ..self.clone() }
    }

    /// Holds a manifest against what is remembered of it, or else against what this device
    /// was about to make of it.
    ///
    /// # Errors
    /// In which way the manifest is not what was last written here.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), Tampered> {
        let one = |pin: &Self| {
            pin.check_counter(manifest)?;
            pin.check_hand(manifest)?;
            let (added, removed) = pin.changed_recipients(manifest);
            if added.is_empty() && removed.is_empty() {
                Ok(())
            } else {
                Err(Tampered::RecipientsChanged { added, removed })
            }
        };
        one(self).or_else(|kind| match &self.next {
            Some(next) => one(next).map_err(|_| kind),
            None => Err(kind),
        })
    }

    /// Holds a backup against the same: it is older by nature, and a key that was added
    /// since is not in it. A key that was removed must not come back with it.
    ///
    /// # Errors
    /// In which way the backup is no earlier state of what was last written here.
    pub(crate) fn check_backup(&self, manifest: &Manifest) -> Result<(), Tampered> {
        self.check_hand(manifest)?;
        match self.changed_recipients(manifest) {
            (added, _) if added.is_empty() => Ok(()),
            (added, removed) => Err(Tampered::RecipientsChanged { added, removed }),
        }
    }

    fn check_counter(&self, manifest: &Manifest) -> Result<(), Tampered> {
        if manifest.counter < self.counter {
            return Err(Tampered::Rollback { seen: manifest.counter, pinned: self.counter });
        }
        Ok(())
    }

    /// Whether the owner signed it, and for the same rack.
    fn check_hand(&self, manifest: &Manifest) -> Result<(), Tampered> {
        // What a host made up on the owner's behalf is the owner's to replace, elsewhere too.
        if self.provisional && !manifest.signing.provisional {
            return Ok(());
        }
        let signer = manifest.signing.key.public();
        if signer != self.signer {
            return Err(Tampered::OtherSigner {
                seen: Box::new(signer),
                pinned: Box::new(self.signer),
            });
        }
        if manifest.rack.id == self.rack_id { Ok(()) } else { Err(Tampered::OtherRack) }
    }

    /// Who can open it and could not before, and the other way round.
    fn changed_recipients(&self, manifest: &Manifest) -> (Vec<Recipient>, Vec<Recipient>) {
        let now = manifest.all_recipients();
        let lacking = |all: &[Recipient], from: &[Recipient]| -> Vec<Recipient> {
            from.iter().filter(|one| !all.contains(one)).cloned().collect()
        };
        (lacking(&self.recipients, &now), lacking(&now, &self.recipients))
    }

    /// Reads `owner`'s pin. `None` if this device remembers nothing.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn read(places: &Places, owner: &Owner) -> Result<Option<Self>, PinError> {
        let path = places.pin(owner);
        let Some(bytes) = atomic::read_limited(&path, LARGEST)? else { return Ok(None) };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(pin) if pin.v == 1 && pin.owner == *owner => Ok(Some(pin)),
            _ => Err(PinError::Damaged { path }),
        }
    }

    /// Writes it down. For who holds the owner's lock.
    ///
    /// # Errors
    /// [`PinError::File`].
    pub fn write(&self, places: &Places) -> Result<(), PinError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|_| PinError::Damaged { path: places.pin(&self.owner) })?;
        text.push(b'\n');
        Ok(Staged::alone(&places.pin(&self.owner), &text)?.commit()?)
    }
}
