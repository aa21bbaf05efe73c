//! Words that several commands take: which credential, where it is looked up, which kind of key.

use clap::Args;
use keyrack_manifest::OnOff;
use keyrack_names::{Env, KeyName, Org, Slug};

use crate::args::complete;

pub(super) fn on_or_off(text: &str) -> Result<OnOff, &'static str> {
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
