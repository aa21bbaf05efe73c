//! `keyrack vault resolve`: decides about records that were set aside, and gives up what is
//! lost.

use std::borrow::Cow;

use jiff::Timestamp;
use keyrack_manifest::CredId;
use keyrack_names::Slug;
use keyrack_vault::{Vault, VaultError};
use serde::Serialize;

use crate::args::{Decided, Keep, KeyArg, VaultResolve};
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::{Change, Look, change, done, is_clone, look};
use crate::team::{Place, acts};

/// Runs `keyrack vault resolve`.
pub fn run(args: &VaultResolve, settings: &Settings, ui: &Ui) -> Outcome {
    let which = args.which.vault.as_deref();
    let Some(keep) = args.keep else {
        return look(which, settings, ui, |looking| list(looking, args, ui));
    };
    let settled = change(which, settings, ui, |making| {
        let all = meant(making.vault, making.place, args)?;
        let lost: Vec<CredId> = match keep {
            Keep::Ours => all.iter().filter(|cred| is_lost(making.vault, cred)).copied().collect(),
            Keep::Theirs => Vec::new(),
        };
        give_up(making, &lost, settings, ui)?;
        for cred in all.iter().filter(|_| !settings.dry_run) {
            if !lost.contains(cred) {
                settle(making, cred, keep)?;
            }
            making.note(keyrack_vault::audit::Act { cred: Some(*cred), ..acts::act("resolve") });
        }
        Ok((all.len(), making.place.clone()))
    })?;
    let (count, place) = settled;
    let object = serde_json::json!({ "vault": place.name, "resolved": count });
    done(format!("{}: {count} settled", place.name), object, &place, settings, ui)
}

/// Gives up what is lost: for good, so a person agrees first.
fn give_up(making: &mut Change<'_, '_>, lost: &[CredId], settings: &Settings, ui: &Ui) -> Outcome {
    if lost.is_empty() || settings.dry_run {
        return Ok(());
    }
    let mut names: Vec<String> = lost.iter().map(|cred| name(making.vault, cred)).collect();
    names.sort();
    let question = format!("give up {} for good?", names.join(", "));
    let agreed = ui.asker.agrees(&question).map_err(|failure| back(making.place, failure))?;
    if !agreed {
        return Err(back(making.place, Failure::new(Code::NeedsPerson, "nothing was changed")));
    }
    let given_up = making.vault.give_up(lost, Timestamp::now());
    making.fail(given_up)
}

/// With how what is lost may come back.
fn back(place: &Place, failure: Failure) -> Failure {
    match is_clone(place) {
        true => failure.hint("or, if another member has it:").hint(place.command("sync")),
        false => failure.hint("or put its file back from a copy of the vault"),
    }
}

fn settle(making: &mut Change<'_, '_>, cred: &CredId, keep: Keep) -> Outcome {
    let aside = making.vault.quarantined().iter().find(|aside| aside.cred == *cred);
    let chosen = match keep {
        Keep::Ours => making.vault.file_digest(cred),
        Keep::Theirs => aside.and_then(|aside| aside.digest),
    };
    let done = match (chosen, keep) {
        (Some(digest), _) => making.vault.resolve(cred, &digest, Timestamp::now()),
        (None, Keep::Ours) => making.vault.discard(cred),
        (None, Keep::Theirs) => {
            let name = name(making.vault, cred);
            let message = format!("{}: of {name} nothing was set aside", making.place.name);
            return Err(Failure::new(Code::Absent, message)
                .hint(making.place.command(&format!("resolve --key {name} --keep ours"))));
        }
    };
    making.fail(done)
}

fn is_lost(vault: &Vault<'_>, cred: &CredId) -> bool {
    vault.lost().any(|(lost, _)| lost == cred)
}

/// What a credential is called, as far as anything to believe says it; else its id.
fn slug<'v>(vault: &'v Vault<'_>, cred: &CredId) -> Option<Cow<'v, Slug>> {
    if let Ok(record) = vault.record(cred) {
        return Some(Cow::Borrowed(&record.name));
    }
    let lost = vault.lost().find(|(lost, _)| *lost == cred).map(|(_, why)| why);
    match lost.or(vault.record(cred).err()) {
        Some(VaultError::Lost { name: Some(slug), .. } | VaultError::Deleted { slug }) => {
            Some(Cow::Owned(slug))
        }
        _ => None,
    }
}

fn name(vault: &Vault<'_>, cred: &CredId) -> String {
    slug(vault, cred).map_or_else(|| cred.to_string(), |slug| slug.to_string())
}

/// The credentials that there is something to decide about, as far as they are meant.
fn meant(vault: &Vault<'_>, place: &Place, args: &VaultResolve) -> Outcome<Vec<CredId>> {
    let mut all: Vec<CredId> = vault.quarantined().iter().map(|aside| aside.cred).collect();
    all.extend(vault.lost().map(|(cred, _)| *cred));
    all.sort();
    all.dedup();
    let is_meant = |cred: &CredId| match &args.key {
        None => true,
        Some(Decided::Id(id)) => id == cred,
        Some(Decided::Key(key)) => slug(vault, cred).is_some_and(|slug| match key {
            KeyArg::Name(name) => slug.key == *name,
            KeyArg::Slug(meant) => *slug == *meant,
        }),
    };
    all.retain(is_meant);
    if all.is_empty() && args.keep.is_some() {
        let message = format!("{}: there is nothing to decide", place.name);
        return Err(Failure::new(Code::Absent, message));
    }
    Ok(all)
}

#[derive(Serialize)]
struct Row {
    credential: String,
    what: String,
    why: String,
}

fn list(looking: &Look<'_, '_>, args: &VaultResolve, ui: &Ui) -> Outcome {
    let vault = looking.vault;
    let meant = meant(vault, looking.place, args)?;
    let aside = vault.quarantined().iter().map(|aside| {
        (
            aside.cred,
            Row {
                credential: name(vault, &aside.cred),
                what: aside.name.clone(),
                why: aside.why.to_string(),
            },
        )
    });
    let lost = vault.lost().map(|(cred, why)| {
        let (credential, why) = (name(vault, cred), why.to_string());
        (*cred, Row { credential, what: "lost".to_owned(), why })
    });
    let rows: Vec<Row> =
        aside.chain(lost).filter(|(cred, _)| meant.contains(cred)).map(|(_, row)| row).collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "vault": looking.place.name, "open": rows }));
    }
    if rows.is_empty() {
        ui.say(format!("{}: there is nothing to decide", looking.place.name));
        return Ok(());
    }
    let (lost, aside): (Vec<&CredId>, Vec<&CredId>) =
        meant.iter().partition(|cred| is_lost(vault, cred));
    if !lost.is_empty() && is_clone(looking.place) {
        ui.hint(looking.place.command("sync"));
    }
    for cred in aside.iter().chain(lost.first().filter(|_| lost.len() == 1)) {
        let key = name(vault, cred);
        ui.hint(looking.place.command(&format!("resolve --key {key} --keep ours")));
    }
    // New keys leave behind all that is lost, or nothing.
    if lost.len() > 1 {
        ui.hint(looking.place.command("resolve --keep ours"));
    }
    let cells: Vec<[String; 3]> =
        rows.into_iter().map(|row| [row.credential, row.what, row.why]).collect();
    ui.table(["KEY", "WHAT", "WHY"], &cells)
}
