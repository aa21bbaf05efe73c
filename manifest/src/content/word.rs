//! Short words inside a manifest that name a vault, a mechanism or an origin, and the
//! free text that names an item in a foreign vault. Parsed once at the door.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::content::yaml::is_control;

/// Why a text is none of these. The text itself is not shown: it may be a value that was
/// put in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {rule}")]
pub struct WordError {
    kind: &'static str,
    rule: &'static str,
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                let fits: fn(&str) -> bool = $fits;
                if fits(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(WordError { kind: $kind, rule: $rule })
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
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

fn is_word(text: &str) -> bool {
    let edge = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(edge)
        && text.bytes().all(|c| edge(c) || matches!(c, b'.' | b'_' | b'-'))
        && !text.contains("..")
}

word! {
    /// Names a vault or backend: `personal`, `1password`, `aws.secrets`, a team's vault.
    VaultName, "vault",
    "use 1 to 64 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit, without '..'",
    is_word
}

word! {
    /// A mechanism of delivery (`env`) or an origin (`user`, `drop`).
    Word, "word",
    "use 1 to 64 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit, without '..'",
    is_word
}

word! {
    /// Names an item in a foreign vault, such as `seaturtle/github-pat`. Free text for
    /// that vault to read; never a path or a command of ours.
    Exid, "exid", "use 1 to 1024 bytes without control characters, not starting with '-'",
    |text| {
        (1..=1024).contains(&text.len())
            && !text.starts_with('-')
            && !text.chars().any(is_control)
    }
}

impl VaultName {
    /// `personal`: the owner's own vault, where values live unless told otherwise.
    pub fn personal() -> Self {
        Self("personal".to_owned())
    }

    /// Whether this is the owner's own vault.
    pub fn is_personal(&self) -> bool {
        self.0 == "personal"
    }
}

impl Word {
    /// `env`: delivered as it is.
    pub fn env() -> Self {
        Self("env".to_owned())
    }

    /// `default`: what is called so where nobody said what it is called.
    pub fn usual() -> Self {
        Self("default".to_owned())
    }

    /// `user`: typed or piped in by whoever ran the command.
    pub fn user() -> Self {
        Self("user".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_words() {
        for good in ["personal", "1password", "aws.secrets", "os.keyring", "a", &"x".repeat(64)] {
            assert_eq!(good.parse::<VaultName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a..b", "A", "a b", "-x", "../x", "a/b", "a\n", &"x".repeat(65)]
        {
            assert!(bad.parse::<VaultName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_exid_is_one_line_and_no_flag() {
        for good in ["seaturtle/github-pat", "op://vault/item name/field", "é"] {
            assert_eq!(good.parse::<Exid>().unwrap().as_str(), good);
        }
        for bad in ["", "-rf", "a\nb", "a\0", "a\u{85}", "a\u{2028}b", &"x".repeat(1025)] {
            assert!(bad.parse::<Exid>().is_err(), "{bad:?}");
        }
        assert!(!"hunter2\n".parse::<Exid>().unwrap_err().to_string().contains("hunter2"));
    }
}
