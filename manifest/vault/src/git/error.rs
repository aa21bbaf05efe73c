//! Why git did not do something.

use std::path::PathBuf;

use keyrack_manifest::FileError;

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no such program.
    #[error("git cannot be run: {0}")]
    Missing(std::io::Error),
    /// It refused.
    #[error("git {command}: {said}")]
    Failed {
        /// The subcommand.
        command: String,
        /// What it said last.
        said: String,
    },
    /// No branch is checked out.
    #[error("{} has no branch checked out", .0.display())]
    Detached(PathBuf),
    /// What is checked out is not what others exchange.
    #[error("{branch} is checked out, and the remote has {} and not that", there.join(", "))]
    OtherBranch {
        /// What is checked out.
        branch: String,
        /// What the remote has.
        there: Vec<String>,
        /// Whether the first of them is a branch here, too.
        is_here: bool,
    },
    /// The repository holds what no vault has.
    #[error("the repository holds {0}")]
    Foreign(String),
    /// One of git's own files cannot be read or written.
    #[error(transparent)]
    File(FileError),
}
