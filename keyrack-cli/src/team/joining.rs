//! The default vault of a home, and the other owners there: they join it, those that are made
//! later as well, if an owner that may let them in can be asked without a person.

use jiff::Timestamp;
use keyrack_names::Owner;
use keyrack_vault::{Role, Vault};

use super::{Place, Shelf, acts, card, newcomer, place, words};
use crate::error::{Context, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::default_vault::{self, DefaultVault};

/// Has an owner join the default vault, where there is one.
///
/// # Errors
/// When the vault does not hold, or cannot be written.
pub fn join_default(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    let Some(default) = default_vault::read(settings)? else { return Ok(()) };
    let Some(mut joining) = opened::opened_without_person(settings, owner) else {
        hint(owner, &default, ui);
        return Ok(());
    };
    if joining.manifest.vaults.contains_key(&default.vault_id) {
        return Ok(());
    }
    let Some((mut host, shelf)) = host(&default, owner, settings) else {
        hint(owner, &default, ui);
        return Ok(());
    };
    let failed = |error| words::vault(error, &shelf.place);
    let card = card::own(&joining, settings)?;
    let mut vault = shelf.open(&mut host, settings)?;
    // Its own passwords are in the compartment, too.
    let invited = vault.invite(&card, Role::Member, true, Timestamp::now());
    let invitation = invited.map_err(failed)?;
    shelf.keep(&vault, &mut host, settings)?;
    let act = acts::of("invite", card.member_id());
    let key = host.manifest.signing.key.clone();
    acts::note(&shelf.place, *vault.me(), &key, vec![act], settings, ui);
    drop(vault);

    let name = default.name.clone();
    let own = Place::new(owner, default.vault_id, name, default.dir.clone(), settings).shelf();
    let actor = place::actor(&joining);
    let joined = Vault::accept(&own.store, &invitation, actor, Timestamp::now());
    let joined = joined.map_err(failed)?;
    own.keep(&joined, &mut joining, settings)?;
    ui.say(format!("{owner} joined {}, the default vault of this home", default.name));
    Ok(())
}

/// Whether an owner that is to be made can join the default vault, before it is made.
///
/// # Errors
/// [`Code::Conflict`](crate::error::Code::Conflict) when somebody is, or was, there under its handle: with a flag that helps.
pub fn may_join_default(owner: &Owner, handle: &Owner, settings: &Settings) -> Outcome {
    // One that cannot be told is told of when the owner is to join: it keeps nobody from being.
    let Ok(Some(default)) = default_vault::read(settings) else { return Ok(()) };
    let Some((mut host, shelf)) = host(&default, owner, settings) else { return Ok(()) };
    let Ok(vault) = shelf.open(&mut host, settings) else { return Ok(()) };
    newcomer::by_name(vault.state(), handle, &shelf.place).map_err(|failure| {
        let other = newcomer::another_name(vault.state(), handle);
        let hints = vec![format!("keyrack init --for {owner} --handle {other}")];
        Failure { hints, ..failure }
    })
}

/// Has the owners of this home join the default vault that `maker` just made.
///
/// # Errors
/// When the home cannot be read. Who cannot join is told of, and keeps nobody out.
pub fn others_join(maker: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    let home = &settings.places.home;
    let owners = settings.places.owners().context(|| home.display().to_string())?;
    for owner in owners.iter().filter(|owner| *owner != maker) {
        if let Err(failure) = join_default(owner, settings, ui) {
            ui.warn(format!("{owner} did not join: {}", failure.message));
        }
    }
    Ok(())
}

/// An owner of this home that may let others in, and whose manifest opens without a person.
fn host(default: &DefaultVault, not: &Owner, settings: &Settings) -> Option<(Opened, Shelf)> {
    let owners = settings.places.owners().unwrap_or_default();
    owners.into_iter().filter(|owner| owner != not).find_map(|owner| {
        let mut opened = opened::opened_without_person(settings, &owner)?;
        let at = Place::all(&opened.manifest, settings);
        let shelf = at.into_iter().find(|place| place.id == default.vault_id)?.shelf();
        let may = shelf.open(&mut opened, settings).is_ok_and(|v| v.role().writes_shared());
        may.then_some((opened, shelf))
    })
}

fn hint(owner: &Owner, default: &DefaultVault, ui: &Ui) {
    ui.say(format!("{owner} is not in {}, the default vault of this home, yet", default.name));
    ui.hint(format!("keyrack vault invite {owner} --for OWNER --vault {}", default.name));
}
