//! The command line, defined once: help, man page and completions come from here.
//! What flags mean together is decided in [`crate::settings`] and in each command.

// Doc comments here are help texts: `[default: …]` is no link.
#![allow(rustdoc::broken_intra_doc_links)]

mod ephemeral;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use keyrack_manifest::{Class, Lifetime, OnOff};
use keyrack_names::{Env, KeyName, Org, Owner, Slug};

use crate::complete;
use crate::when::When;

pub use ephemeral::{EndsWith, Ephemeral};

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

mod identity;
mod vault;
mod yubikey;
pub use identity::{Identity, IdentityAct};
pub use vault::*;
pub use yubikey::{OneYubikey, Yubikey, YubikeyAct, YubikeyFlags};

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
    /// Show who an owner is to its teams
    Identity(Identity),
    /// Look at YubiKeys, and change their codes
    Yubikey(Yubikey),
    /// Manage daemons
    Daemon(Daemon),
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
        let nested = match self {
            Self::Recipient(with) => match &mut with.own.act {
                RecipientAct::Add(with) => &mut with.global,
                RecipientAct::List(with) => &mut with.global,
                RecipientAct::Remove(with) => &mut with.global,
            },
            Self::Daemon(with) => match &mut with.own.act {
                DaemonAct::List(with) | DaemonAct::Restart(with) | DaemonAct::Prune(with) => {
                    &mut with.global
                }
                DaemonAct::Stop(with) => &mut with.global,
            },
            Self::Identity(with) => return with.own.act.take_global(),
            Self::Yubikey(with) => return with.own.act.take_global(),
            Self::Generate(with) => match &mut with.own.what {
                GenerateWhat::Completions(with) => &mut with.global,
                GenerateWhat::Man(with) => &mut with.global,
            },
            Self::Vault(with) => return with.own.act.take_all_global(),
            Self::Connections(with) => return with.own.act.take_global(),
            _ => return Global::default(),
        };
        std::mem::take(nested)
    }
}

/// No flags of its own.
#[derive(Debug, Args)]
pub struct Nothing {}

fn on_or_off(text: &str) -> Result<OnOff, &'static str> {
    match text {
        "on" => Ok(OnOff::On),
        "off" => Ok(OnOff::Off),
        _ => Err("use on or off"),
    }
}

/// `--key`: a credential's name, or its whole slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyArg {
    /// A bare name.
    Name(KeyName),
    /// `ORG.ENV.KEY`.
    Slug(Slug),
}

impl KeyArg {
    /// Whether it is the name of `slug`, wherever that is.
    pub fn names(&self, slug: &Slug) -> bool {
        matches!(self, Self::Name(name) if *name == slug.key)
    }
}

impl std::str::FromStr for KeyArg {
    type Err = keyrack_names::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('.') { text.parse().map(Self::Slug) } else { text.parse().map(Self::Name) }
    }
}

impl std::fmt::Display for KeyArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Slug(slug) => slug.fmt(f),
        }
    }
}

/// How an owner's manifest is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViaArg {
    /// An SSH key
    Ssh,
    /// A YubiKey
    Yubikey,
    /// An age X25519 identity
    Age,
    /// Whatever an age plugin of this name holds
    Plugin(String),
}

impl std::str::FromStr for ViaArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ssh" => Ok(Self::Ssh),
            "yubikey" | "plugin:yubikey" => Ok(Self::Yubikey),
            "age" => Ok(Self::Age),
            other => match other.strip_prefix("plugin:") {
                Some(name) if !name.is_empty() => Ok(Self::Plugin(name.to_owned())),
                _ => Err("use ssh, yubikey, age or plugin:NAME"),
            },
        }
    }
}

/// One credential, named exactly.
#[derive(Debug, Args)]
pub struct OneKey {
    /// The credential's name, or its whole slug
    #[arg(long, add = complete::keys())]
    pub key: KeyArg,
    /// The env it is in [default: all]
    #[arg(long)]
    pub env: Option<Env>,
    /// The org it is under [default: keyrack.yml, else @all]
    #[arg(long)]
    pub org: Option<Org>,
}

/// Where credentials are looked up.
#[derive(Debug, Clone, Args)]
pub struct Within {
    /// The env to look in, then all [default: all, else the only env that has it]
    #[arg(long)]
    pub env: Option<Env>,
    /// The org to look in, then @all [default: keyrack.yml, else @all]
    #[arg(long)]
    pub org: Option<Org>,
}

