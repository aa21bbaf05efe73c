//! What a manifest says, and how that is written down.

pub mod backups;
pub mod document;
pub mod entry;
pub mod id;
pub mod lifetime;
pub mod text;
pub mod unique;
pub mod vault_ref;
pub mod word;
pub mod yaml;
