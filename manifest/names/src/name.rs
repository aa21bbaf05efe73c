//! What a name may look like, and the error when it does not.
//! The rules themselves stand beside each type.

use std::fmt;

/// Why a text is not a valid name.
///
/// Owner, org and env names are shown back, shortened and escaped; a key name never
/// is, because what stands in its place on a command line may be a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NameError {
    kind: &'static str,
    shown: Option<String>,
    rule: &'static str,
}

impl NameError {
    pub(crate) fn showing(kind: &'static str, text: &str, rule: &'static str) -> Self {
        let mut shown: String = text.chars().take(40).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        Self { kind, shown: Some(shown), rule }
    }

    pub(crate) fn hiding(kind: &'static str, rule: &'static str) -> Self {
        Self { kind, shown: None, rule }
    }

    /// The same of a part of a slug, which is not shown: with two dots in it, a value that
    /// stands in the wrong place looks like one.
    pub(crate) fn in_slug(self) -> Self {
        let kind = match self.kind {
            "org" => "org in ORG.ENV.KEY",
            "env" => "env in ORG.ENV.KEY",
            _ => "key in ORG.ENV.KEY",
        };
        Self { kind, shown: None, rule: self.rule }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown {
            Some(shown) => write!(f, "{shown:?} is not a valid {}: {}", self.kind, self.rule),
            None => write!(f, "not a valid {}: {}", self.kind, self.rule),
        }
    }
}

/// Implements `Display`, `AsRef<str>`, `FromStr`-based serde and `as_str` for a name
/// that wraps a `String` and has `parse`.
macro_rules! text_name {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        $crate::name::text_serde!($name);
    };
}

/// Serde through `Display` and `FromStr`, so that a deserialised name is a parsed one.
macro_rules! text_serde {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {text_name, text_serde};
