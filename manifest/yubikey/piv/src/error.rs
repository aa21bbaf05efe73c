//! Everything that can be wrong between a person and a YubiKey, told apart.

use serde::{Deserialize, Serialize};

use crate::Slot;

/// Why a YubiKey did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PivError {
    /// Nothing on this machine speaks to smart cards.
    #[error("no smart card service: {why}")]
    NoService {
        /// What is missing.
        why: String,
    },
    /// No reader of a YubiKey is there.
    #[error("no YubiKey is plugged in{}", also(others, "; another reader is: "))]
    NoReader {
        /// Readers of something else.
        others: Vec<String>,
    },
    /// There is a reader of a YubiKey, with nothing in it.
    #[error("{reader}: no card is in it")]
    NoCard {
        /// The reader.
        reader: String,
    },
    /// The card in the reader does not answer as a YubiKey does.
    #[error("{reader}: it has no PIV application that answers")]
    NotPiv {
        /// The reader.
        reader: String,
    },
    /// Other YubiKeys are plugged in than the one that is meant.
    #[error("YubiKey {wanted} is not plugged in; what is plugged in: {}", list(found))]
    OtherSerial {
        /// The one that is meant.
        wanted: u32,
        /// Those that are there.
        found: Vec<u32>,
    },
    /// The YubiKeys that are plugged in hold none of the keys that are meant.
    #[error("no key that opens it is on what is plugged in: YubiKey {}", list(found))]
    NoKey {
        /// Those that are there.
        found: Vec<u32>,
    },
    /// Another program has the YubiKey to itself.
    #[error("{reader} is held by another program{}", also(holders, ": "))]
    Held {
        /// The reader.
        reader: String,
        /// The programs that it may be.
        holders: Vec<String>,
    },
    /// Another program reset the YubiKey meanwhile.
    #[error("YubiKey {serial} was reset by another program meanwhile")]
    Reset {
        /// Which.
        serial: u32,
    },
    /// The YubiKey was pulled out meanwhile.
    #[error("YubiKey {serial} was pulled out")]
    Removed {
        /// Which.
        serial: u32,
    },
    /// The PIN is wrong.
    #[error("wrong PIN for YubiKey {serial}: {}", tries(*left))]
    WrongPin {
        /// Which.
        serial: u32,
        /// How many tries are left.
        left: u8,
    },
    /// The PUK is wrong.
    #[error("wrong PUK for YubiKey {serial}: {}", tries(*left))]
    WrongPuk {
        /// Which.
        serial: u32,
        /// How many tries are left.
        left: u8,
    },
    /// The management key is wrong.
    #[error("wrong management key for YubiKey {serial}")]
    WrongManagementKey {
        /// Which.
        serial: u32,
    },
    /// The PIN was wrong too often.
    #[error("the PIN of YubiKey {serial} is blocked")]
    PinBlocked {
        /// Which.
        serial: u32,
    },
    /// The PUK was wrong too often.
    #[error("the PUK of YubiKey {serial} is blocked")]
    PukBlocked {
        /// Which.
        serial: u32,
    },
    /// A PIN or PUK that the YubiKey would not even compare.
    #[error("a {what} has 6 to 8 characters; nothing was sent to YubiKey {serial}")]
    BadLength {
        /// Which.
        serial: u32,
        /// `PIN` or `PUK`.
        what: String,
    },
    /// Something else than a PIN was entered: what a YubiKey types when it is touched.
    #[error(
        "that is what YubiKey {serial} types when it is touched, not its PIN; nothing was sent"
    )]
    Typed {
        /// Which.
        serial: u32,
    },
    /// A person was asked and did not want to answer.
    #[error("no {what} was given for YubiKey {serial}")]
    Declined {
        /// Which.
        serial: u32,
        /// What was asked for.
        what: String,
    },
    /// A person would have to be asked.
    #[error("YubiKey {serial} needs its {what}, and nobody is there to ask")]
    Nobody {
        /// Which.
        serial: u32,
        /// What it needs.
        what: String,
    },
    /// Nobody touched it in time.
    #[error("YubiKey {serial} was not touched in time")]
    NoTouch {
        /// Which.
        serial: u32,
    },
    /// There is something in the slot.
    #[error("slot {slot} of YubiKey {serial} is in use")]
    SlotTaken {
        /// Which.
        serial: u32,
        /// The slot.
        slot: Slot,
    },
    /// All retired slots hold something.
    #[error("YubiKey {serial} has no empty slot")]
    Full {
        /// Which.
        serial: u32,
    },
    /// The YubiKey or the service said something else.
    #[error("{what}")]
    Other {
        /// What.
        what: String,
    },
}

impl PivError {
    /// Whether it is about a PIN or PUK in force that may have been mistyped, and another try
    /// is left.
    pub fn may_be_mistyped(&self) -> bool {
        match self {
            Self::WrongPin { left, .. } | Self::WrongPuk { left, .. } => *left > 0,
            Self::BadLength { what, .. } => !what.starts_with("new"),
            Self::Typed { .. } => true,
            _ => false,
        }
    }
}

fn also(names: &[String], before: &str) -> String {
    if names.is_empty() { String::new() } else { format!("{before}{}", names.join(", ")) }
}

fn list(serials: &[u32]) -> String {
    let texts: Vec<String> = serials.iter().map(u32::to_string).collect();
    texts.join(", ")
}

fn tries(left: u8) -> String {
    match left {
        1 => "1 try is left".to_owned(),
        left => format!("{left} tries are left"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_left_and_what_is_there_instead() {
        let words = |error: PivError| error.to_string();
        assert_eq!(
            words(PivError::WrongPin { serial: 7, left: 1 }),
            "wrong PIN for YubiKey 7: 1 try is left"
        );
        assert_eq!(
            words(PivError::OtherSerial { wanted: 7, found: vec![8, 9] }),
            "YubiKey 7 is not plugged in; what is plugged in: 8, 9"
        );
        assert_eq!(
            words(PivError::Held {
                reader: "Yubico".into(),
                holders: vec!["scdaemon (pid 4)".into()]
            }),
            "Yubico is held by another program: scdaemon (pid 4)"
        );
    }
}
