//! What a YubiKey shows of itself to anybody.

use serde::{Deserialize, Serialize};

use crate::{PinPolicy, Point, Slot, TouchPolicy};

/// A YubiKey that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its serial number.
    pub serial: u32,
    /// Its firmware, as `5.7.1`.
    pub version: String,
    /// The reader it is in.
    pub reader: String,
    /// The P-256 keys in its retired slots that have a certificate.
    pub keys: Vec<PivKey>,
    /// The PIN.
    pub pin: Tries,
    /// The code that unblocks the PIN.
    pub puk: Tries,
    /// The key that makes keys.
    pub management: Management,
}

/// A key in a retired slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PivKey {
    /// Where it is.
    pub slot: Slot,
    /// Its public half.
    pub point: Point,
    /// What its certificate calls it.
    pub name: String,
    /// Whether its certificate says that it was made for age files.
    pub for_age: bool,
    /// When it asks for the PIN, where that can be told.
    pub pin_policy: Option<PinPolicy>,
    /// When it asks for a touch, where that can be told.
    pub touch_policy: Option<TouchPolicy>,
}

/// How a PIN or PUK stands. Firmware before 5.3 does not show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// How many tries are left.
    pub left: Option<u8>,
    /// Whether it is the one that every YubiKey is sold with.
    pub factory: Option<bool>,
}

/// How the management key stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Management {
    /// `3des`, `aes128`, `aes192` or `aes256`, where that is shown.
    pub algorithm: Option<String>,
    /// Whether it is the one that every YubiKey is sold with.
    pub factory: Option<bool>,
    /// Whether it lies on the YubiKey itself, behind the PIN.
    pub protected: bool,
}

/// What the maker says of a key: certificates, the key's own first, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation(pub String);
