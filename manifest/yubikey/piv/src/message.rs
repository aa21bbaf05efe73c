//! The lines themselves. The command asks one thing at a time; until it is done, the
//! helper may ask back, and say that it waits for a finger.

use keyrack_names::Secret;
use serde::{Deserialize, Serialize};

use crate::{Attestation, Device, PinPolicy, PivError, PivKey, Point, Slot, Tag, TouchPolicy};

/// What the command wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Every YubiKey that is plugged in, with its keys.
    List,
    /// Which YubiKey holds one of these keys.
    Find {
        /// The keys, by tag.
        tags: Vec<Tag>,
        /// The YubiKey that should; named if another is there instead.
        serial: Option<u32>,
    },
    /// Agree on a secret with one of these points: ECDH by the first key that is there.
    Agree {
        /// The keys, and a point for each.
        offers: Vec<Offer>,
        /// The YubiKey that should have one; named if another is there instead.
        serial: Option<u32>,
    },
    /// Make a key.
    Create {
        /// On which YubiKey.
        serial: u32,
        /// Where; else in the first slot that is empty.
        slot: Option<Slot>,
        /// What its certificate is to call it.
        name: String,
        /// When it is to ask for the PIN.
        pin_policy: PinPolicy,
        /// When it is to ask for a touch.
        touch_policy: TouchPolicy,
    },
    /// What the maker says of a key that is there.
    Attest {
        /// On which YubiKey.
        serial: u32,
        /// Where.
        slot: Slot,
    },
    /// Replace the PIN.
    ChangePin {
        /// On which YubiKey.
        serial: u32,
    },
    /// Set a new PIN by the PUK.
    Unblock {
        /// On which YubiKey.
        serial: u32,
    },
    /// Replace the PUK.
    ChangePuk {
        /// On which YubiKey.
        serial: u32,
    },
    /// Replace the management key by a random one that lies behind the PIN.
    ProtectManagement {
        /// On which YubiKey.
        serial: u32,
    },
}

/// A key that may be there, and the point to agree with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The key.
    pub tag: Tag,
    /// The other side's public half.
    pub point: Point,
}

/// What the helper says. All but the first two end the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A person is to say something; an [`Answer`] is waited for.
    Ask {
        /// What.
        what: Asked,
        /// Of which YubiKey.
        serial: u32,
        /// How many tries are left.
        left: Option<u8>,
        /// Whether what is asked for is the one that every YubiKey is sold with.
        factory: bool,
    },
    /// A person is to touch this YubiKey now. No answer is waited for.
    Touch {
        /// Which.
        serial: u32,
    },
    /// What is plugged in, and why other readers could not be looked at.
    Devices {
        /// The YubiKeys.
        devices: Vec<Device>,
        /// What kept others from being listed.
        faults: Vec<PivError>,
    },
    /// A key was found.
    Found {
        /// On which YubiKey.
        serial: u32,
        /// Which.
        tag: Tag,
    },
    /// A secret was agreed on.
    Agreed {
        /// On which YubiKey.
        serial: u32,
        /// By which key.
        key: PivKey,
        /// 32 bytes.
        secret: Secret,
    },
    /// A key was made.
    Created {
        /// The key.
        key: PivKey,
    },
    /// What the maker says of a key; nothing where the YubiKey does not tell.
    Attested {
        /// The certificates.
        attestation: Option<Attestation>,
    },
    /// It was done.
    Done,
    /// It was not done.
    Failed {
        /// Why.
        error: PivError,
    },
}

/// What a person may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// The PIN.
    Pin,
    /// A PIN to replace it.
    NewPin,
    /// The code that unblocks the PIN.
    Puk,
    /// A code to replace it.
    NewPuk,
    /// The key that makes keys, in hex.
    ManagementKey,
}

/// What the command answers when it is asked back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// What the person said.
    Said(Secret),
    /// The person did not want to say it.
    Declined,
    /// Nobody is there.
    Nobody,
}
