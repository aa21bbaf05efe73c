//! `keyrack vault share`, `unshare` and `transfer`: whom a credential is for. Sharing wraps the
//! same key once more; taking back is a new version under a new key, and marks it.

use jiff::Timestamp;
use keyrack_manifest::{CredId, Entry, MemberId};
use keyrack_names::{Owner, Slug};
use keyrack_vault::{NewRecord, RecordMeta, Visibility};

use crate::args::{VaultClaim, VaultShare, VaultTransfer, WhichVault};
use crate::error::{Code, Failure, Outcome};
use crate::owner::values;
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::push;
use crate::settings::Settings;
use crate::team::change::{Change, change, done};
use crate::team::{acts, credential, words};

/// Runs `keyrack vault share`. A credential of the personal vault moves into this one.
pub fn share(args: &VaultShare, settings: &Settings, ui: &Ui) -> Outcome {
    let slug = wanted::slug(&args.at)?;
    let which = args.which.vault.as_deref();
    let place = change(which, settings, ui, |making| {
        let with = grantee(making, args.with.as_ref())?;
        if settings.dry_run {
            return Ok(making.place.clone());
        }
        let cred = match moved_in(making, &slug, with.is_some(), settings)? {
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
) -> Outcome<Option<CredId>> {
    let visibility = if private { Visibility::Private } else { Visibility::Shared };
    let mut moved = None;
    loop {
        let keys = &making.opened.manifest.keys;
        let entry = keys.get(slug).filter(|entry| entry.vault.is_personal());
        let Some(entry) = entry.cloned() else { return Ok(moved) };
        let value = values::personal(making.opened, settings, slug)?;
        let known = credential::own(making.vault, slug, making.place).ok().map(|own| own.cred_id);
        let new = NewRecord {
            cred: known,
            name: slug,
            about: about(&entry),
            value: &value,
            visibility: Some(visibility),
        };
        let written = making.vault.put(&[new], Timestamp::now());
        moved = making.fail(written)?.pop();
        making.opened.update(settings, |manifest| {
            if manifest.keys.get(slug) == Some(&entry) {
                manifest.keys.remove(slug);
            }
            Ok(())
        })?;
    }
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
        if !settings.dry_run {
            for slug in &slugs {
                moved_in(making, slug, true, settings)?;
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

/// Runs `keyrack vault unshare`.
pub fn unshare(args: &VaultShare, settings: &Settings, ui: &Ui) -> Outcome {
    let slug = wanted::slug(&args.at)?;
    let place = change(args.which.vault.as_deref(), settings, ui, |making| {
        let with = grantee(making, args.with.as_ref())?;
        let cred = credential::own(making.vault, &slug, making.place)?.cred_id;
        if !settings.dry_run {
            let now = Timestamp::now();
            let taken = match with {
                Some(member) => making.vault.take_back(&cred, &member, now),
                None => making.vault.unshare(&cred, now),
            };
            making.fail(taken)?;
            let me = *making.vault.me();
            making.note(acts::to("unshare", cred, &slug, me, &me));
        }
        Ok(making.place.clone())
    })?;
    let object = serde_json::json!({ "vault": place.name, "slug": slug, "with": args.with });
    done(format!("{slug} is private in {} again", place.name), object, &place, settings, ui)?;
    ui.warn(format!("{slug} was readable, so it needs a new value"));
    let (owner, name) = (&place.owner, &place.name);
    ui.hint(format!("keyrack set --for {owner} --vault {name} --key {slug}"));
    Ok(())
}

/// Runs `keyrack vault transfer`.
pub fn transfer(args: &VaultTransfer, settings: &Settings, ui: &Ui) -> Outcome {
    let slug = wanted::slug(&args.at)?;
    let (place, is_offered) = change(args.which.vault.as_deref(), settings, ui, |making| {
        let to = words::member(making.vault.state(), &args.to, making.place)?.member_id;
        let record = credential::own(making.vault, &slug, making.place)?;
        let (cred, is_private) = (record.cred_id, record.visibility == Visibility::Private);
        if !settings.dry_run {
            let given = making.vault.transfer(&cred, &to, Timestamp::now());
            making.fail(given)?;
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
            Failure::new(Code::Absent, message)
        })?;
        if !settings.dry_run {
            let claimed = making.vault.claim(&cred, Timestamp::now());
            making.fail(claimed)?;
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
        if !settings.dry_run {
            let deleted = making.vault.delete(&cred, Timestamp::now());
            making.fail(deleted)?;
            let me = *making.vault.me();
            making.note(acts::to("delete", cred, slug, owner, &me));
            // An unlock that is under way sees it only so.
            let kept = making.shelf.keep(making.vault, making.opened, settings);
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
