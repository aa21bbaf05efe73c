//! Points in time as people write them: `55m`, `80d`, `2026-12-31`,
//! `2026-12-31T12:00:00Z`; and spans as people read them. Pure: `now` is a parameter.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use keyrack_manifest::Lifetime;

/// A point in time, or a length of time from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At that time.
    At(Timestamp),
    /// That long from now.
    After(Lifetime),
}

/// The text is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use a time such as 2026-12-31 or 2026-12-31T12:00:00Z, or a span such as 55m or 80d")]
pub struct WhenError;

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        if let Ok(date) = text.parse::<jiff::civil::Date>() {
            let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| WhenError)?;
            return Ok(Self::At(midnight.timestamp()));
        }
        text.parse().map(Self::After).map_err(|_| WhenError)
    }
}

impl When {
    /// The point in time meant, asked at `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::After(span) => now.checked_add(span.duration()).unwrap_or(Timestamp::MAX),
        }
    }
}

/// A span in the two largest units that say something: `8h59m`, `2d3h`, `45s`.
pub fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let said = parts[first..].iter().take(2).enumerate().filter(|(at, (n, _))| *at == 0 || *n > 0);
    said.map(|(_, (n, unit))| format!("{n}{unit}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, at) in [
            ("2026-12-31", "2026-12-31T00:00:00Z"),
            ("2026-12-31T12:00:00Z", "2026-12-31T12:00:00Z"),
            ("2026-12-31T12:00:00+02:00", "2026-12-31T10:00:00Z"),
            ("55m", "2026-01-01T00:55:00Z"),
        ] {
            assert_eq!(text.parse::<When>().unwrap().at(now).to_string(), at);
        }
        for bad in ["", "tomorrow", "2026-13-01", "9", "-5m"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_short() {
        let texts = [
            (0, "0s"),
            (45, "45s"),
            (60, "1m"),
            (1799, "29m59s"),
            (32_399, "8h59m"),
            (86_400, "1d"),
            (97_200, "1d3h"),
        ];
        for (seconds, text) in texts {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }
}
