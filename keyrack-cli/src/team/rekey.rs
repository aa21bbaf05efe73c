//! What the vaults of an owner are told when the keys of its manifest change: a new recipient
//! opens the wraps, too; one that was removed is treated as compromised, and with it the
//! signing key that it could read.
//!
//! The old signing key is what a vault believes until it is told. So it is kept, sealed to the
//! recipients that stay, until every vault was; a command that is killed in between is finished
//! by the next.

use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_manifest::{Recipient, SigningKey, atomic, seal};
use keyrack_names::Owner;
use keyrack_vault::{Actor, Vault};
use serde::{Deserialize, Serialize};

use super::{Shelf, card, place, words};
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::settings::Settings;

const LARGEST: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Old {
    v: u32,
    key: SigningKey,
}

/// Seals every vault's keys to the recipients as they are now. A vault that cannot be told is
/// named.
pub fn reseal(opened: &mut Opened, settings: &Settings, ui: &Ui) {
    for shelf in Shelf::all(&opened.manifest, settings) {
        let told = card::own(opened, settings).and_then(|card| {
            let mut vault = shelf.open(opened, settings)?;
            let set = vault.set_recipients(&card, false, Timestamp::now());
            set.map_err(|error| words::vault(error, &shelf.place))?;
            shelf.keep(&vault, opened, settings)
        });
        if let Err(failure) = told {
            ui.warn(format!(
                "{}: its keys are not sealed anew: {}",
                shelf.place.name, failure.message
            ));
        }
    }
}

/// Keeps the signing key that is about to be replaced, for who can open the manifest then.
///
/// # Errors
/// When it cannot be written; then nothing is to be replaced.
pub fn begin(opened: &Opened, stay: &[Recipient], settings: &Settings) -> Outcome {
    if Shelf::all(&opened.manifest, settings).is_empty() {
        return Ok(());
    }
    let old = Old { v: 1, key: opened.manifest.signing.key.clone() };
    let path = file(&opened.owner, settings);
    let doing = || path.display().to_string();
    let bytes = zeroize::Zeroizing::new(serde_json::to_vec(&old).context(doing)?);
    let sealed = seal::seal(stay, &bytes).context(doing)?;
    atomic::replace(&path, &sealed).context(doing)
}

/// Tells every vault that is not told yet, and forgets the old key when all are.
///
/// # Errors
/// When what was kept does not open.
pub fn finish(opened: &mut Opened, settings: &Settings, ui: Option<&Ui>) -> Outcome {
    let path = file(&opened.owner, settings);
    let doing = || path.display().to_string();
    let Some(sealed) = atomic::read_limited(&path, 256 << 10).context(doing)? else {
        return Ok(());
    };
    let plain = seal::open(&opened.identity, &sealed, LARGEST).context(doing)?;
    let old: Old = serde_json::from_slice(plain.expose()).context(doing)?;
    if old.v != 1 {
        return Err(Failure::new(Code::Tampered, format!("{} does not read", path.display())));
    }
    let mut all_told = true;
    for shelf in Shelf::all(&opened.manifest, settings) {
        if let Err(failure) = tell(&shelf, &old.key, opened, settings, ui) {
            all_told = false;
            if let Some(ui) = ui {
                ui.warn(format!("{} is not told yet: {}", shelf.place.name, failure.message));
            }
        }
    }
    if all_told { atomic::remove(&path).context(doing) } else { Ok(()) }
}

fn tell(
    shelf: &Shelf,
    old: &SigningKey,
    opened: &mut Opened,
    settings: &Settings,
    ui: Option<&Ui>,
) -> Outcome {
    let place = &shelf.place;
    let failed = |error| words::vault(error, place);
    let seen = place.seen(settings)?;
    let carried = opened.manifest.vaults.get(&place.id).cloned();
    let (seen, carried) = (seen.as_ref(), carried.as_ref());
    let new = place::actor(opened);
    if Vault::open(&shelf.store, &place.id, seen, carried, new.clone()).is_ok() {
        return Ok(());
    }
    let actor = Actor { key: old.clone(), ..new.clone() };
    let mut vault = Vault::open(&shelf.store, &place.id, seen, carried, actor).map_err(failed)?;
    // Whoever has the old key has what this member could read.
    let read = vault.records().filter(|record| vault.can_read(record));
    let mut names: Vec<String> = read.map(|record| record.name.to_string()).collect();
    vault.rekey(new, &card::own(opened, settings)?, Timestamp::now()).map_err(failed)?;
    shelf.keep(&vault, opened, settings)?;
    let Some(ui) = ui else { return Ok(()) };
    names.sort();
    if !names.is_empty() {
        ui.warn(format!("{}: these need a new value: {}", place.name, names.join(", ")));
    }
    if vault.state().rotation_due() {
        ui.warn(format!("team vault {} awaits an admin's rotate", place.name));
    }
    super::change::to_share(place, ui);
    Ok(())
}

fn file(owner: &Owner, settings: &Settings) -> PathBuf {
    settings.places.state.join("vaults").join(owner.as_str()).join("rekey.age")
}
