//! What the errors of a shared vault mean for one of its members: the exit code, and what to
//! type next.

use std::path::Path;

use keyrack_manifest::{MemberId, OpenError};
use keyrack_names::Owner;
use keyrack_vault::{ChainError, Member, Refusal, Role, State, Status, VaultError};

use super::Place;
use super::change::is_clone;
use crate::error::{Code, Failure, Outcome};

/// A vault could not be read or changed.
pub fn vault(error: VaultError, place: &Place) -> Failure {
    let (name, owner) = (&place.name, &place.owner);
    let words = match &error {
        VaultError::Refused { kind, why: Refusal::NotEntitled { .. } } => {
            format!("{name}: {owner} may not do that there ({kind})")
        }
        VaultError::NotEntitled { slug } => format!(
            "{name}: {slug} is not {owner}'s to write: whoever it belongs to may, and what is \
             shared an admin or owner"
        ),
        VaultError::Refused { why: Refusal::LastOwner, .. } => {
            format!("{name}: {owner} is its last owner, and nobody would administer it")
        }
        error => format!("{name}: {error}"),
    };
    let failure = Failure::new(code(&error), words);
    if let VaultError::Chain(ChainError::Empty) = error {
        let message = format!("{}: there is no vault at {}", place.name, place.dir.display());
        return Failure { message, ..failure }.hint(place.command("moved DIRECTORY"));
    }
    if let VaultError::Chain(ChainError::RolledBack { .. }) = error {
        // A clone has the rest from its remote.
        return match is_clone(place) {
            true => failure.hint(place.command("sync")),
            false => failure
                .hint("if an older copy was put back, and is meant to be believed:")
                .hint(format!("keyrack doctor --accept-restored --for {}", place.owner)),
        };
    }
    match (&error, failure.code) {
        (VaultError::Refused { why: Refusal::LastOwner, .. }, _) => {
            failure.hint(place.command("members role HANDLE owner"))
        }
        (VaultError::Invitation { .. }, _) => failure
            .hint("ask who invited to look: keyrack vault invites")
            .hint("or, where the vault is in git, to exchange it first: keyrack vault sync"),
        (VaultError::CannotHold { .. }, _) => {
            failure.hint(place.command("members role HANDLE member --passwords yes"))
        }
        (VaultError::NotMember { status: Some(_) }, _) => failure.hint(place.command("leave")),
        (VaultError::Refused { why: Refusal::RotationDue, .. }, _) => {
            failure.hint(place.command("rotate"))
        }
        (VaultError::Refused { .. } | VaultError::NotEntitled { .. }, Code::Denied) => {
            failure.hint(place.command("members list"))
        }
        (VaultError::Conflict { .. } | VaultError::Lost { .. }, _) => {
            failure.hint(place.command("resolve"))
        }
        (VaultError::NameTaken { .. }, _) => failure
            .hint(format!("keyrack connections list --for {} --vault {}", place.owner, place.name)),
        (_, Code::Tampered) => failure.hint(place.command("verify")),
        _ => failure,
    }
}

/// The same of a credential that is given to another: it has to go first what that one has
/// under its name.
pub fn given(error: VaultError, to: &Owner, place: &Place) -> Failure {
    let VaultError::NameTaken { slug } = &error else { return vault(error, place) };
    let name = &place.name;
    Failure::new(Code::Conflict, format!("{name}: {to} has a {slug} of its own there"))
        .hint(format!("keyrack del --for {to} --vault {name} --key {slug}"))
}

/// The same, where the vault has no name yet.
pub fn at(error: &VaultError, dir: &Path) -> Failure {
    Failure::new(code(error), format!("{}: {error}", dir.display()))
}

fn code(error: &VaultError) -> Code {
    match error {
        error if error.is_tampering() => Code::Tampered,
        VaultError::Refused { why, .. } => match why {
            Refusal::NotEntitled { .. } | Refusal::NoMember(_) => Code::Denied,
            _ => Code::Conflict,
        },
        VaultError::NotMember { .. }
        | VaultError::NotHeld { .. }
        | VaultError::NotEntitled { .. }
        | VaultError::Forbidden { .. }
        | VaultError::Invitation { .. } => Code::Denied,
        VaultError::NoIdentity
        | VaultError::Unopened(OpenError::OtherKey | OpenError::Plugin(_)) => Code::NoIdentity,
        VaultError::Exists
        | VaultError::NameTaken { .. }
        | VaultError::CannotHold { .. }
        | VaultError::IsOwner { .. } => Code::Conflict,
        VaultError::Unknown { .. } | VaultError::Deleted { .. } => Code::Absent,
        VaultError::TooLong { .. } => Code::Usage,
        VaultError::Busy => Code::TimedOut,
        _ => Code::Unexpected,
    }
}

/// A role in a sentence.
pub fn a(role: Role) -> &'static str {
    match role {
        Role::Member => "a member",
        Role::Admin => "an admin",
        Role::Owner => "an owner",
    }
}

/// The member called `handle`, whatever became of it.
///
/// # Errors
/// [`Code::Absent`].
pub fn member<'s>(state: &'s State, handle: &Owner, place: &Place) -> Outcome<&'s Member> {
    state.by_handle(handle).ok_or_else(|| {
        Failure::new(Code::Absent, format!("{} has no member {handle}", place.name))
            .hint(place.command("members list"))
    })
}

/// The same, if it is a member now.
///
/// # Errors
/// [`Code::Absent`] for whom it is not, and what can be done about an invitation.
pub fn active<'s>(state: &'s State, handle: &Owner, place: &Place) -> Outcome<&'s Member> {
    let member = member(state, handle, place)?;
    let absent = |words| Failure::new(Code::Absent, format!("{handle} {words} {}", place.name));
    match member.status {
        Status::Active => Ok(member),
        Status::Invited => Err(absent("is invited and has not accepted yet:")
            .hint(place.command(&format!("cancel {handle}")))),
        Status::Left | Status::Removed => {
            Err(absent("is no member any more of").hint(place.command("members list")))
        }
    }
}

/// A member's handle, for people.
pub fn handle(state: &State, member: &MemberId) -> String {
    state.member(member).map_or_else(|| member.short(), |member| member.handle.to_string())
}
