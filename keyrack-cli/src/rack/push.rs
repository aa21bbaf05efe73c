//! Handing values to the owner's daemon.

use std::time::Duration;

use keyrack_manifest::Entry;
use keyrack_names::{Owner, Secret, Slug};
use keyrack_protocol::client::Session;
use keyrack_protocol::message::{
    Forget, Grant, Process, Push, Refusal, Registration, Reply, Request,
};

use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::rack::{access, daemon};
use crate::settings::Settings;
use crate::team::offered;

/// A push ends here, so that its base64 stays below what one message may hold.
const BATCH: usize = 2 * 1024 * 1024;

/// What an unlock tells the daemon, in as many pushes as it takes.
#[derive(Debug)]
pub struct Unlocked {
    /// The generation read when the unlock began.
    pub generation: Option<u64>,
    /// The values.
    pub grants: Vec<Grant>,
    /// Every slug the owner has.
    pub known: Vec<Slug>,
    /// Whom to let read.
    pub capability: Option<Registration>,
    /// The process that the daemon must end with to be given any of it.
    pub ends_with: Option<Process>,
}

/// Pushes all of it.
///
/// # Errors
/// [`Code::Locked`] when a relock came in between; [`Code::Conflict`] when the daemon does
/// not end with the process that it is to end with.
pub fn unlocked(session: &mut Session, owner: &Owner, unlocked: Unlocked) -> Outcome {
    if let Some(process) = unlocked.ends_with.as_ref().filter(|_| session.version() < 2) {
        return Err(unbound(owner, process));
    }
    let mut known = Some(unlocked.known);
    let mut grants = unlocked.grants.into_iter().peekable();
    loop {
        let mut batch = Vec::new();
        let mut size = 0;
        while let Some(next) = grants.next_if(|next| size == 0 || size + next.value.len() < BATCH) {
            size += next.value.len() + 256;
            batch.push(next);
        }
        let push = Push {
            generation: unlocked.generation,
            grants: batch,
            replace: false,
            known: known.take(),
            capability: unlocked.capability.clone(),
            ends_with: unlocked.ends_with.clone(),
        };
        call(session, owner, push)?;
        if grants.peek().is_none() {
            return Ok(());
        }
    }
}

/// Replaces a value that the daemon holds, as whoever opened the manifest, and tells it
/// what names there are now. It is of the entry's vault from then on, and goes with it. Best
/// effort: what the daemon does not take it unlocks next time.
pub fn replace(opened: &mut Opened, entry: &Entry, value: &Secret, settings: &Settings, ui: &Ui) {
    let rack = opened.rack();
    let Ok(mut session) = rack.attach(settings) else { return };
    let known = offered::known(opened, settings);
    let grant = Grant {
        vault: entry.vault.to_string(),
        class: entry.class.to_string(),
        ..same(&entry.slug, value)
    };
    let push = Push { replace: true, known: Some(known), grants: vec![grant], ..Push::default() };
    if let Err(failure) = call(&mut session, &opened.owner, push) {
        ui.warn(&failure.message);
    }
}

/// Tells the daemon what names there are now. Best effort, as [`replace`].
pub fn known(opened: &mut Opened, settings: &Settings) {
    let Ok(mut session) = opened.rack().attach(settings) else { return };
    let known = offered::known(opened, settings);
    let push = Push { replace: true, known: Some(known), ..Push::default() };
    let _ = session.call(&Request::Push(push));
}

/// Has the daemon forget a credential that is no more. Best effort, as [`replace`].
pub fn forget(opened: &mut Opened, slug: &Slug, settings: &Settings) {
    let Ok(mut session) = opened.rack().attach(settings) else { return };
    let forget = Forget { slugs: vec![slug.clone()], ..Forget::default() };
    let _ = session.call(&Request::Forget(forget));
    let known = offered::known(opened, settings);
    let push = Push { replace: true, known: Some(known), ..Push::default() };
    let _ = session.call(&Request::Push(push));
}

/// As [`replace`], by this tree's capability. Returns whether the daemon took it.
pub fn replace_by_capability(
    settings: &Settings,
    owner: &Owner,
    slug: &Slug,
    value: &Secret,
) -> bool {
    let Some(mut session) = access::by_own_capability(settings, owner) else { return false };
    let push = Push { replace: true, grants: vec![same(slug, value)], ..Push::default() };
    matches!(session.call(&Request::Push(push)), Ok(Reply::Done { count: 1.. }))
}

/// A grant that replaces: only name and value count.
fn same(slug: &Slug, value: &Secret) -> Grant {
    Grant {
        slug: slug.clone(),
        value: value.clone(),
        ttl_ms: 0,
        self_proof: false,
        vault: String::new(),
        class: String::new(),
    }
}

fn call(session: &mut Session, owner: &Owner, push: Push) -> Outcome {
    let ends_with = push.ends_with.clone();
    match session.call(&Request::Push(push)).map_err(|e| daemon::failure(&e, owner))? {
        Reply::Done { .. } => Ok(()),
        Reply::Refused { code: Refusal::Relocked, .. } => Err(relocked(owner)),
        Reply::Refused { code: Refusal::Unbound, message } => Err(match ends_with {
            Some(process) => unbound(owner, &process),
            None => Failure::new(Code::Unreachable, format!("{owner}: {message}")),
        }),
        Reply::Refused { message, .. } => {
            Err(Failure::new(Code::Unreachable, format!("{owner}: {message}")))
        }
        _ => Err(Failure::new(
            Code::Unreachable,
            format!("{owner}'s daemon answered something else"),
        )),
    }
}

/// A relock came between an unlock's beginning and its end.
pub fn relocked(owner: &Owner) -> Failure {
    Failure::new(
        Code::Locked,
        format!("{owner} was locked while it was being unlocked; nothing was granted"),
    )
    .hint(format!("keyrack unlock --for {owner}"))
}

/// A daemon runs, and would outlive the process that all was to end with.
fn unbound(owner: &Owner, process: &Process) -> Failure {
    Failure::new(
        Code::Conflict,
        format!("{owner}'s daemon runs already, and does not end with {process}"),
    )
    .hint(format!("keyrack relock --for {owner}"))
}

/// Milliseconds for the wire.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
