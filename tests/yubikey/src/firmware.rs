//! Which firmware a card has: what it can do, and which management key it came with.

use std::fmt;
use std::str::FromStr;

/// A firmware's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firmware(pub u8, pub u8, pub u8);

impl Firmware {
    /// Of series 4: without metadata, with its number elsewhere, and a short memory.
    pub const V4_3: Self = Self(4, 3, 7);
    /// The last before AES management keys were the rule.
    pub const V5_4: Self = Self(5, 4, 3);
    /// With an AES management key from the factory.
    pub const V5_7: Self = Self(5, 7, 1);

    pub(crate) fn bytes(self) -> [u8; 3] {
        [self.0, self.1, self.2]
    }
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl FromStr for Firmware {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u8>> = text.split('.').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some([major, minor, patch]) => Ok(Self(*major, *minor, *patch)),
            _ => Err(format!("{text} is no firmware, such as 5.7.1")),
        }
    }
}
