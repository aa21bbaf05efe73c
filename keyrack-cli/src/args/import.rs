//! Credentials that lie in files of other tools.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use keyrack_names::{Env, Org};

use super::{Global, With, acts};

/// `keyrack import`
#[derive(Debug, Args)]
pub struct Import {
    /// What kind of file it is.
    #[command(subcommand)]
    pub from: ImportFrom,
}

acts! {
    /// Where `keyrack import` takes credentials from.
    ImportFrom {
        /// A .env file: shows what is in it, without values, and imports it after a yes
        Dotenv(ImportDotenv),
    }
}

/// `keyrack import dotenv`
#[derive(Debug, Args)]
pub struct ImportDotenv {
    /// The file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The env to put them in [default: all]
    #[arg(long)]
    pub env: Option<Env>,
    /// The org to put them under [default: keyrack.yml, else @all]
    #[arg(long)]
    pub org: Option<Org>,
    /// Only show what is in it, of which class and service
    #[arg(long)]
    pub classify: bool,
    /// Replace what the owner has under the same name
    #[arg(long)]
    pub replace: bool,
    /// Overwrite and remove the file afterwards
    #[arg(long)]
    pub shred: bool,
}
