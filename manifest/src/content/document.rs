//! The manifest as it is in memory. How it is written down is `text`; where it lies,
//! `store`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_names::{Owner, RackId, Secret, Slug};
use serde::{Deserialize, Serialize};

use crate::content::unique::{unique_map, unique_set};
use crate::{
    DropId, Entry, MemberId, PublicKey, Recipient, SigningKey, VaultId, VaultRef, Via, Word,
};

/// Everything an owner has, but the values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format; see [`VERSION`](crate::VERSION).
    pub version: u32,
    /// Whose it is.
    pub owner: OwnerInfo,
    /// Who else can open it.
    pub recipients: Vec<Backup>,
    /// What the owner's daemon is spoken to with.
    pub rack: Rack,
    /// What the owner signs with.
    pub signing: Signing,
    /// Whether holding the owner's key is enough to read what was unlocked.
    pub self_proof: OnOff,
    /// The credentials.
    #[serde(deserialize_with = "unique_map")]
    pub keys: BTreeMap<Slug, Entry>,
    /// The vaults they live in, by id.
    #[serde(deserialize_with = "unique_map")]
    pub vaults: BTreeMap<VaultId, VaultRef>,
    /// Who made this manifest for the owner and may drop values into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioner: Option<Provisioner>,
    /// Drops that were merged: none is merged twice.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "unique_set")]
    pub dropped: BTreeSet<DropId>,
    /// When the newest of them was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_drop: Option<Timestamp>,
    /// Until when those were made that are not remembered one by one any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten_drops: Option<Timestamp>,
    /// How often this manifest was written. A lower one than was seen is an old copy.
    pub counter: u64,
}

/// Whose manifest it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnerInfo {
    /// The owner's name; the file's name repeats it.
    pub name: Owner,
    /// By which kind of key it opens.
    pub via: Via,
    /// That key.
    pub pubkey: Recipient,
    /// What teams call this owner.
    pub handle: Owner,
}

/// A recipient besides the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// What the owner calls it.
    pub label: Word,
    /// Its kind.
    pub via: Via,
    /// The key.
    pub recipient: Recipient,
    /// Since when.
    pub added_at: Timestamp,
}

/// What the owner's daemon is spoken to with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rack {
    /// Its name. Not secret.
    pub id: RackId,
    /// 32 random bytes that channel keys are derived from.
    pub secret: Secret,
}

impl Rack {
    /// A new id and a new secret.
    ///
    /// # Errors
    /// When the operating system gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; 16], vec![0; 32]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        Ok(Self { id: RackId::from_bytes(id), secret: Secret::new(secret) })
    }
}

/// What the owner signs with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// The private key.
    pub key: SigningKey,
    /// The name vaults know the owner by, whatever its key is today.
    pub member: MemberId,
    /// Whether a host made all this that could not open it: then the host knows it too,
    /// and nothing but drops is taken until the owner has replaced it.
    pub provisional: bool,
}

/// Who made a manifest on an owner's behalf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provisioner {
    /// Its handle, for people.
    pub handle: Owner,
    /// The key its drops are signed with.
    pub sig_key: PublicKey,
    /// What it dropped before, and may therefore replace without asking.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "unique_set")]
    pub slugs: BTreeSet<Slug>,
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnOff {
    /// Yes.
    On,
    /// No.
    Off,
}

impl Manifest {
    /// Everyone the manifest is sealed to: the owner first, then the backups.
    pub fn all_recipients(&self) -> Vec<Recipient> {
        std::iter::once(&self.owner.pubkey)
            .chain(self.recipients.iter().map(|backup| &backup.recipient))
            .cloned()
            .collect()
    }

    /// The owner's personal vault. A provisional manifest has none.
    pub fn personal_vault(&self) -> Option<(&VaultId, &VaultRef)> {
        self.vaults.iter().find(|(_, vault)| vault.name.is_personal())
    }
}
