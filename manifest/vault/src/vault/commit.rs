//! How a link is added: built on the head, held against the rules, created where nothing
//! is. Who comes second looks again and builds anew, on the same staging where it still
//! fits.

use jiff::Timestamp;
use keyrack_manifest::VaultRef;

use super::rotate::Staged;
use super::{TRIES, Vault, member_of, ring};
use crate::chain::{self, Chain, Detail, EpochState, Link, LinkKind, Seen, State};
use crate::error::VaultError;
use crate::names;

/// What a link is to say.
pub(super) struct Plan {
    pub(super) kind: LinkKind,
    pub(super) state: State,
    pub(super) detail: Detail,
}

impl Vault<'_> {
    /// Adds the link that `plan` makes of the vault as it is. `plan` is asked again when
    /// somebody was faster, and may keep what it staged.
    pub(super) fn commit(
        &mut self,
        now: Timestamp,
        mut plan: impl FnMut(&mut Self, &mut Option<Staged>) -> Result<Plan, VaultError>,
    ) -> Result<(), VaultError> {
        let mut staged = None;
        let committed = self.try_commit(now, &mut staged, &mut plan);
        match (&committed, staged) {
            (Ok(()), Some(staged)) => self.move_to(staged),
            (Err(_), Some(staged)) => {
                // What failed is what is told; what stays of it is swept later.
                let _ = self.remove_epoch(staged.id());
                committed
            }
            (_, None) => committed,
        }
    }

    fn try_commit(
        &mut self,
        now: Timestamp,
        staged: &mut Option<Staged>,
        plan: &mut impl FnMut(&mut Self, &mut Option<Staged>) -> Result<Plan, VaultError>,
    ) -> Result<(), VaultError> {
        for _ in 0..TRIES {
            let Plan { kind, state, detail } = plan(self, staged)?;
            let seq = self.chain.seq() + 1;
            let link = Link {
                v: 1,
                kind,
                vault_id: Some(*self.chain.id()),
                seq,
                prev: Some(self.chain.head()),
                epoch: state.epoch.as_ref().map(|epoch| epoch.id),
                ts: now,
                author: self.me,
                state,
                detail,
            };
            chain::check(self.state(), &link).map_err(|why| VaultError::Refused { kind, why })?;
            let (bytes, _) = link.sign(&self.actor.key);
            if bytes.len() as u64 > chain::LARGEST {
                let limit = chain::LARGEST as usize;
                return Err(VaultError::TooLong { length: bytes.len(), limit });
            }
            if self.store.create(&names::link(seq), &bytes)? {
                return self.chain.append(&bytes);
            }
            self.refresh()?;
        }
        Err(VaultError::Busy)
    }

    /// Whether there is a link that this has not seen.
    pub(super) fn is_behind(&self) -> Result<bool, VaultError> {
        let next = names::link(self.chain.seq() + 1);
        Ok(self.store.get(&next, chain::LARGEST)?.is_some())
    }

    /// Looks at what others did since.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn refresh(&mut self) -> Result<(), VaultError> {
        let (seen, before) = (self.seen(), self.state().epoch.clone());
        let carried = self.carried(None);
        for _ in 1..TRIES {
            let last = chain::last_link(self.store)?;
            let looked = self.look(&seen, before.as_ref(), carried.as_ref());
            // As when it is opened: with a new link, what was listed may not be all.
            if chain::last_link(self.store)? == last {
                return looked;
            }
        }
        self.look(&seen, before.as_ref(), carried.as_ref())
    }

    fn look(
        &mut self,
        seen: &Seen,
        before: Option<&EpochState>,
        carried: Option<&VaultRef>,
    ) -> Result<(), VaultError> {
        self.chain = Chain::verify(self.store, self.chain.id(), Some(seen))?;
        member_of(self.state(), &self.actor.key.public())?;
        if self.state().epoch.as_ref() != before {
            self.ring = ring::of(self.store, &self.chain, &self.me, &self.actor, carried)?;
        }
        self.load(&seen.records)
    }
}
