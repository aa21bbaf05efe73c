//! `keyrack relock`: make the daemon forget, all of it or a part.

use keyrack_names::Owner;
use keyrack_protocol::client::{ClientError, Session};
use keyrack_protocol::message::{Forget, Reply, Request};

use crate::access;
use crate::args::Relock;
use crate::daemon;
use crate::error::{Code, Context, Failure, Outcome};
use crate::settings::Settings;
use crate::ui::Ui;
use crate::{audit_log, opened, pending, sockets, tree, wanted};

/// Runs `keyrack relock`.
pub fn run(args: &Relock, settings: &Settings, ui: &Ui) -> Outcome {
    if args.all {
        let owners =
            settings.places.owners().context(|| settings.places.home.display().to_string())?;
        return owners.iter().try_for_each(|owner| everything(owner, settings, ui));
    }
    let owner = settings.owner()?;
    if args.key.is_empty() && args.env.is_none() && args.vault.is_none() {
        return everything(owner, settings, ui);
    }
    part(args, owner, settings, ui)
}

/// Has everything forgotten and every capability revoked. Needs no key: locking always
/// wins. So the answer is not proven either.
pub fn everything(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    if in_silence(owner, settings)? {
        ui.done(format!("{owner} is locked"), done(owner, true))
    } else {
        ui.done(format!("{owner} was locked already"), done(owner, false))
    }
}

/// As [`everything`], and says nothing. Whether there was a daemon.
///
/// # Errors
/// As [`everything`].
pub fn in_silence(owner: &Owner, settings: &Settings) -> Outcome<bool> {
    pending::call_off(settings, owner);
    let paths = access::bare_sockets(settings, owner);
    let asked = access::lock(settings, owner);
    tree::forget(owner, &settings.home_tag());
    match asked {
        Ok(_) => {
            sockets::sweep(&paths);
            audit_log::remember(settings, owner);
            Ok(true)
        }
        Err(ClientError::NotRunning | ClientError::Foreign { .. }) => Ok(false),
        Err(error) => Err(daemon::failure(&error, owner)),
    }
}

fn done(owner: &Owner, was_unlocked: bool) -> serde_json::Value {
    serde_json::json!({ "owner": owner, "locked": true, "wasUnlocked": was_unlocked })
}

fn part(args: &Relock, owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    let mut forget =
        Forget { slugs: Vec::new(), envs: args.env.iter().cloned().collect(), vaults: Vec::new() };
    forget.vaults.extend(args.vault.clone());
    if !args.key.is_empty() {
        // `--env` says where the keys are, then.
        forget.envs.clear();
        for key in &args.key {
            forget
                .slugs
                .extend(wanted::ask(key, args.env.as_ref(), args.org.as_ref())?.candidates());
        }
    }
    let mut session = session(owner, settings)?;
    match session.call(&Request::Forget(forget)).map_err(|e| daemon::failure(&e, owner))? {
        Reply::Done { count } => {
            let object = serde_json::json!({ "owner": owner, "forgotten": count });
            ui.done(format!("{owner}: {count} forgotten"), object)
        }
        Reply::Refused { message, .. } => {
            Err(Failure::new(Code::Denied, format!("{owner}: {message}"))
                .hint(format!("keyrack relock --for {owner}")))
        }
        _ => Err(Failure::new(
            Code::Unreachable,
            format!("{owner}'s daemon answered something else"),
        )),
    }
}

/// A channel with every right where the manifest opens without a person, else with what
/// this tree's capability gives.
fn session(owner: &Owner, settings: &Settings) -> Outcome<Session> {
    let attached = opened::without_person(settings, owner).map(|rack| rack.attach(settings));
    match attached {
        Some(Ok(session)) => Ok(session),
        Some(Err(ClientError::NotRunning)) => Err(access::locked(settings, owner)),
        _ => access::session(settings, owner),
    }
}
