//! This host's key as a provisioner: what it drops for owners it made can be told from
//! what anybody else drops.

use std::io::ErrorKind;
use std::path::PathBuf;

use keyrack_manifest::{Provisioner, SigningKey, atomic};
use keyrack_names::Owner;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Context, Failure, Outcome};
use crate::settings::{Settings, login_name};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u32,
    key: SigningKey,
}

/// This host's provisioner key, if it has one.
///
/// # Errors
/// [`Code::Tampered`] when the file is damaged.
pub fn key(settings: &Settings) -> Outcome<Option<SigningKey>> {
    let path = path(settings);
    let bytes = atomic::read_limited(&path, 64 * 1024).context(|| path.display().to_string())?;
    let Some(bytes) = bytes else { return Ok(None) };
    match serde_json::from_slice::<File>(&bytes) {
        Ok(file) if file.v == 1 => Ok(Some(file.key)),
        _ => Err(Failure::new(
            Code::Tampered,
            format!("{} does not read as a provisioner's key", path.display()),
        )),
    }
}

/// A new key, unless somebody else made one meanwhile: then that is this host's.
fn made(settings: &Settings) -> Outcome<SigningKey> {
    let path = path(settings);
    let doing = || path.display().to_string();
    let file = File { v: 1, key: SigningKey::generate().context(|| "random numbers".to_owned())? };
    let bytes = zeroize::Zeroizing::new(serde_json::to_vec(&file).context(doing)?);
    match atomic::create_new(&path, &bytes, 0o600) {
        Err(error) if error.source.kind() == ErrorKind::AlreadyExists => {
            key(settings)?.ok_or(error).context(doing)
        }
        done => done.map(|()| file.key).context(doing),
    }
}

fn path(settings: &Settings) -> PathBuf {
    settings.places.state.join("provisioner.json")
}

/// What to pin in a manifest that this host makes: its key, made now if there is none.
///
/// # Errors
/// When it cannot be written.
pub fn pinned(settings: &Settings) -> Outcome<Provisioner> {
    let key = match key(settings)? {
        Some(key) => key,
        None => made(settings)?,
    };
    let handle: Option<Owner> = login_name().and_then(|name| name.parse().ok());
    Ok(Provisioner {
        handle: handle.unwrap_or_else(Owner::human),
        sig_key: key.public(),
        slugs: Default::default(),
    })
}
