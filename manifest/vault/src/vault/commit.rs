//! How a link is added: built on the head, held against the rules, created where nothing
//! is. Who comes second looks again and builds anew, on the same staging where it still
//! fits.

use jiff::Timestamp;

use super::rotate::Staged;
use super::{Vault, member_of, ring};
use crate::chain::{self, Chain, Detail, Link, LinkKind, State};
use crate::error::VaultError;
use crate::names;

/// How often a writer looks again before it gives up.
const TRIES: u32 = 64;

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

    /// Looks at what others did since.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn refresh(&mut self) -> Result<(), VaultError> {
        let seen = self.seen();
        let (before, carried) = (self.state().epoch.clone(), self.carried(None));
        self.chain = Chain::verify(self.store, self.chain.id(), Some(&seen))?;
        member_of(self.state(), &self.actor.key.public())?;
        if self.state().epoch != before {
            self.ring = ring::of(self.store, &self.chain, &self.me, &self.actor, carried.as_ref())?;
        }
        self.load(&seen.records)
    }
}
