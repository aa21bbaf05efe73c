//! A record: one version of one credential, which is also its entry in the registry. The
//! value is sealed under a key of its own, that key under the vault's or its owner's, the
//! whole signed by its author.

mod grant;
mod open;
mod transfer;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_manifest::unique::{unique_map, unique_set};
use keyrack_manifest::{Class, CredId, Digest, EpochId, Exid, Lifetime, MemberId, VaultId, Word};
use keyrack_names::{Secret, Slug};
use serde::{Deserialize, Serialize};

use crate::aead::{Associated, Sealed};
use crate::chain::Chain;
use crate::keys::{Compartment, Keys};
use crate::own_key::OwnKey;

pub(crate) use open::Unverified;
pub(crate) use transfer::{comes_from, offered_to, statement};
pub(crate) use write::{Draft, Written};

/// The longest value, in bytes.
pub(crate) const LONGEST_VALUE: usize = 1024 * 1024;
/// The largest record, in bytes.
pub(crate) const LARGEST: u64 = 2 * 1024 * 1024;

/// Whom a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Its owner, and whom the owner granted it to.
    Private,
    /// Every member with the compartment.
    Shared,
}

impl Visibility {
    /// Its name, as in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
        }
    }
}

/// What a record says of a credential besides its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordMeta {
    /// The service it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Word>,
    /// The connector that uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<Word>,
    /// The credential's class; decides its compartment.
    pub class: Class,
    /// How it came here.
    pub obtained_via: Word,
    /// When it was last renewed by a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refreshed: Option<Timestamp>,
    /// When the credential itself ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The longest one unlock may hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<Lifetime>,
    /// When and how it is to be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Where the value lives, if not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
}

impl RecordMeta {
    /// Of a class, set by the user, and nothing else.
    pub fn of(class: Class) -> Self {
        Self {
            provider: None,
            connector: None,
            class,
            obtained_via: Word::user(),
            last_refreshed: None,
            expires_at: None,
            max_duration: None,
            rotation: None,
            backend: None,
        }
    }
}

/// When and how a credential is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Lifetime>,
    /// The hook that does it, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<Word>,
}

/// Where a value lives that is not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Which backend.
    pub kind: Word,
    /// The item there.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub item: Option<Exid>,
}

/// That the value was readable to somebody who no longer is meant to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Since when.
    pub since: Timestamp,
    /// Who could read it.
    #[serde(deserialize_with = "unique_set")]
    pub exposed_to: BTreeSet<MemberId>,
}

/// The first line of a record's file: everything in it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this format: 2. Version 1 was before there were chains.
    pub v: u32,
    /// Which vault.
    pub vault_id: VaultId,
    /// Which epoch's keys it is under, where it is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<EpochId>,
    /// Which generation of its owner's key it is under, where it is private.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Which credential.
    pub cred_id: CredId,
    /// Which version; the first is 1.
    pub version: u64,
    /// The version whose value this is: a version may change less than the value.
    pub value_version: u64,
    /// SHA-256 of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Digest>,
    /// The credential's name.
    pub name: Slug,
    /// Whose it is: exactly one member's.
    pub owner: MemberId,
    /// Who wrote this version.
    pub author: MemberId,
    /// Whom it is for.
    pub visibility: Visibility,
    /// Whom a private one was granted to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "unique_set")]
    pub grantees: BTreeSet<MemberId>,
    /// The compartment of its class.
    pub compartment: Compartment,
    /// When the credential was first written.
    pub created_at: Timestamp,
    /// When this version was.
    pub updated_at: Timestamp,
    /// The number of the last link its author had seen.
    pub link_seq: u64,
    /// That link.
    pub link: Digest,
    /// Whether the credential is gone. A deletion is a version like others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// That it needs a new value, since somebody can no longer read it who could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_rotation: Option<Mark>,
    /// Every transfer from one owner to the next, each signed by the one who gave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers: Vec<String>,
    /// What else there is to say of it.
    pub about: RecordMeta,
    /// The value and its key, unless it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<Body>,
}

impl Record {
    /// The first version of a credential, by its owner, with nothing sealed yet: neither under
    /// an epoch's keys nor under its owner's.
    pub(crate) fn first(
        chain: &Chain,
        (cred_id, name): (CredId, &Slug),
        (owner, visibility): (MemberId, Visibility),
        about: &RecordMeta,
        now: Timestamp,
    ) -> Self {
        Self {
            v: 2,
            vault_id: *chain.id(),
            epoch: None,
            generation: None,
            cred_id,
            version: 1,
            value_version: 1,
            prev: None,
            name: name.clone(),
            owner,
            author: owner,
            visibility,
            grantees: BTreeSet::new(),
            compartment: Compartment::of(about.class),
            created_at: now,
            updated_at: now,
            link_seq: chain.seq(),
            link: chain.head(),
            deleted: false,
            needs_rotation: None,
            transfers: Vec::new(),
            about: about.clone(),
            sealed: None,
        }
    }
}

/// A value and its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    /// What the value's key commits to: the cipher alone does not bind it.
    pub(crate) dek_commit: Digest,
    /// The value under its key.
    pub(crate) body: Sealed,
    /// That key under the epoch's, or under its owner's.
    pub(crate) wrap: Sealed,
    /// That key for each grantee: an age file in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "unique_map")]
    pub(crate) grants: BTreeMap<MemberId, Secret>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The keys somebody holds: what decides which values it can read.
#[derive(Clone)]
pub(crate) struct Keyring {
    pub(crate) member: MemberId,
    pub(crate) epoch: Option<Keys>,
    pub(crate) own: Option<OwnKey>,
}

impl Record {
    /// What makes a name unique: two owners may both have the same one.
    pub fn identity(&self) -> (Option<&Word>, &Slug, &MemberId) {
        (self.about.provider.as_ref(), &self.name, &self.owner)
    }

    /// What the value is bound to.
    fn body_data(&self) -> Associated {
        Associated::purpose("keyrack/v1/body")
            .and(self.vault_id.as_bytes())
            .and(self.cred_id.as_bytes())
            .and(self.name.to_string())
            .and(self.about.class.as_str())
            .and(self.compartment.as_str())
            .and_number(self.version)
    }

    /// What the value's key is bound to.
    fn wrap_data(&self) -> Associated {
        let under = match (self.epoch, self.generation) {
            (Some(epoch), _) => epoch.to_string(),
            (None, generation) => generation.unwrap_or(0).to_string(),
        };
        Associated::purpose("keyrack/v1/wrap")
            .and(self.vault_id.as_bytes())
            .and(self.cred_id.as_bytes())
            .and_number(self.version)
            .and(self.owner.as_bytes())
            .and(self.visibility.as_str())
            .and(under)
            .and(self.holder())
    }

    /// Whom the wrap is for: its owner, or nobody in particular.
    fn holder(&self) -> &[u8] {
        match self.visibility {
            Visibility::Private => self.owner.as_bytes(),
            Visibility::Shared => &[],
        }
    }
}
