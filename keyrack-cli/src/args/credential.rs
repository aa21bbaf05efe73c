//! Credentials in a manifest: stored, listed, copied, deleted.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use keyrack_manifest::{Class, Lifetime};
use keyrack_names::{Env, Org, Owner};

use super::OneKey;
use crate::args::complete;
use crate::args::when::When;

/// `keyrack set`
#[derive(Debug, Args)]
pub struct Set {
    /// Which credential.
    #[command(flatten)]
    pub at: OneKey,
    /// Where the value lives [default: personal]
    #[arg(long, add = complete::vaults())]
    pub vault: Option<String>,
    /// In a shared vault: keep it to this owner, whatever the vault's policy says
    #[arg(long, requires = "vault")]
    pub private: bool,
    /// The item's name in a backend
    #[arg(long, value_name = "ID")]
    pub exid: Option<String>,
    /// What kind of credential it is
    #[arg(long)]
    pub class: Option<Class>,
    /// When it stops being valid: a date, a time or a span such as 55m
    #[arg(long, value_name = "WHEN")]
    pub expires: Option<When>,
    /// Never unlock it for longer than this
    #[arg(long, value_name = "DURATION")]
    pub max_duration: Option<Lifetime>,
    /// Read the value from a file (- for stdin)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from_file: Option<PathBuf>,
    /// Take one trailing newline off the value
    #[arg(long)]
    pub trim: bool,
    /// Leave a drop for this recipient instead of the pinned ones
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    pub pubkey: Option<String>,
    /// Only here to be refused: a value on the command line is seen by every process.
    #[arg(hide = true)]
    pub value: Vec<OsString>,
    /// The same, by a flag that other tools have.
    #[arg(long = "value", hide = true, num_args = 0..=1)]
    pub value_flag: Option<Option<OsString>>,
}

/// `keyrack list`
#[derive(Debug, Args)]
pub struct List {
    /// Only this env
    #[arg(long)]
    pub env: Option<Env>,
    /// Only this org
    #[arg(long)]
    pub org: Option<Org>,
}

/// `keyrack del`
#[derive(Debug, Args)]
pub struct Del {
    /// Which credential.
    #[command(flatten)]
    pub at: OneKey,
    /// The vault it is in [default: the manifest's, else the only one that has it]
    #[arg(long)]
    pub vault: Option<String>,
}

/// `keyrack fill`
#[derive(Debug, Args)]
pub struct Fill {
    /// The env of keyrack.yml to fill [default: every one]
    #[arg(long)]
    pub env: Option<Env>,
}

/// `keyrack copy`
#[derive(Debug, Args)]
pub struct Copy {
    /// The owner that has it
    #[arg(long, add = complete::owners())]
    pub from: Owner,
    /// The owner to give it to
    #[arg(long, add = complete::owners())]
    pub to: Owner,
    /// Which credential.
    #[command(flatten)]
    pub at: OneKey,
}
