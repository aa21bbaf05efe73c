//! What becomes of members: roles, removal, leaving.

use jiff::Timestamp;
use keyrack_manifest::MemberId;

use super::Vault;
use super::admit::compartments;
use super::commit::Plan;
use crate::chain::{Detail, Due, DueReason, LinkKind, Role, Status};
use crate::error::VaultError;

const NOBODY: VaultError = VaultError::Unknown { what: "member" };

impl Vault<'_> {
    /// Removes a member: new keys, all that is shared written anew, and what it could read
    /// marked. It cannot be made to forget.
    ///
    /// # Errors
    /// [`VaultError::Refused`], [`VaultError::Unknown`], as [`Vault::rotate`].
    pub fn remove(&mut self, member: &MemberId, now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.commit(now, |vault, staged| {
            let mut state = vault.state().clone();
            state.active(member).ok_or(NOBODY)?;
            if let Some(target) = state.member_mut(member) {
                target.status = Status::Removed;
            }
            let detail = Detail { member: Some(*member), ..Detail::default() };
            vault.renewing(staged, LinkKind::Remove, state, detail)
        })
    }

    /// Changes what a member may do, and whether it holds the password compartment, which
    /// whoever administers always does. Less of either brings new keys.
    ///
    /// # Errors
    /// As [`Vault::remove`].
    pub fn set_role(
        &mut self,
        member: &MemberId,
        role: Role,
        password: bool,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        let held = compartments(role, password);
        self.commit(now, |vault, staged| {
            let mut state = vault.state().clone();
            let before = state.active(member).ok_or(NOBODY)?.clone();
            if let Some(target) = state.member_mut(member) {
                target.role = role;
                target.compartments.clone_from(&held);
            }
            let detail = Detail { member: Some(*member), ..Detail::default() };
            if role < before.role || !before.compartments.is_subset(&held) {
                return vault.renewing(staged, LinkKind::Role, state, detail);
            }
            if before.compartments != held {
                let after = state.active(member).ok_or(NOBODY)?.clone();
                vault.wrap_for(&mut state, &after)?;
            }
            Ok(Plan { kind: LinkKind::Role, state, detail })
        })
    }

    /// Goes. Whoever stays is told that new keys are due. The vault is of no more use after.
    ///
    /// # Errors
    /// [`VaultError::Refused`] for the last owner.
    pub fn leave(&mut self, now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.commit(now, |vault, _| {
            let (me, since_seq) = (vault.me, vault.chain.seq() + 1);
            let mut state = vault.state().clone();
            if let Some(member) = state.member_mut(&me) {
                member.status = Status::Left;
            }
            if let Some(epoch) = &mut state.epoch {
                epoch.wraps.remove(&me);
            }
            state.pending.push(Due { member: me, reason: DueReason::Left, since_seq });
            Ok(Plan { kind: LinkKind::Leave, state, detail: Detail::default() })
        })
    }
}