/// `keyrack init`
#[derive(Debug, Args)]
pub struct Init {
    /// What kind of key opens the manifest: ssh, yubikey, age or plugin:NAME
    #[arg(long, value_name = "KIND")]
    pub via: Option<ViaArg>,
    /// The key: a public key file, a private key's path, a recipient, or - for stdin
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    pub pubkey: Option<String>,
    /// A second recipient that can open the manifest too
    #[arg(long, value_name = "RECIPIENT")]
    pub backup: Vec<String>,
    /// The owner's name in teams [default: the owner; for human the login name]
    #[arg(long)]
    pub handle: Option<Owner>,
    /// Keep the new owner's identity in this owner's vault instead of a file
    #[arg(long, value_name = "OWNER", conflicts_with_all = ["pubkey", "via"], add = complete::owners())]
    pub kept_by: Option<Owner>,
    /// Let later drops from this host replace what it dropped before
    #[arg(long)]
    pub provisioner: bool,
    /// Whether using the owner's key without a person is enough to read [default: on]
    #[arg(long, value_name = "on|off", value_parser = on_or_off)]
    pub self_proof: Option<OnOff>,
    /// Let the owner live under this Unix user; for root
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username)]
    pub user: Option<String>,
    /// The key on a YubiKey.
    #[command(flatten)]
    pub yubikey: YubikeyFlags,
    /// Create the owners that this YAML file lists
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
          conflicts_with_all = ["pubkey", "via", "backup", "handle", "kept_by", "user"])]
    pub from: Option<PathBuf>,
}

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

    /// Its arguments.
    pub fn arguments(&self) -> &[OsString] {
        self.command.get(1..).unwrap_or_default()
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

/// `keyrack fill`
#[derive(Debug, Args)]
pub struct Fill {
    /// The env of keyrack.yml to fill [default: every one]
    #[arg(long)]
    pub env: Option<Env>,
}

/// `keyrack attach`
#[derive(Debug, Args)]
pub struct Attach {
    /// Whom to let read.
    #[command(flatten)]
    pub reach: Reach,
}

/// `keyrack recipient`
#[derive(Debug, Args)]
pub struct Recipient {
    /// What to do.
    #[command(subcommand)]
    pub act: RecipientAct,
}

/// What `keyrack recipient` does.
#[derive(Debug, Subcommand)]
pub enum RecipientAct {
    /// Let one more key open the manifest
    Add(With<RecipientAdd>),
    /// List the keys that open the manifest
    List(With<Nothing>),
    /// Take a backup key out, and replace every secret it knew
    Remove(With<RecipientRemove>),
}

/// `keyrack recipient add`
#[derive(Debug, Args)]
pub struct RecipientAdd {
    /// A public key file, a private key's path, a recipient, or - for stdin
    #[arg(value_hint = ValueHint::FilePath)]
    pub recipient: String,
    /// A name for it [default: its fingerprint]
    #[arg(long)]
    pub label: Option<String>,
}

/// `keyrack recipient remove`
#[derive(Debug, Args)]
pub struct RecipientRemove {
    /// Its label, its fingerprint or the recipient itself
    pub recipient: String,
}

/// `keyrack daemon`
#[derive(Debug, Args)]
pub struct Daemon {
    /// What to do.
    #[command(subcommand)]
    pub act: DaemonAct,
}

/// What `keyrack daemon` does.
#[derive(Debug, Subcommand)]
pub enum DaemonAct {
    /// List the daemons of this user
    List(With<Nothing>),
    /// Stop a daemon; what it holds is forgotten
    Stop(With<DaemonStop>),
    /// Put a new daemon in the place of the one that runs, after saying what is lost by it
    Restart(With<Nothing>),
    /// Remove the sockets that dead daemons left
    Prune(With<Nothing>),
}

/// `keyrack daemon stop`
#[derive(Debug, Args)]
pub struct DaemonStop {
    /// Every daemon of this user
    #[arg(long)]
    pub all: bool,
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

/// `keyrack trust`
#[derive(Debug, Args)]
pub struct Trust {
    /// List what is trusted
    #[arg(long)]
    pub list: bool,
    /// Trust the nearest keyrack.yml no longer
    #[arg(long, conflicts_with = "list")]
    pub revoke: bool,
}

/// `keyrack destroy`
#[derive(Debug, Args)]
pub struct Destroy {
    /// What becomes of its credentials in vaults that others are members of
    #[arg(long, value_enum, conflicts_with = "transfer_to")]
    pub connections: Option<Fate>,
    /// Give its credentials in such vaults to this member
    #[arg(long, value_name = "HANDLE")]
    pub transfer_to: Option<Owner>,
}

/// `keyrack log`
#[derive(Debug, Args)]
pub struct Log {
    /// What to do with the log
    #[arg(value_enum, default_value = "show")]
    pub act: LogAct,
}

/// What `keyrack log` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogAct {
    /// Print it
    Show,
    /// Check that no line was changed, cut or left out
    Verify,
}

/// `keyrack doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Repair what can be repaired without loss
    #[arg(long)]
    pub fix: bool,
    /// Accept a manifest that is older than the one this device has seen
    #[arg(long)]
    pub accept_restored: bool,
}

/// `keyrack generate`
#[derive(Debug, Args)]
pub struct Generate {
    /// What to generate.
    #[command(subcommand)]
    pub what: GenerateWhat,
}

/// What `keyrack generate` prints or writes.
#[derive(Debug, Subcommand)]
pub enum GenerateWhat {
    /// A completion script on stdout
    Completions(With<Completions>),
    /// Man pages, one for each command, into a directory
    Man(With<Man>),
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
