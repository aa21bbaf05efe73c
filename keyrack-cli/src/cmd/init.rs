//! `keyrack init`: creates manifests. Asked again for the same, it changes nothing; asked
//! for another key, it refuses.

use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_manifest::{Created, IdentityFile, NewOwner, OnOff, atomic};
use keyrack_names::Owner;
use serde::Serialize;

use crate::args::{Init, ViaArg};
use crate::error::{Code, Context, Failure, Outcome};
use crate::keysource::{self, Key};
use crate::roster::{self, Member};
use crate::settings::{Settings, login_name};
use crate::ui::Ui;
use crate::yubikey::make::Made;
use crate::yubikey::record;
use crate::{keeper, level, opened, ownkey, provisional, provisioner, unlocking, words};

/// Runs `keyrack init`.
pub fn run(args: &Init, settings: &Settings, ui: &Ui) -> Outcome {
    let members = match &args.from {
        Some(file) => roster::read(file)?,
        None => members(args, settings)?,
    };
    if args.user.is_some() && !settings.dry_run {
        // This is that user by now, and lives alone here.
        let mark = settings.places.own_user();
        atomic::replace(&mark, b"").context(|| mark.display().to_string())?;
    }
    if settings.dry_run {
        return would(&members, settings, ui);
    }
    let mut done = Vec::new();
    let mut failures = Vec::new();
    for member in &members {
        match one(member, args, settings, ui) {
            Ok(row) => done.push(row),
            Err(failure) => failures.push(failure),
        }
    }
    if ui.json {
        ui.object(&serde_json::json!({ "owners": done }))?;
    }
    let codes = done.iter().map(|_| Code::Ok).chain(failures.iter().map(|failure| failure.code));
    let code = Code::of_batch(codes);
    let Some((last, others)) = failures.split_last() else { return Ok(()) };
    others.iter().for_each(|failure| ui.fail(failure));
    Err(Failure { code, ..last.clone() })
}

/// Says which manifests would be made.
fn would(members: &[Member], settings: &Settings, ui: &Ui) -> Outcome {
    let mut words = Vec::with_capacity(members.len());
    let mut rows = Vec::with_capacity(members.len());
    for Member { owner, .. } in members {
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
        })
        .collect())
}

/// What became of one owner.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    owner: Owner,
    created: bool,
    path: PathBuf,
    recipient: String,
    provisional: bool,
    level: level::Level,
}

fn one(member: &Member, args: &Init, settings: &Settings, ui: &Ui) -> Outcome<Row> {
    let owner = &member.owner;
    let path = settings.places.manifest(owner);
    let (key, made) = ownkey::choose(member, &args.yubikey, settings, ui)?;
    let created = create(member, args, &key, made.as_ref(), settings)? == Created::New;
    if let Some(attestation) = made.as_ref().and_then(|made| made.attestation.as_ref()) {
        record::attestation(attestation, &handle(member), settings)?;
    }
    if let Some(keeper) = member.kept_by.as_ref().filter(|_| !created) {
        remember_keeper(owner, keeper, settings, ui)?;
    }
    if let Some(self_proof) = args.self_proof.filter(|_| !created) {
        turn_self_proof(self_proof, owner, settings, ui)?;
    }
    let provisional = opened::is_provisional(settings, owner);
    let level = level::of(settings, owner);
    if created {
        ui.say(format!("{owner}: {} is sealed to {}", path.display(), key.recipient.fingerprint()));
    } else {
        ui.say(format!("{owner}: {} is there already, sealed to the same key", path.display()));
    }
    if provisional {
        ui.say(format!(
            "{owner}: provisional until its owner unlocks it; until then it takes drops"
        ));
    } else if level.because.is_some() {
        ui.say(format!("{owner}: {level}"));
    }
    if let Some(made) = made.filter(|_| created) {
        made.offer_to_secure(ui)?;
    }
    Ok(Row {
        owner: owner.clone(),
        created,
        path,
        recipient: key.recipient.as_str().to_owned(),
        provisional,
        level,
    })
}

/// A device that lost its state no longer knows whose vault keeps the identity.
fn remember_keeper(owner: &Owner, keeper: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    if opened::pin(settings, owner)?.is_some_and(|pin| pin.kept_by.is_some()) {
        return Ok(());
    }
    let identity = keeper::identity(settings, ui, owner, keeper)?;
    opened::store(settings)
        .remember_keeper(owner, &identity, keeper)
        .map_err(|e| words::store(e, owner))
}

/// The one thing that asking again may change, since it was asked for.
fn turn_self_proof(to: OnOff, owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    let mut opened = opened::open(settings, ui, owner)?;
    if opened.manifest.self_proof == to {
        return Ok(());
    }
    opened.update(settings, |manifest| {
        manifest.self_proof = to;
        Ok(())
    })?;
    ui.say(format!("{owner}: self-proof is changed, from the next start of its daemon on"));
    Ok(())
}

fn create(
    member: &Member,
    args: &Init,
    key: &Key,
    made: Option<&Made>,
    settings: &Settings,
) -> Outcome<Created> {
    let owner = &member.owner;
    let now = Timestamp::now();
    let backups = member
        .backup
        .iter()
        .map(|text| Ok(keysource::read(text)?.recipient))
        .collect::<Outcome<Vec<_>>>()?;
    let file = private(key, owner, settings);
    let silent = unlocking::no_means();
    let identity = match &member.kept_by {
        Some(_) => None,
        None => file
            .as_ref()
            .filter(|file| !file.needs_person())
            .and_then(|file| file.unlock(&silent).ok()),
    };
    let provisional = file.is_none() && member.kept_by.is_none() && made.is_none();
    let new = NewOwner {
        owner: owner.clone(),
        handle: handle(member),
        recipient: key.recipient.clone(),
        backups,
        provisional,
        provisioner: (member.provisioner || args.provisioner)
            .then(|| provisioner::pinned(settings))
            .transpose()?,
        identity: identity.as_ref(),
        identity_path: file.as_ref().map(|file| file.path().to_owned()),
        on_yubikey: made.map(|made| made.on),
        kept_by: member.kept_by.clone(),
        now,
    };
    opened::store(settings)
        .create(&new, |manifest| {
            manifest.self_proof = args.self_proof.unwrap_or(OnOff::On);
            if provisional { Ok(()) } else { provisional::found(manifest, settings, now) }
        })
        .map_err(|e| words::update(e, owner))
}

/// `--handle`, else the owner; for `human` the login name, where that can be one.
fn handle(member: &Member) -> Owner {
    let login = || login_name().filter(|_| member.owner.is_human())?.parse().ok();
    member.handle.clone().or_else(login).unwrap_or_else(|| member.owner.clone())
}

/// The private key file that belongs to `key`, if it is at hand.
fn private(key: &Key, owner: &Owner, settings: &Settings) -> Option<IdentityFile> {
    let places = key.private.iter().cloned().chain(settings.search.candidates(
        owner,
        None,
        &settings.places,
    ));
    places
        .filter_map(|path| IdentityFile::read(&path).ok())
        .find(|file| file.publics().iter().any(|public| public.same_key(&key.recipient)))
}
