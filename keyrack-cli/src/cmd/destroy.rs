//! `keyrack destroy`: removes owners and all that is their own: manifest, personal vault,
//! drops, daemon, sockets, what key rings remember. A private SSH key and the audit log
//! stay: the one is not ours, the other tells what happened. So does what an owner has in
//! other people's vaults, and that is said.

use std::path::PathBuf;

use keyrack_manifest::Pin;
use keyrack_names::Owner;
use keyrack_protocol::client::ClientError;
use serde::Serialize;

use crate::args::Destroy;
use crate::error::{Code, Failure, Outcome};
use crate::owner::{keeper, opened};
use crate::person::ui::Ui;
use crate::rack::{access, sleeping, sockets, whereabouts};
use crate::settings::Settings;
use crate::team::{Place, farewell};
use crate::{tree, words};

/// Runs `keyrack destroy`.
pub fn run(args: &Destroy, settings: &Settings, ui: &Ui) -> Outcome {
    let owners = settings.owners();
    for owner in owners {
        let manifest = settings.places.manifest(owner);
        if !manifest.exists() && opened::pin(settings, owner).is_ok_and(|pin| pin.is_none()) {
            return Err(words::absent(owner, &manifest));
        }
        farewell::is_decided(args, owner, settings, ui)?;
    }
    if settings.dry_run {
        return would(args, owners, settings, ui);
    }
    let names: Vec<&str> = owners.iter().map(Owner::as_str).collect();
    let (all, they) = (names.join(" and "), if names.len() == 1 { "it has" } else { "they have" });
    if !ui.asker.agrees(&format!("remove {all} and every credential {they}?"))? {
        return Err(Failure::new(Code::NeedsPerson, "nothing was removed"));
    }
    let (mut gone, mut failures) = (Vec::new(), Vec::new());
    for (at, owner) in owners.iter().enumerate() {
        ui.progress(at, owners.len());
        match one(args, owner, settings, ui) {
            Ok(row) => gone.push(row),
            Err(failure) => failures.push(failure),
        }
    }
    match gone.as_slice() {
        [] => {}
        [gone] if ui.json && owners.len() == 1 => ui.object(gone)?,
        _ if ui.json => ui.object(&serde_json::json!({ "owners": gone }))?,
        _ => {}
    }
    Failure::of_batch(failures, owners.len(), ui)
}

/// Says whose files would be removed.
fn would(args: &Destroy, owners: &[Owner], settings: &Settings, ui: &Ui) -> Outcome {
    let manifests = owners.iter().map(|owner| (owner, settings.places.manifest(owner)));
    let (words, mut rows): (Vec<String>, Vec<serde_json::Value>) = manifests
        .map(|(owner, path)| {
            let to = args.transfer_to.as_ref();
            let given = to.map(|to| format!("; what it has in vaults of several would be {to}'s"));
            let words = format!(
                "{owner}: {} and all that belongs to it would be removed{}",
                path.display(),
                given.unwrap_or_default()
            );
            (words, serde_json::json!({ "owner": owner, "removed": [path], "transferTo": to }))
        })
        .unzip();
    let object = match rows.len() {
        1 => rows.remove(0),
        _ => serde_json::json!({ "owners": rows }),
    };
    ui.would(words.join("\n"), object)
}

/// What is gone with an owner, and what is not.
#[derive(Serialize)]
struct Gone {
    owner: Owner,
    removed: Vec<PathBuf>,
    /// Vaults that it still is a member of; `None` where the manifest could not be opened.
    vaults: Option<Vec<Shared>>,
}

/// A vault of several members.
#[derive(Serialize)]
struct Shared {
    id: String,
    name: String,
}

fn one(args: &Destroy, owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome<Gone> {
    let manifest = opened::manifest_without_person(settings, owner);
    let pin = opened::pin(settings, owner).ok().flatten();
    // While the pin still says which rack is meant.
    let sockets = access::bare_sockets(settings, owner);
    // One that hangs holds values, too.
    let runs = access::bare_status(settings, owner);
    if !matches!(runs, Err(ClientError::NotRunning | ClientError::Foreign { .. })) {
        ui.say(super::relock::in_silence(owner, settings)?.words(owner));
    }
    let stays = farewell::take(args, owner, settings, ui)?;
    whereabouts::forget(settings, owner);
    sleeping::forget(settings, owner);
    tree::forget(owner, &settings.home_tag());
    let removed = opened::store(settings).destroy(owner).map_err(|e| words::store(e, owner))?;
    if settings.places.owners().is_ok_and(|left| left.is_empty()) {
        // Whoever is made here next was not given this user by root.
        let _ = std::fs::remove_file(settings.places.own_user());
    }
    sockets::sweep(&sockets);
    for path in &removed {
        ui.say(format!("{owner}: removed {}", path.display()));
    }
    let identity = pin.as_ref().and_then(|pin| pin.identity_path.clone());
    let kept = [Some(settings.places.audit(owner)), identity].into_iter().flatten();
    for path in kept.filter(|path| path.exists()) {
        ui.say(format!("{owner}: {} is kept", path.display()));
    }
    let vaults = stays.or_else(|| manifest.as_ref().map(|manifest| Place::all(manifest, settings)));
    let vaults = vaults.map(|vaults| vaults.into_iter().map(Shared::from).collect());
    say_what_stays(owner, vaults.as_deref(), pin.as_ref(), ui)?;
    ui.say(format!("{owner} is gone"));
    Ok(Gone { owner: owner.clone(), removed, vaults })
}

/// What lies with others and is theirs to remove.
fn say_what_stays(owner: &Owner, vaults: Option<&[Shared]>, pin: Option<&Pin>, ui: &Ui) -> Outcome {
    match vaults {
        Some(vaults) => vaults.iter().for_each(|vault| {
            ui.warn(format!(
                "{owner}: the vault {} still has it as a member, with what it may read there",
                vault.name
            ));
        }),
        None if pin.is_some_and(|pin| !pin.provisional) => {
            ui.say(format!(
                "{owner}: its manifest did not open: vaults it is a member of still have it"
            ));
        }
        None => {}
    }
    if let Some(keeper) = pin.and_then(|pin| pin.kept_by.as_ref()) {
        let slug = keeper::slug(owner)?;
        ui.hint(format!("keyrack del --for {keeper} --key {slug}"));
    }
    Ok(())
}

impl From<Place> for Shared {
    fn from(place: Place) -> Self {
        Self { id: place.id.to_string(), name: place.name.to_string() }
    }
}
