//! What is said: requests, replies and the start message. All of it is JSON, so that a
//! newer side may add fields that an older one passes over.
//!
//! Durations are milliseconds of the clock that counts sleep; the daemon keeps no wall
//! clock. Values are base64.

use std::path::PathBuf;

use keyrack_names::{Ask, Env, Owner, Secret, Slug};
use serde::{Deserialize, Serialize};

use crate::keys::Key;
use crate::{CapabilityId, RackId};

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

/// What a daemon answers over the channel.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Reply {
    /// One answer for each ask, in their order; or all there are, for `get-all`.
    Values {
        /// The answers.
        answers: Vec<Answer>,
    },
    /// What is held.
    Status(Box<Status>),
    /// Done; how many slugs it touched.
    Done {
        /// The count.
        count: usize,
    },
    /// The MAC asked for, in hex.
    Sealed {
        /// HMAC-SHA256 of the digest.
        mac: String,
    },
    /// Not done.
    Refused {
        /// Why, for programs.
        code: Refusal,
        /// Why, for people.
        message: String,
    },
}

/// The answer to one ask.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Answer {
    /// Here it is.
    Granted {
        /// Which slug answered.
        slug: Slug,
        /// Its value.
        value: Secret,
        /// How long it stays.
        expires_in_ms: u64,
    },
    /// The owner has it, but it was not unlocked, or not for this caller.
    Locked {
        /// The slug that would answer.
        slug: Slug,
    },
    /// It was unlocked and has run out.
    Expired {
        /// The slug that ran out.
        slug: Slug,
    },
    /// The owner has nothing that fits.
    Absent,
    /// It is held, but this caller has no right to it.
    Denied {
        /// The slug that is held.
        slug: Slug,
    },
    /// Several fit.
    Ambiguous {
        /// All that fit, sorted.
        slugs: Vec<Slug>,
    },
}

/// Why a request or a connection was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// This is another owner's daemon.
    Owner,
    /// This is another rack of the same owner.
    Rack,
    /// No protocol version in common.
    Version,
    /// The capability is not known here, or the key is another.
    Key,
    /// The channel's key does not give that right.
    Right,
    /// A relock came in between.
    Relocked,
    /// The bytes are not what the protocol says.
    Malformed,
    /// Too many connections.
    Busy,
    /// Something failed here, such as the audit log.
    Failed,
}

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
    /// Where the audit log ended: the next line's number and the last line's MAC.
    pub audit_head: AuditHead,
    /// Where to listen: directory by directory, best first.
    pub socket_dirs: Vec<PathBuf>,
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

/// What is asked in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BareRequest {
    /// What the user may know ([`BareStatus`]).
    Status,
    /// Forget everything, revoke every capability and end.
    Lock,
}

/// The first byte of a connection's first frame, each way.
pub mod lead {
    /// A hello length (`u16`), a hello and the first Noise message; answered by the second.
    pub const CHANNEL: u8 = 1;
    /// A [`BareRequest`](super::BareRequest); answered by [`BareStatus`](super::BareStatus)
    /// as it was before the act.
    pub const BARE: u8 = 2;
    /// A refusal in the clear, unproven: [`ClearRefusal`](super::ClearRefusal).
    pub const REFUSED: u8 = 3;
}

/// A refusal before there is a channel. Anyone could have written it: a hint, not proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearRefusal {
    /// Why, for programs.
    pub code: Refusal,
    /// Why, for people.
    pub message: String,
}

/// `value` as JSON in a buffer that is wiped.
pub fn encode<T: Serialize>(value: &T) -> zeroize::Zeroizing<Vec<u8>> {
    zeroize::Zeroizing::new(serde_json::to_vec(value).unwrap_or_else(|e| {
        unreachable!("protocol types have no maps with odd keys and no failing Serialize: {e}")
    }))
}

/// A message is not what the protocol says. The text it was read from is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message this version of keyrack understands")]
pub struct MessageError;

/// Reads JSON without showing it in the error.
///
/// # Errors
/// When it is not JSON of that type.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, MessageError> {
    serde_json::from_slice(bytes).map_err(|_| MessageError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Reads each golden message as `T` and writes it again: nothing is lost, added or
    /// renamed. Returns how many variants were seen, by their tag.
    fn golden<T: Serialize + for<'a> Deserialize<'a>>(text: &str, tag: &str) -> Vec<String> {
        let messages: Vec<Value> = serde_json::from_str(text).unwrap();
        let mut tags = Vec::new();
        for message in messages {
            let bytes = serde_json::to_vec(&message).unwrap();
            let read: T = decode(&bytes).unwrap_or_else(|_| panic!("not read: {message}"));
            assert_eq!(serde_json::to_value(&read).unwrap(), message);
            tags.push(message.get(tag).unwrap_or(&message).as_str().unwrap_or("").to_owned());
        }
        tags.sort();
        tags.dedup();
        tags
    }

    #[test]
    fn requests_are_what_the_protocol_says() {
        let seen = golden::<Request>(include_str!("golden/requests.json"), "do");
        assert_eq!(
            seen,
            ["forget", "get", "get-all", "mint", "push", "revoke", "seal-drop", "status"]
        );
    }

    #[test]
    fn replies_are_what_the_protocol_says() {
        let seen = golden::<Reply>(include_str!("golden/replies.json"), "is");
        assert_eq!(seen, ["done", "refused", "sealed", "status", "values"]);
        let codes = golden::<Refusal>(include_str!("golden/refusals.json"), "");
        assert_eq!(codes.len(), 9);
    }

    #[test]
    fn the_start_is_what_the_protocol_says() {
        golden::<Start>(include_str!("golden/start.json"), "");
        let seen = golden::<Started>(include_str!("golden/started.json"), "is");
        assert_eq!(seen, ["already-running", "failed", "ready"]);
    }

    #[test]
    fn clear_words_are_what_the_protocol_says() {
        let seen = golden::<BareRequest>(include_str!("golden/bare-requests.json"), "");
        assert_eq!(seen, ["lock", "status"]);
        golden::<BareStatus>(include_str!("golden/bare-status.json"), "");
        golden::<ClearRefusal>(include_str!("golden/clear-refusals.json"), "");
    }

    #[test]
    fn a_newer_field_is_passed_over() {
        let newer = br#"{"do":"get","asks":[],"newer":{"field":1}}"#;
        assert!(matches!(decode(newer), Ok(Request::Get { .. })));
    }

    #[test]
    fn what_is_not_a_message_is_not_quoted() {
        for bad in [&b""[..], b"{}", b"hunter2", br#"{"do":"hunter2"}"#, br#"{"do":"get"}"#] {
            let error = decode::<Request>(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
