//! `keyrack daemon restart`: a new daemon in the place of the one that runs, with the same
//! credentials for the time they had left. What cannot be carried over is said first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keyrack_names::{Owner, Slug};
use keyrack_protocol::client::ClientError;
use keyrack_protocol::message::{CapabilityStatus, Reply, Request, Status};

use crate::args::{Ephemeral, KeyArg, Reach, Unlock, when};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::rack::anchor::Anchor;
use crate::rack::{access, daemon};
use crate::settings::Settings;
use crate::tree::{self, Place};

use super::unlock::{self, Begun};

/// Runs `keyrack daemon restart`.
pub fn run(settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let bare = match access::bare_status(settings, owner) {
        Ok(bare) => bare,
        Err(ClientError::NotRunning) => {
            let object = serde_json::json!({ "owner": owner, "restarted": false });
            return ui.done(format!("{owner} has no daemon; the next unlock starts one"), object);
        }
        Err(error) => return Err(daemon::failure(&error, owner)),
    };
    if bare.locked {
        return super::relock::everything(owner, settings, ui);
    }
    // Before anything is lost: what cannot be opened now cannot be granted again.
    let mut opened = opened::open(settings, ui, owner)?;
    let anchor = bare.ends_with.as_ref().map(Anchor::again).transpose()?;
    let (status, seen) = (held(&opened, settings)?, Instant::now());
    say(&status, &opened, ui);
    if settings.dry_run {
        return if ui.json { ui.would("", would(&status, &opened)) } else { Ok(()) };
    }
    if !ui.asker.agrees(&format!("restart {owner}'s daemon?"))? {
        return Err(Failure::new(Code::NeedsPerson, "the daemon runs on"));
    }
    super::relock::in_silence(owner, settings)?;
    let rest = |ms| Duration::from_millis(ms).checked_sub(seen.elapsed()).filter(|d| !d.is_zero());
    let left: BTreeMap<Slug, Duration> = status
        .grants
        .into_iter()
        .filter_map(|grant| Some((grant.slug, rest(grant.expires_in_ms)?)))
        .collect();
    // To name none would be to ask for all.
    if left.is_empty() {
        let object = serde_json::json!({ "owner": owner, "restarted": false });
        return ui.done(format!("{owner} is locked: nothing was left to be granted again"), object);
    }
    let args = again(left.keys());
    let begun = Begun::new(settings, owner).ending_with(anchor).no_longer_than(left);
    unlock::grant(&begun, &mut opened, &args, settings, ui)
}

fn held(opened: &Opened, settings: &Settings) -> Outcome<Status> {
    let owner = &opened.owner;
    let rack = opened.rack();
    let mut session = rack.attach(settings).map_err(|e| daemon::failure(&e, owner))?;
    match session.call(&Request::Status).map_err(|e| daemon::failure(&e, owner))? {
        Reply::Status(status) => Ok(*status),
        _ => Err(Failure::new(
            Code::Unreachable,
            format!("{owner}'s daemon answered something else"),
        )),
    }
}

/// For a program, what [`say`] says.
fn would(status: &Status, opened: &Opened) -> serde_json::Value {
    let owner = &opened.owner;
    let keys = status
        .grants
        .iter()
        .map(|grant| serde_json::json!({ "slug": grant.slug, "expiresInMs": grant.expires_in_ms }));
    let lost = status.capabilities.iter().filter(|tree| !is_own(tree, owner, opened));
    let lost = lost.map(|tree| serde_json::json!({ "id": tree.id, "label": tree.label }));
    serde_json::json!({
        "owner": owner, "restarted": false,
        "keys": keys.collect::<Vec<_>>(), "lost": lost.collect::<Vec<_>>(),
    })
}

/// What becomes of what the daemon holds and of who may read it.
fn say(status: &Status, opened: &Opened, ui: &Ui) {
    let owner = &opened.owner;
    for grant in &status.grants {
        let left = when::short(Duration::from_millis(grant.expires_in_ms));
        ui.say(format!("{owner}: {} is granted again for the {left} it has left", grant.slug));
    }
    for lost in status.capabilities.iter().filter(|tree| !is_own(tree, owner, opened)) {
        let (id, label) = (lost.id.short(), &lost.label);
        ui.warn(format!("{owner}: tree {id} of {label} may read nothing until it unlocks again"));
    }
}

/// Whether this process tree holds the secret of that capability, and so can have it again.
fn is_own(capability: &CapabilityStatus, owner: &Owner, opened: &Opened) -> bool {
    let rack = opened.rack().id;
    let trees = [Place::Session, Place::User].into_iter().filter_map(tree::find);
    trees.into_iter().any(|tree| tree.secret.capability_id(owner, &rack) == capability.id)
}

fn again<'a>(slugs: impl Iterator<Item = &'a Slug>) -> Unlock {
    Unlock {
        env: None,
        org: None,
        key: slugs.cloned().map(KeyArg::Slug).collect(),
        duration: None,
        reach: Reach { scope: None, no_keyring: false, tree: None },
        accept_drops: false,
        notify: false,
        lasting: Ephemeral::default(),
    }
}
