//! Which key is to open a new manifest: the one named, the owner's own, or a new one.

use std::path::Path;

use keyrack_manifest::{IdentityError, Recipient, Via, generate};
use keyrack_names::Owner;

use crate::args::{ViaArg, YubikeyFlags};
use crate::error::{Code, Failure, Outcome};
use crate::owner::keeper;
use crate::owner::keysource::{self, Key};
use crate::person::ui::Ui;
use crate::provision::roster::Member;
use crate::settings::Settings;
use crate::words;
use crate::yubikey::make::{self, Made};

/// The key that is to open `member`'s manifest; and what is known of it, where it is on a
/// YubiKey that is plugged in. Generates one where that is the rule.
///
/// # Errors
/// [`Code::NoIdentity`] when there is none that can be a recipient.
pub fn choose(
    member: &Member,
    flags: &YubikeyFlags,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<(Key, Option<Made>)> {
    if member.via == Some(ViaArg::Yubikey) && member.pubkey.is_none() {
        let made = make::choose(&member.owner, flags, settings, ui)?;
        return Ok((Key::found(made.recipient.clone(), None), Some(made)));
    }
    in_file(member, settings, ui).map(|key| (key, None))
}

fn in_file(member: &Member, settings: &Settings, ui: &Ui) -> Outcome<Key> {
    if let Some(text) = &member.pubkey {
        return named(text, member.via.as_ref());
    }
    let owner = &member.owner;
    if let Some(keeper) = &member.kept_by {
        return keeper::key(settings, ui, owner, keeper);
    }
    match &member.via {
        Some(ViaArg::Age) => age_key(owner, settings),
        Some(ViaArg::Plugin(name)) => Err(Failure::new(
            Code::NoIdentity,
            format!("what the plugin {name} holds is named by --pubkey: its identity file, or age1{name}1…"),
        )
        .hint(format!("keyrack init --for {owner} --via plugin:{name} --pubkey FILE"))),
        Some(ViaArg::Yubikey | ViaArg::Ssh) | None => ssh_key(owner, settings),
    }
}

/// The key that `text` names, as after `--pubkey`.
///
/// # Errors
/// [`Code::NoIdentity`] when it is none; [`Code::Usage`] when it is of another kind than `via`.
pub fn named(text: &str, via: Option<&ViaArg>) -> Outcome<Key> {
    let key = keysource::read(text)?;
    let is = key.recipient.via();
    let agrees = match via {
        None => true,
        Some(ViaArg::Ssh) => is == Via::Ssh,
        Some(ViaArg::Age) => is == Via::Age,
        Some(ViaArg::Yubikey) => is == Via::Yubikey,
        Some(ViaArg::Plugin(name)) => key.recipient.plugin() == Some(name),
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

fn ssh_key(owner: &Owner, settings: &Settings) -> Outcome<Key> {
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
            if let Ok(about) = file.metadata() {
                // A pipe would hold the reader for ever.
                if !about.is_file() {
                    let what = format!("{} is no file", file.display());
                    return Err(Failure::new(Code::NoIdentity, what));
                }
                let key = keysource::from_file(file)?;
                return Ok(Key { private: Some(private.clone()).filter(|p| p.exists()), ..key });
            }
        }
    }
    if owner.is_human() {
        return Err(no_default_key(dir));
    }
    let recipient = match generate::ssh_ed25519(&own, owner.as_str()) {
        // Another init was faster: its key is the owner's.
        Err(IdentityError::Exists { path }) => return keysource::from_file(&path),
        made => made.map_err(|e| words::identity(e, owner))?,
    };
    Ok(Key { recipient, made: vec![own.clone(), own.with_extension("pub")], private: Some(own) })
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

fn age_key(owner: &Owner, settings: &Settings) -> Outcome<Key> {
    let file = settings.places.age_key(owner);
    if file.exists() {
        return keysource::from_file(&file);
    }
    let recipient: Recipient = generate::age_file(&file).map_err(|e| words::identity(e, owner))?;
    Ok(Key { recipient, made: vec![file.clone()], private: Some(file) })
}
