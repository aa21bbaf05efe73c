//! `keyrack exec`, and its sandbox.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{Ephemeral, KeyArg, Within};
use crate::args::complete;

/// `keyrack exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// The credentials to give [default: what keyrack.yml lists, else all of the env]
    #[arg(long, add = complete::keys())]
    pub key: Vec<KeyArg>,
    /// Where to look.
    #[command(flatten)]
    pub within: Within,
    /// Give each value as a file in memory; its variable holds the path
    #[arg(long)]
    pub files: bool,
    /// Replace values of 8 bytes or more by *** in what the program prints
    #[arg(long)]
    pub redact: bool,
    /// First have the runner of a job hide each line of each value in the job's log
    #[arg(long, value_enum)]
    pub format: Option<RunnerArg>,
    /// The sandbox.
    #[command(flatten)]
    pub isolation: Isolation,
    /// Whether the daemon ends with the program.
    #[command(flatten)]
    pub lasting: Ephemeral,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

impl Exec {
    /// The program.
    pub fn program(&self) -> &OsStr {
        self.command.first().map_or(OsStr::new(""), OsString::as_os_str)
    }
}

/// What runs a job's steps and shows what they print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunnerArg {
    /// GitHub Actions
    Gha,
}

/// What a sandboxed program may do.
#[derive(Debug, Args)]
pub struct Isolation {
    /// Run the program in a sandbox: it writes to the working directory alone, and reaches no key, no other owner and no agent. best-effort does without what this machine forbids
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "strict")]
    pub isolate: Option<IsolateArg>,
    /// Let the sandboxed program write here, too
    #[arg(long, value_name = "PATH", requires = "isolate", value_hint = ValueHint::AnyPath)]
    pub rw: Vec<PathBuf>,
    /// Let the sandboxed program read this, although it is hidden
    #[arg(long, value_name = "PATH", requires = "isolate", value_hint = ValueHint::AnyPath)]
    pub ro: Vec<PathBuf>,
    /// What network the sandboxed program has [default: host]
    #[arg(long, value_enum, requires = "isolate")]
    pub net: Option<NetArg>,
}

/// How much of a sandbox there has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IsolateArg {
    /// All of it, or the program is not run
    Strict,
    /// As much as this machine allows; the rest is said
    BestEffort,
}

/// What network a program has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetArg {
    /// Its own loopback and nothing else
    None,
    /// The machine's
    Host,
}
