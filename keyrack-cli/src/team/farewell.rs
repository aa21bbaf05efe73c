//! What becomes of an owner's credentials in vaults that others are members of, when the owner
//! is destroyed: a person decides. They are given away, deleted, or left to lie there.

use jiff::Timestamp;
use keyrack_manifest::CredId;
use keyrack_names::Owner;
use keyrack_vault::{Vault, VaultError, Visibility};

use super::{Place, Shelf, leaving, words};
use crate::args::{Destroy, Fate};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// Whether what there is to decide is decided by the flags, and can be done.
///
/// # Errors
/// [`Code::Conflict`] when it is not; why one of them cannot be given away.
pub fn is_decided(args: &Destroy, owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    if args.connections.is_some() || !has_seen_any(owner, settings) {
        return Ok(());
    }
    let mut opened = opened::open(settings, ui, owner)?;
    for shelf in Shelf::all(&opened.manifest, settings) {
        let Ok(vault) = shelf.open(&mut opened, settings) else { continue };
        let own = own(&vault);
        match &args.transfer_to {
            // Once the owner is gone, nobody can give it to another.
            Some(to) => can_all_be_given(&vault, &own, to, &shelf.place)?,
            None if own.is_empty() => {}
            None => return Err(undecided(&vault, &own, &shelf.place)),
        }
    }
    Ok(())
}

/// Where nothing of a vault was ever seen, there is none.
fn has_seen_any(owner: &Owner, settings: &Settings) -> bool {
    settings.places.state.join("vaults").join(owner.as_str()).exists()
}

fn own(vault: &Vault<'_>) -> Vec<CredId> {
    let own = vault.records().filter(|record| record.owner == *vault.me());
    own.map(|record| record.cred_id).collect()
}

/// Does as the flags say in every vault, and leaves it. Returns where the owner still is a
/// member; `None` where that was not looked at.
///
/// # Errors
/// When a vault does not hold, or cannot be written.
pub fn take(
    args: &Destroy,
    owner: &Owner,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<Option<Vec<Place>>> {
    if args.connections == Some(Fate::Keep) || !has_seen_any(owner, settings) {
        return Ok(None);
    }
    let mut stays = Vec::new();
    let mut opened = opened::open(settings, ui, owner)?;
    let shelves = Shelf::all(&opened.manifest, settings);
    for shelf in &shelves {
        let mut vault = match leaving::open(shelf, &mut opened, settings, ui) {
            Ok(vault) => vault,
            // It is out already.
            Err(failure) if failure.code == Code::Denied => continue,
            Err(failure) => return Err(failure),
        };
        let place = &shelf.place;
        for cred in own(&vault) {
            let done = part(&mut vault, &cred, args, place)?;
            done.map_err(|error| words::vault(error, place))?;
        }
        drop(vault);
        match leaving::leave(shelf, &mut opened, settings, ui)? {
            Ok(()) => {}
            Err(VaultError::Refused { .. }) => {
                ui.warn(format!(
                    "{owner} is the last owner of {}: nobody administers it now",
                    place.name
                ));
                stays.push(place.clone());
            }
            Err(error) => return Err(words::vault(error, place)),
        }
    }
    Ok(Some(stays))
}

/// Gives one credential away, or deletes it.
fn part(
    vault: &mut Vault<'_>,
    cred: &CredId,
    args: &Destroy,
    place: &Place,
) -> Outcome<Result<(), VaultError>> {
    let now = Timestamp::now();
    let Some(to) = &args.transfer_to else { return Ok(vault.delete(cred, now)) };
    let to = words::active(vault.state(), to, place)?.member_id;
    let private = vault.record(cred).is_ok_and(|r| r.visibility == Visibility::Private);
    let given = vault.transfer(cred, &to, now);
    if given.is_ok() && private {
        // Offered: whoever it is for takes it with `vault claim`.
        return Ok(Ok(()));
    }
    Ok(given)
}

fn can_all_be_given(vault: &Vault<'_>, own: &[CredId], to: &Owner, place: &Place) -> Outcome {
    if own.is_empty() {
        return Ok(());
    }
    let member = words::active(vault.state(), to, place)?.member_id;
    for cred in own {
        let may = vault.record(cred).and_then(|record| vault.may_transfer(record, &member));
        may.map_err(|error| words::given(error, to, place))?;
    }
    Ok(())
}

fn undecided(vault: &Vault<'_>, own: &[CredId], place: &Place) -> Failure {
    let names: Vec<String> =
        own.iter().filter_map(|cred| Some(vault.record(cred).ok()?.name.to_string())).collect();
    let owner = &place.owner;
    let message = format!(
        "{owner} has credentials in {}, and what becomes of them is to be decided: {}",
        place.name,
        names.join(", ")
    );
    Failure::new(Code::Conflict, message)
        .hint(format!("keyrack destroy --for {owner} --transfer-to HANDLE"))
        .hint(format!("keyrack destroy --for {owner} --connections delete"))
        .hint(format!("keyrack destroy --for {owner} --connections keep"))
}
