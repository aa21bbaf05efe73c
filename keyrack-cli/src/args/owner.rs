//! Owners: creating and removing one, and the keys that open its manifest.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use keyrack_manifest::OnOff;
use keyrack_names::Owner;

use super::words::on_or_off;
use super::{Fate, Global, Nothing, ViaArg, With, YubikeyFlags, acts};
use crate::args::complete;

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

/// `keyrack recipient`
#[derive(Debug, Args)]
pub struct Recipient {
    /// What to do.
    #[command(subcommand)]
    pub act: RecipientAct,
}

acts! {
    /// What `keyrack recipient` does.
    RecipientAct {
        /// Let one more key open the manifest
        Add(RecipientAdd),
        /// List the keys that open the manifest
        List(Nothing),
        /// Take a backup key out, and replace every secret it knew
        Remove(RecipientRemove),
    }
}

/// `keyrack recipient add`
#[derive(Debug, Args)]
pub struct RecipientAdd {
    /// A public key file, a private key's path, a recipient, or - for stdin
    #[arg(value_hint = ValueHint::FilePath)]
    pub recipient: String,
    /// A name for it [default: backup-1, or the next that is free]
    #[arg(long)]
    pub label: Option<String>,
}

/// `keyrack recipient remove`
#[derive(Debug, Args)]
pub struct RecipientRemove {
    /// Its label, its fingerprint or the recipient itself
    pub recipient: String,
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
