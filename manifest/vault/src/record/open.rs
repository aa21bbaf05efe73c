//! Reading a record: what can be told without keys, and its value with them.

use keyrack_manifest::signed::{Signed, SignedError};
use keyrack_manifest::{Namespace, PublicKey};
use keyrack_names::Secret;

use super::{Body, Keyring, Record, Visibility, grant};
use crate::aead;
use crate::error::VaultError;
use crate::keys::{Compartment, Key, dek_commitment};

/// A record as it was read, before its signature is believed.
pub(crate) struct Unverified<'a> {
    signed: Signed<'a>,
    pub(crate) record: Record,
}

impl<'a> Unverified<'a> {
    /// Takes a record apart; what contradicts itself is none.
    ///
    /// # Errors
    /// [`SignedError::Shape`], [`SignedError::Payload`].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, SignedError> {
        let signed = Signed::split(bytes)?;
        let record: Record = signed.read()?;
        if record.is_consistent() { Ok(Self { signed, record }) } else { Err(SignedError::Payload) }
    }

    pub(crate) fn verify(&self, author: &PublicKey) -> Result<(), SignedError> {
        self.signed.verify(Namespace::Cred, author)
    }
}

impl Record {
    fn is_consistent(&self) -> bool {
        let under = match self.visibility {
            Visibility::Shared => {
                self.epoch.is_some() && self.generation.is_none() && self.grantees.is_empty()
            }
            Visibility::Private => {
                self.epoch.is_none() && self.generation.is_some() && self.author == self.owner
            }
        };
        let granted =
            self.sealed.as_ref().is_none_or(|sealed| sealed.grants.keys().eq(self.grantees.iter()));
        self.v == 2
            && under
            && granted
            && self.compartment == Compartment::of(self.about.class)
            && self.deleted == self.sealed.is_none()
            && (1..=self.version).contains(&self.value_version)
    }

    /// The value, with the keys in `ring`.
    ///
    /// # Errors
    /// [`VaultError::NotHeld`] when they are not for this one; [`VaultError::Sealed`] when
    /// they should be, and it does not open; [`VaultError::Deleted`].
    pub(crate) fn open(&self, ring: &Keyring) -> Result<Secret, VaultError> {
        let sealed =
            self.sealed.as_ref().ok_or_else(|| VaultError::Deleted { slug: self.name.clone() })?;
        let key = self.key(sealed, ring)?;
        if dek_commitment(&key, &self.vault_id) != sealed.dek_commit {
            return Err(VaultError::sealed(self));
        }
        aead::open(&key, &sealed.body, &self.body_data()).map_err(|_| VaultError::sealed(self))
    }

    /// The value's own key.
    fn key(&self, sealed: &Body, ring: &Keyring) -> Result<Key, VaultError> {
        let not_held = || VaultError::NotHeld { slug: self.name.clone() };
        let wrapping = match self.visibility {
            Visibility::Shared => {
                let keys = ring.epoch.as_ref().filter(|keys| Some(*keys.epoch()) == self.epoch);
                keys.and_then(|keys| keys.wrapping(self.compartment)).ok_or_else(not_held)?
            }
            Visibility::Private => {
                let own = ring.own.as_ref().ok_or_else(not_held)?;
                if self.owner != ring.member {
                    let granted = sealed.grants.get(&ring.member).ok_or_else(not_held)?;
                    // A grant outlives the compartment until its owner writes again.
                    let keys = ring.epoch.as_ref();
                    keys.and_then(|keys| keys.wrapping(self.compartment)).ok_or_else(not_held)?;
                    return grant::open(self, ring.member, own, granted);
                }
                if self.generation != Some(own.generation) {
                    return Err(not_held());
                }
                own.wrapping(self.compartment)
            }
        };
        let key = aead::open(&wrapping, &sealed.wrap, &self.wrap_data())
            .map_err(|_| VaultError::sealed(self))?;
        Key::from_secret(&key).ok_or_else(|| VaultError::sealed(self))
    }
}
