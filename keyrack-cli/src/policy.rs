//! `policy.yml` in the home: what a deployment does not keep, whoever asks.
//!
//! ```yaml
//! forbid: [password]
//! ```

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::PathBuf;

use keyrack_manifest::Class;
use serde::Deserialize;

use crate::error::{Code, Failure, Outcome};
use crate::project;
use crate::settings::Settings;

/// What is not kept here.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map, such as { forbid: [password] }")]
pub struct Policy {
    /// Credentials of these classes.
    #[serde(default)]
    forbid: BTreeSet<Class>,
    #[serde(skip)]
    path: PathBuf,
}

impl Policy {
    /// Reads the file; without one nothing is forbidden.
    ///
    /// # Errors
    /// [`Code::Usage`] when it does not parse: what it forbids cannot be told then.
    pub fn read(settings: &Settings) -> Outcome<Self> {
        let path = settings.places.home.join("policy.yml");
        // A link that leads nowhere is no leave to keep all.
        if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(Self { path, ..Self::default() });
        }
        let read: Self = serde_yaml::from_str(&project::text(&path)?)
            .map_err(|e| project::problem(&path, &project::without_value(e.to_string())))?;
        Ok(Self { path, ..read })
    }

    /// Whether a credential of that class may be kept.
    ///
    /// # Errors
    /// [`Code::Denied`].
    pub fn allows(&self, class: Class) -> Outcome {
        match self.forbid.contains(&class) {
            true => Err(Failure::new(Code::Denied, self.words(class))),
            false => Ok(()),
        }
    }

    /// Whether a program that needs a credential of that class can have it without a person.
    ///
    /// # Errors
    /// [`Code::NeedsPerson`].
    pub fn provides(&self, class: Class) -> Outcome {
        self.allows(class).map_err(|failure| Failure {
            code: Code::NeedsPerson,
            message: format!("{}: a person has to give it elsewhere", failure.message),
            ..failure
        })
    }

    fn words(&self, class: Class) -> String {
        format!("{} forbids to keep a {class} here", self.path.display())
    }
}
