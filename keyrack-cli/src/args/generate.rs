//! `keyrack generate`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{Global, With, acts};

/// `keyrack generate`
#[derive(Debug, Args)]
pub struct Generate {
    /// What to generate.
    #[command(subcommand)]
    pub what: GenerateWhat,
}

acts! {
    /// What `keyrack generate` prints or writes.
    GenerateWhat {
        /// A completion script on stdout
        Completions(Completions),
        /// Man pages, one for each command, into a directory
        Man(Man),
    }
}

/// `keyrack generate completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// `keyrack generate man`
#[derive(Debug, Args)]
pub struct Man {
    /// The directory; it is created
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}
