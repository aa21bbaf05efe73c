//! What the command and the daemon say to each other. `docs/PROTOCOL.md` is the same in prose.
//!
//! | module | holds |
//! |---|---|
//! | [`message`] | requests, replies and the start message, as JSON |
//! | [`frame`] | length-prefixed frames, capped before anything is allocated |
//! | [`handover`] | a frame that a descriptor may come with, for a daemon's start |
//! | [`hello`] | the clear first bytes of a connection, bound into the channel |
//! | [`channel`] | Noise NNpsk0: one round trip, both sides authenticated |
//! | [`keys`] | where channel keys come from |
//! | [`audit_chain`] | the daemon's log: each line chained to the one before |
//! | [`dirs`] | who may write beside a socket, and the lock on it |
//! | [`paths`] | where a daemon's sockets lie |
//! | [`client`] | a blocking client for the command |
//! | [`sealed_copy`] | a program that starts closed |
//! | [`random`] | random numbers by system call alone |
//!
//! No async runtime, no file but sockets and that copy, and no secret that outlives its use.

pub mod audit_chain;
pub mod channel;
pub mod client;
pub mod dirs;
mod ephemeral;
pub mod frame;
pub mod handover;
pub mod hello;
mod id;
pub mod keys;
pub mod message;
pub mod paths;
pub mod peer;
pub mod random;
pub mod sealed_copy;

pub use id::CapabilityId;
pub use keyrack_names as names;
pub use keyrack_names::RackId;

/// The protocol versions this build speaks, best first: its own and the one before, so that
/// a daemon outlives an upgrade of the command and serves until its grants end.
pub const VERSIONS: &[u16] = &[2, 1];
