//! A pin: what this device remembers of an owner's manifest, so that an old or forged one
//! is noticed. Kept in the state directory, outside of what is synced. Holds no secret.

use std::path::PathBuf;

use keyrack_names::Owner;
use serde::{Deserialize, Serialize};

use crate::atomic::{self, FileError};
use crate::{Manifest, MemberId, Places, PublicKey, RackId, Recipient, Via};

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
            rack_id: manifest.rack.id,
            signer: manifest.signing.key.public(),
            member: manifest.signing.member,
            counter: manifest.counter,
            provisional: manifest.signing.provisional,
        }
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
        Ok(atomic::replace(&places.pin(&self.owner), &text)?)
    }
}
