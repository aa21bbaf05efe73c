//! Which link may follow which state. From the state before, the kind of the link and whom
//! it is about follows the state after: what differs from that was smuggled in. No clock,
//! no file, no key.

use std::collections::BTreeSet;

use keyrack_manifest::{Digest, InviteId, MemberId};

use super::error::Refusal;
use super::link::{Link, LinkKind};
use super::state::{EpochState, Member, Role, State, Status};
use crate::keys::Compartment;

/// A member makes at most one checkpoint in so many links: none can starve other links.
pub const CHECKPOINT_EVERY: u64 = 16;

/// A card invites one member: the invitation has the member's name.
pub(crate) fn invite_of(member: &MemberId) -> InviteId {
    InviteId::from_bytes(*member.as_bytes())
}

/// Checks the first link but for its signature: one active owner and no keys yet.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check_genesis(link: &Link) -> Result<(), Refusal> {
    let smuggled = |what| Refusal::Smuggled { kind: LinkKind::Genesis, what };
    if link.kind != LinkKind::Genesis || link.seq != 0 {
        return Err(Refusal::Number);
    }
    if link.prev.is_some() || link.vault_id.is_some() || link.detail.nonce.is_none() {
        return Err(smuggled("what comes before it"));
    }
    let [founder] = link.state.members.as_slice() else { return Err(smuggled("its members")) };
    let is_owner = founder.member_id == link.author
        && founder.role == Role::Owner
        && founder.status == Status::Active
        && founder.since_seq == 0
        && fits(founder);
    let state = &link.state;
    let is_bare = state.epoch.is_none()
        && link.epoch.is_none()
        && state.invites.is_empty()
        && state.pending.is_empty()
        && state.checkpoints.is_empty()
        && state.audit_heads.is_empty();
    if !is_owner {
        return Err(smuggled("its members"));
    }
    if is_bare { Ok(()) } else { Err(smuggled("more than a beginning")) }
}

/// Checks that `link` may follow `before`; signature, number and predecessor are the
/// chain's business.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(before: &State, link: &Link) -> Result<(), Refusal> {
    let step = Step { before, link, after: &link.state };
    let expected = step.expected()?;
    if let Some(what) = difference(&expected, step.after) {
        return Err(Refusal::Smuggled { kind: link.kind, what });
    }
    if link.epoch != step.after.epoch.as_ref().map(|epoch| epoch.id) {
        return Err(step.smuggled("its epoch"));
    }
    if step.after.owners() == 0 { Err(Refusal::LastOwner) } else { Ok(()) }
}

/// Whether a member holds the compartments its role needs, and at least the common one.
pub(super) fn fits(member: &Member) -> bool {
    let all = BTreeSet::from([Compartment::Std, Compartment::Password]);
    let holds_enough = !member.role.writes_shared() || member.compartments == all;
    holds_enough && member.compartments.contains(&Compartment::Std) && !member.recipients.is_empty()
}

/// In what two states differ.
fn difference(expected: &State, found: &State) -> Option<&'static str> {
    [
        ("its members", expected.members == found.members),
        ("its keys", expected.epoch == found.epoch),
        ("its name", expected.name == found.name),
        ("its policy", expected.policy == found.policy),
        ("its invitations", expected.invites == found.invites),
        ("what is due", expected.pending == found.pending),
        ("its checkpoints", expected.checkpoints == found.checkpoints),
        ("its audit heads", expected.audit_heads == found.audit_heads),
    ]
    .into_iter()
    .find_map(|(what, same)| (!same).then_some(what))
}

pub(super) struct Step<'a> {
    pub(super) before: &'a State,
    pub(super) link: &'a Link,
    pub(super) after: &'a State,
}

