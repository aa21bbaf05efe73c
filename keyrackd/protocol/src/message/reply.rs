//! What a daemon answers over the channel.

use keyrack_names::{Secret, Slug};
use serde::{Deserialize, Serialize};

use super::Status;

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
    /// This daemon does not end with the process named. Since version 2.
    Unbound,
    /// Too many connections.
    Busy,
    /// Something failed here, such as the audit log.
    Failed,
}
