//! The command line, defined once: help, man page and completions come from here.
//! What flags mean together is decided in [`crate::settings`] and in each command.

// Doc comments here are help texts: `[default: …]` is no link.
#![allow(rustdoc::broken_intra_doc_links)]

pub mod complete;
mod connector;
mod credential;
mod ephemeral;
mod exec;
mod generate;
mod identity;
mod import;
mod owner;
pub mod plain;
mod read;
mod resolve;
mod unlock;
mod upkeep;
pub mod usage;
mod vault;
pub mod when;
mod words;
mod yubikey;

use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueHint};
use keyrack_names::Owner;

pub use connector::{
    Connector, ConnectorAct, ConnectorAdd, ConnectorDisclose, ConnectorGrant, ConnectorRevoke,
    ConnectorRun, Expiring, GrantedKey, OneGrant, Rotate,
};
pub use credential::{Copy, Del, Fill, List, Set};
pub use ephemeral::{EndsWith, Ephemeral};
pub use exec::{Exec, IsolateArg, Isolation, NetArg, RunnerArg};
pub use generate::{Generate, GenerateWhat};
pub use identity::{Identity, IdentityAct};
pub use import::{Import, ImportDotenv, ImportFrom};
pub use owner::{Destroy, Init, Recipient, RecipientAct, RecipientAdd};
pub use read::{Format, Get, Source};
pub use resolve::{Decided, Keep, VaultResolve};
pub use unlock::{Attach, Reach, Relock, ScopeArg, Status, Unlock};
pub use upkeep::{Daemon, DaemonAct, DaemonStop, Doctor, Log, LogAct, Trust};
pub use vault::*;
pub use words::{KeyArg, OneKey, ViaArg, Within};
pub use yubikey::{OneYubikey, Yubikey, YubikeyAct, YubikeyFlags};

/// Each robot its own rack of credentials.
///
/// Every owner has a manifest sealed to its own key and its own daemon that holds what
/// was unlocked and forgets it in time.
#[derive(Debug, Parser)]
#[command(name = "keyrack", version, disable_help_subcommand = true, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that stand before or after the subcommand.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// The owner meant [default: $KEYRACK_FOR, else human]
    #[arg(long = "for", alias = "owner", value_name = "OWNER", help_heading = "Global options", add = complete::owners())]
    pub owner: Vec<Owner>,
    /// The private key to open the owner's manifest with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Global options")]
    pub identity: Option<PathBuf>,
    /// One JSON object on stdout, errors as JSON on stderr
    #[arg(long, help_heading = "Global options")]
    pub json: bool,
    /// Say nothing but the payload and errors
    #[arg(long, short, help_heading = "Global options")]
    pub quiet: bool,
    /// Never wait for a person
    #[arg(long, help_heading = "Global options")]
    pub no_input: bool,
    /// Agree to what would be asked
    #[arg(long, short, help_heading = "Global options")]
    pub yes: bool,
    /// Say what would be done, and do nothing
    #[arg(long, help_heading = "Global options")]
    pub dry_run: bool,
}

