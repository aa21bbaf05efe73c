//! Writing a record.

use std::collections::BTreeMap;

use keyrack_manifest::signed;
use keyrack_manifest::{Digest, MemberId, Namespace, Recipient, SigningKey};
use keyrack_names::Secret;

use super::{Body, Keyring, LARGEST, LONGEST_VALUE, Record, Visibility, grant};
use crate::aead;
use crate::error::VaultError;
use crate::keys::{Key, dek_commitment};

/// A record that is to be written, and its value: `None` for a deletion.
pub(crate) struct Draft<'a> {
    /// What it says; `sealed` is filled in.
    pub(crate) record: Record,
    pub(crate) value: Option<&'a Secret>,
    /// What the key is wrapped to for each grantee.
    pub(crate) grantees: BTreeMap<MemberId, Recipient>,
}

impl Draft<'_> {
    /// Seals the value under a new key, that key under the one in `ring` that fits, and
    /// signs it all. Returns the record as it will be read, and its file.
    ///
    /// # Errors
    /// [`VaultError::TooLong`]; [`VaultError::NotHeld`] when `ring` has no key for it.
    pub(crate) fn write(
        mut self,
        ring: &Keyring,
        author: &SigningKey,
    ) -> Result<Written, VaultError> {
        self.record.sealed = match self.value {
            Some(value) => Some(self.seal(value, ring)?),
            None => None,
        };
        let payload = signed::payload(&self.record)
            .unwrap_or_else(|e| unreachable!("a record is always JSON: {e}"));
        let bytes = signed::sign(&payload, Namespace::Cred, author).to_vec();
        if bytes.len() as u64 > LARGEST {
            return Err(VaultError::TooLong { length: bytes.len(), limit: LARGEST as usize });
        }
        Ok(Written { digest: Digest::of(&bytes), record: self.record, bytes })
    }

    fn seal(&self, value: &Secret, ring: &Keyring) -> Result<Body, VaultError> {
        let record = &self.record;
        if value.len() > LONGEST_VALUE {
            return Err(VaultError::TooLong { length: value.len(), limit: LONGEST_VALUE });
        }
        let wrapping = match record.visibility {
            Visibility::Shared => {
                ring.epoch.as_ref().and_then(|keys| keys.wrapping(record.compartment))
            }
            Visibility::Private => ring.own.as_ref().map(|own| own.wrapping(record.compartment)),
        };
        let not_held = || VaultError::NotHeld { slug: record.name.clone() };
        let (wrapping, key) = (wrapping.ok_or_else(not_held)?, Key::random()?);
        let grant = |(member, to): (&MemberId, &Recipient)| {
            Ok((*member, grant::wrap(record, *member, to, &key)?))
        };
        Ok(Body {
            dek_commit: dek_commitment(&key, &record.vault_id),
            body: aead::seal(&key, value.expose(), &record.body_data())?,
            wrap: aead::seal(&wrapping, key.expose(), &record.wrap_data())?,
            grants: self.grantees.iter().map(grant).collect::<Result<_, VaultError>>()?,
        })
    }
}

/// A record and its file.
pub(crate) struct Written {
    pub(crate) record: Record,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}
