//! Bytes that name a thing. Not secret. As text: lower-case hex.

/// An id's text is not lower-case hex of the right length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: {digits} hex digits are expected")]
pub struct IdError {
    digits: usize,
}

/// Declares an id: a type of so many bytes, which reads and writes itself as hex.
#[macro_export]
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

            /// The first eight hex digits, for people.
            pub fn short(&self) -> String {
                $crate::id::text(&self.0[..4])
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&$crate::id::text(&self.0))
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(self, f)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::IdError;

            fn from_str(text: &str) -> Result<Self, $crate::IdError> {
                $crate::id::bytes(text).map(Self)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }
    };
}

/// An id's text.
pub fn text(bytes: &[u8]) -> String {
    hex::lower::encode_string(bytes)
}

/// An id's bytes.
///
/// # Errors
/// [`IdError`].
pub fn bytes<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], IdError> {
    let mut bytes = [0; LENGTH];
    match hex::lower::decode(text, &mut bytes) {
        Ok(decoded) if decoded.len() == LENGTH => Ok(bytes),
        _ => Err(IdError { digits: LENGTH * 2 }),
    }
}

id! {
    /// Names one owner's rack: two homes of one user are two racks. Written in the
    /// manifest, bound into every channel.
    RackId, 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = RackId::from_bytes(*b"0123456789abcdef");
        assert_eq!(id.to_string(), "30313233343536373839616263646566");
        assert_eq!(id.to_string().parse::<RackId>().unwrap(), id);
        assert_eq!(id.short(), id.to_string()[..8]);
        for bad in ["", "00", &"g".repeat(32), &"0".repeat(34), &"A".repeat(32), &"é".repeat(16)] {
            assert!(bad.parse::<RackId>().is_err(), "{bad:?}");
        }
    }
}
