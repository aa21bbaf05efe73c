//! Everything that can be wrong with a vault. None of it shows a value.

use std::path::PathBuf;

use keyrack_manifest::signed::SignedError;
use keyrack_manifest::{FileError, SealError};
use keyrack_names::Slug;

use crate::chain_error::ChainError;

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
            | Self::OtherKeys => true,
            Self::File(error) => error.is_foreign(),
            Self::Seal(_) | Self::Random(_) | Self::TooLong { .. } => false,
        }
    }
}
