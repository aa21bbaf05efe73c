//! Looking after daemons, logs, trust and health.

use clap::{Args, Subcommand, ValueEnum};

use super::{Global, Nothing, With, acts};

/// `keyrack daemon`
#[derive(Debug, Args)]
pub struct Daemon {
    /// What to do.
    #[command(subcommand)]
    pub act: DaemonAct,
}

acts! {
    /// What `keyrack daemon` does.
    DaemonAct {
        /// List the daemons of this user
        List(Nothing),
        /// Stop a daemon; what it holds is forgotten
        Stop(DaemonStop),
        /// Put a new daemon in the place of the one that runs, after saying what is lost by it
        Restart(Nothing),
        /// Remove the sockets that dead daemons left
        Prune(Nothing),
    }
}

/// `keyrack daemon stop`
#[derive(Debug, Args)]
pub struct DaemonStop {
    /// Every daemon of this user
    #[arg(long)]
    pub all: bool,
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
    /// Accept a manifest, or team vaults, older than those this device has seen
    #[arg(long)]
    pub accept_restored: bool,
}
