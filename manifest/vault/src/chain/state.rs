//! What a vault is at one link of its chain: whole in every link, so that the newest one
//! says everything. Times in it are for people; nothing here ends by a clock.

use std::collections::{BTreeMap, BTreeSet};

use keyrack_manifest::card;
use keyrack_manifest::unique::{unique_map, unique_set};
use keyrack_manifest::{
    Class, DeviceId, Digest, EpochId, InviteId, Lifetime, MemberId, PerCompartment, PublicKey,
    Recipient, VaultName,
};
use keyrack_names::Owner;
use serde::{Deserialize, Serialize};

use crate::keys::Compartment;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads what is shared with it; writes what is its own.
    Member,
    /// Writes what is shared; invites and removes members; rotates.
    Admin,
    /// Everything; at least one is always there.
    Owner,
}

impl Role {
    /// Whether it writes what is shared.
    pub fn writes_shared(self) -> bool {
        self >= Self::Admin
    }

    /// Its name, as in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role: use member, admin or owner")]
pub struct RoleError;

impl std::str::FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(RoleError)
    }
}

/// Whether somebody is a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// By card, with a wrap that waits; not accepted yet.
    Invited,
    /// A member.
    Active,
    /// Went by itself.
    Left,
    /// Was removed, or its invitation was cancelled.
    Removed,
}

impl Status {
    /// Its name, as in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Left => "left",
            Self::Removed => "removed",
        }
    }

    /// Whether the vault's keys are wrapped for it.
    pub fn has_wrap(self) -> bool {
        matches!(self, Self::Invited | Self::Active)
    }
}

/// Somebody who is, was or may become a member. Nobody is ever taken off the list: names
/// are not used twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The name for life.
    pub member_id: MemberId,
    /// The name people use.
    pub handle: Owner,
    /// What it may do.
    pub role: Role,
    /// Whether it is one.
    pub status: Status,
    /// The key it signs with.
    pub sig_key: PublicKey,
    /// What the vault's keys are wrapped for it to.
    pub recipients: Vec<Recipient>,
    /// SHA-256 of the card somebody compared.
    pub card_fp: Digest,
    /// The compartments it can decrypt.
    #[serde(deserialize_with = "unique_set")]
    pub compartments: BTreeSet<Compartment>,
    /// What grants are wrapped for it to: the public half of its private key of the vault.
    /// Said by itself, when it accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_key: Option<Recipient>,
    /// The link that brought it.
    pub since_seq: u64,
}

impl Member {
    /// The fingerprint of its card, as people compare it.
    pub fn fingerprint(&self) -> String {
        card::fingerprint(&self.card_fp)
    }
}

/// An invitation that waits for a one-time key to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The name the newcomer will have.
    pub handle: Owner,
    /// What it will be.
    pub role: Role,
    /// Which compartments it will hold.
    #[serde(deserialize_with = "unique_set")]
    pub compartments: BTreeSet<Compartment>,
    /// The public half of the one-time key.
    pub key: PublicKey,
}

/// The keys in force: which, what they commit to, and whom they are wrapped for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochState {
    /// Which epoch. Its random half is this state's, so two rotators share nothing.
    pub id: EpochId,
    /// What each key commits to.
    pub commitments: PerCompartment<Digest>,
    /// The file that holds the keys for each member.
    #[serde(deserialize_with = "unique_map")]
    pub wraps: BTreeMap<MemberId, Digest>,
    /// SHA-256 of the list of the records this epoch began with.
    pub creds_root: Digest,
}

/// Why the keys are to be replaced before anything else that matters is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DueReason {
    /// A member left and knows them.
    Left,
    /// Somebody was invited, could open its wrap, and declined.
    Lapsed,
    /// A member's key fell into other hands.
    Compromised,
}

/// That the keys are to be replaced, and because of whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// Who knows them.
    pub member: MemberId,
    /// Why it should not.
    pub reason: DueReason,
    /// The link that said so.
    pub since_seq: u64,
}

/// Rules of the vault that its members' programs keep to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The longest an unlock may hold what comes from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ttl: Option<Lifetime>,
    /// Classes that are not kept here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "unique_set")]
    pub forbid: BTreeSet<Class>,
    /// Whether a new record is its writer's own until it is shared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private_by_default: bool,
}

/// Where an audit log was seen to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// The number of its last line.
    pub seq: u64,
    /// That line's hash.
    pub hash: Digest,
}

/// Everything a vault is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What it is called.
    pub name: VaultName,
    /// Its rules.
    pub policy: Policy,
    /// Everybody, in the order they came.
    pub members: Vec<Member>,
    /// The keys in force. Only the first link has none: its hash salts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<EpochState>,
    /// Invitations by one-time key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    pub invites: BTreeMap<InviteId, Invite>,
    /// Why the keys are to be replaced first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Due>,
    /// The link of each member's last checkpoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    pub checkpoints: BTreeMap<MemberId, u64>,
    /// Where audit logs were seen to end: member, then device.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    pub audit_heads: BTreeMap<MemberId, BTreeMap<DeviceId, AuditHead>>,
}

impl State {
    /// Somebody by id, whatever became of it.
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.member_id == *id)
    }

    /// Somebody by handle, whatever became of it.
    pub fn by_handle(&self, handle: &Owner) -> Option<&Member> {
        self.members.iter().find(|member| member.handle == *handle)
    }

    /// A member, if it is one now.
    pub fn active(&self, id: &MemberId) -> Option<&Member> {
        self.member(id).filter(|member| member.status == Status::Active)
    }

    /// Whether the keys are to be replaced before anything else that matters is done.
    pub fn rotation_due(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(crate) fn member_mut(&mut self, id: &MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.member_id == *id)
    }

    /// Whether nobody is, was or may become a member under this name or key.
    pub(crate) fn is_new(&self, id: &MemberId, handle: &Owner, key: &PublicKey) -> bool {
        self.handle_is_free(handle)
            && self.members.iter().all(|m| m.member_id != *id && m.sig_key != *key)
    }

    pub(crate) fn handle_is_free(&self, handle: &Owner) -> bool {
        self.members.iter().all(|m| m.handle != *handle)
            && self.invites.values().all(|invite| invite.handle != *handle)
    }

    pub(crate) fn owners(&self) -> usize {
        let is_owner = |m: &&Member| m.role == Role::Owner && m.status == Status::Active;
        self.members.iter().filter(is_owner).count()
    }
}
