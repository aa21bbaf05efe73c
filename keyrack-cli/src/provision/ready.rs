//! What an owner of a roster is to have, as far as it can be looked at before anything is
//! written.

use std::fs::File;
use std::path::PathBuf;

use keyrack_manifest::DropId;
use keyrack_vault::Invitation;

use crate::args::VaultAccept;
use crate::bounded;
use crate::cmd::vault::accept;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::{keysource, ownkey};
use crate::provision::having::Having;
use crate::provision::roster::Member;
use crate::provision::{Given, sealed};

/// What a member is to have.
pub struct Ready<'a> {
    /// Its credentials, with their values.
    pub having: Vec<Having<'a>>,
    /// Drops that somebody else sealed to it.
    pub sealed: Vec<(DropId, Vec<u8>)>,
    /// The vaults that it is to join.
    pub invitations: Vec<VaultAccept>,
}

impl<'a> Ready<'a> {
    /// Reads all that `member` names.
    ///
    /// # Errors
    /// When something is missing, or is not what it should be.
    pub fn read(member: &'a Member, given: &Given) -> Outcome<Self> {
        let values = given.of(member)?;
        let having = member.keys.iter().zip(values);
        Ok(Self {
            having: having.map(|(wanted, value)| Having { wanted, value }).collect(),
            sealed: sealed::read(&member.drops)?,
            invitations: member.vaults.iter().map(invitation).collect::<Outcome<_>>()?,
        })
    }
}

/// Looks at the keys that `member` names.
///
/// # Errors
/// When one is none, or of another kind than the member is said to have.
pub fn check_keys(member: &Member) -> Outcome {
    if let Some(text) = &member.pubkey {
        ownkey::named(text, member.via.as_ref())?;
    }
    member.backup.iter().try_for_each(|text| keysource::read(text).map(drop))
}

fn invitation(file: &PathBuf) -> Outcome<VaultAccept> {
    let name = file.display().to_string();
    let open = File::open(file).context(|| name.clone())?;
    let text = bounded::text(open, accept::LONGEST, &name)?;
    let invitation = text.trim().to_owned();
    let parsed = invitation.parse::<Invitation>();
    parsed.map_err(|error| Failure::new(Code::Usage, format!("{name}: {error}")))?;
    Ok(VaultAccept { invitation, at: None, name: None })
}
