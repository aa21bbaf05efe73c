//! What every change of a vault goes through: the manifest is opened, the vault verified, the
//! change made, remembered and written into the audit log.

use keyrack_vault::audit::Act;
use keyrack_vault::git::Repository;
use keyrack_vault::{Vault, VaultError};

use super::{Place, Shelf, acts, place, words};
use crate::error::Outcome;
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// A vault that is about to be changed by one of its members.
pub struct Change<'c, 's> {
    /// The vault.
    pub vault: &'c mut Vault<'s>,
    /// Where it is, with its files.
    pub shelf: &'c Shelf,
    /// The same, without.
    pub place: &'c Place,
    /// The member's manifest.
    pub opened: &'c mut Opened,
    /// What is to be written into the audit log.
    acts: Vec<Act>,
}

impl Change<'_, '_> {
    /// Has an act written into the audit log once the change is made.
    pub fn note(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// What a vault's error means.
    pub fn fail<T>(&self, result: Result<T, VaultError>) -> Outcome<T> {
        result.map_err(|error| words::vault(error, self.place))
    }
}

/// Changes the vault meant by `flag`, and keeps what came of it.
///
/// # Errors
/// As opening it, and as `change`.
pub fn change<T>(
    flag: Option<&str>,
    settings: &Settings,
    ui: &Ui,
    change: impl FnOnce(&mut Change<'_, '_>) -> Outcome<T>,
) -> Outcome<T> {
    let (mut opened, shelf) = place::meant(flag, settings, ui)?;
    let mut vault = shelf.open(&mut opened, settings)?;
    let mut making = Change {
        vault: &mut vault,
        shelf: &shelf,
        place: &shelf.place,
        opened: &mut opened,
        acts: Vec::new(),
    };
    let made = change(&mut making);
    let acts = std::mem::take(&mut making.acts);
    // Part of it may be in the vault even so; then it is remembered.
    let kept = if settings.dry_run { Ok(()) } else { shelf.keep(&vault, &mut opened, settings) };
    let key = &opened.manifest.signing.key;
    let made = made?;
    kept?;
    if !settings.dry_run {
        acts::note(&shelf.place, *vault.me(), key, acts, settings, ui);
    }
    Ok(made)
}

/// A vault that is only looked at.
pub struct Look<'c, 's> {
    /// The vault.
    pub vault: &'c Vault<'s>,
    /// Where it is, with its files.
    pub shelf: &'c Shelf,
    /// The same, without.
    pub place: &'c Place,
    /// The member's manifest.
    pub opened: &'c Opened,
}

impl Look<'_, '_> {
    /// What a vault's error means.
    pub fn fail<T>(&self, result: Result<T, VaultError>) -> Outcome<T> {
        result.map_err(|error| words::vault(error, self.place))
    }
}

/// Looks at the vault meant by `flag`.
///
/// # Errors
/// As opening it, and as `look`.
pub fn look<T>(
    flag: Option<&str>,
    settings: &Settings,
    ui: &Ui,
    look: impl FnOnce(&Look<'_, '_>) -> Outcome<T>,
) -> Outcome<T> {
    let (mut opened, shelf) = place::meant(flag, settings, ui)?;
    let vault = shelf.open(&mut opened, settings)?;
    look(&Look { vault: &vault, shelf: &shelf, place: &shelf.place, opened: &opened })
}

/// Says what was done; or, where nothing was to be, what would have been.
///
/// # Errors
/// When stdout cannot be written.
pub fn done(
    words: impl std::fmt::Display,
    object: serde_json::Value,
    place: &Place,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    if settings.dry_run {
        return ui.would(format!("{words} (nothing was done)"), object);
    }
    ui.done(words.to_string(), object)?;
    to_share(place, ui);
    Ok(())
}

/// Where the vault is a clone, others see a change when it was exchanged: says so, last.
pub fn to_share(place: &Place, ui: &Ui) {
    if is_clone(place) {
        ui.hint(place.command("sync"));
    }
}

/// Whether it is exchanged with a remote.
pub fn is_clone(place: &Place) -> bool {
    let repository = Repository::of(&place.dir, false).ok().flatten();
    repository.is_some_and(|repository| repository.origin().is_some())
}
