//! `keyrack vault members`, `leave` and `rotate`: who is in, and what follows when somebody
//! is not any more.

use std::collections::BTreeSet;

use jiff::Timestamp;
use keyrack_manifest::{CredId, MemberId};
use keyrack_vault::{Compartment, Member, Record, Role, Status, Vault, Visibility};
use serde::Serialize;

use super::invite::role;
use crate::args::{MembersAct, VaultHandle, VaultRole, WhichVault};
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::{change, done, look};
use crate::team::{Place, acts, daemons, leaving, place, rights, words};

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
        if member.member_id == *making.vault.me() {
            let message = format!("{handle} does not remove itself; it leaves");
            return Err(Failure::new(Code::Denied, message).hint(making.place.command("leave")));
        }
        let (needed, act) = match member.role {
            Role::Member => (Role::Admin, "remove a member".to_owned()),
            role => (Role::Owner, format!("remove {}", words::a(role))),
        };
        rights::need(needed, &act, making.vault, making.place)?;
        if settings.dry_run {
            return Ok((making.place.clone(), Vec::new()));
        }
        let could_read = making.vault.readable_by(&member.member_id);
        let removed = making.vault.remove(&member.member_id, Timestamp::now());
        making.fail(removed)?;
        making.note(acts::of("remove", member.member_id));
        forget(&member, making.place, settings);
        Ok((making.place.clone(), exposed(making.vault, &member.member_id, &could_read)))
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

/// What needs a new value because a member could read it and cannot any more, by name. Links
/// name together whoever went, and what was due before: neither is what this one could read.
fn exposed(vault: &Vault<'_>, member: &MemberId, could_read: &BTreeSet<CredId>) -> Vec<String> {
    let reads = vault.readable_by(member);
    let mut names: Vec<String> = vault
        .needs_rotation()
        .into_iter()
        .filter(|need| could_read.contains(&need.cred) && !reads.contains(&need.cred))
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
    if role.writes_shared() && args.passwords == Some(false) {
        let message = format!("--passwords no: {} reads passwords, too", words::a(role));
        return Err(Failure::new(Code::Usage, message).hint("leave --passwords out"));
    }
    let (place, exposed) = change(args.which.vault.as_deref(), settings, ui, |making| {
        let member = words::active(making.vault.state(), handle, making.place)?.clone();
        rights::need(Role::Owner, "change roles", making.vault, making.place)?;
        // It could not sign the new keys.
        if member.member_id == *making.vault.me() && !role.writes_shared() {
            let message = format!("{handle} makes itself no plain member: another owner does");
            return Err(Failure::new(Code::Denied, message)
                .hint(making.place.command("members role HANDLE owner")));
        }
        let held = member.compartments.contains(&Compartment::Password);
        let password = args.passwords.map_or(held && role == member.role, |on| on);
        // What it is already is no change, and asks for no link.
        let is_same = (role, password || role.writes_shared()) == (member.role, held);
        if settings.dry_run || is_same {
            return Ok((making.place.clone(), Vec::new()));
        }
        let could_read = making.vault.readable_by(&member.member_id);
        let set = making.vault.set_role(&member.member_id, role, password, Timestamp::now());
        making.fail(set)?;
        making.note(acts::of("role", member.member_id));
        let after = making.vault.state().member(&member.member_id);
        let holds = after.is_some_and(|after| after.compartments.contains(&Compartment::Password));
        if role < member.role || (held && !holds) {
            forget(&member, making.place, settings);
        }
        Ok((making.place.clone(), exposed(making.vault, &member.member_id, &could_read)))
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
    let own = leaving::open(&shelf, &mut opened, settings, ui).map(|vault| only_its_own(&vault));
    match own {
        Ok(own) => {
            if let [first, ..] = &own[..] {
                ui.warn(format!(
                    "these are private to {}, and nobody reads them once it has left: {}",
                    place.owner,
                    own.join(", ")
                ));
                ui.hint(place.command(&format!("transfer --key {first} --to HANDLE")));
            }
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

/// What nobody but this member can read.
fn only_its_own(vault: &Vault<'_>) -> Vec<String> {
    let is_own = |record: &&Record| {
        record.owner == *vault.me()
            && record.visibility == Visibility::Private
            && record.grantees.is_empty()
    };
    vault.records().filter(is_own).map(|record| record.name.to_string()).collect()
}

/// Runs `keyrack vault rotate`.
pub fn rotate(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    let place = change(args.vault.as_deref(), settings, ui, |making| {
        rights::need(Role::Admin, "replace its keys", making.vault, making.place)?;
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
