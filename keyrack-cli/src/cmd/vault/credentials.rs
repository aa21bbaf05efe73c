//! `keyrack vault share`, `unshare` and `transfer`: whom a credential is for. Sharing wraps the
//! same key once more; taking back is a new version under a new key, and marks it.

use jiff::Timestamp;
use keyrack_manifest::{CredId, Entry, MemberId};
use keyrack_names::{Owner, Secret, Slug};
use keyrack_vault::{NewRecord, RecordMeta, Role, Visibility};

use crate::args::{VaultClaim, VaultShare, VaultTransfer, WhichVault};
use crate::error::{Code, Failure, Outcome};
use crate::owner::values;
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::push;
use crate::settings::Settings;
use crate::team::change::{Change, change, done};
use crate::team::{Place, acts, credential, default_vault, rights, words};

/// What a member that has not the role for it may not do.
const SHARE: &str = "write what is shared";

/// Runs `keyrack vault share`. A credential of the personal vault moves into this one.
pub fn share(args: &VaultShare, settings: &Settings, ui: &Ui) -> Outcome {
    let slug = wanted::slug(&args.at)?;
    let which = args.which.vault.as_deref();
    let place = change(which, settings, ui, |making| {
        let with = grantee(making, args.with.as_ref())?;
        if with.is_none() {
            rights::need(Role::Admin, SHARE, making.vault, making.place)?;
        }
        if settings.dry_run {
            let entry = making.opened.manifest.keys.get(&slug);
            match entry.is_some_and(|entry| entry.vault.is_personal()) {
                true => may_move(making, &slug, settings)?,
                false => drop(credential::own(making.vault, &slug, making.place)?),
            }
            return Ok(making.place.clone());
        }
        let cred = match moved_in(making, &slug, with.is_some(), settings, ui)? {
            Some(cred) => cred,
            None => credential::own(making.vault, &slug, making.place)?.cred_id,
        };
        let now = Timestamp::now();
        let shared = match with {
            Some(member) => making.vault.grant(&cred, &member, now),
            None if is_shared(making, &cred)? => Ok(()),
            None => making.vault.share(&cred, now),
        };
        making.fail(shared)?;
        let me = *making.vault.me();
        making.note(acts::to("share", cred, &slug, me, &me));
        Ok(making.place.clone())
    })?;
    let with = args.with.as_ref().map_or("every member".to_owned(), Owner::to_string);
    let object = serde_json::json!({ "vault": place.name, "slug": slug, "with": args.with });
    done(format!("{slug} is shared with {with} in {}", place.name), object, &place, settings, ui)
}

fn is_shared(making: &Change<'_, '_>, cred: &CredId) -> Outcome<bool> {
    let record = making.fail(making.vault.record(cred))?;
    Ok(record.visibility == Visibility::Shared)
}

/// The member that `--with` or `--to` names.
fn grantee(making: &Change<'_, '_>, handle: Option<&Owner>) -> Outcome<Option<MemberId>> {
    let member = handle.map(|handle| words::member(making.vault.state(), handle, making.place));
    Ok(member.transpose()?.map(|member| member.member_id))
}

