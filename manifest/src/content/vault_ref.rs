//! What a manifest says of a vault and of the records in it: enough to open them with
//! one decryption of the manifest. The vaults themselves are crate `keyrack-vault`.

use std::fmt;
use std::str::FromStr;

use keyrack_names::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{CredId, Digest, VaultName};

/// One version of one credential's record in a vault. The manifest is signed and counted,
/// and so is what it names by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRef {
    /// Which credential.
    pub id: CredId,
    /// Which version; the first is 1.
    pub version: u64,
    /// SHA-256 of the record's file.
    pub sha256: Digest,
}

/// An epoch of a vault: a number that grows when the keys change, and a random part, so
/// that two rotators never share a directory. As text: `0000000003-` and 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochId {
    number: u64,
    random: [u8; 8],
}

/// An epoch's text does not read `0000000003-` and 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an epoch")]
pub struct EpochError;

impl EpochId {
    /// Numbers end here, so that every one has ten digits.
    const LAST: u64 = 9_999_999_999;

    /// The first epoch of a new vault.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn first() -> Result<Self, getrandom::Error> {
        Self::numbered(0)
    }

    /// An epoch that follows this one.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn next(&self) -> Result<Self, getrandom::Error> {
        Self::numbered((self.number + 1).min(Self::LAST))
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    fn numbered(number: u64) -> Result<Self, getrandom::Error> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        Ok(Self { number, random })
    }
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}-{}", self.number, hex::lower::encode_string(&self.random))
    }
}

impl fmt::Debug for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EpochId {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        let (number, digits) = text.split_once('-').ok_or(EpochError)?;
        if number.len() != 10 || !number.bytes().all(|c| c.is_ascii_digit()) {
            return Err(EpochError);
        }
        let mut random = [0; 8];
        match hex::lower::decode(digits, &mut random) {
            Ok(decoded) if decoded.len() == 8 => {}
            _ => return Err(EpochError),
        }
        Ok(Self { number: number.parse().map_err(|_| EpochError)?, random })
    }
}

impl Serialize for EpochId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EpochId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Something for each compartment of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerCompartment<T> {
    /// For every class but `password`.
    pub std: T,
    /// For class `password`.
    pub password: T,
}

/// The keys of one epoch, as far as this owner holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultKeys {
    /// For every class but `password`.
    pub std: Secret,
    /// For class `password`: not every member of a team holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// This owner's own key of a vault: what is private to it there is under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrivateKeyRef {
    /// How often it was replaced; the first is 1.
    pub generation: u64,
    /// What it commits to.
    pub commitment: Digest,
    /// The key, 32 bytes.
    pub key: Secret,
    /// SHA-256 of the file that holds the same key, where it was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Digest>,
}

/// A vault this owner is a member of, with its keys open: the manifest's own age
/// encryption is this owner's copy of the wrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultRef {
    /// What its owner calls it; `personal` for the owner's own.
    pub name: VaultName,
    /// Where it is kept, if not at its usual place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The epoch whose keys these are.
    pub epoch: EpochId,
    /// The wrap that holds the same keys: SHA-256 of the file, which is its name.
    pub wrap: Digest,
    /// The vault's keys, 32 bytes each.
    pub keys: VaultKeys,
    /// What each key commits to, as published in the vault.
    pub commitments: PerCompartment<Digest>,
    /// The owner's own key. A vault from before there were chains has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKeyRef>,
}

impl VaultRef {
    /// Whether every key has the length of a key.
    pub(crate) fn is_consistent(&self) -> bool {
        let is_key = |key: &Secret| key.len() == 32;
        is_key(&self.keys.std)
            && self.keys.password.as_ref().is_none_or(is_key)
            && self.private_key.as_ref().is_none_or(|own| is_key(&own.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_survives_text() {
        let epoch = EpochId::first().unwrap().next().unwrap();
        assert_eq!(epoch.number(), 1);
        assert_eq!(epoch.to_string().parse::<EpochId>().unwrap(), epoch);
        assert!(epoch.to_string().starts_with("0000000001-"));
        for bad in [
            "",
            "1-0011223344556677",
            "0000000001",
            "0000000001-00",
            "+000000001-0011223344556677",
            "0000000001-00112233445566777",
            "0000000001-001122334455667G",
        ] {
            assert!(bad.parse::<EpochId>().is_err(), "{bad}");
        }
    }
}
