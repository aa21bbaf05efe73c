//! An identity: a private key that is ready to open what is sealed to it, and everything
//! that can keep one from being ready.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyrack_names::Secret;

use crate::disk::atomic::FileError;
use crate::key::identity_file::{self, Parsed};
use crate::key::piv;
use crate::key::remember::Remembering;
use crate::{OnYubikey, PromptError, Recipient, RecipientError, Yubikeys};

pub(crate) type AgeIdentity = Arc<dyn age::Identity + Send + Sync>;

/// An unlocked private key, or the handle of one on hardware.
#[derive(Clone)]
pub struct Identity {
    keys: Vec<AgeIdentity>,
    publics: Vec<Recipient>,
    path: Option<PathBuf>,
    asked: bool,
    asks_again: bool,
    yubikeys: Option<Arc<dyn Yubikeys>>,
}

impl Identity {
    pub(crate) fn new(keys: Vec<AgeIdentity>, publics: Vec<Recipient>) -> Self {
        Self { keys, publics, path: None, asked: false, asks_again: false, yubikeys: None }
    }

    pub(crate) fn read_from(self, path: &Path) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    pub(crate) fn after_asking(self) -> Self {
        Self { asked: true, ..self }
    }

    pub(crate) fn asking_again(self) -> Self {
        Self { asked: true, asks_again: true, ..self }
    }

    /// An identity from its text, kept elsewhere than in a file: an age identity, or an
    /// OpenSSH private key without a passphrase.
    ///
    /// # Errors
    /// [`IdentityError::NotAKey`], [`IdentityError::Unsupported`].
    pub fn from_text(text: &Secret) -> Result<Self, IdentityError> {
        let nowhere = Path::new("(text)");
        match identity_file::parse(nowhere, text.expose())? {
            (Parsed::Ssh(key @ age::ssh::Identity::Unencrypted(_)), publics) => {
                Ok(Self::new(vec![Arc::new(key)], publics))
            }
            (Parsed::Age(keys), publics) => {
                let keys = keys.into_iter().map(|key| Arc::new(key) as AgeIdentity).collect();
                Ok(Self::new(keys, publics))
            }
            _ => Err(IdentityError::NotAKey { path: nowhere.to_owned() }),
        }
    }

    /// Whatever key of whatever YubiKey is plugged in; `publics` are those that are
    /// known.
    pub fn on_yubikeys(yubikeys: Arc<dyn Yubikeys>, publics: Vec<Recipient>) -> Self {
        let key = Remembering::new(piv::Identity(yubikeys.clone()));
        let identity = Self::new(vec![Arc::new(key)], publics).asking_again();
        Self { yubikeys: Some(yubikeys), ..identity }
    }

    /// On which YubiKey `recipient`'s key is, if it opened something by this identity.
    pub fn on_yubikey(&self, recipient: &Recipient) -> Option<OnYubikey> {
        self.yubikeys.as_ref()?.has_used(recipient.yubikey()?)
    }

    /// The public halves, where they are known without asking anybody.
    pub fn publics(&self) -> &[Recipient] {
        &self.publics
    }

    /// The file it was read from.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether a person had, or will have, to do something for it.
    pub fn needed_person(&self) -> bool {
        self.asked
    }

    /// Whether every use may ask a person anew, so that what can be spared should be.
    pub fn asks_again(&self) -> bool {
        self.asks_again
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys.iter().map(|key| &**key as &dyn age::Identity)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("publics", &self.publics).finish_non_exhaustive()
    }
}

/// Why there is no usable private key. Names files, never what stands in them.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// None of the files that were looked at opens what is to be opened.
    #[error("no private key was found that opens it{}", list(tried))]
    NoIdentity {
        /// What was tried, in order, and why it did not serve.
        tried: Vec<Tried>,
    },
    /// The passphrase does not open the key.
    #[error("wrong passphrase for {}", path.display())]
    WrongPassphrase {
        /// The key's file.
        path: PathBuf,
    },
    /// The person declined to give a passphrase.
    #[error("no passphrase was given for {}", path.display())]
    Declined {
        /// The key's file.
        path: PathBuf,
    },
    /// The key needs a passphrase and there is no way to ask for it.
    #[error("{} needs a passphrase: {source}", path.display())]
    Prompt {
        /// The key's file.
        path: PathBuf,
        /// Why nobody was asked.
        source: PromptError,
    },
    /// The file cannot be read, or a new one not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others than its user may read the file.
    #[error("{} is readable by others (mode {mode:04o}): chmod 600 it", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is a public key.
    #[error("{} holds a public key, where its private half is needed", path.display())]
    PublicHalf {
        /// The file.
        path: PathBuf,
    },
    /// The file is the handle of a key on hardware, which may wait for a person.
    #[error("{} is a key on hardware, which may need a person", path.display())]
    Hardware {
        /// The file.
        path: PathBuf,
    },
    /// The file is no private key that is known.
    #[error("{} is not a private key keyrack can use", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// A private key of a kind, or protected in a way, that age cannot use.
    #[error("{} cannot be used: {why}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would work.
        why: String,
    },
    /// The key's public half cannot be sealed to.
    #[error("{}: {source}", path.display())]
    Recipient {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RecipientError,
    },
    /// The age plugin this key needs is not installed.
    #[error("{} needs {program}, which is not on the PATH", path.display())]
    PluginMissing {
        /// The file.
        path: PathBuf,
        /// The program.
        program: String,
    },
    /// A key is to be made where a file is already.
    #[error("{} exists; it is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// A file that was looked at, and why it did not serve.
#[derive(Debug)]
pub struct Tried {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub why: Why,
}

/// Why a file did not serve.
#[derive(Debug)]
pub enum Why {
    /// There is no such file.
    Missing,
    /// It holds a key that does not open this.
    OtherKey,
    /// It could not be used at all.
    Unusable(Box<IdentityError>),
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Missing => write!(f, "{} does not exist", self.path.display()),
            Why::OtherKey => write!(f, "{} is another key", self.path.display()),
            Why::Unusable(error) => error.fmt(f),
        }
    }
}

fn list(tried: &[Tried]) -> String {
    let lines: Vec<String> = tried.iter().map(Tried::to_string).collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) }
}
