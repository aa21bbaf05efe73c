//! Connectors: what they declare, what they are granted, and running them.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use keyrack_manifest::Word;
use keyrack_names::{Env, KeyName, Org, Slug};

use super::{Ephemeral, Global, Isolation, Nothing, With, acts};

/// `keyrack connector`
#[derive(Debug, Args)]
pub struct Connector {
    /// What to do.
    #[command(subcommand)]
    pub act: ConnectorAct,
}

acts! {
    /// What `keyrack connector` does.
    ConnectorAct {
        /// Check a declaration, and keep it in this home
        Add(ConnectorAdd),
        /// List what is declared, and what the owner granted of it
        List(Nothing),
        /// Show what a connector accesses
        Disclose(ConnectorDisclose),
        /// Let a connector have some of the owner's credentials
        Grant(ConnectorGrant),
        /// Take a grant back
        Revoke(ConnectorRevoke),
        /// Run a connector with what it was granted, and nothing else
        Run(ConnectorRun),
    }
}

/// `keyrack connector add`
#[derive(Debug, Args)]
pub struct ConnectorAdd {
    /// The declaration
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `keyrack connector disclose`
#[derive(Debug, Args)]
pub struct ConnectorDisclose {
    /// The connector
    pub id: Word,
}

/// Which grant of a connector is meant.
#[derive(Debug, Args)]
pub struct OneGrant {
    /// The connector
    pub id: Word,
    /// Which of its grants [default: default]
    #[arg(long, value_name = "NAME")]
    pub grant: Option<Word>,
}

/// `keyrack connector grant`
#[derive(Debug, Args)]
pub struct ConnectorGrant {
    /// Which grant.
    #[command(flatten)]
    pub which: OneGrant,
    /// What to let it have, by the names that it declares; NAME=SLUG says which credential that is [default: all that it declares and the owner has, after asking]
    #[arg(long, value_name = "NAME[=SLUG]", value_delimiter = ',')]
    pub keys: Vec<GrantedKey>,
    /// When the grant ends: a date, a time or a span such as 30d
    #[arg(long, value_name = "WHEN")]
    pub until: Option<super::when::When>,
    /// The env to look in, then all [default: all, else the only env that has it]
    #[arg(long)]
    pub env: Option<Env>,
    /// The org to look in, then @all [default: keyrack.yml, else @all]
    #[arg(long)]
    pub org: Option<Org>,
}

/// `NAME` or `NAME=SLUG`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedKey {
    /// What the connector calls it.
    pub name: KeyName,
    /// Which credential it is.
    pub slug: Option<Slug>,
}

impl std::str::FromStr for GrantedKey {
    type Err = keyrack_names::NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, slug) = match text.split_once('=') {
            Some((name, slug)) => (name, Some(slug.parse()?)),
            None => (text, None),
        };
        Ok(Self { name: name.parse()?, slug })
    }
}

/// `keyrack connector revoke`
#[derive(Debug, Args)]
pub struct ConnectorRevoke {
    /// Which grant.
    #[command(flatten)]
    pub which: OneGrant,
}

/// `keyrack connector run`
#[derive(Debug, Args)]
pub struct ConnectorRun {
    /// Which grant.
    #[command(flatten)]
    pub which: OneGrant,
    /// Give no value: the connector asks for each with `keyrack get`, and each ask is in the log
    #[arg(long)]
    pub broker: bool,
    /// Pass this variable of the caller on, too
    #[arg(long, value_name = "NAME")]
    pub pass: Vec<OsString>,
    /// Put a helper's questions to this descriptor, as lines of JSON
    #[arg(long, value_name = "FD")]
    pub interaction_fd: Option<RawFd>,
    /// Replace values of 8 bytes or more by *** in what the connector prints
    #[arg(long)]
    pub redact: bool,
    /// The sandbox.
    #[command(flatten)]
    pub isolation: Isolation,
    /// Whether the daemon ends with the connector.
    #[command(flatten)]
    pub lasting: Ephemeral,
    /// The connector's program and its arguments
    #[arg(last = true, required = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// `keyrack rotate`
#[derive(Debug, Args)]
pub struct Rotate {
    /// The connector [default: all that the owner granted something]
    pub id: Option<Word>,
    /// Which of its grants [default: default]
    #[arg(long, value_name = "NAME", requires = "id")]
    pub grant: Option<Word>,
    /// Only what is due, by what the connector declares
    #[arg(long, required_unless_present = "id")]
    pub due: bool,
    /// Put a helper's questions to this descriptor, as lines of JSON
    #[arg(long, value_name = "FD")]
    pub interaction_fd: Option<RawFd>,
}

/// `keyrack expiring`
#[derive(Debug, Args)]
pub struct Expiring {
    /// What ends before then: a date, a time or a span [default: 14d]
    #[arg(long, value_name = "WHEN")]
    pub within: Option<super::when::When>,
}
