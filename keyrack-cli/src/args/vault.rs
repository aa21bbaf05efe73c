//! `keyrack vault` and `keyrack connections`: flags.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use keyrack_manifest::{Class, Lifetime};
use keyrack_names::Owner;

use super::{Global, Nothing, OneKey, VaultResolve, With, acts};

/// `keyrack vault`
#[derive(Debug, Args)]
pub struct Vault {
    /// What to do.
    #[command(subcommand)]
    pub act: VaultAct,
}

acts! {
    /// What `keyrack vault` does.
    VaultAct {
        /// Make a vault and become its owner
        Create(VaultCreate),
        /// List the vaults this owner is a member of
        List(Nothing),
        /// Show members, roles and what needs a new value
        Status(WhichVault),
        /// Check every link, signature and record
        Verify(WhichVault),
        /// Copy a vault, still sealed, into a directory
        Export(VaultExport),
        /// Invite somebody; the invitation is the one line on stdout
        Invite(VaultInvite),
        /// List open invitations and requests to join
        Invites(WhichVault),
        /// Take an invitation back
        Cancel(VaultHandle),
        /// Join a vault
        Accept(VaultAccept),
        /// Let in who answered an invitation with a one-time code
        Confirm(VaultConfirm),
        /// Leave a vault
        Leave(WhichVault),
        /// Say where a vault lies now
        Moved(VaultMoved),
        /// List members, remove one or change a role
        Members(VaultMembers),
        /// Give the vault new keys and seal every shared credential anew
        Rotate(WhichVault),
        /// Show or change the vault's rules
        Policy(VaultPolicy),
        /// Share one of this owner's credentials
        Share(VaultShare),
        /// Move every credential of this owner's personal vault here
        Adopt(WhichVault),
        /// Take a credential back: a new version under a new key
        Unshare(VaultShare),
        /// Give a credential to another member
        Transfer(VaultTransfer),
        /// Take a credential that another member gave
        Claim(VaultClaim),
        /// Exchange the vault with its git remote
        Sync(WhichVault),
        /// Decide about what was set aside
        Resolve(VaultResolve),
        /// Show who did what, or check that nothing was changed
        Log(VaultLog),
        /// For git: what to do with a file that two clones wrote
        #[command(hide = true)]
        MergeDriver(MergeDriver),
        /// For git: a file of a vault in words
        #[command(hide = true)]
        Textconv(Textconv),
    }
}

impl VaultAct {
    /// The flags behind the last word, where an act has acts.
    pub(super) fn take_all_global(&mut self) -> Global {
        let own = self.take_global();
        match self {
            Self::Members(with) => own.and(with.own.act.take_global()),
            _ => own,
        }
    }
}

/// Which vault is meant.
#[derive(Debug, Args)]
pub struct WhichVault {
    /// The vault [default: the only one, else the default vault]
    #[arg(long)]
    pub vault: Option<String>,
}

/// `keyrack vault moved`
#[derive(Debug, Args)]
pub struct VaultMoved {
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// The directory that it lies in now
    #[arg(value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
}

fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("use yes or no"),
    }
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// Everything
    Owner,
    /// Write shared credentials, invite and remove members
    Admin,
    /// Read what is shared
    Member,
}

/// `keyrack vault create`
#[derive(Debug, Args)]
pub struct VaultCreate {
    /// Its name, for this owner and as proposed to others
    pub name: String,
    /// A directory, or a git remote [default: in this home]
    #[arg(long, value_name = "LOCATION", value_hint = ValueHint::AnyPath)]
    pub at: Option<String>,
    /// Make it this machine's default vault: owners keep their own there
    #[arg(long)]
    pub default: bool,
    /// As --default, and in the place of personal vaults
    #[arg(long)]
    pub instead: bool,
    /// Never unlock anything of it for longer than this
    #[arg(long, value_name = "DURATION")]
    pub max_ttl: Option<Lifetime>,
}

/// `keyrack vault policy`
#[derive(Debug, Args)]
pub struct VaultPolicy {
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// Never unlock anything of it for longer than this
    #[arg(long, value_name = "DURATION")]
    pub max_ttl: Option<Lifetime>,
    /// Keep this class out of it
    #[arg(long, value_name = "CLASS")]
    pub forbid: Vec<Class>,
    /// Let this class in again
    #[arg(long, value_name = "CLASS")]
    pub allow: Vec<Class>,
}

/// `keyrack vault export`
#[derive(Debug, Args)]
pub struct VaultExport {
    /// Which one.
    #[command(flatten)]
    pub which: WhichVault,
    /// A directory that does not exist yet
    #[arg(value_hint = ValueHint::DirPath)]
    pub to: PathBuf,
}

