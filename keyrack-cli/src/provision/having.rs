//! What an owner is to have: each credential of a roster with its value, and what becomes
//! of it.

use jiff::Timestamp;
use keyrack_manifest::{Entry, Manifest};
use keyrack_names::{Secret, Slug};
use serde::Serialize;

use crate::args::when::When;
use crate::error::Outcome;
use crate::owner::opened::Opened;
use crate::owner::values::{self, NewValue};
use crate::provision::roster::Wanted;
use crate::settings::Settings;

/// What became of one credential.
#[derive(Debug, Serialize)]
pub struct KeyRow {
    /// Which.
    pub slug: Slug,
    /// What was done.
    pub status: Became,
}

/// What was done about a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// Written into the manifest and the vault.
    Set,
    /// Left as a drop, until the owner's next unlock.
    Pending,
    /// The same already.
    Unchanged,
}

/// A credential with its value; without one where another vault has it.
#[derive(Debug)]
pub struct Having<'a> {
    /// What the roster says.
    pub wanted: &'a Wanted,
    /// Its value.
    pub value: Option<Secret>,
}

impl Having<'_> {
    /// What became of it.
    pub fn became(&self, status: Became) -> KeyRow {
        KeyRow { slug: self.wanted.entry.slug.clone(), status }
    }

    /// Its name and value, where it has one here.
    pub fn valued(&self) -> Option<(&Slug, &Secret)> {
        Some((&self.wanted.entry.slug, self.value.as_ref()?))
    }

    /// Its name, where a drop cannot hold what is to be said of it.
    pub fn unfit_for_a_drop(&self) -> Option<&Slug> {
        let entry = &self.wanted.entry;
        (self.value.is_none() || entry.max_duration.is_some()).then_some(&entry.slug)
    }

    /// Whether the manifest has the very same.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub fn is_in(&self, opened: &Opened, settings: &Settings) -> Outcome<bool> {
        let new = &self.wanted.entry;
        let Some(old) = opened.manifest.keys.get(&new.slug) else { return Ok(false) };
        // A span is counted from the day of the value.
        let ends_alike =
            old.expires_at == new.expires_at || matches!(self.wanted.expires, Some(When::After(_)));
        let says_the_same = (&old.vault, &old.exid, old.class, old.max_duration)
            == (&new.vault, &new.exid, new.class, new.max_duration);
        let Some(value) = self.value.as_ref().filter(|_| says_the_same && ends_alike) else {
            return Ok(says_the_same && ends_alike && self.value.is_none());
        };
        let vault = values::open_personal(&opened.manifest, settings)?;
        Ok(values::value(old, &vault, &opened.manifest)? == *value)
    }
}

/// Writes values and references into `manifest`.
///
/// # Errors
/// As [`values::put_all`].
pub fn write<'a>(
    manifest: &mut Manifest,
    settings: &Settings,
    having: impl Iterator<Item = &'a Having<'a>>,
    now: Timestamp,
) -> Outcome {
    let mut new = Vec::new();
    for having in having {
        let slug = &having.wanted.entry.slug;
        let created_at = manifest.keys.get(slug).map_or(now, |old| old.created_at);
        let entry = Entry { created_at, updated_at: now, ..having.wanted.entry.clone() };
        match &having.value {
            Some(value) => new.push(NewValue { slug, value, entry }),
            None => _ = manifest.keys.insert(slug.clone(), entry),
        }
    }
    if new.is_empty() { Ok(()) } else { values::put_all(manifest, settings, new, now) }
}
