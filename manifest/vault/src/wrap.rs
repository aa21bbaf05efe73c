//! A wrap: a vault's keys as an age file to one member, so that stock age opens them. age
//! has no associated data: vault, epoch and member stand inside and are checked.

use keyrack_manifest::{
    Digest, EpochId, MemberId, PerCompartment, Recipient, SealError, VaultId, seal,
};
use keyrack_names::Secret;
use serde::{Deserialize, Serialize};

use crate::keys::Keys;

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
    keys: PerCompartment<Secret>,
}

/// A wrap and its name.
pub(crate) struct Wrap {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

/// Wraps `keys` for `member`, who can open what is sealed to `recipients`.
pub(crate) fn wrap(
    keys: &Keys,
    vault: VaultId,
    member: MemberId,
    recipients: &[Recipient],
) -> Result<Wrap, SealError> {
    let content =
        Content { v: 1, vault_id: vault, epoch: *keys.epoch(), member, keys: keys.expose() };
    let mut line = serde_json::to_vec(&content)
        .map(zeroize::Zeroizing::new)
        .unwrap_or_else(|e| unreachable!("ids and base64 are always JSON: {e}"));
    line.push(b'\n');
    let bytes = seal::seal(recipients, &line)?;
    let digest = Digest::of(&bytes);
    Ok(Wrap { bytes, digest })
}
