//! What a member may do in a vault, asked before anything is opened, compared or written, and
//! in a dry run too. The vault asks again: what is here only says it in time and in words.

use keyrack_vault::{Role, Vault};

use super::{Place, words};
use crate::error::{Code, Failure, Outcome};

/// Refuses whoever has not the role that an act needs.
///
/// # Errors
/// [`Code::Denied`] with who may.
pub fn need(role: Role, act: &str, vault: &Vault<'_>, place: &Place) -> Outcome {
    let own = vault.role();
    if own >= role {
        return Ok(());
    }
    let who = match role {
        Role::Owner => "an owner may",
        _ => "an admin or owner may",
    };
    let (name, owner) = (&place.name, &place.owner);
    let message = format!("{name}: {owner} is {} there and may not {act}; {who}", words::a(own));
    Err(Failure::new(Code::Denied, message).hint(place.command("members list")))
}
