//! Who can still come into a vault. A name and a key are of one member for ever: an old
//! invitation, a grant, a record or a line of the log would else hold again, without a word of
//! whoever gave it. So nobody comes back as who it was, and is told how it can come.

use keyrack_manifest::SignedCard;
use keyrack_names::Owner;
use keyrack_vault::{Compartment, Member, Role, State, Status};

use super::{Place, words};
use crate::error::{Code, Failure, Outcome};

/// Whoever comes by a card, as what.
///
/// # Errors
/// [`Code::Conflict`] when its name or key is, or was, another's or its own. Whoever is
/// invited as the same already is no conflict.
pub fn by_card(
    state: &State,
    card: &SignedCard,
    (role, passwords): (Role, bool),
    place: &Place,
) -> Outcome {
    let handle = &card.card.handle;
    let has_key = |member: &&Member| {
        member.sig_key == card.card.sig_key || member.member_id == card.member_id()
    };
    let Some(known) = state.members.iter().find(has_key) else {
        return by_name(state, handle, place);
    };
    let holds = known.compartments.contains(&Compartment::Password);
    let is_same = (known.role, holds) == (role, passwords || role.writes_shared());
    if known.status == Status::Invited && known.handle == *handle && is_same {
        return Ok(());
    }
    Err(failure(known, handle, state, place))
}

/// Whoever is to come under a name.
///
/// # Errors
/// As [`by_card`].
pub fn by_name(state: &State, handle: &Owner, place: &Place) -> Outcome {
    if let Some(known) = state.by_handle(handle) {
        return Err(failure(known, handle, state, place));
    }
    if state.invites.values().any(|invite| invite.handle == *handle) {
        let message = format!("{}: {handle} is invited by a one-time code", place.name);
        return Err(
            Failure::new(Code::Conflict, message).hint(place.command(&format!("cancel {handle}")))
        );
    }
    Ok(())
}

/// A name like this one that nobody has or had.
pub fn another_name(state: &State, handle: &Owner) -> String {
    let is_free = |name: &String| {
        let has = |other: &Owner| other.as_str() == name;
        !state.members.iter().any(|member| has(&member.handle))
            && !state.invites.values().any(|invite| has(&invite.handle))
    };
    let mut names = (2..).map(|n| format!("{handle}-{n}"));
    names.find(is_free).unwrap_or_else(|| "NAME".to_owned())
}

/// Why somebody who is or was there does not come in as `handle`.
pub fn failure(known: &Member, handle: &Owner, state: &State, place: &Place) -> Failure {
    let (vault, name) = (&place.name, &known.handle);
    let conflict = |words| Failure::new(Code::Conflict, format!("{vault}: {name} {words}"));
    let gone = match known.status {
        Status::Active => {
            return conflict("is a member already").hint(place.command("members list"));
        }
        Status::Invited => {
            let words = format!("is invited as {} already", words::a(known.role));
            return Failure::new(Code::Conflict, format!("{vault}: {name} {words}"))
                .hint(place.command("invites"));
        }
        Status::Left => "left",
        // Its own key is there from when it accepts.
        Status::Removed if known.grant_key.is_none() => "was invited and the invitation cancelled",
        Status::Removed => "was removed",
    };
    let message =
        format!("{vault}: {name} {gone}, and nobody comes back under a name or key of before");
    let other = another_name(state, handle);
    Failure::new(Code::Conflict, message).hint(format!(
        "{handle} can come as another owner, with its card: keyrack init --for {other}"
    ))
}
