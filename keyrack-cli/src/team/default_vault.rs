//! The machine's default vault: which one a command means that names none, and where the
//! owners of this home keep what is their own.

use std::path::{Path, PathBuf};

use keyrack_manifest::{Entry, VaultId, VaultName, atomic};
use keyrack_names::Owner;
use serde::{Deserialize, Serialize};

use crate::args::Set;
use crate::error::{Code, Context, Failure, Outcome};
use crate::settings::Settings;
use crate::team::Place;

/// Which one it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultVault {
    v: u32,
    /// Its id.
    pub vault_id: VaultId,
    /// What its maker calls it.
    pub name: VaultName,
    /// Where it lies.
    pub dir: PathBuf,
    /// Whether new values go there instead of personal vaults.
    pub instead: bool,
}

/// The default vault of this home, if it has one.
///
/// # Errors
/// [`Code::Tampered`] when the file does not read.
pub fn read(settings: &Settings) -> Outcome<Option<DefaultVault>> {
    let path = file(settings);
    let bytes = atomic::read_limited(&path, 64 << 10).context(|| path.display().to_string())?;
    let Some(bytes) = bytes else { return Ok(None) };
    match serde_json::from_slice::<DefaultVault>(&bytes) {
        Ok(default) if default.v == 1 => Ok(Some(default)),
        _ => {
            let message = format!("{} does not read", path.display());
            Err(Failure::new(Code::Tampered, message))
        }
    }
}

/// Says before a vault is made in `dir` whether that can be this home's default.
///
/// # Errors
/// [`Code::Conflict`] when another one is.
pub fn free(dir: &Path, settings: &Settings) -> Outcome {
    read(settings)?.filter(|other| other.dir != dir).map_or(Ok(()), |other| Err(taken(&other)))
}

fn taken(other: &DefaultVault) -> Failure {
    let message = format!("{} is the default vault of this home already", other.name);
    Failure::new(Code::Conflict, message)
}

/// Makes a vault this home's default.
///
/// # Errors
/// [`Code::Conflict`] when another one is.
pub fn write(place: &Place, instead: bool, settings: &Settings) -> Outcome {
    if let Some(other) = read(settings)?.filter(|other| other.vault_id != place.id) {
        return Err(taken(&other));
    }
    let (name, dir) = (place.name.clone(), place.dir.clone());
    let default = DefaultVault { v: 1, vault_id: place.id, name, dir, instead };
    let path = file(settings);
    let mut bytes = serde_json::to_vec_pretty(&default).context(|| path.display().to_string())?;
    bytes.push(b'\n');
    atomic::replace(&path, &bytes).context(|| path.display().to_string())
}

/// Where a value goes that is set without `--vault`: into the default vault, if that was made
/// to take the place of personal ones and `owner` is a member of it.
///
/// # Errors
/// As [`read`].
pub fn instead(entry: Entry, args: &Set, owner: &Owner, settings: &Settings) -> Outcome<Entry> {
    if args.vault.is_some() {
        return Ok(entry);
    }
    let default = read(settings)?.filter(|default| default.instead);
    let member = |default: &DefaultVault| settings.places.seen(owner, &default.vault_id).exists();
    Ok(match default.filter(member) {
        Some(default) => Entry { vault: default.name, ..entry },
        None => entry,
    })
}

fn file(settings: &Settings) -> PathBuf {
    settings.places.home.join("default-vault.json")
}
