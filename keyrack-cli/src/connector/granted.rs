//! What an owner granted to connectors: files that the owner signed. They are read without
//! the owner's key, by what this device remembers of it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_manifest::{Grant, Pin, Word, atomic, grant};
use keyrack_names::Owner;

use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::settings::Settings;

/// The grant of `owner` to `connector` that is called `name`, as long as it lasts.
///
/// # Errors
/// [`Code::Absent`] when there is none; [`Code::Locked`] when it has ended;
/// [`Code::Tampered`] when the owner did not sign it.
pub fn current(
    owner: &Owner,
    connector: &Word,
    name: &Word,
    settings: &Settings,
) -> Outcome<Grant> {
    let path = settings.places.grant(owner, connector, name);
    let again = format!("keyrack connector grant {connector} --for {owner}{}", flag(name));
    let Some(grant) = in_place(&path, owner, settings)? else {
        let message = format!("{owner} granted {connector} nothing{}", called(name));
        return Err(Failure::new(Code::Absent, message)
            .hint(format!("keyrack connector disclose {connector} --for {owner}"))
            .hint(again));
    };
    match grant.until {
        Some(until) if grant.is_over(Timestamp::now()) => {
            let message =
                format!("{owner}'s grant to {connector}{} ended at {until}", called(name));
            Err(Failure::new(Code::Locked, message).hint(again))
        }
        _ => Ok(grant),
    }
}

/// Every grant of `owner`: what does not read as one is an error of its own.
///
/// # Errors
/// When the folders cannot be read.
pub fn all(owner: &Owner, settings: &Settings) -> Outcome<Vec<Outcome<Grant>>> {
    let mut grants = Vec::new();
    for folder in children(&settings.places.grants(owner))? {
        for path in children(&folder)? {
            if path.extension().is_some_and(|end| end == "grant") {
                grants.extend(in_place(&path, owner, settings).transpose());
            }
        }
    }
    Ok(grants)
}

/// Signs a grant and writes it.
///
/// # Errors
/// When it cannot be written.
pub fn write(grant: &Grant, opened: &Opened, settings: &Settings) -> Outcome {
    let path = settings.places.grant(&grant.owner, &grant.connector, &grant.name);
    let doing = || path.display().to_string();
    let bytes = grant.sign(&opened.manifest.signing.key).context(doing)?;
    atomic::replace(&path, &bytes).context(doing)
}

/// Removes a grant. Whether there was one.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(owner: &Owner, connector: &Word, name: &Word, settings: &Settings) -> Outcome<bool> {
    let path = settings.places.grant(owner, connector, name);
    let was_there = path.symlink_metadata().is_ok();
    atomic::remove(&path).context(|| path.display().to_string())?;
    Ok(was_there)
}

/// The grant at `path`, if it is the one that belongs there: a copy under another name is none.
fn in_place(path: &Path, owner: &Owner, settings: &Settings) -> Outcome<Option<Grant>> {
    let grant = read(path, owner, settings)?;
    match &grant {
        Some(grant) if settings.places.grant(owner, &grant.connector, &grant.name) != path => {
            Err(tampered(path, "is another grant under this name"))
        }
        _ => Ok(grant),
    }
}

fn read(path: &Path, owner: &Owner, settings: &Settings) -> Outcome<Option<Grant>> {
    let doing = || path.display().to_string();
    let Some(bytes) = atomic::read_limited(path, grant::LARGEST).context(doing)? else {
        return Ok(None);
    };
    let pin = pin(owner, settings)?;
    let grant = Grant::read(&bytes, &pin.signer).map_err(|e| tampered(path, &e.to_string()))?;
    if grant.owner != *owner || grant.rack != pin.rack_id {
        return Err(tampered(path, "is a grant of another owner or home"));
    }
    Ok(Some(grant))
}

/// What this device remembers of the owner, without which nothing of it can be believed.
fn pin(owner: &Owner, settings: &Settings) -> Outcome<Pin> {
    opened::pin(settings, owner)?.ok_or_else(|| {
        let message = format!(
            "this device remembers nothing of {owner}, and cannot tell its grants from others"
        );
        Failure::new(Code::Absent, message).hint(format!("keyrack unlock --for {owner}"))
    })
}

fn tampered(path: &Path, why: &str) -> Failure {
    Failure::new(Code::Tampered, format!("{}: {why}", path.display()))
}

/// How a grant is told from the connector's others, for people: the usual one is not named.
pub fn called(name: &Word) -> String {
    if *name == Word::usual() { String::new() } else { format!(" by the grant {name}") }
}

/// The same as a flag.
pub fn flag(name: &Word) -> String {
    if *name == Word::usual() { String::new() } else { format!(" --grant {name}") }
}

fn children(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).context(|| folder.display().to_string()),
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
