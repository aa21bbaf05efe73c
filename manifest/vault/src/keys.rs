//! A vault's keys: one for each epoch and compartment, and what is derived from them with
//! HKDF-SHA256 (RFC 5869), the vault's id as salt.

use hkdf::Hkdf;
use keyrack_manifest::{Class, Digest, EpochId, PerCompartment, VaultId, VaultRef};
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

/// The keys of one epoch of one vault.
#[derive(Clone)]
pub(crate) struct Keys {
    vault: VaultId,
    epoch: EpochId,
    keys: PerCompartment<Key>,
}

impl Keys {
    /// New random keys.
    pub(crate) fn random(vault: VaultId, epoch: EpochId) -> Result<Self, getrandom::Error> {
        Ok(Self {
            vault,
            epoch,
            keys: PerCompartment { std: Key::random()?, password: Key::random()? },
        })
    }

    /// The keys a manifest carries, held against what they must commit to.
    pub(crate) fn of(vault: VaultId, carried: &VaultRef) -> Result<Self, VaultError> {
        let key = |secret| Key::from_secret(secret).ok_or(VaultError::OtherKeys);
        let keys =
            PerCompartment { std: key(&carried.keys.std)?, password: key(&carried.keys.password)? };
        let keys = Self { vault, epoch: carried.epoch, keys };
        if keys.commitments() == carried.commitments {
            Ok(keys)
        } else {
            Err(VaultError::OtherKeys)
        }
    }

    pub(crate) fn epoch(&self) -> &EpochId {
        &self.epoch
    }

    /// The keys themselves, for a manifest or a wrap.
    pub(crate) fn expose(&self) -> PerCompartment<Secret> {
        PerCompartment { std: self.keys.std.to_secret(), password: self.keys.password.to_secret() }
    }

    /// What may be published of each key, so that nobody is handed another one unseen.
    pub(crate) fn commitments(&self) -> PerCompartment<Digest> {
        let commitment = |compartment| {
            Digest::from_bytes(*self.derive(b"keyrack/v1/commit", compartment).expose())
        };
        PerCompartment {
            std: commitment(Compartment::Std),
            password: commitment(Compartment::Password),
        }
    }

    /// The key that wraps the keys of credentials.
    pub(crate) fn wrapping(&self, compartment: Compartment) -> Key {
        self.derive(b"keyrack/v1/kek", compartment)
    }

    fn derive(&self, purpose: &[u8], compartment: Compartment) -> Key {
        let key = match compartment {
            Compartment::Std => &self.keys.std,
            Compartment::Password => &self.keys.password,
        };
        derive(
            key,
            self.vault.as_bytes(),
            purpose,
            &[self.epoch.to_string().as_bytes(), compartment.as_str().as_bytes()],
        )
    }
}

/// What the key of one credential version commits to: the cipher alone does not bind it.
pub(crate) fn dek_commitment(key: &Key, vault: &VaultId) -> Digest {
    Digest::from_bytes(*derive(key, vault.as_bytes(), b"keyrack/v1/dek-commit", &[]).expose())
}

/// HKDF-SHA256; info is the purpose and then each part behind its length in one byte.
fn derive(key: &Key, salt: &[u8], purpose: &[u8], parts: &[&[u8]]) -> Key {
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
        let mut all = vec![
            *keys.wrapping(Compartment::Std).expose(),
            *keys.wrapping(Compartment::Password).expose(),
            *next.wrapping(Compartment::Std).expose(),
            *keys.commitments().std.as_bytes(),
            *next.commitments().std.as_bytes(),
            *keys.keys.std.expose(),
        ];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    /// Computed by an independent implementation.
    #[test]
    fn keys_are_what_the_format_says() {
        let epoch: EpochId = "0000000003-0011223344556677".parse().unwrap();
        let keys = Keys {
            vault: VaultId::from_bytes([1; 32]),
            epoch,
            keys: PerCompartment { std: Key([2; 32]), password: Key([3; 32]) },
        };
        let got = [
            keys.commitments().std.to_string(),
            keys.commitments().password.to_string(),
            Digest::from_bytes(*keys.wrapping(Compartment::Std).expose()).to_string(),
            dek_commitment(&Key([4; 32]), &VaultId::from_bytes([1; 32])).to_string(),
        ];
        let golden: Vec<&str> = include_str!("golden/keys.txt").lines().collect();
        assert_eq!(got.to_vec(), golden);
    }
}
