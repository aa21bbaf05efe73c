//! Everything that can be wrong with a vault. None of it shows a value.

use std::path::PathBuf;

use keyrack_manifest::signed::SignedError;
use keyrack_manifest::{Class, CredId, FileError, OpenError, SealError};
use keyrack_names::Slug;

use crate::chain::{ChainError, LinkKind, Refusal, Status};
use crate::record::Record;

/// Why a vault, or a record in it, could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The vault's keys could not be wrapped.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The operating system gave no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The chain is not one to believe.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A link was not made: the rules do not permit it.
    #[error("{kind} is refused: {why}")]
    Refused {
        /// What was tried.
        kind: LinkKind,
        /// Why not.
        why: Refusal,
    },
    /// Whoever opens the vault is no member of it.
    #[error("{}", not_member(*status))]
    NotMember {
        /// What it was.
        status: Option<Status>,
    },
    /// There is no private key at hand that opens the vault's keys.
    #[error("there is no private key at hand that opens the vault's keys")]
    NoIdentity,
    /// A file that is sealed to this member does not open.
    #[error("the vault's keys do not open: {0}")]
    Unopened(OpenError),
    /// There is a vault already.
    #[error("there is a vault already")]
    Exists,
    /// Others were faster, many times.
    #[error("the vault is being written by others all the time")]
    Busy,
    /// There is no such thing in the vault.
    #[error("the vault has no such {what}")]
    Unknown {
        /// What was looked for.
        what: &'static str,
    },
    /// An invitation cannot be used.
    #[error("the invitation cannot be used: {why}")]
    Invitation {
        /// Why not.
        why: &'static str,
    },
    /// A credential was deleted.
    #[error("{slug} was deleted")]
    Deleted {
        /// Which.
        slug: Slug,
    },
    /// A credential is not for whoever asks: it has not the keys.
    #[error("{slug} is not for this member to read")]
    NotHeld {
        /// Which.
        slug: Slug,
    },
    /// A record was written by somebody who may not, or is to be.
    #[error("{slug} is not its author's to write")]
    NotEntitled {
        /// Which.
        slug: Slug,
    },
    /// A credential cannot be given to that member.
    #[error("{slug} cannot be given to that member: it lacks the compartment, or has no key yet")]
    CannotHold {
        /// Which.
        slug: Slug,
    },
    /// A credential is given to whom it belongs to.
    #[error("{slug} is that member's own")]
    IsOwner {
        /// Which.
        slug: Slug,
    },
    /// The owner has another credential of that name.
    #[error("{slug} is there already")]
    NameTaken {
        /// Which.
        slug: Slug,
    },
    /// The vault's policy forbids the class.
    #[error("the vault's policy forbids class {class}")]
    Forbidden {
        /// Which class.
        class: Class,
    },
    /// Several records claim to be the same version.
    #[error("version {version} of {slug} is there twice, and not the same")]
    Conflict {
        /// Which credential.
        slug: Slug,
        /// Which version.
        version: u64,
    },
    /// A record names a link that is not on the chain.
    #[error("{slug} was written on another chain")]
    OffChain {
        /// Which credential.
        slug: Slug,
    },
    /// A credential that must be there is not.
    #[error("{} was rolled back: version {expected} was there, now {}", called(name.as_ref(), cred), now_found(*found))]
    Lost {
        /// Which.
        cred: CredId,
        /// What it was called, where this device has seen it.
        name: Option<Slug>,
        /// The version that must be there.
        expected: u64,
        /// The newest version there is; 0 for none.
        found: u64,
    },
    /// There is no such file.
    #[error("{} is gone", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The newest version that was written is not there any more.
    #[error("{slug} was rolled back: version {expected} was written, and version {found} is there")]
    RolledBack {
        /// Which credential.
        slug: Slug,
        /// The version the manifest names.
        expected: u64,
        /// The newest version there is.
        found: u64,
    },
    /// A file is not the one the manifest names by its digest.
    #[error("{} was altered: it is not what the manifest names", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// A signed object is damaged, or signed by somebody else.
    #[error("{}: {source}", path.display())]
    Signed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SignedError,
    },
    /// A record says something else than its place.
    #[error("{} was moved here: its {what} is another", path.display())]
    Moved {
        /// The file.
        path: PathBuf,
        /// In what it differs.
        what: &'static str,
    },
    /// A record does not open with the vault's keys.
    #[error("{} does not open with this vault's keys", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// The keys at hand are not those the vault commits to.
    #[error("the keys are not those this vault commits to")]
    OtherKeys,
    /// The value is longer than a record holds.
    #[error("the value has {length} bytes; the limit is {limit}")]
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

impl VaultError {
    /// Whether somebody changed, moved or removed what was written.
    pub fn is_tampering(&self) -> bool {
        match self {
            Self::Chain(_)
            | Self::Missing { .. }
            | Self::RolledBack { .. }
            | Self::Altered { .. }
            | Self::Signed { .. }
            | Self::Moved { .. }
            | Self::Sealed { .. }
            | Self::Conflict { .. }
            | Self::OffChain { .. }
            | Self::Lost { .. }
            | Self::OtherKeys => true,
            Self::Unopened(error) => !matches!(error, OpenError::OtherKey | OpenError::Plugin(_)),
            Self::File(error) => error.is_foreign(),
            _ => false,
        }
    }

    /// That a record does not open with keys that should open it.
    pub(crate) fn sealed(record: &Record) -> Self {
        Self::Sealed { path: record.name.to_string().into() }
    }
}

fn not_member(status: Option<Status>) -> &'static str {
    match status {
        None => "this owner is no member of the vault",
        Some(Status::Invited) => "this owner is invited to the vault, and has not accepted",
        Some(Status::Active) => "this owner is a member of the vault",
        Some(Status::Left) => "this owner left the vault",
        Some(Status::Removed) => "this owner was removed from the vault",
    }
}

fn called(name: Option<&Slug>, cred: &CredId) -> String {
    name.map_or_else(|| format!("credential {cred}"), ToString::to_string)
}

fn now_found(version: u64) -> String {
    if version == 0 { "none".to_owned() } else { format!("version {version}") }
}
