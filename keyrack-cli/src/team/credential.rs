//! Which credential of a vault a name means to one member.

use keyrack_manifest::CredId;
use keyrack_names::Slug;
use keyrack_vault::{Record, Vault, Visibility};

use super::Place;
use crate::error::{Code, Failure, Outcome};

/// The credential called `slug`: the member's own, else the only one that it can read.
///
/// # Errors
/// [`Code::Absent`]; [`Code::Conflict`] when several members have one of that name.
pub fn readable<'v>(vault: &'v Vault<'_>, slug: &Slug, place: &Place) -> Outcome<&'v Record> {
    only(vault, slug, place, vault.find(slug).filter(|record| vault.can_read(record)))
}

/// The credential that a new value of `slug` is for: the member's own, else the only shared
/// one. `None` when it is a new one.
///
/// # Errors
/// [`Code::Conflict`] when several are shared under that name.
pub fn to_write<'v>(
    vault: &'v Vault<'_>,
    slug: &Slug,
    place: &Place,
) -> Outcome<Option<&'v Record>> {
    let may_be_meant =
        |record: &&Record| record.owner == *vault.me() || record.visibility == Visibility::Shared;
    match only(vault, slug, place, vault.find(slug).filter(may_be_meant)) {
        Err(failure) if failure.code == Code::Absent => Ok(None),
        other => other.map(Some),
    }
}

/// This member's own credential called `slug`.
///
/// # Errors
/// [`Code::Absent`]; [`Code::Denied`] when it is somebody else's.
pub fn own<'v>(vault: &'v Vault<'_>, slug: &Slug, place: &Place) -> Outcome<&'v Record> {
    let mut all = vault.find(slug);
    if let Some(record) = vault.find(slug).find(|record| record.owner == *vault.me()) {
        return Ok(record);
    }
    match all.next() {
        None => Err(absent(slug, place)),
        Some(others) => {
            let whose = whose(vault, others);
            let message = format!("{slug} in {} is {whose}'s, not {}'s", place.name, place.owner);
            Err(Failure::new(Code::Denied, message))
        }
    }
}

fn only<'v>(
    vault: &'v Vault<'_>,
    slug: &Slug,
    place: &Place,
    found: impl Iterator<Item = &'v Record>,
) -> Outcome<&'v Record> {
    let found: Vec<&Record> = found.collect();
    if let Some(own) = found.iter().find(|record| record.owner == *vault.me()) {
        return Ok(own);
    }
    match found[..] {
        [] => Err(absent(slug, place)),
        [one] => Ok(one),
        _ => {
            let whose: Vec<String> = found.iter().map(|record| whose(vault, record)).collect();
            let message =
                format!("{slug} in {} is several members': {}", place.name, whose.join(", "));
            Err(found.iter().fold(Failure::new(Code::Conflict, message), |failure, record| {
                failure.hint(choose(place, slug, &record.cred_id))
            }))
        }
    }
}

/// Has the manifest decide for one credential.
pub fn choose(place: &Place, slug: &Slug, cred: &CredId) -> String {
    format!("keyrack set --for {} --key {slug} --vault {} --exid {cred}", place.owner, place.name)
}

/// The handle of a record's owner, for people.
pub fn whose(vault: &Vault<'_>, record: &Record) -> String {
    vault.handle(&record.owner).map_or_else(|| record.owner.to_string(), ToString::to_string)
}

fn absent(slug: &Slug, place: &Place) -> Failure {
    Failure::new(Code::Absent, format!("{} has no {slug} for {}", place.name, place.owner))
        .hint(format!("keyrack connections list --for {} --vault {}", place.owner, place.name))
}
