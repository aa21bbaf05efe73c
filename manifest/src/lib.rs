//! An owner's manifest: what it says, whom it is sealed to, how it is opened, believed
//! and written. No sockets, no clock (the time is a parameter), no terminal, no network.
//!
//! The way in is [`Store`]. Formats are described in `docs/FORMATS.md`.

pub mod card;
mod content;
mod disk;
pub mod drop;
pub mod grant;
mod key;
mod sign;
pub mod signed;

#[cfg(test)]
mod testing;

pub use card::{Card, SignedCard};
pub use content::backups::BackupError;
pub use content::document::{Backup, Manifest, OnOff, OwnerInfo, Provisioner, Rack, Signing};
pub use content::entry::{Class, ClassError, Entry};
pub use content::id::{CredId, DeviceId, Digest, DropId, InviteId, MemberId, VaultId};
pub use content::lifetime::{Lifetime, LifetimeError};
pub use content::text::{TextError, VERSION};
pub use content::unique;
pub use content::vault_ref::{
    EpochError, EpochId, PerCompartment, PrivateKeyRef, RecordRef, VaultKeys, VaultRef,
};
pub use content::word::{Exid, VaultName, Word, WordError};
pub use content::yaml::YamlError;
pub use disk::atomic;
pub use disk::atomic::FileError;
pub use disk::batch::Batch;
pub use disk::create::{Created, NewOwner};
pub use disk::merged::Merged;
pub use disk::pin::{OnYubikey, Pin, PinError};
pub use disk::places::Places;
pub use disk::repair::Restored;
pub use disk::store::{Opened, Store};
pub use disk::store_error::{Conflict, StoreError, Tampered};
pub use disk::update::{UpdateError, Updated};
pub use drop::{Auth, DropError, DropPayload, OpenedDrop};
pub use grant::Grant;
pub use key::generate;
pub use key::header::Header;
pub use key::identity::{Identity, IdentityError, Tried, Why};
pub use key::identity_file::IdentityFile;
pub use key::piv::{Agreed, Yubikeys};
pub use key::prompter::{Means, PromptError, Prompter};
pub use key::recipient::{Recipient, RecipientError, Via};
pub use key::seal;
pub use key::seal::{OpenError, SealError};
pub use key::search::{Search, Target, unlock_for};
pub use sign::{BadKey, BadSignature, Namespace, PublicKey, SigningKey, to_pem};
