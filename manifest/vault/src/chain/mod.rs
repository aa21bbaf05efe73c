//! The chain as this device believes it: every link follows from the one before, from the
//! first or from the last that was seen here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_manifest::{CredId, Digest, MemberId, VaultId};
use serde::{Deserialize, Serialize};

use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::names;

mod error;
mod link;
mod member_rules;
mod rules;
mod seen;
mod state;

pub use error::{ChainError, Refusal};
pub use link::{Detail, Link, LinkKind};
pub(crate) use link::{LARGEST, Unverified};
pub use rules::CHECKPOINT_EVERY;
pub(crate) use rules::{check, check_genesis, invite_of};
pub use seen::{Seen, SeenError, SeenRecord};
pub use state::{
    AuditHead, Due, DueReason, EpochState, Invite, Member, Policy, Role, RoleError, State, Status,
};

/// That a credential needs a new value: who could read it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposure {
    /// The version that was readable. A value that was set later is not exposed.
    pub version: u64,
    /// The link that says so.
    pub since_seq: u64,
    /// When that link says it was.
    pub since: Timestamp,
    /// What the link did.
    pub reason: LinkKind,
    /// To whom.
    pub exposed_to: BTreeSet<MemberId>,
}

/// A verified chain.
#[derive(Debug, Clone)]
pub struct Chain {
    id: VaultId,
    digests: Vec<Digest>,
    state: State,
    exposures: BTreeMap<CredId, Exposure>,
}

impl Chain {
    /// Reads and verifies the chain of the vault `id`: all of it, or what comes after the
    /// link this device has seen last.
    ///
    /// # Errors
    /// [`VaultError::Chain`] with what is wrong; [`VaultError::File`].
    pub fn verify(
        store: &dyn VaultStore,
        id: &VaultId,
        seen: Option<&Seen>,
    ) -> Result<Self, VaultError> {
        let last = last_link(store)?;
        let mut chain = match seen {
            Some(seen) => Self::resume(store, id, seen, last)?,
            None => Self::begin(store, id)?,
        };
        while chain.seq() < last {
            chain.append(&read(store, chain.seq() + 1)?)?;
        }
        Ok(chain)
    }

    /// The chain with its first link alone.
    fn begin(store: &dyn VaultStore, id: &VaultId) -> Result<Self, VaultError> {
        let bytes = read(store, 0)?;
        let refused = |why| VaultError::from(ChainError::Refused { seq: 0, why });
        let first = Unverified::read(&bytes).map_err(|e| refused(e.into()))?;
        if first.digest.as_bytes() != id.as_bytes() {
            return Err(ChainError::LookAlike.into());
        }
        check_genesis(&first.link).map_err(refused)?;
        let founder = first.link.state.member(&first.link.author);
        let founder = founder.ok_or_else(|| refused(Refusal::NoMember(first.link.author)))?;
        first.verify(&founder.sig_key).map_err(|e| refused(e.into()))?;
        Ok(Self {
            id: *id,
            digests: vec![first.digest],
            state: first.link.state,
            exposures: BTreeMap::new(),
        })
    }

    /// The chain up to what was seen: that link is on it, and so is all before.
    fn resume(
        store: &dyn VaultStore,
        id: &VaultId,
        seen: &Seen,
        last: u64,
    ) -> Result<Self, VaultError> {
        let (seq, digest) = seen.head();
        if last < seq {
            return Err(ChainError::RolledBack { seen: seq, found: last }.into());
        }
        let bytes = read(store, seq)?;
        let link = Unverified::read(&bytes)
            .map_err(|e| ChainError::Refused { seq, why: e.into() })
            .map_err(VaultError::from)?;
        if link.digest != digest {
            return Err(ChainError::Forked { seq }.into());
        }
        Ok(Self {
            id: *id,
            digests: seen.links.clone(),
            state: link.link.state,
            exposures: seen.exposures.clone(),
        })
    }

