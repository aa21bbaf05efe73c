//! Random or hashed bytes that name a thing. Not secret. As text: lower-case hex.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An id's text is not lower-case hex of the right length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: {digits} hex digits are expected")]
pub struct IdError {
    digits: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The id made of these bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// A new random id.
            ///
            /// # Errors
            /// When the operating system gives no random numbers.
            pub fn random() -> Result<Self, getrandom::Error> {
                let mut bytes = [0; $len];
                getrandom::fill(&mut bytes)?;
                Ok(Self(bytes))
            }

            /// The first eight hex digits, for people.
            pub fn short(&self) -> String {
                hex::lower::encode_string(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::lower::encode_string(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                match hex::lower::decode(text, &mut bytes) {
                    Ok(decoded) if decoded.len() == $len => Ok(Self(bytes)),
                    _ => Err(IdError { digits: $len * 2 }),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// Names one owner's rack: two homes of one user are two racks.
    RackId, 16
}

id! {
    /// Names a sealed drop, so that it is merged once.
    DropId, 16
}

id! {
    /// Names a member of vaults: the first half of SHA-256 of its first identity card.
    /// Stable for life.
    MemberId, 16
}

id! {
    /// Names a vault: SHA-256 of the payload of its genesis link.
    VaultId, 32
}

id! {
    /// Names a credential inside a vault, through all its versions.
    CredId, 16
}

id! {
    /// Names an invitation to a vault.
    InviteId, 16
}

id! {
    /// Names one device of a member, which keeps an audit log of its own.
    DeviceId, 16
}

id! {
    /// SHA-256 of something written.
    Digest, 32
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = VaultId::random().unwrap();
        assert_eq!(id.to_string().parse::<VaultId>().unwrap(), id);
        assert_eq!(id.short(), id.to_string()[..8]);
        for bad in ["", "00", &"g".repeat(32), &"0".repeat(34), &"A".repeat(32), &"é".repeat(16)] {
            assert!(bad.parse::<RackId>().is_err(), "{bad:?}");
        }
    }
}
