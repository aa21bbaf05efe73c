//! How long something may last, as text: `45s`, `30m`, `9h`, `7d`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
const LONGEST: u64 = 366 * 86_400;

/// A length of time in whole seconds, from one second to 366 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u64);

/// Why a text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a length of time: use 45s, 30m, 9h, 7d or 1h30m, at most 366d")]
pub struct LifetimeError;

impl Lifetime {
    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Lifetime {
    type Err = LifetimeError;

    fn from_str(text: &str) -> Result<Self, LifetimeError> {
        let mut rest = text;
        let mut total = 0u64;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| LifetimeError)?;
            let unit = rest[digits..].chars().next().ok_or(LifetimeError)?;
            // Each unit at most once, from large to small: `1m1h` is a slip of the finger.
            let (_, seconds) = units.find(|(name, _)| *name == unit).ok_or(LifetimeError)?;
            total = number
                .checked_mul(*seconds)
                .and_then(|part| total.checked_add(part))
                .ok_or(LifetimeError)?;
            rest = &rest[digits + unit.len_utf8()..];
        }
        if (1..=LONGEST).contains(&total) { Ok(Self(total)) } else { Err(LifetimeError) }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, seconds) in UNITS {
            if rest >= seconds {
                write!(f, "{}{unit}", rest / seconds)?;
                rest %= seconds;
            }
        }
        Ok(())
    }
}

impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in
            [("45s", 45), ("30m", 1800), ("9h", 32_400), ("7d", 604_800), ("1h30m", 5400)]
        {
            assert_eq!(text.parse::<Lifetime>().unwrap().duration().as_secs(), seconds);
            assert_eq!(text.parse::<Lifetime>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "0s",
            "9",
            "h",
            "1m1h",
            "1h1h",
            "-1h",
            "1.5h",
            "1 h",
            "367d",
            "1w",
            "9é",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_length_survives_text(seconds in 1..=LONGEST) {
            let lifetime = Lifetime(seconds);
            prop_assert_eq!(lifetime.to_string().parse::<Lifetime>().unwrap(), lifetime);
        }
    }
}
