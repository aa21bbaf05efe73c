//! `keyrack relock`: make the daemon forget, all of it or a part. Whoever has no key to the
//! daemon may lock it, too, and is not told that it was the daemon.

use std::path::PathBuf;

use keyrack_names::Owner;
use keyrack_protocol::client::{self, ClientError, Session};
use keyrack_protocol::message::{BareRequest, Forget, Reply, Request};

use crate::args::Relock;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened;
use crate::person::pending;
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::{access, audit_log, daemon, sleeping, sockets, whereabouts};
use crate::settings::Settings;
use crate::tree;

/// Runs `keyrack relock`.
pub fn run(args: &Relock, settings: &Settings, ui: &Ui) -> Outcome {
    if args.all {
        return all(settings, ui);
    }
    let owner = settings.owner()?;
    if args.key.is_empty() && args.env.is_none() && args.vault.is_none() {
        return everything(owner, settings, ui);
    }
    part(args, owner, settings, ui)
}

/// Every owner of this home. One that cannot be locked does not keep the others open.
fn all(settings: &Settings, ui: &Ui) -> Outcome {
    let owners = settings.places.owners().context(|| settings.places.home.display().to_string())?;
    let mut rows = Vec::with_capacity(owners.len());
    let mut codes = Vec::with_capacity(owners.len());
    let mut last = None;
    for owner in &owners {
        match one(owner, settings) {
            Ok(locked) => {
                ui.say(locked.words(owner));
                rows.push(locked.row(owner));
                codes.push(Code::Ok);
            }
            Err(failure) => {
                codes.push(failure.code);
                last.replace(failure).iter().for_each(|failure| ui.fail(failure));
            }
        }
    }
    if ui.json {
        let mut object = serde_json::json!({ "owners": rows });
        if settings.dry_run {
            object["dryRun"] = true.into();
        }
        ui.object(&object)?;
    }
    match last {
        None => Ok(()),
        Some(failure) => Err(Failure { code: Code::of_batch(codes), ..failure }),
    }
}

/// Has everything forgotten and every capability revoked. Needs no key: locking always
/// wins.
///
/// # Errors
/// When something listens that does not answer rightly.
pub fn everything(owner: &Owner, settings: &Settings, ui: &Ui) -> Outcome {
    let locked = one(owner, settings)?;
    // A slip in the name would leave the one that was meant open.
    if locked == Locked::Already && is_nobody(owner, settings)? {
        return Err(opened::missing(settings, owner));
    }
    match locked {
        Locked::Would => ui.would(locked.words(owner), locked.row(owner)),
        _ => ui.done(locked.words(owner), locked.row(owner)),
    }
}

/// Whether nothing here was ever this owner's.
fn is_nobody(owner: &Owner, settings: &Settings) -> Outcome<bool> {
    let manifest = settings.places.manifest(owner);
    let is_there = manifest.try_exists().context(|| manifest.display().to_string())?;
    Ok(!is_there && opened::pin(settings, owner)?.is_none())
}

/// What became of an owner's daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// There was none.
    Already,
    /// It proved to be the owner's, and is gone.
    Now,
    /// Something said that it was, and had no key to prove itself to.
    Asked,
    /// It did not answer, and was ended.
    Ended,
    /// It would be locked; nothing was done.
    Would,
}

impl Locked {
    /// For a person.
    pub fn words(self, owner: &Owner) -> String {
        match self {
            Self::Already => format!("{owner} was locked already"),
            Self::Now => format!("{owner} is locked"),
            Self::Asked => format!(
                "{owner}: its daemon was asked to lock, which is not verified: no key to it is at hand"
            ),
            Self::Ended => format!("{owner}: its daemon did not answer, and was ended"),
            Self::Would => format!("{owner} would be locked"),
        }
    }

    fn row(self, owner: &Owner) -> serde_json::Value {
        let (was, verified) = (self != Self::Already, self == Self::Now);
        serde_json::json!({ "owner": owner, "locked": true, "wasUnlocked": was, "verified": verified })
    }
}

fn one(owner: &Owner, settings: &Settings) -> Outcome<Locked> {
    match settings.dry_run {
        false => in_silence(owner, settings),
        true if access::bare_status(settings, owner).is_ok() => Ok(Locked::Would),
        true => Ok(Locked::Already),
    }
}

/// As [`everything`], and says nothing.
///
/// # Errors
/// As [`everything`].
pub fn in_silence(owner: &Owner, settings: &Settings) -> Outcome<Locked> {
    pending::call_off(settings, owner);
    let paths = access::bare_sockets(settings, owner);
    let asked = ask(owner, &paths, settings);
    tree::forget(owner, &settings.home_tag());
    sleeping::forget(settings, owner);
    match asked {
        Ok(locked) => {
            sockets::sweep(&paths);
            audit_log::remember(settings, owner);
            whereabouts::forget(settings, owner);
            Ok(locked)
        }
        Err(ClientError::NotRunning | ClientError::Foreign { .. }) => {
            match whereabouts::out_of_sight(settings, owner) {
                Some(failure) => Err(failure),
                None => Ok(Locked::Already),
            }
        }
        Err(error) => Err(daemon::failure(&error, owner)),
    }
}

/// Has the daemon lock itself. One that was stopped, or is kept busy, would go on with all
/// that it holds: it is ended.
fn ask(owner: &Owner, paths: &[PathBuf], settings: &Settings) -> Result<Locked, ClientError> {
    let silent = matches!(
        access::bare_status(settings, owner),
        Err(ClientError::Silent { .. } | ClientError::Broken { .. } | ClientError::Refused { .. })
    );
    if silent && sockets::end_silent(paths) {
        return Ok(Locked::Ended);
    }
    let proven = access::proven(settings, owner);
    let proven = proven.map(|path| client::bare(&path, BareRequest::Lock).map(drop));
    // And whatever else says that it is.
    let asked = access::lock(settings, owner);
    match proven {
        Some(locked) => locked.map(|()| Locked::Now),
        None => asked.map(|()| Locked::Asked),
    }
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
    if settings.dry_run {
        let object = serde_json::json!({ "owner": owner, "slugs": forget.slugs, "envs": forget.envs, "vaults": forget.vaults });
        return ui.would(format!("{owner}: what is held of these would be forgotten"), object);
    }
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
