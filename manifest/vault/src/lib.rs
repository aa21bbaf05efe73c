//! Where values live: a vault has random keys, wrapped once per member; each version of
//! each credential is one record, sealed under a key of its own and signed by its author.
//!
//! A personal vault is a vault with one member: the same files and the same code as a
//! team's. Opening the wrap is the manifest's business: it carries the keys.

mod aead;
mod check;
mod error;
mod genesis;
mod keys;
mod layout;
pub mod personal;
mod record;
mod tidy;
mod vault;
mod wrap;

pub use error::VaultError;
pub use record::RecordMeta;
pub use tidy::GRACE;
pub use vault::{NewRecord, Vault};
