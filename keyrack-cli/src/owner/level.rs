//! The isolation level an owner is at, and why it is no higher. What each level stops
//! and does not stop is in `docs/THREATS.md`.

use std::fmt;

use keyrack_manifest::{IdentityFile, Pin, Via};
use keyrack_names::Owner;
use keyrack_piv::{PinPolicy, TouchPolicy};
use serde::Serialize;

use crate::owner::opened;
use crate::settings::Settings;

/// Keepers of keepers are followed this far.
const DEEPEST: usize = 8;

/// How well an owner's credentials are kept from other processes of the same user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    /// `L0`, `L1`, `L3` or `unknown`.
    pub name: &'static str,
    /// Why it is no higher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
}

impl Level {
    /// While the key lies in a file without a passphrase.
    const READABLE: Self = Self { name: "L0", because: Some("key readable without a person") };

    /// While nothing is at hand to judge by.
    const UNKNOWN: Self = Self { name: "unknown", because: Some("its key is not at hand") };

    /// While a capability is in force that programs outside one tree can find.
    pub const WEAK: Self = Self { name: "L0", because: Some("a weak capability is in force") };
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.because {
            Some(because) => write!(f, "{}: {because}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// The level of `owner`: authorization is only as strong as the custody of its key. A kept
/// identity is as safe as its keeper's. Under a Unix user of its own, all is as far away as
/// that user.
pub fn of(settings: &Settings, owner: &Owner) -> Level {
    if !settings.places.own_user().exists() {
        return of_custody(settings, owner, 0);
    }
    match settings.places.owners() {
        Ok(owners) if owners.iter().any(|other| other != owner) => {
            Level { name: "L0", because: Some("its Unix user has other owners, too") }
        }
        _ => Level { name: "L3", because: None },
    }
}

/// Whether the owner's key can be used without a person, by whoever runs this.
pub fn key_needs_no_person(settings: &Settings, owner: &Owner) -> bool {
    of_custody(settings, owner, 0) == Level::READABLE
}

fn of_custody(settings: &Settings, owner: &Owner, depth: usize) -> Level {
    let pin = opened::pin(settings, owner).ok().flatten();
    let keeper = pin.as_ref().and_then(|pin| pin.kept_by.as_ref());
    if let Some(keeper) = keeper.filter(|_| depth < DEEPEST) {
        return of_custody(settings, keeper, depth + 1);
    }
    let files = opened::key_files(settings, owner);
    let on_yubikey = pin.as_ref().filter(|pin| pin.via == Via::Yubikey);
    match files.iter().all(IdentityFile::needs_person) {
        true if on_yubikey.is_some() => on_yubikey.map_or(Level::UNKNOWN, of_yubikey),
        _ if files.is_empty() => Level::UNKNOWN,
        true => Level { name: "L1", because: None },
        false => Level::READABLE,
    }
}

/// A key on a YubiKey needs whom its policies, chosen when it was made, ask for.
fn of_yubikey(pin: &Pin) -> Level {
    match (pin.pin_policy, pin.touch_policy) {
        (Some(PinPolicy::Never), Some(TouchPolicy::Never)) => {
            Level { name: "L0", because: Some("its YubiKey asks for neither PIN nor touch") }
        }
        (Some(_), Some(_)) => Level { name: "L1", because: None },
        _ => Level { name: "unknown", because: Some("its YubiKey's policies are not known here") },
    }
}
