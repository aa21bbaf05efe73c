//! How somebody becomes a member: by a card that was compared, with a wrap that waits; or
//! by a one-time key, which gives nothing before it is confirmed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use keyrack_manifest::{InviteId, MemberId, SignedCard, SigningKey};
use keyrack_names::Owner;

use super::commit::Plan;
use super::{Actor, Vault, ring};
use crate::chain::{Chain, Detail, Invite, LinkKind, Member, Role, State, Status, invite_of};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::invitation::{self, Invitation, Request};
use crate::keys::Compartment;
use crate::names;
use crate::own_key::OwnKey;
use crate::wrap;

/// The compartments of a newcomer: everything for those who administer.
pub(super) fn compartments(role: Role, password: bool) -> BTreeSet<Compartment> {
    let password = (password || role.writes_shared()).then_some(Compartment::Password);
    std::iter::once(Compartment::Std).chain(password).collect()
}

impl<'s> Vault<'s> {
    /// Invites whoever the card is of: its fingerprint was compared. The vault's keys are
    /// wrapped for it at once; until it accepts, programs refuse it. Whoever is invited and
    /// has not accepted is invited by the same invitation once more, if for the same role.
    ///
    /// # Errors
    /// [`VaultError::Refused`]; when the keys cannot be wrapped for it.
    pub fn invite(
        &mut self,
        card: &SignedCard,
        role: Role,
        password: bool,
        now: Timestamp,
    ) -> Result<Invitation, VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        let (id, held) = (card.member_id(), compartments(role, password));
        let is_invited = self.state().member(&id).is_some_and(|member| {
            (member.status, member.role, &member.compartments) == (Status::Invited, role, &held)
        });
        if is_invited {
            return Ok(self.invitation(invite_of(&id), None));
        }
        self.rotate_if_due(now)?;
        self.commit(now, |vault, _| {
            let newcomer = Member {
                member_id: id,
                handle: card.card.handle.clone(),
                role,
                status: Status::Invited,
                sig_key: card.card.sig_key,
                recipients: card.card.recipients.clone(),
                card_fp: card.digest(),
                compartments: held.clone(),
                grant_key: None,
                since_seq: vault.chain.seq() + 1,
            };
            let mut state = vault.state().clone();
            vault.wrap_for(&mut state, &newcomer)?;
            state.members.push(newcomer);
            let (member, invite) = (Some(id), Some(invite_of(&id)));
            let detail = Detail { member, invite, ..Detail::default() };
            Ok(Plan { kind: LinkKind::Invite, state, detail })
        })?;
        Ok(self.invitation(invite_of(&id), None))
    }

    /// Invites whoever will show the one-time key that the invitation holds.
    ///
    /// # Errors
    /// [`VaultError::Refused`].
    pub fn invite_one_time(
        &mut self,
        handle: &Owner,
        role: Role,
        password: bool,
        now: Timestamp,
    ) -> Result<Invitation, VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.rotate_if_due(now)?;
        let (id, key) = (InviteId::random()?, SigningKey::generate()?);
        let invite = Invite {
            handle: handle.clone(),
            role,
            compartments: compartments(role, password),
            key: key.public(),
        };
        self.commit(now, |vault, _| {
            let mut state = vault.state().clone();
            state.invites.insert(id, invite.clone());
            let detail = Detail { invite: Some(id), ..Detail::default() };
            Ok(Plan { kind: LinkKind::Invite, state, detail })
        })?;
        Ok(self.invitation(id, Some(key)))
    }

    fn invitation(&self, invite_id: InviteId, one_time: Option<SigningKey>) -> Invitation {
        let inviter = self.state().member(&self.me).map(Member::fingerprint);
        Invitation {
            vault_id: *self.id(),
            location: None,
            invite_id,
            inviter: inviter.unwrap_or_default(),
            one_time,
        }
    }

    /// Leaves a request to join, signed with the one-time key of an invitation.
    ///
    /// # Errors
    /// [`VaultError::Invitation`] when it is not open, has none, or was used.
    pub fn request(
        store: &dyn VaultStore,
        invitation: &Invitation,
        card: &SignedCard,
        actor: &Actor,
    ) -> Result<(), VaultError> {
        let _guard = store.lock()?;
        let chain = believed(store, invitation)?;
        let bad = |why| VaultError::Invitation { why };
        let key = invitation.one_time.as_ref().ok_or_else(|| bad("it has no one-time key"))?;
        let (vault, id) = (*chain.id(), invitation.invite_id);
        let open = chain.state().invites.get(&id).filter(|invite| invite.key == key.public());
        let open = open.ok_or_else(|| bad("it is not open, or was cancelled"))?;
        let own = OwnKey::random(card.member_id(), 1)?;
        let sealed = own.seal(vault, &actor.key, &card.card.recipients)?;
        let request = Request::write(vault, id, card, own.recipient()?, key);
        let name = names::request(&id);
        let used = || bad("it was used already");
        match store.get(&name, invitation::LARGEST)? {
            Some(there) if Request::read(&there, &vault, &id, &open.key).is_some() => {
                return Err(used());
            }
            // Nobody's: who has not the key cannot keep whoever has it out.
            Some(_) => store.remove(&name)?,
            None => {}
        }
        store.stage(&[(names::private_key(&card.member_id(), 1), sealed)])?;
        if store.create(&name, &request)? { Ok(()) } else { Err(used()) }
    }

    /// The requests that wait to be confirmed.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>, VaultError> {
        let mut requests = Vec::new();
        for (id, invite) in &self.state().invites {
            let bytes = self.store.get(&names::request(id), invitation::LARGEST)?;
            requests.extend(bytes.and_then(|b| Request::read(&b, self.id(), id, &invite.key)));
        }
        Ok(requests)
    }

    /// Makes whoever left `request` a member. Its card was compared.
    ///
    /// # Errors
    /// [`VaultError::Refused`]; [`VaultError::Invitation`] when it is not open any more.
    pub fn confirm(&mut self, request: &Request, now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.rotate_if_due(now)?;
        self.commit(now, |vault, _| {
            let mut state = vault.state().clone();
            let invite = state.invites.remove(&request.invite);
            let invite = invite.ok_or(VaultError::Invitation { why: "it is not open" })?;
            let newcomer = Member {
                member_id: request.member(),
                handle: invite.handle,
                role: invite.role,
                status: Status::Active,
                sig_key: request.card.card.sig_key,
                recipients: request.card.card.recipients.clone(),
                card_fp: request.card.digest(),
                compartments: invite.compartments,
                grant_key: Some(request.grant_key.clone()),
                since_seq: vault.chain.seq() + 1,
            };
            vault.wrap_for(&mut state, &newcomer)?;
            let detail = Detail {
                member: Some(newcomer.member_id),
                invite: Some(request.invite),
                request: Some(request.digest),
                ..Detail::default()
            };
            state.members.push(newcomer);
            Ok(Plan { kind: LinkKind::Confirm, state, detail })
        })?;
        Ok(self.store.remove(&names::request(&request.invite))?)
    }

    /// Takes an invitation back. One by card has a wrap, so new keys come with it.
    ///
    /// # Errors
    /// [`VaultError::Refused`], [`VaultError::Invitation`].
    pub fn cancel(&mut self, invite: &InviteId, now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.commit(now, |vault, staged| {
            let mut state = vault.state().clone();
            let mut detail = Detail { invite: Some(*invite), ..Detail::default() };
            if state.invites.remove(invite).is_some() {
                return Ok(Plan { kind: LinkKind::Cancel, state, detail });
            }
            let id = MemberId::from_bytes(*invite.as_bytes());
            let invited = state.member_mut(&id).filter(|m| m.status == Status::Invited);
            invited.ok_or(VaultError::Invitation { why: "it is not open" })?.status =
                Status::Removed;
            detail.member = Some(id);
            vault.renewing(staged, LinkKind::Cancel, state, detail)
        })?;
        Ok(self.store.remove(&names::request(invite))?)
    }

    /// Accepts an invitation: the vault is the one it names, the whole chain holds, the wrap
    /// opens and is what the chain commits to. Who is a member already just opens it.
    ///
    /// # Errors
    /// [`VaultError::Chain`]; [`VaultError::Invitation`]; as [`Vault::open`].
    pub fn accept(
        store: &'s dyn VaultStore,
        invitation: &Invitation,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Self, VaultError> {
        let _guard = store.lock()?;
        let chain = believed(store, invitation)?;
        let bad = |why| VaultError::Invitation { why };
        let key = actor.key.public();
        let invited = chain.state().members.iter().find(|member| member.sig_key == key);
        let invited = match invited {
            Some(member) if member.status.has_wrap() => member.clone(),
            Some(_) => return Err(bad("it was cancelled, or the member is gone")),
            None if invitation.one_time.is_some() => return Err(bad("it is not confirmed yet")),
            None => return Err(bad("it is for somebody else, or has not come here yet")),
        };
        let me = invited.member_id;
        if invited.status == Status::Invited && invitation.invite_id != invite_of(&me) {
            return Err(bad("it is for somebody else"));
        }
        let ring = ring::of(store, &chain, &me, &actor, None)?;
        if ring.epoch.is_none() {
            return Err(VaultError::NoIdentity);
        }
        let mut vault = Self::with(store, actor, chain, ring);
        if invited.status == Status::Invited {
            vault.say_yes(&invited, now)?;
        }
        vault.refresh()?;
        Ok(vault)
    }

    fn say_yes(&mut self, invited: &Member, now: Timestamp) -> Result<(), VaultError> {
        let own = match self.ring.own.take() {
            Some(own) => own,
            None => OwnKey::random(self.me, 1)?,
        };
        let sealed = own.seal(*self.id(), &self.actor.key, &invited.recipients)?;
        self.store.stage(&[(names::private_key(&self.me, own.generation), sealed)])?;
        let grant_key = own.recipient()?;
        self.ring.own = Some(own);
        self.commit(now, |vault, _| {
            let mut state = vault.state().clone();
            if let Some(member) = state.member_mut(&vault.me) {
                member.status = Status::Active;
                member.grant_key = Some(grant_key.clone());
            }
            Ok(Plan { kind: LinkKind::Accept, state, detail: Detail::default() })
        })
    }

    /// Wraps the keys in force for `member`, and says so in `state`.
    pub(super) fn wrap_for(&self, state: &mut State, member: &Member) -> Result<(), VaultError> {
        let keys = self.ring.epoch.as_ref().ok_or(VaultError::NoIdentity)?;
        let Member { member_id, compartments, recipients, .. } = member;
        let wrap = wrap::wrap(keys, *self.id(), *member_id, compartments, recipients)?;
        self.store.stage(&[(names::wrap(keys.epoch(), &wrap.digest), wrap.bytes)])?;
        if let Some(epoch) = &mut state.epoch {
            epoch.wraps.insert(*member_id, wrap.digest);
        }
        Ok(())
    }
}

/// The chain of the vault that an invitation names, all of it, if whoever invites is there.
fn believed(store: &dyn VaultStore, invitation: &Invitation) -> Result<Chain, VaultError> {
    let chain = Chain::verify(store, &invitation.vault_id, None)?;
    let invites =
        |member: &Member| member.role.writes_shared() && member.fingerprint() == invitation.inviter;
    if chain.state().members.iter().any(invites) {
        Ok(chain)
    } else {
        Err(VaultError::Invitation { why: "nobody in the vault has the inviter's fingerprint" })
    }
}
