//! A vault's keys: one for each epoch and compartment, and what is derived from them with
//! HKDF-SHA256 (RFC 5869), the vault's id as salt.

use std::collections::BTreeSet;

use hkdf::Hkdf;
use keyrack_manifest::{Class, Digest, EpochId, PerCompartment, VaultId, VaultKeys, VaultRef};
use keyrack_names::Secret;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::error::VaultError;

/// A 32-byte key, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) fn from_secret(secret: &Secret) -> Option<Self> {
        secret.expose().try_into().ok().map(Self)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn to_secret(&self) -> Secret {
        Secret::from(&self.0[..])
    }
}

/// Which of a vault's keys a credential is under. A member without the compartment cannot
/// decrypt what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compartment {
    /// Every class but `password`.
    Std,
    /// Class `password`.
    Password,
}

impl Compartment {
    /// The one for credentials of a class.
    pub fn of(class: Class) -> Self {
        if class == Class::Password { Self::Password } else { Self::Std }
    }

    /// Its name, as in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Std => "std",
            Self::Password => "password",
        }
    }
}

/// The keys of one epoch of one vault, as far as they are held.
#[derive(Clone)]
pub(crate) struct Keys {
    vault: VaultId,
    epoch: EpochId,
    std: Key,
    password: Option<Key>,
}

impl Keys {
    /// New random keys.
    pub(crate) fn random(vault: VaultId, epoch: EpochId) -> Result<Self, getrandom::Error> {
        Ok(Self { vault, epoch, std: Key::random()?, password: Some(Key::random()?) })
    }

    /// Keys that were handed over, held against what they must commit to.
    pub(crate) fn held(
        vault: VaultId,
        epoch: EpochId,
        keys: &VaultKeys,
        committed: &PerCompartment<Digest>,
    ) -> Result<Self, VaultError> {
        let key = |secret| Key::from_secret(secret).ok_or(VaultError::OtherKeys);
        let (std, password) = (key(&keys.std)?, keys.password.as_ref().map(key).transpose()?);
        let keys = Self { vault, epoch, std, password };
        let is = |compartment, expected: &Digest| {
            keys.commitment(compartment).is_none_or(|found| found == *expected)
        };
        let same =
            is(Compartment::Std, &committed.std) && is(Compartment::Password, &committed.password);
        if same { Ok(keys) } else { Err(VaultError::OtherKeys) }
    }

    /// The keys a manifest carries.
    pub(crate) fn of(vault: VaultId, carried: &VaultRef) -> Result<Self, VaultError> {
        Self::held(vault, carried.epoch, &carried.keys, &carried.commitments)
    }

    pub(crate) fn epoch(&self) -> &EpochId {
        &self.epoch
    }

    /// The keys themselves, for a manifest or a wrap: of `compartments` only.
    pub(crate) fn expose(&self, compartments: &BTreeSet<Compartment>) -> VaultKeys {
        let password =
            self.password.as_ref().filter(|_| compartments.contains(&Compartment::Password));
        VaultKeys { std: self.std.to_secret(), password: password.map(Key::to_secret) }
    }

    /// What may be published of a key, so that nobody is handed another one unseen.
    pub(crate) fn commitment(&self, compartment: Compartment) -> Option<Digest> {
        let derived = self.derive(b"keyrack/v1/commit", compartment)?;
        Some(Digest::from_bytes(*derived.expose()))
    }

    /// Of both keys, for whoever made them.
    pub(crate) fn commitments(&self) -> Option<PerCompartment<Digest>> {
        Some(PerCompartment {
            std: self.commitment(Compartment::Std)?,
            password: self.commitment(Compartment::Password)?,
        })
    }

    /// The key that wraps the keys of credentials, where it is held.
    pub(crate) fn wrapping(&self, compartment: Compartment) -> Option<Key> {
        self.derive(b"keyrack/v1/kek", compartment)
    }

    fn derive(&self, purpose: &[u8], compartment: Compartment) -> Option<Key> {
        let key = match compartment {
            Compartment::Std => &self.std,
            Compartment::Password => self.password.as_ref()?,
        };
        let parts = [self.epoch.to_string(), compartment.as_str().to_owned()];
        Some(derive(
            key,
            self.vault.as_bytes(),
            purpose,
            &[parts[0].as_bytes(), parts[1].as_bytes()],
        ))
    }
}

/// What the key of one credential version commits to: the cipher alone does not bind it.
pub(crate) fn dek_commitment(key: &Key, vault: &VaultId) -> Digest {
    Digest::from_bytes(*derive(key, vault.as_bytes(), b"keyrack/v1/dek-commit", &[]).expose())
}

/// HKDF-SHA256; info is the purpose and then each part behind its length in one byte.
pub(crate) fn derive(key: &Key, salt: &[u8], purpose: &[u8], parts: &[&[u8]]) -> Key {
    let mut info = purpose.to_vec();
    for part in parts {
        info.push(part.len() as u8);
        info.extend_from_slice(part);
    }
    let mut derived = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key.expose())
        .expand(&info, &mut derived)
        .unwrap_or_else(|_| unreachable!("32 bytes are within what HKDF-SHA256 gives"));
    Key(derived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_epoch_and_compartment_is_another_key() {
        let vault = VaultId::from_bytes([1; 32]);
        let first = EpochId::first().unwrap();
        let keys = Keys::random(vault, first).unwrap();
        let next = Keys { epoch: first.next().unwrap(), ..keys.clone() };
        let wrapping = |keys: &Keys, compartment| *keys.wrapping(compartment).unwrap().expose();
        let mut all = vec![
            wrapping(&keys, Compartment::Std),
            wrapping(&keys, Compartment::Password),
            wrapping(&next, Compartment::Std),
            *keys.commitments().unwrap().std.as_bytes(),
            *next.commitments().unwrap().std.as_bytes(),
            *keys.std.expose(),
        ];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn a_compartment_that_is_not_held_is_no_key() {
        let vault = VaultId::from_bytes([1; 32]);
        let epoch = EpochId::first().unwrap();
        let all = Keys::random(vault, epoch).unwrap();
        let committed = all.commitments().unwrap();
        let std = all.expose(&BTreeSet::from([Compartment::Std]));
        let held = Keys::held(vault, epoch, &std, &committed).unwrap();
        assert!(held.wrapping(Compartment::Password).is_none() && held.commitments().is_none());
        assert!(held.wrapping(Compartment::Std).is_some());
        let other = Keys::random(vault, epoch).unwrap().commitments().unwrap();
        assert!(matches!(Keys::held(vault, epoch, &std, &other), Err(VaultError::OtherKeys)));
    }

    /// Computed by an independent implementation.
    #[test]
    fn keys_are_what_the_format_says() {
        let epoch: EpochId = "0000000003-0011223344556677".parse().unwrap();
        let vault = VaultId::from_bytes([1; 32]);
        let keys = Keys { vault, epoch, std: Key([2; 32]), password: Some(Key([3; 32])) };
        let committed = keys.commitments().unwrap();
        let wrapping = keys.wrapping(Compartment::Std).unwrap();
        let got = [
            committed.std.to_string(),
            committed.password.to_string(),
            Digest::from_bytes(*wrapping.expose()).to_string(),
            dek_commitment(&Key([4; 32]), &vault).to_string(),
        ];
        let golden: Vec<&str> = include_str!("golden/keys.txt").lines().collect();
        assert_eq!(got.to_vec(), golden);
    }
}
