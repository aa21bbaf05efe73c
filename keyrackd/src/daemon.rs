//! What one daemon is made of: whose it is, its keys, what it holds, and its log.

use std::cell::RefCell;

use keyrack_protocol::audit_chain::Line;
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::keys::Key;
use keyrack_protocol::message::{BareStatus, Process, Protection, Start};
use keyrack_protocol::names::{Owner, Slug};
use keyrack_protocol::peer::{Life, Seen};
use keyrack_protocol::{RackId, VERSIONS};
use tokio::sync::Notify;

use crate::arena::Arena;
use crate::audit::Audit;
use crate::clock;
use crate::rack::Rack;
use crate::replay::Replays;
use crate::sealed::{Broken, Sealed};
use crate::seats::Seats;

const ATTACH: &str = "attach key";
const SELF_PROOF: &str = "self-proof key";
const DROP: &str = "drop key";

/// The keys of a start message, sealed.
pub(crate) struct Keys {
    attach: Sealed,
    self_proof: Option<Sealed>,
    drop: Sealed,
}

impl Keys {
    /// Seals them.
    ///
    /// # Errors
    /// None in practice; see [`Sealed::new`].
    pub(crate) fn seal(arena: &Arena, start: &Start) -> Result<Self, Broken> {
        let self_proof = start.self_proof_key.as_ref();
        Ok(Self {
            attach: Sealed::key(arena, ATTACH, &start.attach_key)?,
            self_proof: self_proof.map(|key| Sealed::key(arena, SELF_PROOF, key)).transpose()?,
            drop: Sealed::key(arena, DROP, &start.drop_key)?,
        })
    }

    /// The key of whoever opened the manifest.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub(crate) fn attach(&self, arena: &Arena) -> Result<Key, Broken> {
        self.attach.open_key(arena, ATTACH)
    }
}

/// One daemon. Shared by its connections, which take turns on one thread.
pub(crate) struct Daemon {
    pub(crate) owner: Owner,
    pub(crate) rack_id: RackId,
    /// This process: asked for once, while it may ask.
    pub(crate) own: Seen,
    pub(crate) arena: Arena,
    pub(crate) keys: Keys,
    pub(crate) rack: RefCell<Rack<Sealed>>,
    pub(crate) replays: RefCell<Replays>,
    pub(crate) seats: Seats,
    pub(crate) audit: Audit,
    pub(crate) protections: Vec<Protection>,
    /// The process that it ends with.
    pub(crate) ends_with: Option<Process>,
    /// Who is connected, or until when something is held, is not what it was.
    pub(crate) changed: Notify,
    /// The end was asked for and answered.
    pub(crate) ended: Notify,
}

/// What an audit line says besides who and when.
pub(crate) struct Act {
    pub(crate) action: &'static str,
    pub(crate) slugs: Vec<Slug>,
    pub(crate) outcome: String,
    pub(crate) caller: String,
}

impl Act {
    /// An act that is about no credential in particular.
    pub(crate) fn new(action: &'static str, outcome: String) -> Self {
        Self { action, slugs: Vec::new(), outcome, caller: String::new() }
    }
}

impl Daemon {
    /// The key that a caller of this kind must hold; `None` where there is no such caller.
    pub(crate) fn channel_key(&self, kind: KeyKind) -> Option<Key> {
        match kind {
            KeyKind::Attach => self.keys.attach(&self.arena).ok(),
            KeyKind::SelfProof => {
                self.keys.self_proof.as_ref()?.open_key(&self.arena, SELF_PROOF).ok()
            }
            KeyKind::Capability(id) => {
                let rack = self.rack.borrow();
                rack.capability_key(&id)?.open_key(&self.arena, &id.to_string()).ok()
            }
        }
    }

    /// The key of the MAC on sealed drops.
    pub(crate) fn drop_key(&self) -> Result<Key, Broken> {
        self.keys.drop.open_key(&self.arena, DROP)
    }

    /// What anyone of the user may know.
    pub(crate) fn bare_status(&self, now: u64) -> BareStatus {
        let rack = self.rack.borrow();
        let mut protections = self.protections.clone();
        protections.push(self.audit.protection());
        BareStatus {
            owner: self.owner.clone(),
            rack: self.rack_id,
            pid: self.own.peer.pid.unsigned_abs(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            versions: VERSIONS.to_vec(),
            locked: rack.is_empty(now),
            next_expiry_ms: rack.next_deadline().map(|at| at.saturating_sub(now)),
            generation: rack.generation(),
            protections,
            ends_with: self.ends_with.clone(),
        }
    }

    /// Forgets everything and hangs up on everybody but `seat`.
    pub(crate) fn wipe(&self, seat: Option<u64>) {
        self.rack.borrow_mut().clear();
        self.seats.close_all_but(seat);
    }

    /// Writes an audit line about `act`, asked for by a process as it was seen.
    pub(crate) fn note(&self, act: Act, by: Seen, channel: String) {
        let Act { action, slugs, outcome, caller } = act;
        let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.audit.write(Line {
            v: 1,
            seq: 0,
            boot_ms: clock::now(),
            ts_ms: since_1970.as_millis().try_into().unwrap_or(u64::MAX),
            action: action.to_owned(),
            slugs,
            outcome,
            uid: by.peer.uid,
            pid: by.peer.pid,
            session: by.life.session(),
            exited: by.life == Life::Exited,
            caller,
            channel,
            lost: 0,
        });
    }
}

/// How a caller proved itself, as the log says it.
pub(crate) fn channel_name(kind: KeyKind) -> String {
    match kind {
        KeyKind::Attach => "attach".to_owned(),
        KeyKind::SelfProof => "self-proof".to_owned(),
        KeyKind::Capability(id) => format!("capability {id}"),
    }
}
