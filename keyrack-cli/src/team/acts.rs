//! The audit log of vault acts, as this device writes it: who did what, signed and chained;
//! on disk before a credential of somebody else is released.

use jiff::Timestamp;
use keyrack_manifest::{CredId, DeviceId, MemberId, SigningKey, atomic};
use keyrack_names::Slug;
use keyrack_vault::AuditHead;
use keyrack_vault::audit::{Act, Log};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;

/// What this device remembers of its own log in one vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    v: u32,
    /// The name this device goes by in this copy of the vault.
    device: DeviceId,
    /// Which copy: a clone elsewhere begins another log.
    dir: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<AuditHead>,
}

/// An act that went well, for [`write()`].
pub fn act(action: &str) -> Act {
    Act {
        action: action.to_owned(),
        outcome: "ok".to_owned(),
        cred: None,
        name: None,
        of: None,
        cross: false,
        reason: String::new(),
    }
}

/// The same, done to a member.
pub fn of(action: &str, member: MemberId) -> Act {
    Act { of: Some(member), ..act(action) }
}

/// The same, done to a credential.
pub fn to(action: &str, cred: CredId, name: &Slug, owner: MemberId, me: &MemberId) -> Act {
    let cross = owner != *me;
    Act { cred: Some(cred), name: Some(name.clone()), of: Some(owner), cross, ..act(action) }
}

/// Writes acts down. They are on disk when this returns.
///
/// # Errors
/// [`Code::Unlogged`] when they are not.
pub fn write(
    place: &Place,
    me: MemberId,
    key: &SigningKey,
    acts: Vec<Act>,
    settings: &Settings,
) -> Outcome {
    if acts.is_empty() {
        return Ok(());
    }
    let reason = settings.caller();
    let acts: Vec<Act> =
        acts.into_iter().map(|act| Act { reason: reason.clone(), ..act }).collect();
    let mut memory = remembered(place, settings)?;
    let log = log(place, me, memory.device);
    let head = log.append(key, memory.head.take(), &acts, Timestamp::now());
    memory.head = head.map_err(|error| {
        let message = format!("{}: the audit log cannot be written: {error}", place.name);
        Failure::new(Code::Unlogged, message)
    })?;
    remember(place, &memory, settings)
}

/// As [`write()`], for acts that are done: a line that cannot be written is told.
pub fn note(
    place: &Place,
    me: MemberId,
    key: &SigningKey,
    acts: Vec<Act>,
    settings: &Settings,
    ui: &Ui,
) {
    if let Err(failure) = write(place, me, key, acts, settings) {
        ui.warn(&failure.message);
    }
}

/// This device's own log of a vault, and where it was left.
///
/// # Errors
/// [`Code::Tampered`] when what is remembered does not read.
pub fn own(place: &Place, me: MemberId, settings: &Settings) -> Outcome<(Log, Option<AuditHead>)> {
    let memory = remembered(place, settings)?;
    Ok((log(place, me, memory.device), memory.head))
}

fn log(place: &Place, member: MemberId, device: DeviceId) -> Log {
    Log { dir: place.dir.clone(), vault: place.id, member, device }
}

fn remembered(place: &Place, settings: &Settings) -> Outcome<Memory> {
    let path = settings.places.seen(&place.owner, &place.id).with_extension("audit.json");
    let bytes = atomic::read_limited(&path, 64 << 10).context(|| path.display().to_string())?;
    let dir = place.dir.display().to_string();
    let memory = match bytes {
        None => None,
        Some(bytes) => match serde_json::from_slice::<Memory>(&bytes) {
            Ok(memory) if memory.v == 1 => Some(memory),
            _ => {
                let message = format!("{} does not read as what was remembered", path.display());
                return Err(Failure::new(Code::Tampered, message));
            }
        },
    };
    match memory.filter(|memory| memory.dir == dir) {
        Some(memory) => Ok(memory),
        None => {
            let device = DeviceId::random().context(|| "random numbers".to_owned())?;
            Ok(Memory { v: 1, device, dir, head: None })
        }
    }
}

fn remember(place: &Place, memory: &Memory, settings: &Settings) -> Outcome {
    let path = settings.places.seen(&place.owner, &place.id).with_extension("audit.json");
    let bytes = serde_json::to_vec(memory).context(|| path.display().to_string())?;
    atomic::replace(&path, &bytes).context(|| path.display().to_string())
}
