//! What the daemon holds, for how long, and who may read it.

use clap::{Args, ValueEnum};
use keyrack_manifest::Lifetime;
use keyrack_names::{Env, Org};

use super::{Ephemeral, KeyArg};
use crate::args::complete;

/// How widely a capability may be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// By this process tree
    Tree,
    /// By this login session
    Session,
    /// By every process of the user (weak)
    User,
    /// By whoever has the environment variable this prints (weak)
    Env,
}

/// Whom `unlock` and `attach` let read.
#[derive(Debug, Args)]
pub struct Reach {
    /// Who may read what is unlocked [default: $KEYRACK_SCOPE, else tree]
    #[arg(long, value_enum)]
    pub scope: Option<ScopeArg>,
    /// Hand no capability to anyone
    #[arg(long, conflicts_with = "scope")]
    pub no_keyring: bool,
    /// Let a process tree read that `status` shows, such as one whose grants ran out
    #[arg(long, value_name = "ID", conflicts_with_all = ["scope", "no_keyring"])]
    pub tree: Option<String>,
}

/// `keyrack unlock`
#[derive(Debug, Args)]
pub struct Unlock {
    /// Only this env and what it falls back to [default: every env but sudo]
    #[arg(long)]
    pub env: Option<Env>,
    /// Only this org and @all [default: every org]
    #[arg(long)]
    pub org: Option<Org>,
    /// Only this credential; sudo is reached in no other way
    #[arg(long, add = complete::keys())]
    pub key: Vec<KeyArg>,
    /// For how long: up to 9h, sudo up to 30m [default: $KEYRACK_DURATION, else that]
    #[arg(long)]
    pub duration: Option<Lifetime>,
    /// Whom to let read.
    #[command(flatten)]
    pub reach: Reach,
    /// Merge unsigned drops, too
    #[arg(long)]
    pub accept_drops: bool,
    /// Whether it ends with a process.
    #[command(flatten)]
    pub lasting: Ephemeral,
    /// In a systemd service with Type=notify: have the daemon be the service
    #[arg(long, conflicts_with = "dry_run")]
    pub notify: bool,
}

/// `keyrack relock`
#[derive(Debug, Args)]
pub struct Relock {
    /// Only this credential
    #[arg(long, add = complete::keys())]
    pub key: Vec<KeyArg>,
    /// Only this env
    #[arg(long)]
    pub env: Option<Env>,
    /// The org of the keys named [default: keyrack.yml, else @all]
    #[arg(long)]
    pub org: Option<Org>,
    /// Only what came from this vault
    #[arg(long, add = complete::vaults())]
    pub vault: Option<String>,
    /// Every owner of this home
    #[arg(long, conflicts_with_all = ["key", "env", "vault"])]
    pub all: bool,
}

/// `keyrack status`
#[derive(Debug, Args)]
pub struct Status {
    /// Every owner of this home
    #[arg(long)]
    pub all: bool,
}

/// `keyrack attach`
#[derive(Debug, Args)]
pub struct Attach {
    /// Whom to let read.
    #[command(flatten)]
    pub reach: Reach,
}
