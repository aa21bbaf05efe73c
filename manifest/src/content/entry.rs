//! What a manifest says of one credential: everything but its value.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use keyrack_names::{Env, Org, Slug};
use serde::{Deserialize, Serialize};

use crate::{Exid, Lifetime, RecordRef, VaultName, Word};

/// What kind of credential a value is. Decides who may hold it and how it is rotated.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Logs a person in. Lives in a compartment of its own.
    Password,
    /// Valid until somebody revokes it.
    #[default]
    LongLivedToken,
    /// Valid for a while, and renewed.
    Session,
    /// Not secret by itself: a provider's configuration.
    Config,
}

impl Class {
    /// Its name, as in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::LongLivedToken => "long_lived_token",
            Self::Session => "session",
            Self::Config => "config",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text names no class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a class: use password, long_lived_token, session or config")]
pub struct ClassError;

impl FromStr for Class {
    type Err = ClassError;

    fn from_str(text: &str) -> Result<Self, ClassError> {
        [Self::Password, Self::LongLivedToken, Self::Session, Self::Config]
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or(ClassError)
    }
}

/// One credential of an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// Its full name; equals its key in the manifest.
    pub slug: Slug,
    /// The env in the slug, for people who read the file.
    pub env: Env,
    /// The org in the slug, for people who read the file.
    pub org: Org,
    /// Where the value lives.
    pub vault: VaultName,
    /// Which item of that vault, where the vault has names of its own.
    pub exid: Option<Exid>,
    /// How the value is delivered or minted.
    pub mech: Word,
    /// What kind of credential it is.
    pub class: Class,
    /// How it came here.
    pub obtained_via: Word,
    /// The longest one unlock may hold it.
    pub max_duration: Option<Lifetime>,
    /// When the credential itself ends.
    pub expires_at: Option<Timestamp>,
    /// When this name was first set.
    pub created_at: Timestamp,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// Its record in the personal vault, if it lives there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cred: Option<RecordRef>,
}

impl Entry {
    /// A new entry for `slug` in `vault`, delivered as it is, set by the user, with no end.
    pub fn new(slug: Slug, vault: VaultName, now: Timestamp) -> Self {
        Self {
            env: slug.env.clone(),
            org: slug.org.clone(),
            slug,
            vault,
            exid: None,
            mech: Word::env(),
            class: Class::default(),
            obtained_via: Word::user(),
            max_duration: None,
            expires_at: None,
            created_at: now,
            updated_at: now,
            cred: None,
        }
    }

    /// Whether the parts that repeat the slug agree with it.
    pub(crate) fn is_consistent(&self) -> bool {
        self.env == self.slug.env && self.org == self.slug.org
    }
}
