//! A grant: which of an owner's credentials one connector may be given, under which
//! declaration, until when. A signed object, so that only the owner makes one; not sealed,
//! so that it is read without the owner's key. Holds no secret.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyrack_names::{KeyName, Owner, RackId, Slug};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::content::unique::unique_map;
use crate::signed::{self, Signed, SignedError};
use crate::{Digest, Namespace, PublicKey, SigningKey, Word};

/// Largest grant, in bytes.
pub const LARGEST: u64 = 256 << 10;

/// What a connector may be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The version of this format: 1.
    pub v: u32,
    /// Whose credentials.
    pub owner: Owner,
    /// Of which of the owner's homes: a grant of one is none of another.
    pub rack: RackId,
    /// To which connector.
    pub connector: Word,
    /// What this grant is called among those of the connector.
    pub name: Word,
    /// SHA-256 of the declaration as it was when this was granted. Another text of it is
    /// another program, and was granted nothing.
    pub declaration: Digest,
    /// The repository that it was in: the same text in another is another's word. `None` for a
    /// declaration of the home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// SHA-256 of each file of the repository that a program of the declaration is, or is given,
    /// by its path there.
    #[serde(deserialize_with = "unique_map")]
    pub programs: BTreeMap<String, Digest>,
    /// What the declaration calls each, and which credential that is.
    #[serde(deserialize_with = "unique_map")]
    pub credentials: BTreeMap<KeyName, Slug>,
    /// When it was made.
    pub granted_at: Timestamp,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Grant {
    /// The grant as a file, signed by the owner.
    ///
    /// # Errors
    /// [`SignedError::Payload`], if it cannot be written as JSON.
    pub fn sign(&self, key: &SigningKey) -> Result<Zeroizing<Vec<u8>>, SignedError> {
        Ok(signed::sign(&signed::payload(self)?, Namespace::Grant, key))
    }

    /// Reads a grant that `signer` made.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn read(bytes: &[u8], signer: &PublicKey) -> Result<Self, SignedError> {
        let signed = Signed::split(bytes)?;
        signed.verify(Namespace::Grant, signer)?;
        let grant: Self = signed.read()?;
        if grant.v == 1 { Ok(grant) } else { Err(SignedError::Payload) }
    }

    /// Whether it has ended at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            v: 1,
            owner: "bot".parse().unwrap(),
            rack: RackId::from_bytes([7; 16]),
            connector: "github".parse().unwrap(),
            name: "default".parse().unwrap(),
            declaration: Digest::of(b"connector: github\n"),
            repository: Some("/home/me/collector".to_owned()),
            programs: [("./bin/login".to_owned(), Digest::of(b"#!/bin/sh\n"))].into(),
            credentials: [("PAT".parse().unwrap(), "acme.all.GITHUB_TOKEN".parse().unwrap())]
                .into(),
            granted_at: "2026-01-15T10:00:00Z".parse().unwrap(),
            until: Some("2026-02-15T10:00:00Z".parse().unwrap()),
        }
    }

    #[test]
    fn it_is_read_as_it_was_signed_and_by_no_other_key() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let bytes = grant().sign(&key).unwrap();
        assert_eq!(Grant::read(&bytes, &key.public()).unwrap(), grant());
        assert_eq!(Grant::read(&bytes, &other.public()), Err(SignedError::Signature));
        let more = String::from_utf8(bytes.to_vec()).unwrap().replace("GITHUB_TOKEN", "EVERYTHING");
        assert_eq!(Grant::read(more.as_bytes(), &key.public()), Err(SignedError::Signature));
    }

    #[test]
    fn what_the_owner_signed_for_another_purpose_is_no_grant() {
        let key = SigningKey::generate().unwrap();
        let payload = signed::payload(&grant()).unwrap();
        let bytes = signed::sign(&payload, Namespace::Drop, &key);
        assert_eq!(Grant::read(&bytes, &key.public()), Err(SignedError::Signature));
    }

    #[test]
    fn fields_that_are_unknown_doubled_or_of_another_version_are_refused() {
        let key = SigningKey::generate().unwrap();
        let text = String::from_utf8(signed::payload(&grant()).unwrap().to_vec()).unwrap();
        for bad in [
            text.replace("\"v\":1", "\"v\":2"),
            text.replace("\"v\":1", "\"v\":1,\"x\":1"),
            text.replace("\"v\":1", "\"v\":1,\"v\":1"),
            text.replace("\"PAT\":", "\"PAT\":\"acme.all.A\",\"PAT\":"),
            text.replace("acme.all.GITHUB_TOKEN", "acme.all"),
        ] {
            assert_ne!(bad, text);
            let bytes = signed::sign(bad.as_bytes(), Namespace::Grant, &key);
            assert_eq!(Grant::read(&bytes, &key.public()), Err(SignedError::Payload), "{bad}");
        }
    }

    #[test]
    fn it_ends_when_it_says() {
        let at = |text: &str| text.parse().unwrap();
        assert!(!grant().is_over(at("2026-02-15T09:59:59Z")));
        assert!(grant().is_over(at("2026-02-15T10:00:00Z")));
        assert!(!Grant { until: None, ..grant() }.is_over(Timestamp::MAX));
    }
}
