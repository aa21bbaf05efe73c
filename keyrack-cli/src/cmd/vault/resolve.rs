//! `keyrack vault resolve`: decides about records that were set aside, and gives up what is
//! lost.

use jiff::Timestamp;
use keyrack_manifest::{CredId, Digest};
use serde::Serialize;

use crate::args::{Keep, KeyArg, VaultResolve};
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::acts;
use crate::team::change::{Change, Look, change, done, look};

/// Runs `keyrack vault resolve`.
pub fn run(args: &VaultResolve, settings: &Settings, ui: &Ui) -> Outcome {
    let which = args.which.vault.as_deref();
    let Some(keep) = args.keep else {
        return look(which, settings, ui, |looking| list(looking, ui));
    };
    let settled = change(which, settings, ui, |making| {
        let mut settled = 0;
        for cred in meant(making, args)? {
            if settings.dry_run {
                settled += 1;
                continue;
            }
            let now = Timestamp::now();
            let done = match chosen(making, &cred, keep) {
                Some(digest) => making.vault.resolve(&cred, &digest, now),
                None => making.vault.give_up(&cred, now),
            };
            making.fail(done)?;
            making.note(keyrack_vault::audit::Act { cred: Some(cred), ..acts::act("resolve") });
            settled += 1;
        }
        Ok((settled, making.place.clone()))
    })?;
    let (count, place) = settled;
    let object = serde_json::json!({ "vault": place.name, "resolved": count });
    done(format!("{}: {count} settled", place.name), object, &place, settings, ui)
}

/// The credentials that there is something to decide about, as far as they are meant.
fn meant(making: &Change<'_, '_>, args: &VaultResolve) -> Outcome<Vec<CredId>> {
    let vault = &making.vault;
    let mut all: Vec<CredId> = vault.quarantined().iter().map(|aside| aside.cred).collect();
    all.extend(vault.lost().map(|(cred, _)| *cred));
    all.sort();
    all.dedup();
    let is_meant = |cred: &CredId| match &args.key {
        None => true,
        Some(key) => vault.record(cred).is_ok_and(|record| match key {
            KeyArg::Name(name) => record.name.key == *name,
            KeyArg::Slug(slug) => record.name == *slug,
        }),
    };
    all.retain(is_meant);
    if all.is_empty() {
        let message = format!("{}: there is nothing to decide", making.place.name);
        return Err(Failure::new(Code::Absent, message));
    }
    Ok(all)
}

/// Which file of a credential is to hold.
fn chosen(making: &Change<'_, '_>, cred: &CredId, keep: Keep) -> Option<Digest> {
    let theirs = || {
        let aside = making.vault.quarantined().iter().find(|aside| aside.cred == *cred);
        aside.and_then(|aside| aside.digest)
    };
    match keep {
        Keep::Ours => making.vault.file_digest(cred),
        Keep::Theirs => theirs(),
    }
}

#[derive(Serialize)]
struct Row {
    credential: String,
    what: String,
    why: String,
}

fn list(looking: &Look<'_, '_>, ui: &Ui) -> Outcome {
    let vault = looking.vault;
    let name = |cred: &CredId| {
        vault.record(cred).map_or_else(|_| cred.to_string(), |record| record.name.to_string())
    };
    let aside = vault.quarantined().iter().map(|aside| Row {
        credential: name(&aside.cred),
        what: aside.name.clone(),
        why: aside.why.to_string(),
    });
    let lost = vault.lost().map(|(cred, why)| Row {
        credential: name(cred),
        what: "lost".to_owned(),
        why: why.to_string(),
    });
    let rows: Vec<Row> = aside.chain(lost).collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "vault": looking.place.name, "open": rows }));
    }
    if rows.is_empty() {
        ui.say(format!("{}: there is nothing to decide", looking.place.name));
        return Ok(());
    }
    ui.hint(looking.place.command("resolve --keep ours"));
    let cells: Vec<[String; 3]> =
        rows.into_iter().map(|row| [row.credential, row.what, row.why]).collect();
    ui.table(["KEY", "WHAT", "WHY"], &cells)
}
