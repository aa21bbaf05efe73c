//! Reading what is unlocked.

use clap::{Args, ValueEnum};

use super::{KeyArg, Within};
use crate::args::complete;

/// How values are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Shell exports
    Export,
    /// KEY='value' lines
    Dotenv,
    /// KEY=value lines for docker --env-file
    Docker,
    /// Masks for the log and assignments for $GITHUB_ENV
    Gha,
}

/// `keyrack get`
#[derive(Debug, Args)]
pub struct Get {
    /// The credential's name, or its whole slug
    #[arg(long, required = true, add = complete::keys())]
    pub key: Vec<KeyArg>,
    /// Where to look.
    #[command(flatten)]
    pub within: Within,
    /// How to print values
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Unlock first what is asked for
    #[arg(long)]
    pub unlock: bool,
}

/// `keyrack source`
#[derive(Debug, Args)]
pub struct Source {
    /// Where to look.
    #[command(flatten)]
    pub within: Within,
    /// Only these credentials [default: what keyrack.yml lists, else all]
    #[arg(long, add = complete::keys())]
    pub key: Vec<KeyArg>,
    /// How to print them
    #[arg(long, value_enum, default_value = "export")]
    pub format: Format,
    /// Print what there is even if something asked for is missing
    #[arg(long)]
    pub lenient: bool,
}
