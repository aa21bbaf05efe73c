//! `keyrack vault members`, `leave` and `rotate`: who is in, and what follows when somebody
//! is not any more.

use jiff::Timestamp;
use keyrack_manifest::MemberId;
use keyrack_vault::{Compartment, Member, Status, Vault};
use serde::Serialize;

use super::invite::role;
use crate::args::{MembersAct, VaultHandle, VaultRole, WhichVault};
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::{change, done, look};
use crate::team::{Place, acts, daemons, leaving, place, words};

/// Runs `keyrack vault members`.
pub fn run(act: &MembersAct, settings: &Settings, ui: &Ui) -> Outcome {
    match act {
        MembersAct::List(with) => list(&with.own, settings, ui),
        MembersAct::Remove(with) => remove(&with.own, settings, ui),
        MembersAct::Role(with) => set_role(&with.own, settings, ui),
    }
}

/// A member, for people and programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    handle: String,
    role: &'static str,
    status: &'static str,
    passwords: bool,
    fingerprint: String,
    member: MemberId,
}

impl Row {
    /// What there is to say of one.
    pub fn of(member: &Member) -> Self {
        Self {
            handle: member.handle.to_string(),
            role: member.role.as_str(),
            status: member.status.as_str(),
            passwords: member.compartments.contains(&Compartment::Password),
            fingerprint: member.fingerprint(),
            member: member.member_id,
        }
    }
}

fn list(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    look(args.vault.as_deref(), settings, ui, |looking| {
        let rows: Vec<Row> = looking.vault.state().members.iter().map(Row::of).collect();
        if ui.json {
            return ui.object(&serde_json::json!({ "vault": looking.place.name, "members": rows }));
        }
        let cells: Vec<[String; 4]> = rows
            .into_iter()
            .map(|row| [row.handle, row.role.to_owned(), row.status.to_owned(), row.fingerprint])
            .collect();
        ui.table(["MEMBER", "ROLE", "STATUS", "FINGERPRINT"], &cells)
    })
}

fn remove(args: &VaultHandle, settings: &Settings, ui: &Ui) -> Outcome {
    let handle = &args.handle;
    let (place, exposed) = change(args.which.vault.as_deref(), settings, ui, |making| {
        let member = words::active(making.vault.state(), handle, making.place)?.clone();
        if settings.dry_run {
            return Ok((making.place.clone(), Vec::new()));
        }
        if member.member_id == *making.vault.me() {
            let message = format!("{handle} does not remove itself; it leaves");
            return Err(Failure::new(Code::Denied, message).hint(making.place.command("leave")));
        }
        let removed = making.vault.remove(&member.member_id, Timestamp::now());
        making.fail(removed)?;
        making.note(acts::of("remove", member.member_id));
        forget(&member, making.place, settings);
        Ok((making.place.clone(), exposed_to(making.vault, &member.member_id)))
    })?;
    let object = serde_json::json!({
        "vault": place.name, "handle": handle, "removed": true, "needsRotation": exposed,
    });
    let words = format!("{handle} is removed from {}; its keys are replaced", place.name);
    done(words, object, &place, settings, ui)?;
    needs_values(&place, handle.as_str(), &exposed, ui);
    Ok(())
}

/// Says what a member that is gone could read, and cannot be made to forget.
fn needs_values(place: &Place, who: &str, exposed: &[String], ui: &Ui) {
    if let [first, ..] = exposed {
        ui.warn(format!(
            "{who} could read these, so each needs a new value: {}",
            exposed.join(", ")
        ));
        let (owner, name) = (&place.owner, &place.name);
        ui.hint(format!("keyrack set --for {owner} --vault {name} --key {first}"));
    }
}

/// What needs a new value because of one member, by name.
fn exposed_to(vault: &Vault<'_>, member: &MemberId) -> Vec<String> {
    let mut names: Vec<String> = vault
        .needs_rotation()
        .into_iter()
        .filter(|need| need.exposed_to.contains(member))
        .map(|need| need.name.to_string())
        .collect();
    names.sort();
    names
}

