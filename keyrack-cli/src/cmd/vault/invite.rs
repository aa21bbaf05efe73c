//! `keyrack vault invite`, `invites`, `cancel` and `confirm`: how somebody gets in. Only a
//! card whose fingerprint a person compared ever gets a key of the vault.

use jiff::Timestamp;
use keyrack_manifest::InviteId;
use keyrack_names::Owner;
use keyrack_vault::git::Repository;
use keyrack_vault::{Invitation, Location, Role, Status, Vault};
use serde::Serialize;

use crate::args::{RoleArg, VaultConfirm, VaultHandle, VaultInvite, WhichVault};
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::{Change, change, done, look, to_share};
use crate::team::{Place, acts, card, gits, newcomer, rights, words};

/// The role that a flag names.
pub fn role(flag: RoleArg) -> Role {
    match flag {
        RoleArg::Owner => Role::Owner,
        RoleArg::Admin => Role::Admin,
        RoleArg::Member => Role::Member,
    }
}

/// Runs `keyrack vault invite`.
pub fn run(args: &VaultInvite, settings: &Settings, ui: &Ui) -> Outcome {
    let which = args.which.vault.as_deref();
    let (role, password) = (role(args.role), args.passwords);
    let invitation = change(which, settings, ui, |making| {
        may_invite(making, role)?;
        // Before anything is promised: where the newcomer is to look is part of it.
        location(making.place)?;
        let (handle, now) = (&args.handle, Timestamp::now());
        if args.one_time_code {
            newcomer::by_name(making.vault.state(), handle, making.place)?;
            if settings.dry_run {
                return Ok(None);
            }
            let invited = making.vault.invite_one_time(handle, role, password, now);
            let invitation = making.fail(invited)?;
            making.note(acts::act("invite"));
            return Ok(Some((invitation, making.place.clone())));
        }
        let signed = card::read(handle, args.card.as_deref(), settings)?;
        newcomer::by_card(making.vault.state(), &signed, (role, password), making.place)?;
        card::compare(&signed, args.fingerprint.as_deref(), ui)?;
        if settings.dry_run {
            return Ok(None);
        }
        let invited = making.vault.invite(&signed, role, password, now);
        let invitation = making.fail(invited)?;
        making.note(acts::of("invite", signed.member_id()));
        Ok(Some((invitation, making.place.clone())))
    })?;
    let Some((invitation, place)) = invitation else {
        let object = serde_json::json!({ "handle": args.handle, "role": role.as_str() });
        return ui.would(format!("{} would be invited as {}", args.handle, words::a(role)), object);
    };
    let invitation = Invitation { location: Some(location(&place)?), ..invitation };
    ui.say(format!("{} is invited to {} as {}", args.handle, place.name, words::a(role)));
    if args.one_time_code {
        ui.say("whoever shows the line first asks to join; nothing is given before you confirm");
        ui.hint(place.command(&format!("confirm {}", args.handle)));
    }
    to_share(&place, ui);
    if ui.json {
        return ui.object(&serde_json::json!({
            "vault": place.name,
            "handle": args.handle,
            "role": role.as_str(),
            "invitation": invitation.to_string(),
        }));
    }
    ui.lines([invitation.to_string()])
}

/// Refused before a person is asked to compare anything.
fn may_invite(making: &Change<'_, '_>, role: Role) -> Outcome {
    let needed = if role == Role::Member { Role::Admin } else { Role::Owner };
    let act = format!("invite {}", words::a(role));
    rights::need(needed, &act, making.vault, making.place)
}

