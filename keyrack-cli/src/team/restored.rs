//! A vault that is older here than this device has seen, as from a copy that was put back: it
//! is believed once a person says that it is meant to be so.

use keyrack_manifest::atomic;
use keyrack_vault::{ChainError, Vault, VaultError};

use super::{Place, Shelf, place};
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// Has a person decide about every vault that is older than it was. Returns those that are
/// believed now, or would be.
///
/// # Errors
/// [`Code::NeedsPerson`] when nobody agrees.
pub fn accept(opened: &mut Opened, settings: &Settings, ui: &Ui) -> Outcome<Vec<Place>> {
    let mut accepted = Vec::new();
    for shelf in Shelf::all(&opened.manifest, settings) {
        let Some(why) = is_older(&shelf, opened, settings)? else { continue };
        let place = shelf.place.clone();
        if !settings.dry_run {
            let question = format!("{}: {why}. Believe it all the same?", place.name);
            if !ui.asker.agrees(&question)? {
                return Err(Failure::new(Code::NeedsPerson, "nothing was changed"));
            }
            for file in [settings.places.seen(&place.owner, &place.id), place.pushed(settings)] {
                atomic::remove(&file).context(|| file.display().to_string())?;
            }
            shelf.open(opened, settings)?;
        }
        accepted.push(place);
    }
    Ok(accepted)
}

/// In what a vault is older, if nothing else is wrong with it.
fn is_older(shelf: &Shelf, opened: &Opened, settings: &Settings) -> Outcome<Option<VaultError>> {
    let id = &shelf.place.id;
    let seen = shelf.place.seen(settings)?;
    let carried = opened.manifest.vaults.get(id);
    let open = |seen| Vault::open(&shelf.store, id, seen, carried, place::actor(opened));
    let why = match open(seen.as_ref()) {
        Ok(vault) => vault.lost().next().map(|(_, why)| why),
        Err(why @ VaultError::Chain(ChainError::RolledBack { .. })) => Some(why),
        Err(_) => None,
    };
    let is_whole = || open(None).is_ok_and(|vault| vault.lost().next().is_none());
    Ok(why.filter(|_| is_whole()))
}
