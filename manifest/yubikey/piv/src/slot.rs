//! A retired PIV slot, where keys for age files live: R1 to R20, 82 to 95 on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// R1 to R20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

/// The text names no retired slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a slot is R1 to R20")]
pub struct BadSlot;

impl Slot {
    /// All twenty, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=20).map(Self)
    }

    /// What PIV calls it.
    pub fn id(self) -> u8 {
        0x81 + self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("R{}", self.0))
    }
}

impl FromStr for Slot {
    type Err = BadSlot;

    fn from_str(text: &str) -> Result<Self, BadSlot> {
        let number = text.strip_prefix(['R', 'r']).and_then(|digits| digits.parse().ok());
        let slot = number.filter(|number| (1..=20).contains(number)).map(Self).ok_or(BadSlot)?;
        // One slot has one name: no R01, no R+1.
        if slot.to_string().eq_ignore_ascii_case(text) { Ok(slot) } else { Err(BadSlot) }
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_to_r20_and_nothing_else() {
        let ids: Vec<u8> = Slot::all().map(Slot::id).collect();
        assert_eq!(ids, (0x82..=0x95).collect::<Vec<u8>>());
        for slot in Slot::all() {
            assert_eq!(slot.to_string().parse(), Ok(slot));
        }
        assert_eq!("r7".parse::<Slot>().unwrap().id(), 0x88);
        for bad in ["", "R", "R0", "R21", "R01", "R+1", "9a", "1", "R1 "] {
            assert_eq!(bad.parse::<Slot>(), Err(BadSlot), "{bad}");
        }
    }
}