/// Where the newcomer is to look: the remote, if the vault is a clone of one.
///
/// # Errors
/// When git cannot be asked: the path of this clone would lead nobody there.
fn location(place: &Place) -> Outcome<String> {
    let repository = Repository::of(&place.dir, false);
    let repository = repository.map_err(|error| gits::failed(error, place))?;
    let origin = repository.filter(Repository::is_whole).and_then(|repository| repository.origin());
    let fits = |url: &String| match url.parse::<Location>() {
        Ok(Location::Remote(_)) => true,
        Ok(Location::Directory(dir)) => dir.is_absolute(),
        Err(_) => false,
    };
    Ok(origin.filter(fits).unwrap_or_else(|| place.dir.display().to_string()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    handle: Owner,
    role: &'static str,
    by: &'static str,
    state: &'static str,
}

/// Runs `keyrack vault invites`.
pub fn list(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    look(args.vault.as_deref(), settings, ui, |looking| {
        let state = looking.vault.state();
        let by_card = state.members.iter().filter(|member| member.status == Status::Invited);
        let mut rows: Vec<Row> = by_card
            .map(|member| Row {
                handle: member.handle.clone(),
                role: member.role.as_str(),
                by: "card",
                state: "waits for accept",
            })
            .collect();
        let requests = looking.fail(looking.vault.requests())?;
        rows.extend(state.invites.iter().map(|(id, invite)| Row {
            handle: invite.handle.clone(),
            role: invite.role.as_str(),
            by: "one-time code",
            state: match requests.iter().any(|request| request.invite == *id) {
                true => "waits for confirm",
                false => "waits for accept",
            },
        }));
        if ui.json {
            return ui.object(&serde_json::json!({ "vault": looking.place.name, "invites": rows }));
        }
        let cells: Vec<[String; 4]> = rows
            .iter()
            .map(|row| [row.handle.to_string(), row.role.into(), row.by.into(), row.state.into()])
            .collect();
        ui.table(["HANDLE", "ROLE", "BY", "STATE"], &cells)
    })
}

/// Runs `keyrack vault cancel`.
pub fn cancel(args: &VaultHandle, settings: &Settings, ui: &Ui) -> Outcome {
    let handle = &args.handle;
    let place = change(args.which.vault.as_deref(), settings, ui, |making| {
        rights::need(Role::Admin, "cancel an invitation", making.vault, making.place)?;
        let id = open_invite(making.vault, handle, making.place)?;
        if !settings.dry_run {
            let cancelled = making.vault.cancel(&id, Timestamp::now());
            making.fail(cancelled)?;
            making.note(acts::act("cancel"));
        }
        Ok(making.place.clone())
    })?;
    let object = serde_json::json!({ "vault": place.name, "handle": handle, "cancelled": true });
    done(
        format!("{handle} is not invited to {} any more", place.name),
        object,
        &place,
        settings,
        ui,
    )
}

/// The open invitation of a handle.
fn open_invite(vault: &Vault<'_>, handle: &Owner, place: &Place) -> Outcome<InviteId> {
    let state = vault.state();
    let by_code = state.invites.iter().find(|(_, invite)| invite.handle == *handle);
    let by_card = state.by_handle(handle).filter(|member| member.status == Status::Invited);
    match (by_code, by_card) {
        (Some((id, _)), _) => Ok(*id),
        (None, Some(member)) => Ok(InviteId::from_bytes(*member.member_id.as_bytes())),
        (None, None) => {
            let message = format!("{}: {handle} has no open invitation", place.name);
            Err(Failure::new(Code::Absent, message).hint(place.command("invites")))
        }
    }
}

/// Runs `keyrack vault confirm`.
pub fn confirm(args: &VaultConfirm, settings: &Settings, ui: &Ui) -> Outcome {
    let handle = &args.handle;
    let place = change(args.which.vault.as_deref(), settings, ui, |making| {
        rights::need(Role::Admin, "let anybody in", making.vault, making.place)?;
        let requests = making.fail(making.vault.requests())?;
        let invite = open_invite(making.vault, handle, making.place)?;
        let request = requests.into_iter().find(|request| request.invite == invite);
        let request = request.ok_or_else(|| {
            let message = format!("{}: {handle} has not asked to join yet", making.place.name);
            Failure::new(Code::Absent, message).hint(making.place.command("invites"))
        })?;
        card::compare(&request.card, args.fingerprint.as_deref(), ui)?;
        if !settings.dry_run {
            let confirmed = making.vault.confirm(&request, Timestamp::now());
            making.fail(confirmed)?;
            making.note(acts::of("confirm", request.member()));
        }
        Ok(making.place.clone())
    })?;
    let object = serde_json::json!({ "vault": place.name, "handle": handle, "confirmed": true });
    done(format!("{handle} is a member of {}", place.name), object, &place, settings, ui)
}
