//! What git says of a vault's work tree, for a person.

use std::path::Path;

use keyrack_vault::git::{Commit, GitError};

use super::Place;
use crate::error::{Code, Failure};
use crate::person::typed::{path, word};

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
    at(&error, &place.name, &place.dir)
}

/// The same of a work tree, called `name`, with what to type next.
pub fn at(error: &GitError, name: &dyn std::fmt::Display, dir: &Path) -> Failure {
    let code = match error {
        GitError::Foreign(_) => Code::Tampered,
        GitError::OtherBranch { .. } => Code::Conflict,
        _ => Code::Unexpected,
    };
    let failure = Failure::new(code, format!("{name}: {error}"));
    let git = |words: &str| format!("git -C {} {words}", path(dir));
    match error {
        GitError::Missing(_) => failure.hint("install git"),
        GitError::Detached(_) => {
            failure.hint("with the branch that others exchange:").hint(git("switch BRANCH"))
        }
        GitError::OtherBranch { branch, there, is_here } => match (there.first(), is_here) {
            (Some(other), true) => failure.hint(git(&format!("switch {}", word(other)))),
            (Some(other), false) => {
                failure.hint(git(&format!("branch -m {} {}", word(branch), word(other))))
            }
            (None, _) => failure,
        },
        GitError::Failed { said, .. } if said.contains("index.lock") => {
            let quoted = said.split_once('\'').and_then(|(_, rest)| rest.rsplit_once('\''));
            let lock = quoted.map_or(".git/index.lock", |(lock, _)| lock);
            failure.hint("if no other git is at work there:").hint(format!("rm {}", word(lock)))
        }
        GitError::Failed { command, .. } if command == "fetch" || command == "push" => {
            failure.hint(git(&format!("{command} origin")))
        }
        GitError::Foreign(_) => failure.hint(git("log --stat --remotes -3")),
        _ => failure,
    }
}