impl Global {
    /// The flags from before and after the subcommand, together.
    pub fn and(self, after: Self) -> Self {
        let mut owner = self.owner;
        for name in after.owner {
            if !owner.contains(&name) {
                owner.push(name);
            }
        }
        Self {
            owner,
            identity: after.identity.or(self.identity),
            json: self.json || after.json,
            quiet: self.quiet || after.quiet,
            no_input: self.no_input || after.no_input,
            yes: self.yes || after.yes,
            dry_run: self.dry_run || after.dry_run,
        }
    }
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($args:ty),)*) => {
        /// The subcommands. Each is built only when it is the one asked for: that is a
        /// good part of what a `get` costs.
        #[derive(Debug, Subcommand)]
        #[command(defer = true)]
        pub enum Command {
            $($(#[$doc])* $name(With<$args>),)*
        }

        impl Command {
            /// Takes the global flags out, so that they can be joined with those before it.
            pub fn take_global(&mut self) -> Global {
                let global = match self {
                    $(Self::$name(with) => std::mem::take(&mut with.global),)*
                };
                global.and(self.take_nested_global())
            }
        }
    };
}

/// The subcommands of a subcommand, each with the global flags that stand behind it.
macro_rules! acts {
    ($(#[$about:meta])* $all:ident { $($(#[$doc:meta])* $name:ident($args:ty),)* }) => {
        $(#[$about])*
        #[derive(Debug, Subcommand)]
        pub enum $all {
            $($(#[$doc])* $name(With<$args>),)*
        }

        impl $all {
            /// Takes the global flags out, so that they can be joined with those before.
            pub fn take_global(&mut self) -> Global {
                match self {
                    $(Self::$name(with) => std::mem::take(&mut with.global),)*
                }
            }
        }
    };
}

use acts;

/// A subcommand's own flags, with the global ones.
#[derive(Debug)]
pub struct With<T> {
    /// Its own.
    pub own: T,
    /// The global ones, as far as they stand after the subcommand.
    pub global: Global,
}

/// By hand: derived, the two would put their own words in the place of the subcommand's.
impl<T: Args> Args for With<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        let (about, long) = (command.get_about().cloned(), command.get_long_about().cloned());
        Global::augment_args(T::augment_args(command))
            .about(Resettable::from(about))
            .long_about(Resettable::from(long))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for With<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { own: T::from_arg_matches(matches)?, global: Global::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

commands! {
    /// Create an owner's manifest
    Init(Init),
    /// Store a credential
    Set(Set),
    /// Decrypt credentials and let the owner's daemon hold them for a while
    Unlock(Unlock),
    /// Print a credential that is unlocked
    Get(Get),
    /// Run a program with declared credentials and nothing else of ours
    Exec(Exec),
    /// Make the daemon forget
    Relock(Relock),
    /// Show what is unlocked, for how long and who reads it
    Status(Status),
    /// List the owner's credentials, without values
    List(List),
    /// Delete a credential
    Del(Del),
    /// Print unlocked credentials as shell exports
    Source(Source),
    /// Store what keyrack.yml asks for and is missing
    Fill(Fill),
    /// Give this process tree a capability for what is unlocked
    Attach(Attach),
    /// Manage a manifest's backup recipients
    Recipient(Recipient),
    /// Manage vaults with several members
    Vault(Vault),
    /// Show what is in a vault, and whose it is
    Connections(Connections),
    /// Run programs with what they declare and are granted
    Connector(Connector),
    /// Have new values made of what connectors declare
    Rotate(Rotate),
    /// List what ends soon
    Expiring(Expiring),
    /// Show who an owner is to its teams
    Identity(Identity),
    /// Look at YubiKeys, and change their codes
    Yubikey(Yubikey),
    /// Manage daemons
    Daemon(Daemon),
    /// Bring in credentials that lie in files of other tools
    Import(Import),
    /// Copy a credential to another owner
    Copy(Copy),
    /// Trust the nearest keyrack.yml to name what a program is given
    Trust(Trust),
    /// Remove an owner and all that is its own
    Destroy(Destroy),
    /// Show what the owner's daemon gave out
    Log(Log),
    /// Check this machine and this owner, and offer repairs
    Doctor(Doctor),
    /// Take the tour: two owners in a throwaway home
    Demo(Nothing),
    /// Generate completions and man pages
    Generate(Generate),
    /// Print the version
    Version(Nothing),
}

impl Command {
    /// The flags behind the last word, where a subcommand has subcommands.
    fn take_nested_global(&mut self) -> Global {
        match self {
            Self::Recipient(with) => with.own.act.take_global(),
            Self::Daemon(with) => with.own.act.take_global(),
            Self::Identity(with) => with.own.act.take_global(),
            Self::Yubikey(with) => with.own.act.take_global(),
            Self::Generate(with) => with.own.what.take_global(),
            Self::Vault(with) => with.own.act.take_all_global(),
            Self::Connections(with) => with.own.act.take_global(),
            Self::Connector(with) => with.own.act.take_global(),
            Self::Import(with) => with.own.from.take_global(),
            _ => Global::default(),
        }
    }
}

/// No flags of its own.
#[derive(Debug, Args)]
pub struct Nothing {}
