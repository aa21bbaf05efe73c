//! What is said: requests, replies and the start message. All of it is JSON, so that a
//! newer side may add fields that an older one passes over.
//!
//! Durations are milliseconds of the clock that counts sleep; the daemon keeps no wall
//! clock. Values are base64.

mod process;
mod reply;
mod request;
mod start;
mod status;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use process::Process;
pub use reply::{Answer, Refusal, Reply};
pub use request::{Forget, Grant, Push, Registration, Request, Rights, Scope};
pub use start::{AuditHead, Start, Started};
pub use status::{BareStatus, CapabilityStatus, GrantStatus, Protection, Status};

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
