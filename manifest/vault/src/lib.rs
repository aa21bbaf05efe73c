//! Where values live: a vault has random keys, wrapped once per member; each version of
//! each credential is one record, sealed under a key of its own and signed by its author.
//!
//! A personal vault is a vault with one member: the same files and the same code as a
//! team's. Opening the wrap is the manifest's business: it carries the keys.

mod aead;
pub mod audit;
mod chain;
mod engine;
mod error;
mod file;
pub mod git;
mod invitation;
mod keys;
mod location;
mod memory;
mod modes;
pub mod names;
mod own_key;
pub mod personal;
mod record;
mod roll;
mod vault;
mod wrap;

pub use chain::{
    AuditHead, CHECKPOINT_EVERY, Chain, ChainError, Detail, Due, DueReason, EpochState, Exposure,
    Invite, Link, LinkInfo, LinkKind, Member, Policy, Refusal, Role, RoleError, Seen, SeenError,
    SeenRecord, State, Status, history,
};
pub use engine::{Guard, VaultStore};
pub use error::VaultError;
pub use file::FileStore;
pub use invitation::{Invitation, InvitationError, Request};
pub use keys::Compartment;
pub use location::{Location, LocationError};
pub use memory::Memory;
pub use record::{Backend, Mark, Record, RecordMeta, Rotation, Visibility};
pub use vault::{
    Actor, GRACE, Harm, NeedsRotation, NewRecord, Quarantined, Uncarried, Vault, Why, harm, seen_of,
};
