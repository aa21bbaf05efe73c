//! A link of the chain: who changed what, and the whole state that came of it, signed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_manifest::signed::{self, Signed, SignedError};
use keyrack_manifest::unique::unique_map;
use keyrack_manifest::{
    CredId, Digest, EpochId, InviteId, MemberId, Namespace, PublicKey, SigningKey, VaultId,
};
use serde::{Deserialize, Serialize};

use super::state::State;

/// Largest link, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Begins the chain.
    Genesis,
    /// Invites somebody: by card, or by a one-time key.
    Invite,
    /// Whoever was invited by card accepts.
    Accept,
    /// Whoever showed the one-time key becomes a member.
    Confirm,
    /// An invitation is taken back.
    Cancel,
    /// A member's role or compartments change.
    Role,
    /// A member is removed.
    Remove,
    /// A member goes.
    Leave,
    /// A member's recipients change.
    Recipients,
    /// A member's signing key changes.
    Rekey,
    /// The vault's rules change.
    Policy,
    /// The vault's name changes.
    Name,
    /// New keys.
    Rotate,
    /// A member says what it has seen.
    Checkpoint,
}

impl LinkKind {
    /// Its name, as in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Invite => "invite",
            Self::Accept => "accept",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Role => "role",
            Self::Remove => "remove",
            Self::Leave => "leave",
            Self::Recipients => "recipients",
            Self::Rekey => "rekey",
            Self::Policy => "policy",
            Self::Name => "name",
            Self::Rotate => "rotate",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl std::fmt::Display for LinkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a link says besides the state: whom it is about, and what whoever went could read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// Random, so that no two vaults share an id. Genesis only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Digest>,
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// Which invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<InviteId>,
    /// SHA-256 of the request that a confirmation answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// Whether the key that is replaced fell into other hands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub compromised: bool,
    /// What needs a new value: each credential and the version that was readable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    pub exposed: BTreeMap<CredId, u64>,
    /// To whom.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_to: BTreeSet<MemberId>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The version of this format: 1.
    pub v: u32,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: LinkKind,
    /// Whose chain: SHA-256 of the first link's payload, which therefore does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_id: Option<VaultId>,
    /// Its number; the first is 0.
    pub seq: u64,
    /// SHA-256 of the payload before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    /// The epoch after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<EpochId>,
    /// When its author says it was; information, never a condition.
    pub ts: Timestamp,
    /// Who made it.
    pub author: MemberId,
    /// What the vault is after it.
    pub state: State,
    /// What it is about.
    pub detail: Detail,
}

impl Link {
    /// Signs it. Returns the file's bytes and the payload's digest.
    pub fn sign(&self, key: &SigningKey) -> (Vec<u8>, Digest) {
        let payload = signed::payload(self)
            .unwrap_or_else(|e| unreachable!("ids, names and numbers are always JSON: {e}"));
        (signed::sign(&payload, Namespace::Link, key).to_vec(), Digest::of(&payload))
    }
}

/// A link as it was read, before its signature is believed.
pub(crate) struct Unverified<'a> {
    signed: Signed<'a>,
    pub(crate) link: Link,
    pub(crate) digest: Digest,
}

impl<'a> Unverified<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, SignedError> {
        let signed = Signed::split(bytes)?;
        let link: Link = signed.read()?;
        if link.v != 1 {
            return Err(SignedError::Payload);
        }
        Ok(Self { digest: signed.digest(), link, signed })
    }

    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), SignedError> {
        self.signed.verify(Namespace::Link, key)
    }
}
