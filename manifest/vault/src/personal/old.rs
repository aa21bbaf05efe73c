//! Personal vaults from before there were chains: one link without a state, records that
//! are shared with nobody. They are read for ever, and made anew by the next write.

use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::signed::Signed;
use keyrack_manifest::{
    Class, CredId, Digest, EpochId, MemberId, Namespace, PublicKey, VaultId, Word,
};
use keyrack_names::Slug;
use serde::{Deserialize, Serialize};

use super::vault::Opened;
use crate::aead::{self, Associated, Sealed};
use crate::error::VaultError;
use crate::keys::{Compartment, Key, Keys, dek_commitment};
use crate::record::RecordMeta;

/// The first line of a record's file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    v: u32,
    vault_id: VaultId,
    epoch: EpochId,
    cred_id: CredId,
    version: u64,
    name: Slug,
    owner: MemberId,
    author: MemberId,
    visibility: Visibility,
    class: Class,
    compartment: Compartment,
    obtained_via: Word,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    dek_commit: Digest,
    body: Sealed,
    wrap: Sealed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Visibility {
    Shared,
}

/// The only link.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstLink {
    v: u32,
    #[serde(rename = "type")]
    kind: String,
    seq: u64,
    name: String,
    member: MemberId,
    sig_key: PublicKey,
    nonce: Digest,
    ts: Timestamp,
}

/// Where a record belongs, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) vault: VaultId,
    pub(super) cred: CredId,
    pub(super) version: u64,
    pub(super) name: &'a Slug,
    pub(super) member: MemberId,
}

/// Checks that a link is the one that the vault `id` begins with, signed by the key it
/// names.
///
/// # Errors
/// [`VaultError::Signed`], [`VaultError::Moved`]. `path` is for the error only.
pub(super) fn check_link(bytes: &[u8], id: &VaultId, path: &Path) -> Result<(), VaultError> {
    let damaged = |source| VaultError::Signed { path: path.to_owned(), source };
    let link = Signed::split(bytes).map_err(damaged)?;
    if link.digest().as_bytes() != id.as_bytes() {
        return Err(VaultError::Moved { path: path.to_owned(), what: "vault" });
    }
    let first: FirstLink = link.read().map_err(damaged)?;
    link.verify(Namespace::Link, &first.sig_key).map_err(damaged)
}

/// Checks a record against its place and opens it: signed by `author`, or vouched for by
/// the caller where there is `None`.
///
/// # Errors
/// In which way it is not what belongs there. `path` is for the error only.
pub(super) fn open(
    bytes: &[u8],
    place: Place<'_>,
    keys: &Keys,
    author: Option<&PublicKey>,
    path: &Path,
) -> Result<Opened, VaultError> {
    let damaged = |source| VaultError::Signed { path: path.to_owned(), source };
    let signed = Signed::split(bytes).map_err(damaged)?;
    if let Some(author) = author {
        signed.verify(Namespace::Cred, author).map_err(damaged)?;
    }
    let payload: Payload = signed.read().map_err(damaged)?;
    let moved = |what| Err(VaultError::Moved { path: path.to_owned(), what });
    let sealed = || VaultError::Sealed { path: path.to_owned() };
    match &payload {
        p if p.v != 1 => return moved("format"),
        p if p.vault_id != place.vault => return moved("vault"),
        p if p.epoch != *keys.epoch() => return moved("epoch"),
        p if p.cred_id != place.cred => return moved("credential"),
        p if p.version != place.version => return moved("version"),
        p if p.name != *place.name => return moved("name"),
        p if p.owner != place.member || p.author != place.member => return moved("owner"),
        p if p.compartment != Compartment::of(p.class) => return moved("compartment"),
        _ => {}
    }
    let wrapping = keys.wrapping(payload.compartment).ok_or_else(sealed)?;
    let key = aead::open(&wrapping, &payload.wrap, &wrap_data(place, keys.epoch()))
        .map_err(|_| sealed())?;
    let key = Key::from_secret(&key).ok_or_else(sealed)?;
    if dek_commitment(&key, &place.vault) != payload.dek_commit {
        return Err(sealed());
    }
    let data = body_data(place, payload.class, payload.compartment);
    let value = aead::open(&key, &payload.body, &data).map_err(|_| sealed())?;
    let about = RecordMeta {
        obtained_via: payload.obtained_via,
        expires_at: payload.expires_at,
        ..RecordMeta::of(payload.class)
    };
    Ok(Opened { value, about, created_at: payload.created_at, version: place.version })
}

/// What the value is bound to.
fn body_data(place: Place<'_>, class: Class, compartment: Compartment) -> Associated {
    Associated::purpose("keyrack/v1/body")
        .and(place.vault.as_bytes())
        .and(place.cred.as_bytes())
        .and(place.name.to_string())
        .and(class.as_str())
        .and(compartment.as_str())
        .and_number(place.version)
}

/// What the record's key is bound to.
fn wrap_data(place: Place<'_>, epoch: &EpochId) -> Associated {
    Associated::purpose("keyrack/v1/wrap")
        .and(place.vault.as_bytes())
        .and(place.cred.as_bytes())
        .and_number(place.version)
        .and(place.member.as_bytes())
        .and("shared")
        .and(epoch.to_string())
}
