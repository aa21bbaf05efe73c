//! The link a vault begins with: it names its owner and commits to its keys, and its hash
//! is the vault's id.

use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::signed::{self, Signed};
use keyrack_manifest::{Digest, MemberId, Namespace, PublicKey, SigningKey, VaultId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::VaultError;

/// Largest link, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// What the first link says. It names no keys: those are wrapped under the vault's id,
/// which is the hash of this.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Genesis {
    v: u32,
    #[serde(rename = "type")]
    kind: String,
    seq: u64,
    name: String,
    member: MemberId,
    sig_key: PublicKey,
    /// Random, so that no two vaults share an id.
    nonce: Digest,
    ts: Timestamp,
}

/// A new vault's first link and its id.
pub(crate) fn begin(
    name: &str,
    member: MemberId,
    key: &SigningKey,
    now: Timestamp,
) -> Result<(VaultId, Zeroizing<Vec<u8>>), getrandom::Error> {
    let genesis = Genesis {
        v: 1,
        kind: "genesis".to_owned(),
        seq: 0,
        name: name.to_owned(),
        member,
        sig_key: key.public(),
        nonce: Digest::random()?,
        ts: now,
    };
    let payload = signed::payload(&genesis)
        .unwrap_or_else(|e| unreachable!("a genesis link is always JSON: {e}"));
    let id = VaultId::from_bytes(*Digest::of(&payload).as_bytes());
    Ok((id, signed::sign(&payload, Namespace::Link, key)))
}

/// Checks that a link is the one that the vault `id` begins with, signed by the key it
/// names.
///
/// # Errors
/// [`VaultError::Signed`], [`VaultError::Moved`]. `path` is for the error only.
pub(crate) fn check(bytes: &[u8], id: &VaultId, path: &Path) -> Result<(), VaultError> {
    let damaged = |source| VaultError::Signed { path: path.to_owned(), source };
    let link = Signed::split(bytes).map_err(damaged)?;
    if link.digest().as_bytes() != id.as_bytes() {
        return Err(VaultError::Moved { path: path.to_owned(), what: "vault" });
    }
    let genesis: Genesis = link.read().map_err(damaged)?;
    link.verify(Namespace::Link, &genesis.sig_key).map_err(damaged)
}
