//! What must be there and is not: seen here, or listed by the roll.

use keyrack_manifest::{CredId, EpochId, MemberId};
use keyrack_names::Slug;

use super::Loaded;
use crate::chain::SeenRecord;
use crate::error::VaultError;

/// A credential that must be there and is not.
#[derive(Debug, Clone)]
pub(super) struct Lost {
    pub(super) name: Option<Slug>,
    /// Whether it was shared: new keys would leave it behind for good.
    pub(super) shared: bool,
    pub(super) expected: u64,
    pub(super) found: u64,
}

impl Lost {
    pub(super) fn why(&self, cred: &CredId) -> VaultError {
        let (name, expected, found) = (self.name.clone(), self.expected, self.found);
        VaultError::Lost { cred: *cred, name, expected, found }
    }
}

impl Loaded {
    pub(in crate::vault) fn lost(&self) -> impl Iterator<Item = (&CredId, VaultError)> {
        self.lost.iter().map(|(cred, lost)| (cred, lost.why(cred)))
    }

    /// Those that `me` had: its own, and what is shared in `epoch`.
    pub(in crate::vault) fn missed(
        &self,
        me: MemberId,
        epoch: Option<EpochId>,
    ) -> impl Iterator<Item = (&Slug, VaultError)> {
        let had = move |seen: &SeenRecord| match seen.epoch {
            Some(_) => seen.epoch == epoch,
            None => seen.owner == me,
        };
        self.lost.iter().filter_map(move |(cred, lost)| {
            self.floors.get(cred).filter(|seen| had(seen))?;
            Some((lost.name.as_ref()?, lost.why(cred)))
        })
    }

    /// # Errors
    /// Why the first shared one is lost.
    pub(in crate::vault) fn nothing_shared_is_lost(&self) -> Result<(), VaultError> {
        let mut shared = self.lost.iter().filter(|(_, lost)| lost.shared);
        shared.next().map_or(Ok(()), |(cred, lost)| Err(lost.why(cred)))
    }

    pub(in crate::vault) fn is_lost(&self, cred: &CredId) -> bool {
        self.lost.contains_key(cred)
    }

    /// Whether one is lost that is shared in `epoch`: seen there, or listed by its roll.
    pub(in crate::vault) fn is_lost_in(&self, cred: &CredId, epoch: Option<EpochId>) -> bool {
        let is_there = self.floors.get(cred).is_none_or(|seen| seen.epoch == epoch);
        self.lost.get(cred).is_some_and(|lost| lost.shared) && is_there
    }

    /// Takes a lost credential off what is expected.
    pub(in crate::vault) fn abandon(&mut self, cred: &CredId) {
        self.floors.remove(cred);
        self.lost.remove(cred);
    }
}
