//! A grant: the key of one credential version, as an age file to another member's own key
//! of the vault. age has no associated data: what it is bound to stands inside.

use keyrack_manifest::{CredId, MemberId, Recipient, VaultId, seal};
use keyrack_names::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Record;
use crate::error::VaultError;
use crate::keys::Key;
use crate::own_key::OwnKey;

const LARGEST: usize = 4096;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u32,
    vault_id: VaultId,
    cred_id: CredId,
    version: u64,
    owner: MemberId,
    generation: u64,
    grantee: MemberId,
    key: Secret,
}

impl Content {
    fn is_of(&self, record: &Record, grantee: MemberId) -> bool {
        (self.v, self.vault_id, self.cred_id, self.version)
            == (1, record.vault_id, record.cred_id, record.version)
            && (self.owner, Some(self.generation), self.grantee)
                == (record.owner, record.generation, grantee)
    }
}

/// Wraps `key` of `record` for a grantee.
pub(super) fn wrap(
    record: &Record,
    grantee: MemberId,
    recipient: &Recipient,
    key: &Key,
) -> Result<Secret, VaultError> {
    let content = Content {
        v: 1,
        vault_id: record.vault_id,
        cred_id: record.cred_id,
        version: record.version,
        owner: record.owner,
        generation: record.generation.unwrap_or(0),
        grantee,
        key: key.to_secret(),
    };
    let line = serde_json::to_vec(&content)
        .map(Zeroizing::new)
        .unwrap_or_else(|e| unreachable!("ids and base64 are always JSON: {e}"));
    Ok(Secret::new(seal::seal(std::slice::from_ref(recipient), &line)?))
}

/// Opens what was granted to `grantee`.
pub(super) fn open(
    record: &Record,
    grantee: MemberId,
    own: &OwnKey,
    sealed: &Secret,
) -> Result<Key, VaultError> {
    let plain = seal::open(&own.identity()?, sealed.expose(), LARGEST)
        .map_err(|_| VaultError::sealed(record))?;
    let content: Content =
        serde_json::from_slice(plain.expose()).map_err(|_| VaultError::sealed(record))?;
    let key = Key::from_secret(&content.key).filter(|_| content.is_of(record, grantee));
    key.ok_or_else(|| VaultError::sealed(record))
}
