//! How the command hands a new daemon what it needs, over a socket pair.

use std::path::PathBuf;

use keyrack_names::Owner;
use serde::{Deserialize, Serialize};

use super::Process;
use crate::RackId;
use crate::keys::Key;

/// What the command hands a new daemon over its standard input, a socket pair.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// Whose daemon it is.
    pub owner: Owner,
    /// Which rack.
    pub rack: RackId,
    /// [`RackSecret::attach_key`](crate::keys::RackSecret::attach_key).
    pub attach_key: Key,
    /// [`RackSecret::self_proof_key`](crate::keys::RackSecret::self_proof_key); `None`
    /// where the manifest turns self-proof off.
    #[serde(default)]
    pub self_proof_key: Option<Key>,
    /// [`RackSecret::drop_key`](crate::keys::RackSecret::drop_key).
    pub drop_key: Key,
    /// [`RackSecret::audit_key`](crate::keys::RackSecret::audit_key).
    pub audit_key: Key,
    /// Where the audit log ended when the command looked: the next line's number and the last
    /// line's MAC. The daemon reads the file's end itself, once nobody else writes it.
    pub audit_head: AuditHead,
    /// Where to listen: directory by directory, best first.
    pub socket_dirs: Vec<PathBuf>,
    /// The process that the daemon ends with. A descriptor of it comes with this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<Process>,
}

/// Where a chained log stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The next line's number, from 0.
    pub seq: u64,
    /// The last line's MAC in hex; empty before the first.
    pub mac: String,
}

/// What a new daemon answers, once, over the same socket pair.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Started {
    /// It listens.
    Ready {
        /// Where.
        sockets: Vec<PathBuf>,
        /// What a person should know, such as who holds the first path.
        notes: Vec<String>,
    },
    /// Another daemon of this rack lives; talk to that.
    AlreadyRunning {
        /// Where it listens.
        socket: PathBuf,
    },
    /// It could not start.
    Failed {
        /// Why.
        message: String,
    },
}
