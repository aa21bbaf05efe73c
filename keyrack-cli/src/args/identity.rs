//! `keyrack identity`: flags.

use clap::{Args, Subcommand};

use super::{Global, Nothing, With, acts};

/// `keyrack identity`
#[derive(Debug, Args)]
pub struct Identity {
    /// What to show.
    #[command(subcommand)]
    pub act: IdentityAct,
}

acts! {
    /// What `keyrack identity` shows.
    IdentityAct {
        /// Print handle, member id, fingerprint and keys
        Show(Nothing),
        /// Print the card that others invite the owner by
        Card(Nothing),
        /// Print the card's fingerprint, and again for reading aloud
        Fingerprint(Nothing),
    }
}
