//! The rules about a member that is there: its role, its keys, its going.

use super::error::Refusal;
use super::link::LinkKind;
use super::rules::{Step, fits};
use super::state::{Due, DueReason, Role, State, Status};

impl Step<'_> {
    pub(super) fn role(&self, next: &mut State) -> Result<(), Refusal> {
        self.need(Role::Owner)?;
        let id = self.target()?;
        let said = self.after.member(&id).ok_or_else(|| self.smuggled("its members"))?;
        let before = self.before.active(&id).ok_or_else(|| self.smuggled("its members"))?;
        let member = next.member_mut(&id).ok_or_else(|| self.smuggled("its members"))?;
        member.role = said.role;
        member.compartments.clone_from(&said.compartments);
        if !fits(member) || (before.role, &before.compartments) == (said.role, &said.compartments) {
            return Err(self.smuggled("its members"));
        }
        // Nobody would believe what a member signed, and the new epoch is signed by its author.
        if id == self.link.author && !said.role.writes_shared() {
            return Err(Refusal::NotEntitled { kind: self.link.kind });
        }
        let is_down = said.role < before.role || !before.compartments.is_subset(&said.compartments);
        if is_down {
            return self.new_keys(next);
        }
        self.nothing_due()?;
        // The wrap holds the keys of the member's compartments.
        if before.compartments == said.compartments { Ok(()) } else { self.take_wrap(next, &id) }
    }

    pub(super) fn remove(&self, next: &mut State) -> Result<(), Refusal> {
        let author = self.author()?;
        let id = self.target()?;
        let target = self.before.active(&id).ok_or_else(|| self.smuggled("its members"))?;
        let may = match author.role {
            Role::Owner => true,
            Role::Admin => target.role == Role::Member,
            Role::Member => false,
        };
        if !may || id == author.member_id {
            return Err(Refusal::NotEntitled { kind: self.link.kind });
        }
        if let Some(member) = next.member_mut(&id) {
            member.status = Status::Removed;
        }
        self.new_keys(next)
    }

    pub(super) fn leave(&self, next: &mut State) -> Result<(), Refusal> {
        let id = self.link.author;
        let member = next.member_mut(&id).filter(|member| member.status.has_wrap());
        let member = member.ok_or(Refusal::NoMember(id))?;
        let reason = match member.status {
            Status::Invited => DueReason::Lapsed,
            _ => DueReason::Left,
        };
        member.status = Status::Left;
        if let Some(epoch) = &mut next.epoch {
            epoch.wraps.remove(&id);
        }
        next.pending.push(Due { member: id, reason, since_seq: self.link.seq });
        Ok(())
    }

    /// New recipients, or a new signing key: said by the member itself, or by an owner.
    pub(super) fn renew(&self, next: &mut State) -> Result<(), Refusal> {
        let author = self.author()?;
        let id = self.target()?;
        if id != author.member_id && author.role != Role::Owner {
            return Err(Refusal::NotEntitled { kind: self.link.kind });
        }
        let said = self.after.member(&id).ok_or_else(|| self.smuggled("its members"))?;
        let is_new_key = self.before.members.iter().all(|member| member.sig_key != said.sig_key);
        let member = next.member_mut(&id).filter(|member| member.status.has_wrap());
        let member = member.ok_or_else(|| self.smuggled("its members"))?;
        member.recipients.clone_from(&said.recipients);
        member.card_fp = said.card_fp;
        if self.link.kind == LinkKind::Rekey {
            if !is_new_key {
                return Err(Refusal::Taken);
            }
            member.sig_key = said.sig_key;
            member.grant_key.clone_from(&said.grant_key);
        }
        if !fits(member) {
            return Err(self.smuggled("its members"));
        }
        // What an old key signed nobody would believe any more: all that is shared is
        // signed anew.
        if self.link.kind == LinkKind::Rekey && member.role.writes_shared() {
            return self.new_keys(next);
        }
        self.take_wrap(next, &id)?;
        if self.link.detail.compromised {
            let reason = DueReason::Compromised;
            next.pending.push(Due { member: id, reason, since_seq: self.link.seq });
        }
        Ok(())
    }
}
