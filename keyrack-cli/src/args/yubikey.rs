//! `keyrack yubikey`, and what `init --via yubikey` may be told: flags.

use clap::{Args, Subcommand};
use keyrack_piv::{PinPolicy, Slot, TouchPolicy};

use super::{Global, Nothing, With, acts};

/// `keyrack yubikey`
#[derive(Debug, Args)]
pub struct Yubikey {
    /// What to do.
    #[command(subcommand)]
    pub act: YubikeyAct,
}

acts! {
    /// What `keyrack yubikey` does.
    YubikeyAct {
        /// List the YubiKeys that are plugged in, and the keys on them
        List(Nothing),
        /// Change the PIN
        Pin(OneYubikey),
        /// Change the PUK, which unblocks the PIN
        Puk(OneYubikey),
        /// Set a new PIN by the PUK
        Unblock(OneYubikey),
        /// Replace the management key by a random one that lies behind the PIN
        Management(OneYubikey),
    }
}

/// One YubiKey of those that are plugged in.
#[derive(Debug, Args)]
pub struct OneYubikey {
    /// Its serial number [default: the only one that is plugged in]
    #[arg(long, value_name = "N")]
    pub serial: Option<u32>,
}

/// Which key of which YubiKey `init` takes or makes.
#[derive(Debug, Clone, Default, Args)]
pub struct YubikeyFlags {
    /// With --via yubikey: the YubiKey [default: the only one that is plugged in]
    #[arg(long, value_name = "N")]
    pub serial: Option<u32>,
    /// With --via yubikey: the slot, R1 to R20 [default: a key no owner here has, else an empty slot]
    #[arg(long)]
    pub slot: Option<Slot>,
    /// With --via yubikey: when a new key asks for the PIN: once, always or never [default: once]
    #[arg(long, value_name = "WHEN")]
    pub pin_policy: Option<PinPolicy>,
    /// With --via yubikey: when a new key asks for a touch: cached, always or never [default: cached]
    #[arg(long, value_name = "WHEN")]
    pub touch_policy: Option<TouchPolicy>,
}

impl YubikeyFlags {
    /// Whether any of it was said.
    pub fn is_said(&self) -> bool {
        self.serial.is_some()
            || self.slot.is_some()
            || self.pin_policy.is_some()
            || self.touch_policy.is_some()
    }
}
