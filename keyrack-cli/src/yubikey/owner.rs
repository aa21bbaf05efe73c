//! An owner whose manifest a YubiKey opens: as its own key, or as a backup.

use std::sync::Arc;

use keyrack_manifest::{Header, Identity, Pin, Recipient, Via};
use keyrack_names::Owner;
use keyrack_piv::Tag;

use crate::error::{Code, Failure};
use crate::yubikey::helper::Helper;
use crate::yubikey::words;

/// The keys on YubiKeys that open a manifest.
#[derive(Debug)]
pub struct Keys {
    owner: Owner,
    tags: Vec<Tag>,
    recipients: Vec<Recipient>,
    /// Whether the owner's own key is one.
    pub is_own: bool,
    /// The YubiKey that has it.
    pub serial: Option<u32>,
}

impl Keys {
    /// What the manifest itself and this device's memory of it say. `None` if no YubiKey
    /// opens it.
    pub fn of(owner: &Owner, pin: Option<&Pin>, sealed: Option<&[u8]>) -> Option<Self> {
        let pinned = pin.map(|pin| pin.recipients.as_slice()).unwrap_or_default();
        let recipients: Vec<Recipient> =
            pinned.iter().filter(|recipient| recipient.yubikey().is_some()).cloned().collect();
        let known = recipients.iter().filter_map(|recipient| Some(recipient.yubikey()?.tag()));
        let tags = match sealed.and_then(Header::read) {
            Some(header) => header.yubikey_tags(),
            None => known.collect(),
        };
        (!tags.is_empty()).then(|| Self {
            owner: owner.clone(),
            tags,
            recipients,
            is_own: pin.is_some_and(|pin| pin.via == Via::Yubikey),
            serial: pin.and_then(|pin| pin.serial),
        })
    }

    /// The identity, if a YubiKey that has one of the keys is plugged in. Nobody is asked
    /// yet.
    ///
    /// # Errors
    /// Why there is none.
    pub fn plugged_in(&self, helper: Arc<Helper>) -> Result<Identity, Failure> {
        let found = helper.find(self.tags.clone());
        found.map_err(|error| words::of_owner(error, &self.owner))?;
        Ok(Identity::on_yubikeys(helper, self.recipients.clone()))
    }

    /// That a YubiKey opens it, and nobody is there for that.
    pub fn needs_person(&self) -> Failure {
        let which = match self.serial {
            Some(serial) => format!("YubiKey {serial}"),
            None => "a YubiKey".to_owned(),
        };
        let message = format!("{}: {which} opens it, which may need a person", self.owner);
        Failure::new(Code::NeedsPerson, message)
            .hint(format!("keyrack unlock --for {}", self.owner))
    }
}