    /// Adds the link that follows.
    ///
    /// # Errors
    /// [`VaultError::Chain`]; then the chain is as before.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        let seq = self.seq() + 1;
        let refused = |why| VaultError::from(ChainError::Refused { seq, why });
        let next = Unverified::read(bytes).map_err(|e| refused(e.into()))?;
        self.check(&next).map_err(refused)?;
        let Link { kind, ts, state, detail, .. } = next.link;
        for (cred, version) in detail.exposed {
            let exposed_to = detail.exposed_to.clone();
            self.expose(
                cred,
                Exposure { version, since_seq: seq, since: ts, reason: kind, exposed_to },
            );
        }
        self.digests.push(next.digest);
        self.state = state;
        Ok(())
    }

    fn check(&self, next: &Unverified<'_>) -> Result<(), Refusal> {
        let link = &next.link;
        if link.vault_id != Some(self.id) {
            return Err(Refusal::OtherVault);
        }
        if link.seq != self.seq() + 1 {
            return Err(Refusal::Number);
        }
        if link.prev != Some(self.head()) {
            return Err(Refusal::Prev);
        }
        let author = self.state.member(&link.author).filter(|member| member.status.has_wrap());
        let author = author.ok_or(Refusal::NoMember(link.author))?;
        next.verify(&author.sig_key)?;
        check(&self.state, link)
    }

    /// What was exposed before stays so, to more.
    fn expose(&mut self, cred: CredId, new: Exposure) {
        match self.exposures.get_mut(&cred) {
            Some(old) if old.version >= new.version => old.exposed_to.extend(new.exposed_to),
            Some(old) => {
                let mut exposed_to = std::mem::take(&mut old.exposed_to);
                exposed_to.extend(new.exposed_to);
                *old = Exposure { version: new.version, exposed_to, ..old.clone() };
            }
            None => {
                self.exposures.insert(cred, new);
            }
        }
    }

    /// Which vault.
    pub fn id(&self) -> &VaultId {
        &self.id
    }

    /// The number of the last link.
    pub fn seq(&self) -> u64 {
        self.digests.len() as u64 - 1
    }

    /// SHA-256 of the last link's payload.
    pub fn head(&self) -> Digest {
        self.digests[self.digests.len() - 1]
    }

    /// What the vault is now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The digest of every link, the first one first.
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// What needs a new value unless it got one since: see [`Exposure::version`].
    pub fn exposures(&self) -> &BTreeMap<CredId, Exposure> {
        &self.exposures
    }
}

/// One link, for people who read the chain.
#[derive(Debug, Clone)]
pub struct LinkInfo {
    /// Its number.
    pub seq: u64,
    /// What it did.
    pub kind: LinkKind,
    /// Who made it.
    pub author: MemberId,
    /// Whom it was about.
    pub member: Option<MemberId>,
    /// When its author says it was.
    pub ts: Timestamp,
}

/// Every link of a chain that was verified, in order.
///
/// # Errors
/// A link cannot be read, or is not the one that was verified.
pub fn history(store: &dyn VaultStore, chain: &Chain) -> Result<Vec<LinkInfo>, VaultError> {
    let mut links = Vec::with_capacity(chain.digests.len());
    for (seq, digest) in (0..).zip(&chain.digests) {
        let bytes = read(store, seq)?;
        let read =
            Unverified::read(&bytes).map_err(|e| ChainError::Refused { seq, why: e.into() })?;
        if read.digest != *digest {
            return Err(ChainError::Forked { seq }.into());
        }
        let Link { kind, author, ts, detail, .. } = read.link;
        links.push(LinkInfo { seq, kind, author, member: detail.member, ts });
    }
    Ok(links)
}

fn read(store: &dyn VaultStore, seq: u64) -> Result<Vec<u8>, VaultError> {
    let bytes = store.get(&names::link(seq), LARGEST)?;
    bytes.ok_or_else(|| match seq {
        0 => ChainError::Empty.into(),
        seq => ChainError::Gap { seq }.into(),
    })
}

/// The highest number there is.
pub(crate) fn last_link(store: &dyn VaultStore) -> Result<u64, VaultError> {
    let links = store.list(names::CHAIN)?;
    let last = links.iter().filter_map(|name| names::parse_link(name)).max();
    last.ok_or_else(|| ChainError::Empty.into())
}
