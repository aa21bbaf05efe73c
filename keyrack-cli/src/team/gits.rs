//! What git says of a vault's work tree, for a person.

use keyrack_vault::git::{Commit, GitError};

use super::Place;
use crate::error::{Code, Failure};
use crate::person::typed::path;

/// Shows who pushed what.
pub fn who_did(place: &Place, commit: &Commit) -> String {
    format!("git -C {} show --stat {commit}", path(&place.dir))
}

/// Something that is not committed is where the vault's files are to be.
pub fn in_the_way(error: GitError, place: &Place) -> Failure {
    failed(error, place).hint(format!("git -C {} status", path(&place.dir)))
}

/// What git says, for a person.
pub fn failed(error: GitError, place: &Place) -> Failure {
    let code = match error {
        GitError::Foreign(_) => Code::Tampered,
        _ => Code::Unexpected,
    };
    Failure::new(code, format!("{}: {error}", place.name))
}
