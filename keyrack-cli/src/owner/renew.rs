//! An owner's personal vault made, and made anew: for one from before vaults had chains,
//! and when a key was taken away that could read it. The manifest that names the new one
//! puts it in force.

use jiff::Timestamp;
use keyrack_manifest::{Card, Manifest, SignedCard, VaultId, VaultRef};
use keyrack_names::Slug;
use keyrack_vault::personal::{self, Founder, Personal, Renewed};

use crate::error::{Context, Outcome};
use crate::owner::values;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::words;

/// Makes the owner's personal vault.
///
/// # Errors
/// When it cannot be written.
pub fn found(manifest: &mut Manifest, settings: &Settings, ui: &Ui, now: Timestamp) -> Outcome {
    let owner = manifest.owner.name.clone();
    let card = card(manifest, now)?;
    let dir = settings.places.personal_vault(&owner);
    if let Some(aside) = personal::set_aside(&dir).map_err(|e| words::vault(e, &owner))? {
        ui.warn(format!(
            "{owner}: a vault was there whose manifest is gone; it is kept as {}",
            aside.display()
        ));
    }
    let made = personal::create(&dir, founder(manifest, &card), now);
    let (id, vault) = made.map_err(|e| words::vault(e, &owner))?;
    manifest.vaults.insert(id, vault);
    Ok(())
}

/// Whether the manifest names a vault from before there were chains.
pub fn is_due(manifest: &Manifest) -> bool {
    manifest.personal_vault().is_some_and(|(_, vault)| vault.private_key.is_none())
}

/// Replaces such a vault, where that is what the manifest names.
///
/// # Errors
/// As [`replace`].
pub fn if_due(manifest: &mut Manifest, settings: &Settings) -> Outcome {
    if !is_due(manifest) {
        return Ok(());
    }
    let vault = values::open_personal(manifest, settings)?;
    replace(manifest, &vault, Timestamp::now())
}

/// Puts a new vault in place of `vault`: other keys, every record written anew under them.
/// `manifest` says whom it is for and whose hand signs it.
///
/// # Errors
/// When a record cannot be read, or nothing can be written.
pub fn replace(manifest: &mut Manifest, vault: &Personal, now: Timestamp) -> Outcome {
    let owner = manifest.owner.name.clone();
    let records: Vec<_> =
        manifest.keys.values().filter_map(|e| Some((e.slug.clone(), e.cred?))).collect();
    let card = card(manifest, now)?;
    let renewed = vault.renew(founder(manifest, &card), &records, now);
    let Renewed { id, carried, moved } = renewed.map_err(|e| words::vault(e, &owner))?;
    for (slug, record) in moved {
        if let Some(entry) = manifest.keys.get_mut::<Slug>(&slug) {
            entry.cred = Some(record);
        }
    }
    put(manifest, id, carried);
    Ok(())
}

/// Seals the personal vault's keys to the recipients as they are now.
///
/// # Errors
/// When the keys cannot be sealed or nothing can be written.
pub fn rewrap(manifest: &mut Manifest, settings: &Settings, now: Timestamp) -> Outcome {
    let owner = manifest.owner.name.clone();
    let vault = values::open_personal(manifest, settings)?;
    let card = card(manifest, now)?;
    let changed = vault.rewrap(&card, &manifest.signing.key, now);
    let changed = changed.map_err(|e| words::vault(e, &owner))?;
    if let Some(id) = manifest.personal_vault().map(|(id, _)| *id) {
        put(manifest, id, changed);
    }
    Ok(())
}

fn put(manifest: &mut Manifest, id: VaultId, carried: VaultRef) {
    manifest.vaults.retain(|_, vault| !vault.name.is_personal());
    manifest.vaults.insert(id, carried);
}

fn founder<'a>(manifest: &'a Manifest, card: &'a SignedCard) -> Founder<'a> {
    Founder { card, key: &manifest.signing.key, member: manifest.signing.member }
}

/// What the owner shows to others, as the manifest has it now.
fn card(manifest: &Manifest, now: Timestamp) -> Outcome<SignedCard> {
    let key = &manifest.signing.key;
    Card::issue(&manifest.owner.handle, key, &manifest.all_recipients(), now)
        .context(|| format!("{}'s card", manifest.owner.name))
}
