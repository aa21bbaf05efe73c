//! What a daemon says about itself and what it holds, without values.

use keyrack_names::{Owner, Slug};
use serde::{Deserialize, Serialize};

use super::{AuditHead, Process, Rights, Scope};
use crate::{CapabilityId, RackId};

/// What a daemon holds, without values.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// What anyone of the user may know.
    pub bare: BareStatus,
    /// Raised by every relock; a push names the one it read.
    pub generation: u64,
    /// What this channel's key may see.
    pub grants: Vec<GrantStatus>,
    /// Who may read, as far as this channel's key may see.
    pub capabilities: Vec<CapabilityStatus>,
    /// Where the audit log on disk ends: whoever remembers it sees when the log was cut.
    #[serde(default)]
    pub audit_head: AuditHead,
}

/// One value held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantStatus {
    /// Its name.
    pub slug: Slug,
    /// Where it lives.
    pub vault: String,
    /// Its class.
    pub class: String,
    /// How long it stays.
    pub expires_in_ms: u64,
    /// Who read it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reader: Option<String>,
}

/// One capability.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CapabilityStatus {
    /// Its name.
    pub id: CapabilityId,
    /// Whom it was given to.
    pub label: String,
    /// How widely it can be found.
    pub scope: Scope,
    /// What it may do.
    pub rights: Rights,
    /// How many slugs it may read that are held now; with none it sleeps.
    pub awake: usize,
    /// How many slugs it was ever given.
    pub slugs: usize,
}

/// What anyone of the same user may know, asked in the clear. Not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BareStatus {
    /// The owner.
    pub owner: Owner,
    /// The rack.
    pub rack: RackId,
    /// The daemon's process.
    pub pid: u32,
    /// The build's version.
    pub version: String,
    /// Protocol versions it speaks.
    pub versions: Vec<u16>,
    /// Whether it holds nothing.
    pub locked: bool,
    /// When the first value runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry_ms: Option<u64>,
    /// Raised by every relock.
    pub generation: u64,
    /// Each hardening step, and whether it is in force.
    pub protections: Vec<Protection>,
    /// The process that it ends with. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<Process>,
}

/// One ingredient of the daemon's hardening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Which.
    pub name: String,
    /// In force, or what is missing.
    pub state: String,
    /// Whether it is in force.
    pub on: bool,
}
