//! `keyrack init`: creates manifests. Asked again for the same, it changes nothing; asked
//! for another key, it refuses.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_manifest::{Created, IdentityFile, NewOwner, Recipient, generate};
use keyrack_names::Owner;
use serde::Serialize;

use crate::args::{Init, ViaArg};
use crate::error::{Code, Failure, Outcome};
use crate::keysource::{self, Key};
use crate::roster::{self, Member};
use crate::settings::{Settings, login_name};
use crate::ui::Ui;
use crate::{keeper, level, opened, provisional, provisioner, words};

/// Runs `keyrack init`.
pub fn run(args: &Init, settings: &Settings, ui: &Ui) -> Outcome {
    let members = match &args.from {
        Some(file) => roster::read(file)?,
        None => members(args, settings)?,
    };
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

/// The owners named by flags; each its own, so that no key is used twice by accident.
fn members(args: &Init, settings: &Settings) -> Outcome<Vec<Member>> {
    let owners = settings.owners();
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
            via: args.via,
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
    if settings.dry_run {
        let words = if path.exists() { "is there already" } else { "would be created" };
        ui.say(format!("{owner}: {} {words}", path.display()));
    }
    let key = key(member, settings, ui)?;
    let created =
        if settings.dry_run { Created::Same } else { create(member, args, &key, settings)? };
    let (created, provisional) = (created == Created::New, opened::is_provisional(settings, owner));
    let level = level::of(settings, owner);
    if created {
        ui.say(format!("{owner}: {} is sealed to {}", path.display(), key.recipient.fingerprint()));
    } else if !settings.dry_run {
        ui.say(format!("{owner}: {} is there already, sealed to the same key", path.display()));
    }
    if provisional {
        ui.say(format!(
            "{owner}: provisional until its owner unlocks it; until then it takes drops"
        ));
    } else if level.because.is_some() {
        ui.say(format!("{owner}: {level}"));
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

fn create(member: &Member, args: &Init, key: &Key, settings: &Settings) -> Outcome<Created> {
    let owner = &member.owner;
    let now = Timestamp::now();
    let backups = member
        .backup
        .iter()
        .map(|text| Ok(keysource::read(text)?.recipient))
        .collect::<Outcome<Vec<_>>>()?;
    let file = private(key, owner, settings);
    let silent = opened::prompter_for_nobody();
    let identity = match &member.kept_by {
        Some(_) => None,
        None => file
            .as_ref()
            .filter(|file| !file.needs_person())
            .and_then(|file| file.unlock(&silent).ok()),
    };
    let provisional = file.is_none() && member.kept_by.is_none();
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
        kept_by: member.kept_by.clone(),
        now,
    };
    opened::store(settings)
        .create(&new, |manifest| {
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

/// The key that is to open the manifest: the one named, the owner's own, or a new one.
fn key(member: &Member, settings: &Settings, ui: &Ui) -> Outcome<Key> {
    if let Some(text) = &member.pubkey {
        return keysource::read(text).and_then(|key| fits(key, member.via));
    }
    let owner = &member.owner;
    if let Some(keeper) = &member.kept_by {
        return keeper::key(settings, ui, owner, keeper);
    }
    match member.via {
        Some(ViaArg::Age) => age_key(owner, settings, ui),
        Some(ViaArg::Yubikey) => Err(Failure::new(
            Code::NoIdentity,
            "a YubiKey is named by its recipient: --pubkey age1yubikey1…",
        )
        .hint(format!("keyrack init --for {owner} --via yubikey --pubkey age1yubikey1…"))),
        Some(ViaArg::Ssh) | None => ssh_key(owner, settings, ui),
    }
}

fn fits(key: Key, via: Option<ViaArg>) -> Outcome<Key> {
    use keyrack_manifest::Via;
    let is = key.recipient.via();
    let agrees = match via {
        None => true,
        Some(ViaArg::Ssh) => is == Via::Ssh,
        Some(ViaArg::Age) => is == Via::Age,
        Some(ViaArg::Yubikey) => is == Via::Yubikey,
    };
    if agrees {
        Ok(key)
    } else {
        Err(Failure::new(
            Code::Usage,
            format!("--pubkey is a key for --via {is}, and --via says another"),
        ))
    }
}

fn ssh_key(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome<Key> {
    let Some(dir) = &settings.search.ssh_dir else {
        return Err(Failure::new(Code::NoIdentity, "cannot tell where ~/.ssh is: HOME is not set"));
    };
    let own = dir.join(format!("id_ed25519_{owner}"));
    let mut places = vec![own.clone()];
    if owner.is_human() {
        places.extend([dir.join("id_ed25519"), dir.join("id_rsa")]);
    }
    for private in &places {
        let public = private.with_extension("pub");
        for file in [&public, private] {
            if file.exists() {
                let key = keysource::from_file(file)?;
                return Ok(Key { private: Some(private.clone()).filter(|p| p.exists()), ..key });
            }
        }
    }
    if owner.is_human() {
        return Err(no_default_key(dir));
    }
    let recipient = if settings.dry_run {
        return Err(Failure::new(
            Code::NoIdentity,
            format!("{} would be generated", own.display()),
        ));
    } else {
        generate::ssh_ed25519(&own, owner.as_str()).map_err(|e| words::identity(e, owner))?
    };
    ui.say(format!("{owner}: generated {}, a key of its own", own.display()));
    Ok(Key { recipient, private: Some(own) })
}

/// `human` has no SSH key that can be a recipient: say which others were seen.
fn no_default_key(dir: &Path) -> Failure {
    let unusable: Vec<&str> = ["id_ecdsa", "id_ecdsa_sk", "id_ed25519_sk", "id_dsa"]
        .into_iter()
        .filter(|name| dir.join(name).exists())
        .collect();
    let seen = match unusable.as_slice() {
        [] => String::new(),
        names => format!("; {} cannot be an age recipient", names.join(" and ")),
    };
    Failure::new(Code::NoIdentity, format!("there is no SSH key in {}{seen}", dir.display()))
        .hint(format!("ssh-keygen -t ed25519 -f {}", dir.join("id_ed25519").display()))
        .hint("keyrack init --for human --via age")
}

fn age_key(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome<Key> {
    let file = settings.places.age_key(owner);
    if file.exists() {
        return keysource::from_file(&file);
    }
    let recipient: Recipient = generate::age_file(&file).map_err(|e| words::identity(e, owner))?;
    ui.say(format!("{owner}: generated {}", file.display()));
    Ok(Key { recipient, private: Some(file) })
}
