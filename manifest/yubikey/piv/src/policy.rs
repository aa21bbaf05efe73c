//! When a key asks for its PIN and for a finger. Chosen when it is made, never changed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// When a key asks for the PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinPolicy {
    /// Never.
    Never,
    /// Once, until the card is reset or another application is used.
    Once,
    /// For each operation.
    Always,
}

/// When a key asks for a touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TouchPolicy {
    /// Never.
    Never,
    /// For each operation.
    Always,
    /// For an operation that is more than 15 seconds after the last touch.
    Cached,
}

/// The text names no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadPolicy(&'static str);

impl PinPolicy {
    /// From the byte that PIV knows it by.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Never, Self::Once, Self::Always].into_iter().find(|policy| policy.byte() == byte)
    }

    /// The byte that PIV knows it by.
    pub fn byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Once => 2,
            Self::Always => 3,
        }
    }
}

impl TouchPolicy {
    /// From the byte that PIV knows it by.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Never, Self::Always, Self::Cached].into_iter().find(|policy| policy.byte() == byte)
    }

    /// The byte that PIV knows it by.
    pub fn byte(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Always => 2,
            Self::Cached => 3,
        }
    }
}

impl fmt::Display for PinPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Never => "never",
            Self::Once => "once",
            Self::Always => "always",
        })
    }
}

impl fmt::Display for TouchPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Never => "never",
            Self::Always => "always",
            Self::Cached => "cached",
        })
    }
}

impl FromStr for PinPolicy {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        match text {
            "never" => Ok(Self::Never),
            "once" => Ok(Self::Once),
            "always" => Ok(Self::Always),
            _ => Err(BadPolicy("use once, always or never")),
        }
    }
}

impl FromStr for TouchPolicy {
    type Err = BadPolicy;

    fn from_str(text: &str) -> Result<Self, BadPolicy> {
        match text {
            "never" => Ok(Self::Never),
            "always" => Ok(Self::Always),
            "cached" => Ok(Self::Cached),
            _ => Err(BadPolicy("use cached, always or never")),
        }
    }
}
