//! A miss explains itself: the same name may be unlocked in this tree for another owner.

use keyrack_names::{Ask, Owner, Slug};
use keyrack_protocol::client;
use keyrack_protocol::message::{Reply, Request};

use crate::error::{Code, Failure};
use crate::owner::opened;
use crate::rack::access;
use crate::settings::Settings;
use crate::tree::{self, Place};

/// Adds to `failure` who, in this process tree, does have what was asked for.
pub fn explain(failure: Failure, settings: &Settings, owner: &Owner, ask: &Ask) -> Failure {
    if !matches!(failure.code, Code::Locked | Code::Absent) {
        return failure;
    }
    let failure = match failure.code {
        Code::Absent => with_namesakes(failure, settings, owner, ask),
        _ => failure,
    };
    match others(settings, owner, ask).as_slice() {
        [] => failure,
        others => {
            let names: Vec<&str> = others.iter().map(Owner::as_str).collect();
            let message = format!(
                "{}; {} is unlocked for {}: you asked as {owner}",
                failure.message,
                ask.key,
                names.join(" and ")
            );
            Failure { message, ..failure }
        }
    }
}

/// Hints at the owner's own credentials of that name, in another env or org.
fn with_namesakes(failure: Failure, settings: &Settings, owner: &Owner, ask: &Ask) -> Failure {
    let Some(manifest) = opened::manifest_without_person(settings, owner) else { return failure };
    let namesakes: Vec<&Slug> =
        manifest.keys.keys().filter(|slug| slug.key == ask.key).take(4).collect();
    if namesakes.is_empty() {
        return failure;
    }
    let hints =
        namesakes.iter().map(|slug| format!("keyrack get --for {owner} --key {slug}")).collect();
    Failure { hints, ..failure }
}

/// The owners of this home whose capability this tree holds and whose daemon has the key.
fn others(settings: &Settings, owner: &Owner, ask: &Ask) -> Vec<Owner> {
    let Some(tree) = tree::find(Place::Session) else { return Vec::new() };
    let home = settings.home_tag();
    tree.entries
        .iter()
        .filter(|entry| entry.owner != *owner && entry.home == home)
        .filter(|entry| {
            let target = access::capability(&tree.secret, &entry.owner, entry.rack);
            match client::ask(&entry.socket, &target, &Request::Status) {
                Ok(Reply::Status(status)) => {
                    status.grants.iter().any(|grant| grant.slug.key == ask.key)
                }
                _ => false,
            }
        })
        .map(|entry| entry.owner.clone())
        .collect()
}
