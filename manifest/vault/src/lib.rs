//! Where values live: a vault has random keys, wrapped once per member; each version of
//! each credential is one record, sealed under a key of its own and signed by its author.
//!
//! A personal vault is a vault with one member: the same files and the same code as a
//! team's. Opening the wrap is the manifest's business: it carries the keys.

mod aead;
pub mod audit;
mod chain;
mod chain_error;
mod check;
mod engine;
mod error;
mod file;
mod genesis;
mod keys;
mod layout;
mod link;
mod memory;
mod modes;
pub mod names;
pub mod personal;
mod record;
mod rules;
mod seen;
mod state;
mod tidy;
mod vault;
mod wrap;

pub use chain::{Chain, Exposure, LinkInfo, history};
pub use chain_error::{ChainError, Refusal};
pub use engine::{Guard, VaultStore};
pub use error::VaultError;
pub use file::FileStore;
pub use keys::Compartment;
pub use link::{Detail, Link, LinkKind};
pub use memory::Memory;
pub use record::RecordMeta;
pub use rules::CHECKPOINT_EVERY;
pub use seen::{Seen, SeenError, SeenRecord};
pub use state::{
    AuditHead, Due, DueReason, EpochState, Invite, Member, Policy, Role, RoleError, State, Status,
};
pub use tidy::GRACE;
pub use vault::{NewRecord, Vault};
