//! What a command is about: several go by one instruction.

use std::str::FromStr;

use crate::Command;
use crate::tlv::Tlv;

/// The slot of the management key.
pub(crate) const MANAGEMENT: u8 = 0x9b;

macro_rules! acts {
    ($($(#[doc = $doc:literal])* $act:ident = $name:literal,)*) => {
        /// What a command is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Act { $($(#[doc = $doc])* $act,)* }

        impl FromStr for Act {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                match name {
                    $($name => Ok(Self::$act),)*
                    _ => Err(format!("no command is called {name}: {}", [$($name),*].join(" "))),
                }
            }
        }

        impl Act {
            /// Its name, as a person types it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$act => $name,)* }
            }
        }
    };
}

acts! {
    /// Choose an application.
    Select = "select",
    /// Which firmware?
    Version = "version",
    /// Which serial number?
    Serial = "serial",
    /// Read an object.
    GetData = "get-data",
    /// The rest of an answer.
    GetResponse = "get-response",
    /// A PIN, or the question whether one is needed.
    Verify = "verify",
    /// A new PIN or PUK for the old one.
    ChangeReference = "change-reference",
    /// A new PIN for the PUK.
    ResetRetry = "reset-retry",
    /// How many tries PIN and PUK have from now on.
    SetTries = "set-tries",
    /// Either half of proving the management key.
    Authenticate = "authenticate",
    /// A new management key.
    SetManagement = "set-management",
    /// Write an object.
    PutData = "put-data",
    /// Make a key.
    Generate = "generate",
    /// Bring a key.
    Import = "import",
    /// Sign a digest.
    Sign = "sign",
    /// Agree on a secret with a public key: what opens an age file.
    Ecdh = "ecdh",
    /// What is in a slot?
    Metadata = "metadata",
    /// A certificate that says a key was made here.
    Attest = "attest",
    /// Back to the factory's state.
    Reset = "reset",
    /// Anything else.
    Unknown = "unknown",
}

impl Act {
    /// What `command` is about.
    pub fn of(command: &Command) -> Self {
        match command.instruction {
            0xa4 => Self::Select,
            0xfd => Self::Version,
            0xf8 => Self::Serial,
            0xcb => Self::GetData,
            0xc0 => Self::GetResponse,
            0x20 => Self::Verify,
            0x24 => Self::ChangeReference,
            0x2c => Self::ResetRetry,
            0xfa => Self::SetTries,
            0x87 if command.p2 == MANAGEMENT => Self::Authenticate,
            0x87 if asks_agreement(&command.data) => Self::Ecdh,
            0x87 => Self::Sign,
            0xff => Self::SetManagement,
            0xdb => Self::PutData,
            0x47 => Self::Generate,
            0xfe => Self::Import,
            0xf7 => Self::Metadata,
            0xf9 => Self::Attest,
            0xfb => Self::Reset,
            _ => Self::Unknown,
        }
    }
}

fn asks_agreement(data: &[u8]) -> bool {
    Tlv::find(data, 0x7c).and_then(|inner| Tlv::find(inner, 0x85)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for act in [Act::Ecdh, Act::GetData, Act::SetManagement, Act::Unknown] {
            assert_eq!(act.name().parse(), Ok(act));
        }
        assert!("ecdsa".parse::<Act>().is_err());
    }
}
