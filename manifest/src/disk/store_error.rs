//! Everything that can be wrong with a manifest, told apart as a person needs it. Words
//! only: what is done about it is the command's affair.

use std::path::PathBuf;

use keyrack_names::Owner;
use keyrack_piv::PivError;

use crate::content::text::TextError;
use crate::disk::atomic::FileError;
use crate::disk::pin::PinError;
use crate::key::seal::SealError;
use crate::{PublicKey, Recipient};

/// Why a manifest could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The owner has no manifest here.
    #[error("{owner} has no manifest at {}", path.display())]
    Absent {
        /// Whose.
        owner: Owner,
        /// Where it would be.
        path: PathBuf,
    },
    /// The identity does not open it.
    #[error("{} is sealed to another key", path.display())]
    WrongKey {
        /// The manifest.
        path: PathBuf,
    },
    /// The identity is on a YubiKey, and the YubiKey did not open it.
    #[error(transparent)]
    Yubikey(PivError),
    /// The identity is a plugin's, and the plugin failed.
    #[error("{}: the age plugin failed: {why}", path.display())]
    Plugin {
        /// The manifest.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// It is not what was last written here.
    #[error("{}: {kind}", path.display())]
    Tampered {
        /// The manifest, or the pin.
        path: PathBuf,
        /// In which way.
        kind: Tampered,
    },
    /// A newer keyrack wrote it.
    #[error("{} has version {theirs}; this keyrack reads up to {ours}", path.display())]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        theirs: u32,
        /// The newest that is read.
        ours: u32,
    },
    /// Another process was writing all the time.
    #[error("another keyrack is writing {owner}'s manifest")]
    Busy {
        /// Whose.
        owner: Owner,
    },
    /// A manifest is there, and is not the one asked for.
    #[error("{owner} has a manifest already{}", .conflict.words())]
    Conflict {
        /// Whose.
        owner: Owner,
        /// How it differs.
        conflict: Conflict,
    },
    /// Another member's card bears the handle.
    #[error("the handle {handle} is another's: {} is not {owner}'s", path.display())]
    HandleTaken {
        /// Who asked for it.
        owner: Owner,
        /// The handle.
        handle: Owner,
        /// The card.
        path: PathBuf,
    },
    /// The owner has not opened it yet: only drops are taken.
    #[error("{owner}'s manifest is provisional: {owner} must unlock it first")]
    Provisional {
        /// Whose.
        owner: Owner,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It could not be written so that it would be read again.
    #[error("the manifest cannot be written: {0}")]
    Unwritable(TextError),
    /// What was written did not read back the same; the old file stays.
    #[error("{} did not read back as written; the old one stays", path.display())]
    ReadBack {
        /// The manifest.
        path: PathBuf,
    },
    /// The operating system gave no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// In which way a file is not what was last written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// It ends too early.
    #[error("it is cut short")]
    Truncated,
    /// It is not an age file.
    #[error("it is not an age file")]
    NotAge,
    /// It was altered, or damaged.
    #[error("it is damaged, or was altered")]
    Damaged,
    /// It opens, and holds something else.
    #[error("{0}")]
    Garbage(TextError),
    /// Its signature does not hold.
    #[error("its signature does not hold")]
    BadSignature,
    /// It is another owner's.
    #[error("it is {is}'s manifest, put in the place of {expected}'s")]
    Swapped {
        /// Whose it is.
        is: Owner,
        /// Whose it should be.
        expected: Owner,
    },
    /// It is sealed to others: their file, or one that nobody here can open.
    #[error("it is not sealed to {expected}'s key: another file was put in its place")]
    ForOthers {
        /// Whose it should be.
        expected: Owner,
    },
    /// It is older than what was seen here.
    #[error("it is an old copy: write {seen}, where {pinned} was seen before")]
    Rollback {
        /// Its counter.
        seen: u64,
        /// The newest seen.
        pinned: u64,
    },
    /// Another key signed it.
    #[error("it is signed by {seen}, where {pinned} signed before")]
    OtherSigner {
        /// Who signed it.
        seen: Box<PublicKey>,
        /// Who did before.
        pinned: Box<PublicKey>,
    },
    /// It names another rack.
    #[error("it names another rack than before")]
    OtherRack,
    /// It is sealed to other keys than before, and not by this device.
    #[error("its recipients changed: {}", changes(added, removed))]
    RecipientsChanged {
        /// New ones.
        added: Vec<Recipient>,
        /// Gone ones.
        removed: Vec<Recipient>,
    },
    /// What this device remembers is damaged.
    #[error("it does not read as a pin")]
    DamagedPin,
}

/// How an existing manifest differs from the one to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// It is sealed to another key.
    OtherRecipient,
    /// It has not these backups.
    OtherBackups {
        /// Those it lacks.
        missing: Vec<Recipient>,
    },
    /// Neither the file nor this device shows whom it is sealed to.
    CannotTell,
    /// It is gone, and its backup is there.
    BackupOnly {
        /// The backup.
        path: PathBuf,
    },
    /// It is gone, and its backup too; the owner's vault is there.
    VaultOnly {
        /// The vault.
        path: PathBuf,
    },
}

impl Conflict {
    fn words(&self) -> String {
        match self {
            Self::OtherRecipient => ", sealed to another key".to_owned(),
            Self::OtherBackups { missing } => {
                format!(", without the backup {}", fingerprints(missing))
            }
            Self::CannotTell => {
                ", and whether it is sealed to the same key cannot be told without opening it"
                    .to_owned()
            }
            Self::BackupOnly { path } => {
                format!(", which is gone; its backup {} is there", path.display())
            }
            Self::VaultOnly { path } => {
                format!(", which is gone; its vault {} is there", path.display())
            }
        }
    }
}

fn changes(added: &[Recipient], removed: &[Recipient]) -> String {
    let one = |sign: &str, all: &[Recipient]| {
        (!all.is_empty()).then(|| format!("{sign} {}", fingerprints(all)))
    };
    [one("added", added), one("removed", removed)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}

fn fingerprints(recipients: &[Recipient]) -> String {
    recipients.iter().map(Recipient::fingerprint).collect::<Vec<_>>().join(" ")
}

impl From<PinError> for StoreError {
    fn from(error: PinError) -> Self {
        match error {
            PinError::File(error) => error.into(),
            PinError::Damaged { path } => Self::Tampered { path, kind: Tampered::DamagedPin },
        }
    }
}
