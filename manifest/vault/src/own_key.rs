//! A member's own key of a vault: its private records are under it, and what others grant
//! to it is wrapped to its public half. No epoch and no administrator touches it.

use bech32::{Bech32, Hrp};
use keyrack_manifest::signed::{self, Signed};
use keyrack_manifest::{
    Digest, Identity, MemberId, Namespace, PrivateKeyRef, PublicKey, Recipient, SigningKey,
    VaultId, seal,
};
use keyrack_names::Secret;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::VaultError;
use crate::keys::{Compartment, Key, derive};

/// Largest file that holds one, in bytes.
pub(crate) const LARGEST: u64 = 256 << 10;

/// The key, and how often it was replaced.
#[derive(Clone)]
pub(crate) struct OwnKey {
    owner: MemberId,
    pub(crate) generation: u64,
    key: Key,
}

/// What its file holds: a signed object inside an age file to the member itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u32,
    vault_id: VaultId,
    owner: MemberId,
    generation: u64,
    key: Secret,
}

impl OwnKey {
    /// A new random key.
    pub(crate) fn random(owner: MemberId, generation: u64) -> Result<Self, getrandom::Error> {
        Ok(Self { owner, generation, key: Key::random()? })
    }

    /// The key a manifest carries, held against its commitment.
    pub(crate) fn of(owner: MemberId, carried: &PrivateKeyRef) -> Result<Self, VaultError> {
        let key = Key::from_secret(&carried.key).ok_or(VaultError::OtherKeys)?;
        let own = Self { owner, generation: carried.generation, key };
        if own.commitment() == carried.commitment { Ok(own) } else { Err(VaultError::OtherKeys) }
    }

    /// What a manifest is to carry.
    pub(crate) fn carried(&self) -> PrivateKeyRef {
        PrivateKeyRef {
            generation: self.generation,
            commitment: self.commitment(),
            key: self.key.to_secret(),
            file: None,
        }
    }

    fn commitment(&self) -> Digest {
        Digest::from_bytes(*self.derive(b"keyrack/v1/own-commit", &[]).expose())
    }

    /// The key that wraps the keys of private credentials.
    pub(crate) fn wrapping(&self, compartment: Compartment) -> Key {
        self.derive(b"keyrack/v1/own-kek", &[compartment.as_str().as_bytes()])
    }

    /// What grants to this member are opened with: an age identity.
    pub(crate) fn identity(&self) -> Result<Identity, VaultError> {
        let mut secret = self.derive(b"keyrack/v1/own-age", &[]);
        let hrp = Hrp::parse("age-secret-key-").map_err(|_| VaultError::OtherKeys)?;
        let text = bech32::encode_upper::<Bech32>(hrp, secret.expose());
        secret.zeroize();
        let text = Zeroizing::new(text.map_err(|_| VaultError::OtherKeys)?);
        Identity::from_text(&Secret::from(text.as_bytes())).map_err(|_| VaultError::OtherKeys)
    }

    /// What grants to this member are wrapped to.
    pub(crate) fn recipient(&self) -> Result<Recipient, VaultError> {
        self.identity()?.publics().first().cloned().ok_or(VaultError::OtherKeys)
    }

    fn derive(&self, purpose: &[u8], parts: &[&[u8]]) -> Key {
        let generation = self.generation.to_be_bytes();
        let parts: Vec<&[u8]> =
            std::iter::once(&generation[..]).chain(parts.iter().copied()).collect();
        derive(&self.key, self.owner.as_bytes(), purpose, &parts)
    }

    /// The file, for `recipients`: the member's own.
    pub(crate) fn seal(
        &self,
        vault: VaultId,
        signer: &SigningKey,
        recipients: &[Recipient],
    ) -> Result<Vec<u8>, VaultError> {
        let content = Content {
            v: 1,
            vault_id: vault,
            owner: self.owner,
            generation: self.generation,
            key: self.key.to_secret(),
        };
        let payload = signed::payload(&content)
            .unwrap_or_else(|e| unreachable!("ids and base64 are always JSON: {e}"));
        Ok(seal::seal(recipients, &signed::sign(&payload, Namespace::Cred, signer))?)
    }

    /// Opens such a file: signed by the member itself, for this vault.
    pub(crate) fn open(
        sealed: &[u8],
        identity: &Identity,
        vault: VaultId,
        owner: MemberId,
        signer: &PublicKey,
    ) -> Result<Self, VaultError> {
        let plain = seal::open(identity, sealed, LARGEST as usize).map_err(VaultError::Unopened)?;
        let signed = Signed::split(plain.expose()).map_err(|_| VaultError::OtherKeys)?;
        signed.verify(Namespace::Cred, signer).map_err(|_| VaultError::OtherKeys)?;
        let content: Content = signed.read().map_err(|_| VaultError::OtherKeys)?;
        if (content.v, content.vault_id, content.owner) != (1, vault, owner) {
            return Err(VaultError::OtherKeys);
        }
        let key = Key::from_secret(&content.key).ok_or(VaultError::OtherKeys)?;
        Ok(Self { owner, generation: content.generation, key })
    }
}