/// Has the daemons that a member has on this machine forget what came from the vault.
fn forget(member: &Member, place: &Place, settings: &Settings) {
    for owner in daemons::owners_of(&member.sig_key, settings) {
        daemons::drop_vault(&owner, &place.id, settings);
    }
}

fn set_role(args: &VaultRole, settings: &Settings, ui: &Ui) -> Outcome {
    let (handle, role) = (&args.handle, role(args.role));
    let (place, exposed) = change(args.which.vault.as_deref(), settings, ui, |making| {
        let member = words::active(making.vault.state(), handle, making.place)?.clone();
        let held = member.compartments.contains(&Compartment::Password);
        let password = args.passwords.map_or(held && role == member.role, |on| on);
        if settings.dry_run {
            return Ok((making.place.clone(), Vec::new()));
        }
        let set = making.vault.set_role(&member.member_id, role, password, Timestamp::now());
        making.fail(set)?;
        making.note(acts::of("role", member.member_id));
        if role < member.role {
            forget(&member, making.place, settings);
        }
        Ok((making.place.clone(), exposed_to(making.vault, &member.member_id)))
    })?;
    let object = serde_json::json!({
        "vault": place.name, "handle": handle, "role": role.as_str(), "needsRotation": exposed,
    });
    let words = format!("{handle} is {} of {} now", words::a(role), place.name);
    done(words, object, &place, settings, ui)?;
    needs_values(&place, handle.as_str(), &exposed, ui);
    Ok(())
}

/// Runs `keyrack vault leave`. Who was removed is out already, and only forgets the vault.
pub fn leave(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    let (mut opened, shelf) = place::meant(args.vault.as_deref(), settings, ui)?;
    let place = shelf.place.clone();
    let words = format!("{} is no member of {} any more", place.owner, place.name);
    let object = serde_json::json!({ "owner": place.owner, "vault": place.name, "left": true });
    if settings.dry_run {
        return done(words, object, &place, settings, ui);
    }
    match leaving::open(&shelf, &mut opened, settings, ui).map(drop) {
        Ok(()) => {
            if !ui.asker.agrees(&format!("leave {}?", place.name))? {
                return Err(Failure::new(Code::NeedsPerson, "nothing was changed"));
            }
            let left = leaving::leave(&shelf, &mut opened, settings, ui)?;
            left.map_err(|error| words::vault(error, &place))?;
        }
        Err(failure) if failure.code == Code::Denied => {}
        // There is nothing to write into, and nobody to tell.
        Err(failure) if !place.dir.exists() => {
            let question = format!("{}. Forget it, and tell nobody?", failure.message);
            if !ui.asker.agrees(&question).map_err(|asked| Failure {
                hints: [failure.hints, asked.hints].concat(),
                ..asked
            })? {
                return Err(Failure::new(Code::NeedsPerson, "nothing was changed"));
            }
        }
        Err(failure) => return Err(failure),
    }
    daemons::drop_vault(&place.owner, &place.id, settings);
    opened.update(settings, |manifest| {
        manifest.vaults.remove(&place.id);
        manifest.keys.retain(|_, entry| entry.vault != place.name);
        Ok(())
    })?;
    ui.done(words, object)
}

/// Runs `keyrack vault rotate`.
pub fn rotate(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    let place = change(args.vault.as_deref(), settings, ui, |making| {
        if !settings.dry_run {
            let rotated = making.vault.rotate(Timestamp::now());
            making.fail(rotated)?;
            making.note(acts::act("rotate"));
        }
        Ok(making.place.clone())
    })?;
    let object = serde_json::json!({ "vault": place.name, "rotated": true });
    let words = format!("{} has new keys; every shared credential is sealed anew", place.name);
    done(words, object, &place, settings, ui)
}

/// How many are members now.
pub fn active(vault: &Vault<'_>) -> usize {
    vault.state().members.iter().filter(|member| member.status == Status::Active).count()
}
