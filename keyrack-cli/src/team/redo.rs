//! Links of this member that lost the race to a remote, and how each is made again: from what
//! it said, if whoever made it still may.

use jiff::Timestamp;
use keyrack_manifest::signed::Signed;
use keyrack_manifest::{InviteId, MemberId, VaultId};
use keyrack_vault::{
    Chain, Compartment, Link, LinkKind, Memory, Policy, Role, Vault, VaultError, VaultStore, names,
};

use super::Place;

/// Largest link, in bytes.
const LARGEST: u64 = 1 << 20;

/// A link that is on our chain and not on theirs.
#[derive(Debug, Clone)]
pub struct Lost {
    /// What it did.
    pub kind: LinkKind,
    /// Who made it.
    pub author: MemberId,
    /// The handle of whom it was about.
    pub handle: Option<String>,
    member: Option<MemberId>,
    invite: Option<InviteId>,
    role: Option<(Role, bool)>,
    policy: Policy,
}

/// The links that `ours` has and `theirs` has not, in order. What does not verify has none.
pub fn lost(ours: &Memory, theirs: &Memory, id: &VaultId) -> Vec<Lost> {
    let (Ok(ours_chain), Ok(theirs_chain)) =
        (Chain::verify(ours, id, None), Chain::verify(theirs, id, None))
    else {
        return Vec::new();
    };
    let same = ours_chain.digests().iter().zip(theirs_chain.digests());
    let common = same.take_while(|(ours, theirs)| ours == theirs).count() as u64;
    (common..=ours_chain.seq()).filter_map(|seq| read(ours, seq)).collect()
}

fn read(store: &Memory, seq: u64) -> Option<Lost> {
    let bytes = store.get(&names::link(seq), LARGEST).ok()??;
    let link: Link = Signed::split(&bytes).ok()?.read().ok()?;
    let about = link.detail.member.and_then(|id| link.state.member(&id));
    let invite = link.detail.invite.and_then(|id| link.state.invites.get(&id));
    let handle = about.map(|member| &member.handle).or(invite.map(|invite| &invite.handle));
    let roles = about.map(|member| (member.role, &member.compartments));
    let roles = roles.or(invite.map(|invite| (invite.role, &invite.compartments)));
    Some(Lost {
        kind: link.kind,
        author: link.author,
        handle: handle.map(ToString::to_string),
        member: link.detail.member,
        invite: link.detail.invite,
        role: roles.map(|(role, all)| (role, all.contains(&Compartment::Password))),
        policy: link.state.policy.clone(),
    })
}

impl Lost {
    /// How a person does it anew: an invitation, which it gave to somebody.
    pub fn anew(&self, place: &Place) -> Option<String> {
        let handle = self.handle.as_ref().filter(|_| self.kind == LinkKind::Invite)?;
        let by = if self.member.is_some() { "--card FILE" } else { "--one-time-code" };
        let (role, password) = self.role.unwrap_or((Role::Member, false));
        let role = (role != Role::Member).then(|| format!(" --role {role}"));
        let password = if password && role.is_none() { " --passwords" } else { "" };
        let role = role.unwrap_or_default();
        Some(place.command(&format!("invite {handle} {by}{role}{password}")))
    }
}

/// Makes a link again.
///
/// # Errors
/// Why it cannot be: the member may not any more, or a person has to do it anew.
pub fn again(vault: &mut Vault<'_>, lost: &Lost, now: Timestamp) -> Result<(), String> {
    let words = |error: VaultError| error.to_string();
    match (lost.kind, lost.member, lost.invite) {
        (LinkKind::Remove, Some(member), _) => vault.remove(&member, now).map_err(words),
        (LinkKind::Role, Some(member), _) => {
            let (role, password) = lost.role.ok_or("it does not say which")?;
            vault.set_role(&member, role, password, now).map_err(words)
        }
        (LinkKind::Cancel, _, Some(invite)) => vault.cancel(&invite, now).map_err(words),
        (LinkKind::Confirm, _, Some(invite)) => {
            let requests = vault.requests().map_err(words)?;
            let request = requests.into_iter().find(|request| request.invite == invite);
            vault.confirm(&request.ok_or("the request is gone")?, now).map_err(words)
        }
        (LinkKind::Rotate, ..) => vault.rotate(now).map_err(words),
        (LinkKind::Policy, ..) => vault.set_policy(&lost.policy, now).map_err(words),
        (LinkKind::Leave, ..) => vault.leave(now).map_err(words),
        // It only said what was seen.
        (LinkKind::Checkpoint, ..) => Ok(()),
        _ => Err("to be done again by hand".to_owned()),
    }
}