/// Moves a credential of the personal vault here, if that is where it is: the entry goes once
/// the vault has the value. One that was set meanwhile is moved with its new value.
fn moved_in(
    making: &mut Change<'_, '_>,
    slug: &Slug,
    private: bool,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<Option<CredId>> {
    let mut moved: Option<(CredId, Entry)> = None;
    loop {
        let keys = &making.opened.manifest.keys;
        let entry = keys.get(slug).filter(|entry| entry.vault.is_personal());
        let Some(entry) = entry.cloned() else { break };
        let value = values::personal(making.opened, settings, slug)?;
        let met = match &moved {
            // Set anew since it was moved.
            Some((cred, _)) => Meets::Older(Some(*cred)),
            None => meets(making, &entry, &value, settings)?,
        };
        let cred = match met {
            Meets::Counts(cred) => Some(cred),
            Meets::Older(known) => {
                let visibility = if private { Visibility::Private } else { Visibility::Shared };
                let new = NewRecord {
                    cred: known,
                    name: slug,
                    about: about(&entry),
                    value: &value,
                    visibility: Some(visibility),
                };
                let written = making.vault.put(&[new], Timestamp::now());
                making.fail(written)?.pop()
            }
        };
        making.opened.update(settings, |manifest| {
            if manifest.keys.get(slug) == Some(&entry) {
                manifest.keys.remove(slug);
            }
            Ok(())
        })?;
        moved = cred.map(|cred| (cred, entry));
    }
    // Held as it was, it would outlive its owner's membership.
    if let Some((cred, entry)) = &moved
        && let Ok(value) = making.vault.get(cred)
    {
        let entry = Entry { vault: making.place.name.clone(), ..entry.clone() };
        push::replace(making.opened, &entry, &value, settings, ui);
    }
    Ok(moved.map(|(cred, _)| cred))
}

/// What a credential that is to move finds of its owner's under its name.
enum Meets {
    /// One whose value counts: the same one, as after a move that was killed, or a newer one.
    Counts(CredId),
    /// Nothing, or one whose value it replaces.
    Older(Option<CredId>),
}

/// Two different values never become one in silence. Only where new values go to the vault
/// instead of the personal one is the newer the one that is meant.
fn meets(
    making: &Change<'_, '_>,
    entry: &Entry,
    value: &Secret,
    settings: &Settings,
) -> Outcome<Meets> {
    let (slug, place) = (&entry.slug, making.place);
    let Ok(own) = credential::own(making.vault, slug, place) else {
        return Ok(Meets::Older(None));
    };
    if making.fail(making.vault.get(&own.cred_id))? == *value {
        return Ok(Meets::Counts(own.cred_id));
    }
    let default = default_vault::read(settings)?;
    let is_instead = default.is_some_and(|vault| vault.instead && vault.vault_id == place.id);
    // What is shared is not replaced by what nobody else was to read.
    if is_instead && own.visibility == Visibility::Private {
        let is_newer = own.updated_at >= entry.updated_at;
        return Ok(match is_newer {
            true => Meets::Counts(own.cred_id),
            false => Meets::Older(Some(own.cred_id)),
        });
    }
    let (owner, name) = (&place.owner, &place.name);
    let message = format!("{owner} has another {slug} in {name} already: one of the two has to go");
    Err(Failure::new(Code::Conflict, message)
        .hint(format!("keyrack del --for {owner} --vault personal --key {slug}"))
        .hint(format!("or: keyrack del --for {owner} --vault {name} --key {slug}")))
}

/// Refuses what [`moved_in`] would, before anything is moved.
fn may_move(making: &mut Change<'_, '_>, slug: &Slug, settings: &Settings) -> Outcome {
    let entry = making.opened.manifest.keys.get(slug).filter(|entry| entry.vault.is_personal());
    let Some(entry) = entry.cloned() else { return Ok(()) };
    let value = values::personal(making.opened, settings, slug)?;
    meets(making, &entry, &value, settings).map(drop)
}

/// Runs `keyrack vault adopt`. What is moved stays its owner's own: nothing is shared by it.
pub fn adopt(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    let (place, moved) = change(args.vault.as_deref(), settings, ui, |making| {
        let keys = &making.opened.manifest.keys;
        // The identities of owners that this one keeps are looked for where they are.
        let slugs: Vec<Slug> = keys
            .values()
            .filter(|entry| entry.vault.is_personal())
            .map(|entry| entry.slug.clone())
            .filter(|slug| !slug.key.as_str().starts_with("KEYRACK_"))
            .collect();
        for slug in &slugs {
            may_move(making, slug, settings)?;
        }
        if !settings.dry_run {
            for slug in &slugs {
                moved_in(making, slug, true, settings, ui)?;
            }
            making.note(acts::act("adopt"));
        }
        Ok((making.place.clone(), slugs))
    })?;
    let object = serde_json::json!({ "owner": place.owner, "vault": place.name, "moved": moved });
    let moved = counted(moved.len(), "credential");
    let words = format!("{}: {moved} moved to {}", place.owner, place.name);
    done(words, object, &place, settings, ui)
}

/// What a record is to say of what an entry says.
pub fn about(entry: &Entry) -> RecordMeta {
    RecordMeta {
        obtained_via: entry.obtained_via.clone(),
        expires_at: entry.expires_at,
        max_duration: entry.max_duration,
        ..RecordMeta::of(entry.class)
    }
}

/// Runs `keyrack vault unshare`. Where nothing is to be taken back, nothing is written.
pub fn unshare(args: &VaultShare, settings: &Settings, ui: &Ui) -> Outcome {
    let slug = wanted::slug(&args.at)?;
    let (place, taken, words) = change(args.which.vault.as_deref(), settings, ui, |making| {
        let with = grantee(making, args.with.as_ref())?;
        let record = credential::own(making.vault, &slug, making.place)?;
        let (cred, name) = (record.cred_id, &making.place.name);
        let is_shared = record.visibility == Visibility::Shared;
        let (taken, words) = match (&args.with, with) {
            (Some(_), Some(_)) if is_shared => return Err(is_everybodys(&slug, making.place)),
            (Some(handle), Some(member)) => match record.grantees.contains(&member) {
                true => (true, format!("{slug} is taken back from {handle} in {name}")),
                false => (false, format!("{slug} was not shared with {handle} in {name}")),
            },
            _ if is_shared || !record.grantees.is_empty() => {
                (true, format!("{slug} is private in {name} again"))
            }
            _ => (false, format!("{slug} is private in {name} already")),
        };
        if taken && !settings.dry_run {
            let now = Timestamp::now();
            let taken = match with {
                Some(member) => making.vault.take_back(&cred, &member, now),
                None => making.vault.unshare(&cred, now),
            };
            making.fail(taken)?;
            let me = *making.vault.me();
            making.note(acts::to("unshare", cred, &slug, me, &me));
        }
        Ok((making.place.clone(), taken, words))
    })?;
    let object = serde_json::json!({
        "vault": place.name, "slug": slug, "with": args.with, "needsRotation": taken,
    });
    done(words, object, &place, settings, ui)?;
    if taken {
        ui.warn(format!("{slug} was readable, so it needs a new value"));
        let (owner, name) = (&place.owner, &place.name);
        ui.hint(format!("keyrack set --for {owner} --vault {name} --key {slug}"));
    }
    Ok(())
}

/// One member is not left out of what every member reads.
fn is_everybodys(slug: &Slug, place: &Place) -> Failure {
    let (owner, name) = (&place.owner, &place.name);
    let message = format!("{slug} is shared with every member of {name}, not with one of them");
    Failure::new(Code::Conflict, message)
        .hint(format!("keyrack vault unshare --for {owner} --vault {name} --key {slug}"))
}

/// Runs `keyrack vault transfer`.
pub fn transfer(args: &VaultTransfer, settings: &Settings, ui: &Ui) -> Outcome {
    let slug = wanted::slug(&args.at)?;
    let (place, is_offered) = change(args.which.vault.as_deref(), settings, ui, |making| {
        let to = words::member(making.vault.state(), &args.to, making.place)?.member_id;
        let record = credential::own(making.vault, &slug, making.place)?;
        let (cred, is_private) = (record.cred_id, record.visibility == Visibility::Private);
        if !is_private {
            rights::need(Role::Admin, SHARE, making.vault, making.place)?;
        }
        let may = making.vault.may_transfer(record, &to);
        may.map_err(|error| words::given(error, &args.to, making.place))?;
        if !settings.dry_run {
            let given = making.vault.transfer(&cred, &to, Timestamp::now());
            given.map_err(|error| words::given(error, &args.to, making.place))?;
            let me = *making.vault.me();
            making.note(acts::to("transfer", cred, &slug, to, &me));
        }
        Ok((making.place.clone(), is_private))
    })?;
    let (name, to) = (&place.name, &args.to);
    let object =
        serde_json::json!({ "vault": name, "slug": slug, "to": to, "offered": is_offered });
    if !is_offered {
        return done(format!("{slug} in {name} is {to}'s now"), object, &place, settings, ui);
    }
    done(
        format!("{slug} in {name} is offered to {to}, who takes it"),
        object,
        &place,
        settings,
        ui,
    )?;
    ui.hint(format!("keyrack vault claim --for {to} --vault {name} --key {slug}"));
    Ok(())
}

/// Runs `keyrack vault claim`: takes a private credential that another member gave.
pub fn claim(args: &VaultClaim, settings: &Settings, ui: &Ui) -> Outcome {
    let slug = wanted::slug(&args.at)?;
    let place = change(args.which.vault.as_deref(), settings, ui, |making| {
        let offered = making.vault.offered().find(|record| record.name == slug);
        let cred = offered.map(|record| record.cred_id).ok_or_else(|| {
            let message =
                format!("{}: nobody gave {slug} to {}", making.place.name, making.place.owner);
            let give = format!("keyrack vault transfer --key {slug} --to {}", making.place.owner);
            Failure::new(Code::Absent, message).hint(format!("whoever has it gives it: {give}"))
        })?;
        if !settings.dry_run {
            let claimed = making.vault.claim(&cred, Timestamp::now());
            let (me, place) = (&making.place.owner, making.place);
            claimed.map_err(|error| words::given(error, me, place))?;
            let me = *making.vault.me();
            making.note(acts::to("claim", cred, &slug, me, &me));
        }
        Ok(making.place.clone())
    })?;
    let object = serde_json::json!({ "owner": place.owner, "vault": place.name, "slug": slug });
    done(format!("{slug} in {} is {}'s now", place.name, place.owner), object, &place, settings, ui)
}

/// Takes a credential out of a vault, and out of this owner's daemon.
pub fn delete(which: Option<&str>, slug: &Slug, settings: &Settings, ui: &Ui) -> Outcome {
    let place = change(which, settings, ui, |making| {
        let record = credential::to_write(making.vault, slug, making.place)?;
        let record = record.ok_or_else(|| {
            Failure::new(Code::Absent, format!("{} has no {slug}", making.place.name))
        })?;
        let (cred, owner) = (record.cred_id, record.owner);
        if record.visibility == Visibility::Shared {
            rights::need(Role::Admin, SHARE, making.vault, making.place)?;
        }
        if !settings.dry_run {
            let deleted = making.vault.delete(&cred, Timestamp::now());
            making.fail(deleted)?;
            let me = *making.vault.me();
            making.note(acts::to("delete", cred, slug, owner, &me));
            // An unlock that is under way sees it only so.
            let kept = making.shelf.keep(making.vault, making.opened, settings);
            // Whoever decided for this one decides for nothing any more.
            let decided = making.opened.manifest.keys.get(slug).and_then(|entry| {
                (entry.vault == making.place.name).then(|| entry.exid.clone()).flatten()
            });
            if decided.is_some_and(|exid| exid.as_str() == cred.to_string()) {
                making.opened.update(settings, |manifest| {
                    manifest.keys.remove(slug);
                    Ok(())
                })?;
            }
            push::forget(making.opened, slug, settings);
            kept?;
        }
        Ok(making.place.clone())
    })?;
    let object = serde_json::json!({
        "owner": place.owner, "vault": place.name, "slug": slug, "deleted": true,
    });
    done(
        format!("{}: {slug} is deleted from {}", place.owner, place.name),
        object,
        &place,
        settings,
        ui,
    )
}
