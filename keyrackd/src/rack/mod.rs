//! The rack: what is held, until when, and for whom. Pure: the time is a parameter, a
//! value is whatever `V` is, and every rule about grants and rights is here or in the
//! files beside it.
//!
//! Times are milliseconds of a clock that counts suspension.

mod change;
mod known;
mod lookup;

use std::collections::BTreeMap;

use keyrack_protocol::CapabilityId;
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::message::{CapabilityStatus, GrantStatus, Refusal, Rights};
use keyrack_protocol::names::Slug;

use crate::capability::{Capabilities, Capability};

use known::Known;

pub(crate) use change::{NewGrant, Pushed, set};
pub(crate) use lookup::Verdict;

/// The longest that anything is held.
pub(crate) const MAX_TTL_MS: u64 = 9 * 60 * 60 * 1000;
/// The longest that anything of env `sudo` is held.
pub(crate) const MAX_SUDO_TTL_MS: u64 = 30 * 60 * 1000;

/// One value held.
#[derive(Debug)]
pub(crate) struct Held<V> {
    pub(crate) value: V,
    pub(crate) expires_at: u64,
    self_proof: bool,
    vault: String,
    class: String,
    last_reader: Option<String>,
}

/// What is remembered of a value that has run out.
#[derive(Debug)]
struct Expired {
    /// Whether self-proof could read it.
    self_proof: bool,
    vault: String,
}

/// Everything a daemon remembers.
#[derive(Debug)]
pub(crate) struct Rack<V> {
    grants: BTreeMap<Slug, Held<V>>,
    /// What has run out.
    expired: BTreeMap<Slug, Expired>,
    /// What the owner has, held or not.
    known: Known,
    capabilities: Capabilities<V>,
    /// When the first value runs out: kept, for it is asked for at every turn.
    first_end: Option<u64>,
    first_generation: u64,
    generation: u64,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    /// The asker has no such right.
    #[error("{0}")]
    Right(&'static str),
    /// Something was forgotten after the unlock began.
    #[error("a relock came in between")]
    Relocked,
    /// It is not there any more.
    #[error("no such capability: it was revoked")]
    Revoked,
    /// No room.
    #[error("{0} capabilities are held; relock ends them")]
    Full(usize),
}

impl Denial {
    /// The code for programs.
    pub(crate) fn code(&self) -> Refusal {
        match self {
            Self::Right(_) => Refusal::Right,
            Self::Relocked => Refusal::Relocked,
            Self::Revoked => Refusal::Key,
            Self::Full(_) => Refusal::Busy,
        }
    }
}

impl<V> Rack<V> {
    /// An empty rack. `generation` differs from that of any rack before it, so that what
    /// was read from that one is not accepted here.
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            grants: BTreeMap::new(),
            expired: BTreeMap::new(),
            known: Known::default(),
            capabilities: Capabilities::default(),
            first_end: None,
            first_generation: generation,
            generation,
        }
    }

    /// Raised whenever something is forgotten on demand.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// What is held under `slug`, when it has not run out.
    pub(crate) fn held(&self, slug: &Slug, now: u64) -> Option<&Held<V>> {
        self.grants.get(slug).filter(|held| held.expires_at > now)
    }

    /// Remembers who read `slug` last.
    pub(crate) fn read_by(&mut self, slug: &Slug, reader: &str) {
        if let Some(held) = self.grants.get_mut(slug) {
            held.last_reader = Some(reader.to_owned());
        }
    }

    /// The key of a capability.
    pub(crate) fn capability_key(&self, id: &CapabilityId) -> Option<&V> {
        self.capabilities.get(id).map(|capability| &capability.key)
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self, now: u64) -> bool {
        match self.first_end {
            Some(end) if end <= now => self.grants.values().all(|held| held.expires_at <= now),
            first_end => first_end.is_none(),
        }
    }

    /// When the first value runs out.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.first_end
    }

    fn find_first_end(&mut self) {
        self.first_end = self.grants.values().map(|held| held.expires_at).min();
    }

    /// Drops what has run out. Returns how many.
    pub(crate) fn sweep(&mut self, now: u64) -> usize {
        if self.first_end.is_none_or(|end| end > now) {
            return 0;
        }
        let before = self.grants.len();
        self.grants.retain(|slug, held| {
            let live = held.expires_at > now;
            if !live {
                let vault = std::mem::take(&mut held.vault);
                let past = Expired { self_proof: held.self_proof, vault };
                self.expired.insert(slug.clone(), past);
            }
            live
        });
        self.find_first_end();
        before - self.grants.len()
    }

    /// Drops everything and ends every capability.
    pub(crate) fn clear(&mut self) {
        self.generation += 1;
        self.grants.clear();
        self.expired.clear();
        self.known = Known::default();
        self.capabilities.clear();
        self.first_end = None;
    }

    /// What is held, as far as the asker may see.
    pub(crate) fn grants_seen(&self, asker: KeyKind, now: u64) -> Vec<GrantStatus> {
        self.grants
            .iter()
            .filter(|(slug, held)| match asker {
                KeyKind::Attach => held.expires_at > now,
                _ => self.may_read(asker, slug, now),
            })
            .map(|(slug, held)| GrantStatus {
                slug: slug.clone(),
                vault: held.vault.clone(),
                class: held.class.clone(),
                expires_in_ms: held.expires_at - now,
                last_reader: held.last_reader.clone(),
            })
            .collect()
    }

    /// Who may read, as far as the asker may see: the owner all, a capability itself and
    /// what was made from it.
    pub(crate) fn capabilities_seen(&self, asker: KeyKind, now: u64) -> Vec<CapabilityStatus> {
        let sees = |id: &CapabilityId| match asker {
            KeyKind::Attach => true,
            KeyKind::SelfProof => false,
            KeyKind::Capability(own) => own == *id || self.capabilities.is_child(id, &own),
        };
        let status = |(id, capability): (&CapabilityId, &Capability<V>)| CapabilityStatus {
            id: *id,
            label: capability.label.clone(),
            scope: capability.scope,
            rights: capability.rights,
            awake: capability.slugs.iter().filter(|slug| self.held(slug, now).is_some()).count(),
            slugs: capability.slugs.len(),
        };
        self.capabilities.iter().filter(|(id, _)| sees(id)).map(status).collect()
    }

    /// The rights of the asker; `None` where they have ended.
    fn rights(&self, asker: KeyKind) -> Option<Rights> {
        match asker {
            KeyKind::Attach => Some(Rights::TREE),
            KeyKind::SelfProof => Some(Rights::READ),
            KeyKind::Capability(id) => self.capabilities.get(&id).map(|c| c.rights),
        }
    }

    /// Whether the asker's capability still is there. The others never end.
    pub(crate) fn is_known(&self, asker: KeyKind) -> bool {
        self.rights(asker).is_some()
    }

    /// Whether the asker may have drops sealed.
    ///
    /// # Errors
    /// [`Denial::Right`] where it may not.
    pub(crate) fn may_seal(&self, asker: KeyKind) -> Result<(), Denial> {
        match self.rights(asker) {
            Some(rights) if rights.push => Ok(()),
            _ => Err(Denial::Right("this channel may not have drops sealed")),
        }
    }
}

#[cfg(test)]
mod tests;
