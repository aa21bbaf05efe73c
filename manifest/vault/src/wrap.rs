//! A wrap: a vault's keys as an age file to one member, so that stock age opens them. age
//! has no associated data: vault, epoch and member stand inside and are checked.

use std::collections::BTreeSet;

use keyrack_manifest::{
    Digest, EpochId, Identity, MemberId, PerCompartment, Recipient, SealError, VaultId, VaultKeys,
    seal,
};
use serde::{Deserialize, Serialize};

use crate::error::VaultError;
use crate::keys::{Compartment, Keys};

/// Largest wrap, in bytes: a page of JSON, and a header for twenty RSA keys.
pub(crate) const LARGEST: u64 = 256 << 10;

/// What is inside the age file: one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u32,
    vault_id: VaultId,
    epoch: EpochId,
    member: MemberId,
    keys: VaultKeys,
}

/// A wrap and its name.
pub(crate) struct Wrap {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

/// Wraps the keys of `compartments` for `member`, who can open what is sealed to
/// `recipients`.
pub(crate) fn wrap(
    keys: &Keys,
    vault: VaultId,
    member: MemberId,
    compartments: &BTreeSet<Compartment>,
    recipients: &[Recipient],
) -> Result<Wrap, SealError> {
    let keys_of = keys.expose(compartments);
    let content = Content { v: 1, vault_id: vault, epoch: *keys.epoch(), member, keys: keys_of };
    let mut line = serde_json::to_vec(&content)
        .map(zeroize::Zeroizing::new)
        .unwrap_or_else(|e| unreachable!("ids and base64 are always JSON: {e}"));
    line.push(b'\n');
    let bytes = seal::seal(recipients, &line)?;
    let digest = Digest::of(&bytes);
    Ok(Wrap { bytes, digest })
}

/// Opens a wrap: for this vault, epoch and member, and of the keys that are committed to.
///
/// # Errors
/// [`VaultError::Unopened`], [`VaultError::OtherKeys`].
pub(crate) fn open(
    sealed: &[u8],
    identity: &Identity,
    vault: VaultId,
    member: MemberId,
    epoch: &EpochId,
    committed: &PerCompartment<Digest>,
) -> Result<Keys, VaultError> {
    let plain = seal::open(identity, sealed, LARGEST as usize).map_err(VaultError::Unopened)?;
    let content: Content =
        serde_json::from_slice(plain.expose()).map_err(|_| VaultError::OtherKeys)?;
    if (content.v, content.vault_id, content.epoch, content.member) != (1, vault, *epoch, member) {
        return Err(VaultError::OtherKeys);
    }
    Keys::held(vault, *epoch, &content.keys, committed)
}
