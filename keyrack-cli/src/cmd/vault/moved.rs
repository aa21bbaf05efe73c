//! `keyrack vault moved`: says where a vault lies now, after its directory was moved, or on
//! another device.

use std::path::Path;

use keyrack_manifest::VaultId;

use super::create;
use crate::args::VaultMoved;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::{Place, default_vault, place};

/// Runs `keyrack vault moved`.
pub fn run(args: &VaultMoved, settings: &Settings, ui: &Ui) -> Outcome {
    let (mut opened, shelf) = place::meant(args.which.vault.as_deref(), settings, ui)?;
    to(&args.directory, &shelf.place.id, &mut opened, settings, ui)
}

/// Believes the vault at `dir` from now on, if it is the same, and not an older one.
///
/// # Errors
/// As opening it there; then all is as before.
pub fn to(dir: &Path, id: &VaultId, opened: &mut Opened, settings: &Settings, ui: &Ui) -> Outcome {
    let all = Place::all(&opened.manifest, settings);
    let before = all.into_iter().find(|place| place.id == *id).ok_or_else(|| {
        Failure::new(Code::Absent, format!("{} is in no such vault", opened.owner))
    })?;
    let dir = create::absolute(dir)?;
    let owner = opened.owner.clone();
    let shelf = Place::new(&owner, *id, before.name.clone(), dir.clone(), settings).shelf();
    let place = &shelf.place;
    let object = serde_json::json!({ "owner": owner, "vault": place.name, "location": dir });
    let words = format!("{owner}: {} is at {}", place.name, dir.display());
    if settings.dry_run {
        return ui.would(format!("{words} (nothing was done)"), object);
    }
    shelf.open(opened, settings)?;
    opened.update(settings, |manifest| {
        if let Some(carried) = manifest.vaults.get_mut(id) {
            carried.location.clone_from(&place.location);
        }
        Ok(())
    })?;
    if let Some(default) = default_vault::read(settings)?.filter(|it| it.vault_id == *id) {
        default_vault::write(place, default.instead, settings)?;
    }
    ui.done(words, object)?;
    create::prepare_git(place, ui)
}
