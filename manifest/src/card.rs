//! An identity card: what a member shows to others. Self-signed; a convenience that is
//! trusted only through its fingerprint.

use jiff::Timestamp;
use keyrack_names::Owner;
use serde::{Deserialize, Serialize};

use crate::signed::{self, Signed, SignedError};
use crate::{Digest, MemberId, Namespace, PublicKey, Recipient, SigningKey};

/// Largest card, in bytes.
pub const LARGEST: u64 = 64 << 10;

/// What a card says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The version of this format: 1.
    pub v: u32,
    /// What teams call the member.
    pub handle: Owner,
    /// The key it signs with.
    pub sig_key: PublicKey,
    /// What is sealed to it is sealed to these.
    pub recipients: Vec<Recipient>,
    /// When the card was made.
    pub created_at: Timestamp,
}

/// A card as bytes, with what is derived from them.
#[derive(Debug, Clone)]
pub struct SignedCard {
    /// What it says.
    pub card: Card,
    /// The file's content.
    pub bytes: Vec<u8>,
    digest: Digest,
}

impl Card {
    /// Makes and signs a card.
    ///
    /// # Errors
    /// [`SignedError::Payload`], if it cannot be written as JSON.
    pub fn issue(
        handle: &Owner,
        key: &SigningKey,
        recipients: &[Recipient],
        now: Timestamp,
    ) -> Result<SignedCard, SignedError> {
        let card = Self {
            v: 1,
            handle: handle.clone(),
            sig_key: key.public(),
            recipients: recipients.to_vec(),
            created_at: now,
        };
        let payload = signed::payload(&card)?;
        let bytes = signed::sign(&payload, Namespace::Identity, key).to_vec();
        Ok(SignedCard { card, bytes, digest: Digest::of(&payload) })
    }

    /// Reads a card and checks that its own key signed it. That proves nothing about who
    /// made it.
    ///
    /// # Errors
    /// [`SignedError`].
    pub fn read(bytes: &[u8]) -> Result<SignedCard, SignedError> {
        if bytes.len() as u64 > LARGEST {
            return Err(SignedError::Shape);
        }
        let signed = Signed::split(bytes)?;
        let card: Self = signed.read()?;
        signed.verify(Namespace::Identity, &card.sig_key)?;
        match card.v {
            1 => Ok(SignedCard { card, bytes: bytes.to_vec(), digest: signed.digest() }),
            _ => Err(SignedError::Payload),
        }
    }
}

impl SignedCard {
    /// SHA-256 of the payload.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// `SHA256:…`, over the payload.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.digest)
    }

    /// The same in hex, in groups of four, for reading aloud.
    pub fn spoken(&self) -> String {
        let hex = self.digest.to_string();
        let groups: Vec<&str> = (0..hex.len()).step_by(4).map(|at| &hex[at..at + 4]).collect();
        groups.join(" ")
    }

    /// The member's id, if this is its first card.
    pub fn member_id(&self) -> MemberId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.digest.as_bytes()[..16]);
        MemberId::from_bytes(id)
    }
}

/// A digest as fingerprints are shown: `SHA256:…`.
pub fn fingerprint(digest: &Digest) -> String {
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest.as_bytes());
    format!("SHA256:{digest}")
}
