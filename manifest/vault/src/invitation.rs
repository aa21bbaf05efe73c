//! What is sent to a newcomer over a trusted channel, and what it leaves in the vault when
//! the invitation was a one-time key.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyrack_manifest::signed::{self, Signed};
use keyrack_manifest::{
    Card, Digest, InviteId, MemberId, Namespace, PublicKey, Recipient, SignedCard, SigningKey,
    VaultId,
};
use serde::{Deserialize, Serialize};

/// Largest request, in bytes: a card, and a little.
pub(crate) const LARGEST: u64 = 128 << 10;

const PREFIX: &str = "keyrack-invite:";
/// Longest text of an invitation.
const LONGEST: usize = 8192;

/// An invitation. As text: one line, to be sent over a channel both sides trust.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Which vault: the newcomer believes no other.
    pub vault_id: VaultId,
    /// Where it lies, as far as that is the same for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Which invitation of it.
    pub invite_id: InviteId,
    /// The fingerprint of whoever invites.
    pub inviter: String,
    /// The one-time key, where there is one. Who has it can ask to join; nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_time: Option<SigningKey>,
}

/// A text is no invitation. It is not shown: it may hold a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an invitation: it begins with {PREFIX} and is one line")]
pub struct InvitationError;

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{}", STANDARD.encode(json))
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("vault_id", &self.vault_id).finish_non_exhaustive()
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(InvitationError)?;
        if text.len() > LONGEST {
            return Err(InvitationError);
        }
        let json = STANDARD.decode(text).map_err(|_| InvitationError)?;
        serde_json::from_slice(&json).map_err(|_| InvitationError)
    }
}

/// What a newcomer with a one-time key leaves in the vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    v: u32,
    vault_id: VaultId,
    invite_id: InviteId,
    /// The newcomer's card, as its file is.
    card: String,
    /// What grants to it are wrapped to.
    grant_key: Recipient,
}

/// A request to join that was signed with the one-time key.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which invitation it answers.
    pub invite: InviteId,
    /// Whose it is: to be compared, like any card.
    pub card: SignedCard,
    pub(crate) grant_key: Recipient,
    pub(crate) digest: Digest,
}

impl Request {
    /// Who asks.
    pub fn member(&self) -> MemberId {
        self.card.member_id()
    }

    pub(crate) fn write(
        vault_id: VaultId,
        invite_id: InviteId,
        card: &SignedCard,
        grant_key: Recipient,
        key: &SigningKey,
    ) -> Vec<u8> {
        let card = String::from_utf8_lossy(&card.bytes).into_owned();
        let payload = signed::payload(&Payload { v: 1, vault_id, invite_id, card, grant_key })
            .unwrap_or_else(|e| unreachable!("a card is always JSON: {e}"));
        signed::sign(&payload, Namespace::Invite, key).to_vec()
    }

    /// Reads a request: for this vault and invitation, signed with its one-time key, with a
    /// card that holds.
    pub(crate) fn read(
        bytes: &[u8],
        vault: &VaultId,
        invite: &InviteId,
        key: &PublicKey,
    ) -> Option<Self> {
        let signed = Signed::split(bytes).ok()?;
        signed.verify(Namespace::Invite, key).ok()?;
        let payload: Payload = signed.read().ok()?;
        let is_this = (payload.v, payload.vault_id, payload.invite_id) == (1, *vault, *invite);
        let card = Card::read(payload.card.as_bytes()).ok().filter(|_| is_this)?;
        Some(Self { invite: *invite, card, grant_key: payload.grant_key, digest: signed.digest() })
    }
}
