//! What a caller asks over the channel.

use keyrack_names::{Ask, Env, Secret, Slug};
use serde::{Deserialize, Serialize};

use super::Process;
use crate::CapabilityId;
use crate::keys::Key;

/// What a caller asks of a daemon over the channel.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// Values, in the order asked. May ride in the first message.
    Get {
        /// What is wanted.
        asks: Vec<Ask>,
        /// What the caller says it is, for the audit line: never proof of anything.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        caller: String,
    },
    /// Every value the channel's key may read.
    GetAll {
        /// Only this env and what it falls back to; `None` for every env but `sudo`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        env: Option<Env>,
        /// What the caller says it is.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        caller: String,
    },
    /// What is held and who may read it, without values. May ride in the first message.
    Status,
    /// New values and, with them, a right to read them.
    Push(Push),
    /// A right to read what is held, without new values: for `attach`, and for a program
    /// that gets fewer rights than its parent.
    Mint {
        /// Whom to let read. A new capability, or one to extend.
        capability: Registration,
        /// What. `None` is all that the asker may read now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slugs: Option<Vec<Slug>>,
    },
    /// Forget part of what is held.
    Forget(Forget),
    /// End a capability at once.
    Revoke {
        /// Which one.
        capability: CapabilityId,
    },
    /// The MAC that lets a sealed drop replace without asking.
    SealDrop {
        /// SHA-256 of the drop's payload, in 64 hex digits. See
        /// [`drop_mac`](crate::keys::drop_mac).
        digest: String,
    },
}

impl Request {
    /// Whether this request changes nothing, and so may be answered before the caller has
    /// proved that it is not a replay: the answer can only be read by the original asker.
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::Get { .. } | Self::GetAll { .. } | Self::Status)
    }
}

/// New values for the daemon to hold.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Push {
    /// The generation read when the unlock began. A relock in between raises it, and the
    /// push is refused. `None` for a daemon that this very unlock started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// What to hold.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Replace only what is held already, keeping its expiry: a `set`, not an `unlock`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// Every slug the owner has, held or not, so that a miss can be explained. `None`
    /// leaves what is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Vec<Slug>>,
    /// Whom to let read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<Registration>,
    /// Take them only if this daemon ends with that process. Since version 2: an older
    /// daemon would pass over the condition and hold the values, so it is never said to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<Process>,
}

/// One value to hold, for how long.
#[derive(Debug, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub slug: Slug,
    /// The value.
    pub value: Secret,
    /// How long to hold it. The daemon caps it: 30 minutes for `sudo`, 9 hours else.
    pub ttl_ms: u64,
    /// Whether a caller with no capability that can use the owner's key may read it.
    #[serde(default)]
    pub self_proof: bool,
    /// Where the value lives, for `status` and `relock --vault`.
    pub vault: String,
    /// Its class, for `status`.
    pub class: String,
}

/// A capability to make or to extend by the slugs of the same push.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// Its name.
    pub id: CapabilityId,
    /// Its channel key; `None` extends one that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// What it may do.
    pub rights: Rights,
    /// Whom it was given to, for people: `bash (pid 4711)`.
    pub label: String,
    /// How widely it can be found.
    pub scope: Scope,
}

/// What a capability may do besides asking for status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rights {
    /// Read the slugs it was given.
    pub get: bool,
    /// Replace values it was given, and have drops sealed.
    pub push: bool,
    /// Make narrower capabilities.
    pub mint: bool,
}

impl Rights {
    /// What `unlock` gives the tree it was run in.
    pub const TREE: Self = Self { get: true, push: true, mint: true };
    /// What a program run for declared keys gets.
    pub const READ: Self = Self { get: true, push: false, mint: false };
}

/// How widely a capability can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// By one process tree.
    Tree,
    /// By one login session.
    Session,
    /// By any process of the user: weak.
    User,
    /// By whoever reads the environment variable: weak.
    Env,
}

/// What to forget. Empty means nothing; everything is the clear `lock` verb.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Forget {
    /// These slugs.
    #[serde(default)]
    pub slugs: Vec<Slug>,
    /// Every slug of these envs.
    #[serde(default)]
    pub envs: Vec<Env>,
    /// Every slug from these vaults.
    #[serde(default)]
    pub vaults: Vec<String>,
}