impl Step<'_> {
    /// The state that must come of it.
    pub(super) fn expected(&self) -> Result<State, Refusal> {
        use LinkKind as K;
        if self.before.epoch.is_none() && self.link.kind != K::Rotate {
            return Err(Refusal::KeysKept { kind: self.link.kind });
        }
        let mut next = self.before.clone();
        match self.link.kind {
            K::Genesis => return Err(Refusal::Number),
            K::Invite => self.invite(&mut next)?,
            K::Accept => self.accept(&mut next)?,
            K::Confirm => self.confirm(&mut next)?,
            K::Cancel => self.cancel(&mut next)?,
            K::Role => self.role(&mut next)?,
            K::Remove => self.remove(&mut next)?,
            K::Leave => self.leave(&mut next)?,
            K::Recipients | K::Rekey => self.renew(&mut next)?,
            K::Policy | K::Name => {
                self.need(Role::Owner)?;
                self.nothing_due()?;
                match self.link.kind {
                    K::Policy => next.policy = self.after.policy.clone(),
                    _ => next.name = self.after.name.clone(),
                }
            }
            K::Rotate => {
                self.need(Role::Admin)?;
                self.new_keys(&mut next)?;
            }
            K::Checkpoint => self.checkpoint(&mut next)?,
        }
        Ok(next)
    }

    pub(super) fn invite(&self, next: &mut State) -> Result<(), Refusal> {
        self.nothing_due()?;
        if let Some(id) = self.link.detail.member {
            let newcomer = self.newcomer(&id, Status::Invited)?;
            self.may_admit(newcomer.role)?;
            if !self.before.is_new(&id, &newcomer.handle, &newcomer.sig_key) {
                return Err(Refusal::Taken);
            }
            if newcomer.grant_key.is_some() || self.link.detail.invite != Some(invite_of(&id)) {
                return Err(self.smuggled("its members"));
            }
            next.members.push(newcomer.clone());
            return self.take_wrap(next, &id);
        }
        let id = self.link.detail.invite.ok_or_else(|| self.smuggled("its invitations"))?;
        let invite = self.after.invites.get(&id).ok_or_else(|| self.smuggled("its invitations"))?;
        self.may_admit(invite.role)?;
        if !self.before.handle_is_free(&invite.handle) || self.before.invites.contains_key(&id) {
            return Err(Refusal::Taken);
        }
        next.invites.insert(id, invite.clone());
        Ok(())
    }

    pub(super) fn accept(&self, next: &mut State) -> Result<(), Refusal> {
        let author = self.link.author;
        let said = self.after.member(&author).ok_or_else(|| self.smuggled("its members"))?;
        let invited = next.member_mut(&author).filter(|member| member.status == Status::Invited);
        let invited = invited.ok_or(Refusal::NotEntitled { kind: self.link.kind })?;
        invited.status = Status::Active;
        invited.grant_key = said.grant_key.clone();
        Ok(())
    }

    pub(super) fn confirm(&self, next: &mut State) -> Result<(), Refusal> {
        self.nothing_due()?;
        let detail = &self.link.detail;
        let (Some(invite), Some(id), Some(_)) = (detail.invite, detail.member, detail.request)
        else {
            return Err(self.smuggled("its invitations"));
        };
        let invite =
            next.invites.remove(&invite).ok_or_else(|| self.smuggled("its invitations"))?;
        self.may_admit(invite.role)?;
        let newcomer = self.newcomer(&id, Status::Active)?;
        let is_invited = newcomer.handle == invite.handle
            && newcomer.role == invite.role
            && newcomer.compartments == invite.compartments;
        if !is_invited {
            return Err(self.smuggled("its members"));
        }
        if !next.is_new(&id, &newcomer.handle, &newcomer.sig_key) {
            return Err(Refusal::Taken);
        }
        next.members.push(newcomer.clone());
        self.take_wrap(next, &id)
    }

    pub(super) fn cancel(&self, next: &mut State) -> Result<(), Refusal> {
        self.need(Role::Admin)?;
        let id = self.link.detail.invite.ok_or_else(|| self.smuggled("its invitations"))?;
        if next.invites.remove(&id).is_some() {
            return Ok(());
        }
        let invited = MemberId::from_bytes(*id.as_bytes());
        let invited = next.member_mut(&invited).filter(|m| m.status == Status::Invited);
        invited.ok_or_else(|| self.smuggled("its invitations"))?.status = Status::Removed;
        self.new_keys(next)
    }

    pub(super) fn checkpoint(&self, next: &mut State) -> Result<(), Refusal> {
        let author = self.author()?.member_id;
        let last = self.before.checkpoints.get(&author);
        if last.is_some_and(|last| self.link.seq < last + CHECKPOINT_EVERY) {
            return Err(Refusal::Flood);
        }
        next.checkpoints.insert(author, self.link.seq);
        for (member, devices) in &self.before.audit_heads {
            for (device, head) in devices {
                let later = self.after.audit_heads.get(member).and_then(|all| all.get(device));
                if later.is_none_or(|later| later.seq < head.seq) {
                    return Err(self.smuggled("its audit heads"));
                }
            }
        }
        if self.after.audit_heads.keys().any(|member| self.before.member(member).is_none()) {
            return Err(self.smuggled("its audit heads"));
        }
        next.audit_heads.clone_from(&self.after.audit_heads);
        Ok(())
    }

    /// The keys are new ones, wrapped for exactly those who are to have them.
    pub(super) fn new_keys(&self, next: &mut State) -> Result<(), Refusal> {
        let kept = Refusal::KeysKept { kind: self.link.kind };
        let new = self.after.epoch.as_ref().ok_or_else(|| kept.clone())?;
        if let Some(old) = &self.before.epoch {
            if new.id == old.id {
                return Err(kept);
            }
            are_new(old, new)?;
        }
        if new.commitments.std == new.commitments.password {
            return Err(Refusal::OldKeys);
        }
        let entitled: BTreeSet<&MemberId> =
            next.members.iter().filter(|m| m.status.has_wrap()).map(|m| &m.member_id).collect();
        let files: BTreeSet<&Digest> = new.wraps.values().collect();
        if entitled != new.wraps.keys().collect() || files.len() != new.wraps.len() {
            return Err(Refusal::Wraps);
        }
        next.epoch = Some(new.clone());
        next.pending.clear();
        Ok(())
    }

    /// The same keys, wrapped anew for one member.
    pub(super) fn take_wrap(&self, next: &mut State, id: &MemberId) -> Result<(), Refusal> {
        let wrap = self.after.epoch.as_ref().and_then(|epoch| epoch.wraps.get(id));
        let (Some(wrap), Some(epoch)) = (wrap, &mut next.epoch) else {
            return Err(Refusal::Wraps);
        };
        if epoch.wraps.values().any(|old| old == wrap) {
            return Err(Refusal::Wraps);
        }
        epoch.wraps.insert(*id, *wrap);
        Ok(())
    }

    /// Somebody the link brings, as it says.
    pub(super) fn newcomer(&self, id: &MemberId, status: Status) -> Result<&Member, Refusal> {
        if self.before.member(id).is_some() {
            return Err(Refusal::Taken);
        }
        let newcomer = self.after.member(id).filter(|member| {
            member.status == status && member.since_seq == self.link.seq && fits(member)
        });
        newcomer.ok_or_else(|| self.smuggled("its members"))
    }

    pub(super) fn target(&self) -> Result<MemberId, Refusal> {
        self.link.detail.member.ok_or_else(|| self.smuggled("nobody"))
    }

    pub(super) fn author(&self) -> Result<&Member, Refusal> {
        self.before.active(&self.link.author).ok_or(Refusal::NoMember(self.link.author))
    }

    pub(super) fn need(&self, role: Role) -> Result<(), Refusal> {
        if self.author()?.role >= role {
            Ok(())
        } else {
            Err(Refusal::NotEntitled { kind: self.link.kind })
        }
    }

    /// An owner admits anybody, an admin members.
    pub(super) fn may_admit(&self, role: Role) -> Result<(), Refusal> {
        self.need(if role == Role::Member { Role::Admin } else { Role::Owner })
    }

    pub(super) fn nothing_due(&self) -> Result<(), Refusal> {
        if self.before.rotation_due() { Err(Refusal::RotationDue) } else { Ok(()) }
    }

    pub(super) fn smuggled(&self, what: &'static str) -> Refusal {
        Refusal::Smuggled { kind: self.link.kind, what }
    }
}

/// The next epoch, and no key or file of the old one.
fn are_new(old: &EpochState, new: &EpochState) -> Result<(), Refusal> {
    let committed = [old.commitments.std, old.commitments.password];
    let is_next = new.id.number() == old.id.number() + 1;
    let is_old = |digest: &Digest| committed.contains(digest);
    if !is_next || is_old(&new.commitments.std) || is_old(&new.commitments.password) {
        return Err(Refusal::OldKeys);
    }
    let has_old_wrap = new.wraps.values().any(|wrap| old.wraps.values().any(|old| old == wrap));
    if has_old_wrap { Err(Refusal::Wraps) } else { Ok(()) }
}
