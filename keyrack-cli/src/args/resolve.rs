//! `keyrack vault resolve`: flags.

use clap::{Args, ValueEnum};
use keyrack_manifest::CredId;

use super::WhichVault;

/// What becomes of something that was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// What the vault has now; what it has lost is given up, if you agree
    Ours,
    /// What was set aside
    Theirs,
}

/// `keyrack vault resolve`
#[derive(Debug, Args)]
pub struct VaultResolve {
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// What to keep [default: only list what was set aside]
    #[arg(long, value_enum)]
    pub keep: Option<Keep>,
    /// Only this credential, by its name, or by its id where nothing says its name
    #[arg(long)]
    pub key: Option<Decided>,
}

/// What is decided about: a record that is gone or not to be believed may have no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// By its name.
    Key(super::words::KeyArg),
    /// By its id.
    Id(CredId),
}

impl std::str::FromStr for Decided {
    type Err = keyrack_names::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Id).or_else(|_| text.parse().map(Self::Key))
    }
}
