//! `keyrack init`: creates manifests. Asked again for the same, it changes nothing; asked
//! for another key, it refuses.

use jiff::Timestamp;
use keyrack_manifest::atomic;

use crate::args::{Init, ViaArg};
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::{level, users};
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::provision::ready::{self, Ready};
use crate::provision::roster::{self, Member};
use crate::provision::{self, Became, Given, Provision, Row};
use crate::settings::Settings;
use crate::team::joining;

/// Runs `keyrack init`.
pub fn run(args: &Init, settings: &Settings, ui: &Ui) -> Outcome {
    let members = match &args.from {
        Some(_) if settings.owners_are_named() => {
            return Err(Failure::new(
                Code::Usage,
                "--for cannot be used with --from, whose file names the owners",
            ));
        }
        Some(file) => roster::read(file, Timestamp::now())?,
        None => members(args, settings)?,
    };
    users::all_live_here(members.iter().map(|member| &member.owner), settings)?;
    // What is only known by its public half joins nothing yet.
    let is_new = |member: &&Member| {
        member.pubkey.is_none() && !settings.places.manifest(&member.owner).exists()
    };
    for member in members.iter().filter(is_new) {
        joining::may_join_default(&member.owner, &provision::handle(member), settings)?;
    }
    let given = Given::read(&members)?;
    if settings.dry_run {
        return would(&members, &given, settings, ui);
    }
    let provision = Provision { args, given: &given, settings, ui };
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    provision::make_all(&provision, &members, |at, made| {
        ui.progress(at, members.len());
        match made {
            Ok(mut row) => {
                let marked = args.user.is_some().then(|| mark(&mut row, settings));
                say(&row, ui);
                // What fails from here on is said beside what was made.
                let secured = row.on_yubikey.as_ref().map(|made| made.offer_to_secure(ui));
                let joins = row.created && !row.provisional;
                let joined = joins.then(|| joining::join_default(&row.owner, settings, ui));
                let beside =
                    [marked, secured, joined].into_iter().flatten().filter_map(Outcome::err);
                failures.extend(beside.map(|failure| failure.about(&row.owner)));
                done.push(row);
            }
            Err(failure) if args.from.is_some() => {
                failures.push(failure.about(&members[at].owner));
            }
            Err(failure) => failures.push(failure),
        }
    });
    if ui.json {
        ui.object(&serde_json::json!({ "owners": done }))?;
    }
    if args.from.is_some() {
        sum_up(&done, members.len() - done.len(), ui);
    }
    let all = done.len() + failures.len();
    Failure::of_batch(failures, all, ui)
}

/// Notes that the owner lives alone as this user, which by now is the one that was named.
fn mark(row: &mut Row, settings: &Settings) -> Outcome {
    let mark = settings.places.own_user();
    atomic::replace(&mark, b"").context(|| mark.display().to_string())?;
    row.level = level::of(settings, &row.owner);
    Ok(())
}

/// Says which manifests would be made, as far as that can be told.
fn would(members: &[Member], given: &Given, settings: &Settings, ui: &Ui) -> Outcome {
    let mut words = Vec::with_capacity(members.len());
    let mut rows = Vec::with_capacity(members.len());
    for member in members {
        let owner = &member.owner;
        let looked_at = Ready::read(member, given).and_then(|_| ready::check_keys(member));
        looked_at.map_err(|failure| failure.about(owner))?;
        let path = settings.places.manifest(owner);
        let created = !path.exists();
        let what = if created { "would be created" } else { "is there already" };
        words.push(format!("{owner}: {} {what}", path.display()));
        rows.push(serde_json::json!({ "owner": owner, "created": created, "path": path }));
    }
    ui.would(words.join("\n"), serde_json::json!({ "owners": rows }))
}

/// The owners named by flags; each its own, so that no key is used twice by accident.
fn members(args: &Init, settings: &Settings) -> Outcome<Vec<Member>> {
    let owners = settings.owners();
    if args.yubikey.is_said() && (args.via != Some(ViaArg::Yubikey) || args.pubkey.is_some()) {
        return Err(Failure::new(
            Code::Usage,
            "--serial, --slot, --pin-policy and --touch-policy go with --via yubikey, without --pubkey",
        ));
    }
    if owners.len() > 1 && (args.pubkey.is_some() || args.handle.is_some()) {
        return Err(Failure::new(
            Code::Usage,
            "--pubkey and --handle are for one --for; several owners need keys of their own",
        )
        .hint("keyrack init --from agents.yml"));
    }
    Ok(owners
        .iter()
        .map(|owner| Member {
            owner: owner.clone(),
            via: args.via.clone(),
            pubkey: args.pubkey.clone(),
            backup: args.backup.clone(),
            handle: args.handle.clone(),
            kept_by: args.kept_by.clone(),
            provisioner: args.provisioner,
            self_proof: args.self_proof,
            keys: Vec::new(),
            drops: Vec::new(),
            vaults: Vec::new(),
        })
        .collect())
}

/// Says what became of one owner.
fn say(row: &Row, ui: &Ui) {
    let (owner, path) = (&row.owner, row.path.display());
    match row.generated.as_slice() {
        [] => {}
        [file] => ui.say(format!("{owner}: generated {}", file.display())),
        [ssh, ..] => ui.say(format!("{owner}: generated {}, a key of its own", ssh.display())),
    }
    match row.created {
        true => ui.say(format!("{owner}: {path} is sealed to {}", row.fingerprint)),
        false => ui.say(format!("{owner}: {path} is there already, sealed to the same key")),
    }
    if row.provisional {
        ui.say(format!(
            "{owner}: provisional until its owner unlocks it; until then it takes drops"
        ));
    } else if row.level.because.is_some() {
        ui.say(format!("{owner}: {}", row.level));
    }
    let count = |status| row.keys.iter().filter(|key| key.status == status).count();
    let counts = [
        (count(Became::Set), "set"),
        (count(Became::Pending), "left as drops, until its next unlock"),
        (count(Became::Unchanged), "unchanged"),
    ];
    let words = counts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = words.map(|(count, what)| format!("{count} {what}")).collect();
    if !words.is_empty() {
        ui.say(format!("{owner}: {}", words.join(", ")));
    }
}

/// One line on all that a roster came to.
fn sum_up(done: &[Row], failed: usize, ui: &Ui) {
    let created = done.iter().filter(|row| row.created).count();
    let counts =
        [(created, "created"), (done.len() - created, "there already"), (failed, "failed")];
    let words = counts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> = words.map(|(count, what)| format!("{count} {what}")).collect();
    let all = counted(done.len() + failed, "owner");
    let parts = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    ui.say(format!("{all}{parts}"));
}
