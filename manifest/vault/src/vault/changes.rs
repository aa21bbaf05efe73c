//! Links that change what the vault is called and allows, what members are known by, and
//! what they have seen.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyrack_manifest::{DeviceId, MemberId, SignedCard, VaultName};

use super::commit::Plan;
use super::{Actor, Vault};
use crate::chain::{AuditHead, Detail, Due, DueReason, LinkKind, Member, Policy, Role, State};
use crate::error::VaultError;
use crate::names;
use crate::own_key::OwnKey;
use crate::record::{Keyring, Visibility};

impl Vault<'_> {
    /// Changes the vault's rules.
    ///
    /// # Errors
    /// [`VaultError::Refused`].
    pub fn set_policy(&mut self, policy: &Policy, now: Timestamp) -> Result<(), VaultError> {
        self.change(LinkKind::Policy, now, |state| state.policy = policy.clone())
    }

    /// Changes the vault's name.
    ///
    /// # Errors
    /// [`VaultError::Refused`].
    pub fn rename(&mut self, name: &VaultName, now: Timestamp) -> Result<(), VaultError> {
        self.change(LinkKind::Name, now, |state| state.name = name.clone())
    }

    /// Says what audit heads this member has seen. Later ones than are known are kept.
    ///
    /// # Errors
    /// [`VaultError::Refused`], also when this member's last checkpoint is too near.
    pub fn checkpoint(
        &mut self,
        heads: &BTreeMap<MemberId, BTreeMap<DeviceId, AuditHead>>,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let (me, _guard) = (self.me, self.store.lock()?);
        self.refresh()?;
        self.commit(now, |vault, _| {
            let mut state = vault.state().clone();
            state.checkpoints.insert(me, vault.chain.seq() + 1);
            for (member, devices) in
                heads.iter().filter(|(id, _)| vault.state().member(id).is_some())
            {
                let known = state.audit_heads.entry(*member).or_default();
                for (device, head) in devices {
                    let is_later = known.get(device).is_none_or(|old| old.seq < head.seq);
                    if is_later {
                        known.insert(*device, head.clone());
                    }
                }
            }
            Ok(Plan { kind: LinkKind::Checkpoint, state, detail: Detail::default() })
        })
    }

    fn change(
        &mut self,
        kind: LinkKind,
        now: Timestamp,
        change: impl Fn(&mut State),
    ) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        if self.role() == Role::Owner {
            self.rotate_if_due(now)?;
        }
        self.commit(now, |vault, _| {
            let mut state = vault.state().clone();
            change(&mut state);
            Ok(Plan { kind, state, detail: Detail::default() })
        })
    }

    /// Publishes this member's recipients as its card has them now. The wrap and its own key
    /// are sealed to them; if one was lost to somebody, new keys are due.
    ///
    /// # Errors
    /// [`VaultError::Refused`]; [`VaultError::OtherKeys`] for a card of another key.
    pub fn set_recipients(
        &mut self,
        card: &SignedCard,
        compromised: bool,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.recipients_alone(card, compromised, now)?;
        self.rotate_if_due(now)
    }

    /// As [`Vault::set_recipients`], for who holds the lock and looked.
    pub(crate) fn recipients_alone(
        &mut self,
        card: &SignedCard,
        compromised: bool,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        if card.card.sig_key != self.actor.key.public() {
            return Err(VaultError::OtherKeys);
        }
        let me = self.me;
        if let Some(own) = &self.ring.own {
            let sealed = own.seal(*self.id(), &self.actor.key, &card.card.recipients)?;
            self.store.stage(&[(names::private_key(&me, own.generation), sealed)])?;
        }
        self.commit(now, |vault, _| {
            let mut state = vault.state().clone();
            let member = said(&mut state, &me, card)?;
            vault.wrap_for(&mut state, &member)?;
            if compromised {
                let (reason, since_seq) = (DueReason::Compromised, vault.chain.seq() + 1);
                state.pending.push(Due { member: me, reason, since_seq });
            }
            let detail = Detail { member: Some(me), compromised, ..Detail::default() };
            Ok(Plan { kind: LinkKind::Recipients, state, detail })
        })
    }

    /// Replaces this member's signing key and own key: the old ones may be in other hands.
    /// What is private to it is written anew. For who administers, new keys of the vault
    /// come with it, since nobody would believe what the old key signed; for others they
    /// are due.
    ///
    /// # Errors
    /// [`VaultError::Refused`]; as [`Vault::rotate`].
    pub fn rekey(
        &mut self,
        new: Actor,
        card: &SignedCard,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        if card.card.sig_key != new.key.public() {
            return Err(VaultError::OtherKeys);
        }
        let (me, _guard) = (self.me, self.store.lock()?);
        self.refresh()?;
        let generation = self.ring.own.as_ref().map_or(0, |own| own.generation) + 1;
        let own = OwnKey::random(me, generation)?;
        let grant_key = own.recipient()?;
        let sealed = own.seal(*self.id(), &new.key, &card.card.recipients)?;
        self.store.stage(&[(names::private_key(&me, generation), sealed)])?;
        let ring = Keyring { own: Some(own.clone()), ..self.ring.clone() };
        // Believed by nobody before the link, and the old ones by nobody after it.
        let private = self.private_anew(&ring, &new.key, now)?;
        let renewed = Self::write_all(self.store, private)?;
        let old = self.actor.clone();
        self.commit(now, |vault, staged| {
            let mut state = vault.state().clone();
            let member = said(&mut state, &me, card)?;
            if let Some(member) = state.member_mut(&me) {
                member.sig_key = new.key.public();
                member.grant_key = Some(grant_key.clone());
            }
            let detail = Detail { member: Some(me), compromised: true, ..Detail::default() };
            if member.role.writes_shared() {
                // Written with the new key, announced with the old one.
                vault.actor = new.clone();
                let plan = vault.renewing(staged, LinkKind::Rekey, state, detail);
                vault.actor = old.clone();
                return plan;
            }
            vault.wrap_for(&mut state, &member)?;
            let (reason, since_seq) = (DueReason::Compromised, vault.chain.seq() + 1);
            state.pending.push(Due { member: me, reason, since_seq });
            Ok(Plan { kind: LinkKind::Rekey, state, detail })
        })?;
        self.actor = new;
        self.ring.own = Some(own);
        self.take_over(renewed)
    }

    /// The records that are private to this member.
    pub(super) fn is_mine(&self, record: &crate::record::Record) -> bool {
        record.visibility == Visibility::Private && record.owner == self.me
    }
}

/// Puts what a card says of a member into `state`.
fn said(state: &mut State, id: &MemberId, card: &SignedCard) -> Result<Member, VaultError> {
    let member = state.member_mut(id).ok_or(VaultError::Unknown { what: "member" })?;
    member.recipients.clone_from(&card.card.recipients);
    member.card_fp = card.digest();
    Ok(member.clone())
}
