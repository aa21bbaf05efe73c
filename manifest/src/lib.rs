//! An owner's manifest: what it says, whom it is sealed to, how it is opened, believed
//! and written. No sockets, no clock (the time is a parameter), no terminal, no network.
//!
//! The way in is [`Store`]. Formats are described in `docs/FORMATS.md`.

pub mod atomic;
mod backups;
mod batch;
pub mod card;
mod create;
mod document;
pub mod drop;
mod entry;
mod file_error;
pub mod generate;
mod handle;
mod header;
mod id;
mod identity;
mod identity_file;
mod lifetime;
mod lock;
mod merged;
mod pin;
mod piv;
mod places;
mod prompter;
mod recipient;
mod remember;
mod repair;
pub mod seal;
mod search;
mod sign;
pub mod signed;
mod ssh_line;
mod store;
mod store_error;
mod stub;
mod text;
pub mod unique;
mod update;
mod vault_ref;
mod word;
mod yaml;

#[cfg(test)]
mod testing;

pub use atomic::FileError;
pub use backups::BackupError;
pub use batch::Batch;
pub use card::{Card, SignedCard};
pub use create::{Created, NewOwner};
pub use document::{Backup, Manifest, OnOff, OwnerInfo, Provisioner, Rack, Signing};
pub use drop::{Auth, DropError, DropPayload, OpenedDrop};
pub use entry::{Class, ClassError, Entry};
pub use header::Header;
pub use id::{CredId, DeviceId, Digest, DropId, IdError, InviteId, MemberId, RackId, VaultId};
pub use identity::{Identity, IdentityError, Tried, Why};
pub use identity_file::IdentityFile;
pub use lifetime::{Lifetime, LifetimeError};
pub use merged::Merged;
pub use pin::{OnYubikey, Pin, PinError};
pub use piv::{Agreed, Yubikeys};
pub use places::Places;
pub use prompter::{Means, PromptError, Prompter};
pub use recipient::{Recipient, RecipientError, Via};
pub use repair::Restored;
pub use seal::{OpenError, SealError};
pub use search::{Search, Target, unlock_for};
pub use sign::{BadKey, BadSignature, Namespace, PublicKey, SigningKey, to_pem};
pub use store::{Opened, Store};
pub use store_error::{Conflict, StoreError, Tampered};
pub use text::{TextError, VERSION};
pub use update::{UpdateError, Updated};
pub use vault_ref::{
    EpochError, EpochId, PerCompartment, PrivateKeyRef, RecordRef, VaultKeys, VaultRef,
};
pub use word::{Exid, VaultName, Word, WordError};
pub use yaml::YamlError;