/// `keyrack vault invite`
#[derive(Debug, Args)]
pub struct VaultInvite {
    /// What the vault calls the new member
    pub handle: Owner,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// The card it sent [default: the card of that handle in this home]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub card: Option<PathBuf>,
    /// The card's fingerprint as it was read aloud, where nobody is here to compare it
    #[arg(long, value_name = "SHA256:…")]
    pub fingerprint: Option<String>,
    /// What it may do
    #[arg(long, value_enum, default_value = "member")]
    pub role: RoleArg,
    /// Let it hold class `password`, too; owners and admins do
    #[arg(long)]
    pub passwords: bool,
    /// Invite without a card: it gets nothing before `vault confirm`
    #[arg(long, conflicts_with_all = ["card", "fingerprint"])]
    pub one_time_code: bool,
}

/// `keyrack vault cancel`
#[derive(Debug, Args)]
pub struct VaultHandle {
    /// Whose
    pub handle: Owner,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
}

/// `keyrack vault accept`
#[derive(Debug, Args)]
pub struct VaultAccept {
    /// The line that `vault invite` printed, or - for stdin
    pub invitation: String,
    /// Where the vault is for this owner: a directory or a git remote [default: as the invitation says]
    #[arg(long, value_name = "LOCATION", value_hint = ValueHint::AnyPath)]
    pub at: Option<String>,
    /// What this owner calls the vault [default: its name]
    #[arg(long)]
    pub name: Option<String>,
}

/// `keyrack vault confirm`
#[derive(Debug, Args)]
pub struct VaultConfirm {
    /// Who is to be let in
    pub handle: Owner,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// The fingerprint as it was read aloud, where nobody is here to compare it
    #[arg(long, value_name = "SHA256:…")]
    pub fingerprint: Option<String>,
}

/// `keyrack vault members`
#[derive(Debug, Args)]
pub struct VaultMembers {
    /// What to do.
    #[command(subcommand)]
    pub act: MembersAct,
}

acts! {
    /// What `keyrack vault members` does.
    MembersAct {
        /// List members
        List(WhichVault),
        /// Take a member out: new keys, and a list of what it could read
        Remove(VaultHandle),
        /// Change what a member may do
        Role(VaultRole),
    }
}

/// `keyrack vault members role`
#[derive(Debug, Args)]
pub struct VaultRole {
    /// Whose
    pub handle: Owner,
    /// The new role
    #[arg(value_enum)]
    pub role: RoleArg,
    /// Whether it holds class `password`, too; owners and admins do
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    pub passwords: Option<bool>,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
}

/// `keyrack vault share` and `unshare`
#[derive(Debug, Args)]
pub struct VaultShare {
    /// Which credential.
    #[command(flatten)]
    pub at: OneKey,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// With this member alone [default: with every member]
    #[arg(long, value_name = "HANDLE")]
    pub with: Option<Owner>,
}

/// `keyrack vault transfer`
#[derive(Debug, Args)]
pub struct VaultTransfer {
    /// Which credential.
    #[command(flatten)]
    pub at: OneKey,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// Who is to have it
    #[arg(long, value_name = "HANDLE")]
    pub to: Owner,
}

/// `keyrack vault claim`
#[derive(Debug, Args)]
pub struct VaultClaim {
    /// Which credential.
    #[command(flatten)]
    pub at: OneKey,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
}

/// What becomes of what a destroyed owner has in a vault with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fate {
    /// It stays there, and so does the membership
    Keep,
    /// It is deleted
    Delete,
}

/// `keyrack vault log`
#[derive(Debug, Args)]
pub struct VaultLog {
    /// What to do with the log
    #[arg(value_enum, default_value = "show")]
    pub act: super::LogAct,
    /// With verify: note in the vault how far the logs go, so that everybody misses what is cut off later
    #[arg(long)]
    pub witness: bool,
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
}

/// `keyrack vault merge-driver`, as git calls it.
#[derive(Debug, Args)]
pub struct MergeDriver {
    /// The common ancestor
    pub base: PathBuf,
    /// This branch's; the result is written here
    pub ours: PathBuf,
    /// The other branch's
    pub theirs: PathBuf,
    /// Its path in the repository
    pub path: PathBuf,
}

/// `keyrack vault textconv`, as git calls it.
#[derive(Debug, Args)]
pub struct Textconv {
    /// The file
    pub file: PathBuf,
}

/// `keyrack connections`
#[derive(Debug, Args)]
pub struct Connections {
    /// What to do.
    #[command(subcommand)]
    pub act: ConnectionsAct,
}

acts! {
    /// What `keyrack connections` does.
    ConnectionsAct {
        /// List what is in a vault, and whose it is
        List(ConnectionsList),
    }
}

/// `keyrack connections list`
#[derive(Debug, Args)]
pub struct ConnectionsList {
    /// Which vault.
    #[command(flatten)]
    pub which: WhichVault,
    /// Other people's private ones, too: what they are called and no more
    #[arg(long)]
    pub all: bool,
}
