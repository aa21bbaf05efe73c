//! `keyrack set --vault TEAM`: a value into a vault with several members, by who may write
//! there; or, with `--exid`, the manifest's word on which credential of it is meant.

use jiff::Timestamp;
use keyrack_manifest::{CredId, Entry};
use keyrack_names::Slug;
use keyrack_vault::{NewRecord, Record, Role, Vault, Visibility};

use crate::args::Set;
use crate::cmd::vault::about;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::rack::push;
use crate::settings::Settings;
use crate::team::change::to_share;
use crate::team::{Place, Shelf, acts, credential, offered, rights, words};

/// Writes the value, or records the decision.
///
/// # Errors
/// [`Code::Denied`] for who may not write it, before a value is asked for.
pub fn set(
    args: &Set,
    entry: Entry,
    shelf: Shelf,
    mut opened: Opened,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let place = &shelf.place;
    let mut vault = shelf.open(&mut opened, settings)?;
    if let Some(exid) = &entry.exid {
        known(exid.as_str(), &entry, &vault, place)?;
        drop(vault);
        return super::refer(entry, opened, settings, ui);
    }
    let slug = entry.slug.clone();
    let there = meant(args, &slug, &vault, place)?.map(|record| record.cred_id);
    may_write(args, there.as_ref(), &vault, place)?;
    if settings.dry_run {
        let object = serde_json::json!({ "owner": place.owner, "slug": slug, "vault": place.name });
        return ui.would(format!("{}: {slug} would be set in {}", place.owner, place.name), object);
    }
    let value = super::value(args, &slug, &place.owner, ui)?;
    let new = NewRecord {
        cred: there,
        name: &slug,
        about: about(&entry),
        value: &value,
        visibility: args.private.then_some(Visibility::Private),
    };
    let written = vault.put(&[new], Timestamp::now());
    let kept = shelf.keep(&vault, &mut opened, settings);
    let cred = written.map_err(|error| words::vault(error, place))?.pop();
    kept?;
    let record = cred.and_then(|cred| vault.record(&cred).ok());
    let visibility = record.map(|record| record.visibility);
    if let Some(record) = record {
        let act = acts::to("set", record.cred_id, &slug, record.owner, vault.me());
        acts::note(place, *vault.me(), &opened.manifest.signing.key, vec![act], settings, ui);
    }
    drop(vault);
    if opened.manifest.keys.get(&slug).is_some_and(|entry| entry.vault != place.name) {
        ui.warn(format!(
            "{}: {slug} is in the manifest too, and that is what get gives",
            place.owner
        ));
        ui.hint(format!("keyrack del --for {} --key {slug}", place.owner));
    }
    // What another vault answers is not replaced by this value.
    match offered::vault_of(&mut opened, &slug, settings) {
        Ok(answers) if answers == place.name => {
            push::replace(&mut opened, &entry, &value, settings, ui);
        }
        _ => push::known(&mut opened, settings),
    }
    let (owner, name) = (&place.owner, &place.name);
    let object = serde_json::json!({
        "owner": owner, "slug": slug, "vault": name, "pending": false, "visibility": visibility,
    });
    ui.done(format!("{owner}: {slug} is set in {name}"), object)?;
    to_share(place, ui);
    Ok(())
}

/// The credential that `--exid` names is there, and has the name.
fn known(text: &str, entry: &Entry, vault: &Vault<'_>, place: &Place) -> Outcome {
    let id: CredId = text.parse().map_err(|error| {
        Failure::new(
            Code::Usage,
            format!("--exid: in {} it is a credential's id: {error}", place.name),
        )
    })?;
    let record = vault.record(&id).map_err(|error| words::vault(error, place))?;
    if record.name == entry.slug {
        return Ok(());
    }
    let message = format!("--exid: {} is called {} in {}", id.short(), record.name, place.name);
    Err(Failure::new(Code::Conflict, message))
}

/// The credential that the value is for, if it is there. A private one is the owner's own,
/// whatever others share under that name; and what is shared does not become private by a
/// new value, so that none is given to the team.
fn meant<'v>(
    args: &Set,
    slug: &Slug,
    vault: &'v Vault<'_>,
    place: &Place,
) -> Outcome<Option<&'v Record>> {
    if !args.private {
        return credential::to_write(vault, slug, place);
    }
    let own = credential::own(vault, slug, place).ok();
    if own.is_some_and(|record| record.visibility == Visibility::Shared) {
        let (owner, name) = (&place.owner, &place.name);
        let message = format!("{owner} shares {slug} in {name}: a value of it is not private");
        return Err(Failure::new(Code::Conflict, message)
            .hint(format!("keyrack vault unshare --for {owner} --vault {name} --key {slug}")));
    }
    Ok(own)
}

/// Refused before a person types a value.
fn may_write(args: &Set, there: Option<&CredId>, vault: &Vault<'_>, place: &Place) -> Outcome {
    let shared = match there.map(|cred| vault.record(cred)) {
        Some(Ok(record)) => record.visibility == Visibility::Shared,
        _ => !args.private && !vault.state().policy.private_by_default,
    };
    if shared { rights::need(Role::Admin, "write what is shared", vault, place) } else { Ok(()) }
}
