//! What `doctor` looks at and clears away in an owner's files: whether the vault is whole,
//! and what killed writers left.

use std::time::SystemTime;

use keyrack_manifest::{Manifest, atomic};

use crate::error::{Failure, Outcome};
use crate::owner::{opened, values};
use crate::settings::Settings;
use crate::words;

/// Whether every record the manifest names is what was written. Returns how many there are.
///
/// # Errors
/// The first one that is not, by its slug.
pub fn check(manifest: &Manifest, settings: &Settings) -> Outcome<usize> {
    let owner = &manifest.owner.name;
    let vault = values::open_personal(manifest, settings)?;
    let mut records = 0;
    for entry in manifest.keys.values() {
        let Some(record) = &entry.cred else { continue };
        vault.get(record, &entry.slug).map_err(|error| {
            let failure = words::vault(error, owner);
            Failure::new(failure.code, format!("{}: {}", entry.slug, failure.message))
                .hint(format!("keyrack set --for {owner} --key {}", entry.slug))
        })?;
        records += 1;
    }
    vault.check().map_err(|error| words::vault(error, owner))?;
    Ok(records)
}

/// Removes what killed writers left, once it is old enough to be nothing else. Returns how
/// much that was.
///
/// # Errors
/// What cannot be removed.
pub fn sweep(manifest: &Manifest, settings: &Settings) -> Outcome<usize> {
    let owner = &manifest.owner.name;
    let vault = values::open_personal(manifest, settings)?;
    let now = SystemTime::now();
    let named = manifest.keys.values().filter_map(|entry| entry.cred);
    let swept = opened::store(settings)
        .at_rest(manifest, || vault.sweep(named, now))
        .map_err(|error| words::store(error, owner))?;
    // Nobody is to be waited for: what is swept now has been there for days.
    let mut swept = swept.unwrap_or(Ok(0)).map_err(|error| words::vault(error, owner))?;
    let then = now.checked_sub(keyrack_vault::GRACE).unwrap_or(SystemTime::UNIX_EPOCH);
    let places = &settings.places;
    for file in [places.manifest(owner), places.card(owner), places.pin(owner)] {
        let dir = file.parent().unwrap_or(&file);
        swept += atomic::sweep(dir, then).map_err(|error| words::store(error.into(), owner))?;
    }
    swept += atomic::sweep(&places.drops(owner), then)
        .map_err(|error| words::store(error.into(), owner))?;
    Ok(swept)
}
