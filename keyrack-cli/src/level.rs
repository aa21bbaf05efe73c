//! The isolation level an owner is at, and why it is no higher. What each level stops
//! and does not stop is in `docs/THREATS.md`.

use std::fmt;

use keyrack_names::Owner;
use serde::Serialize;

use crate::opened;
use crate::settings::Settings;

/// How well an owner's credentials are kept from other processes of the same user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    /// `L0` or `L1`.
    pub name: &'static str,
    /// Why it is no higher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.because {
            Some(because) => write!(f, "{}: {because}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// The level of `owner`: authorization is only as strong as the custody of its key.
pub fn of(settings: &Settings, owner: &Owner) -> Level {
    if opened::key_needs_no_person(settings, owner) {
        Level { name: "L0", because: Some("key readable without a person") }
    } else {
        Level { name: "L1", because: None }
    }
}
