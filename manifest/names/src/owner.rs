//! An owner: an identity with its own manifest, keys and daemon.

use std::str::FromStr;

use crate::name::{NameError, text_name};

const RULE: &str =
    "use 1 to 32 of a-z, 0-9, '.', '_' and '-', starting with a letter or digit, without '..'";

/// The name of an owner, such as `seaturtle`. Safe as part of a file name.
///
/// `^[a-z0-9][a-z0-9._-]{0,31}$` without `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(String);

text_name!(Owner);

impl Owner {
    /// The owner meant when none is named.
    pub fn human() -> Self {
        Self("human".to_owned())
    }

    /// Whether this is the person at the machine.
    pub fn is_human(&self) -> bool {
        self.0 == "human"
    }
}

impl FromStr for Owner {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let edge = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let inner = |c: u8| edge(c) || matches!(c, b'.' | b'_' | b'-');
        let bytes = text.as_bytes();
        let fits = (1..=32).contains(&bytes.len())
            && edge(bytes[0])
            && bytes.iter().all(|&c| inner(c))
            && !text.contains("..");
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::showing("owner", text, RULE)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_rule_says() {
        let longest = "a".repeat(32);
        for good in ["human", "seaturtle", "agent-1", "a", "7", "a.b_c-d", &longest] {
            assert_eq!(good.parse::<Owner>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn refuses_everything_else() {
        let too_long = "a".repeat(33);
        for bad in [
            "",
            ".",
            "..",
            "-a",
            ".a",
            "_a",
            "a..b",
            "../../../evil",
            "a/b",
            "a\0b",
            "a b",
            "A",
            "é",
            "a\n",
            "a\u{202e}b",
            &too_long,
        ] {
            assert!(bad.parse::<Owner>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn shows_a_hostile_name_escaped_and_shortened() {
        let error = "../\u{1b}[31m\n".parse::<Owner>().unwrap_err().to_string();
        assert!(error.starts_with(r#""../\u{1b}[31m\n" is not a valid owner: "#), "{error}");
        let error = "x/".repeat(4000).parse::<Owner>().unwrap_err().to_string();
        assert!(error.len() < 250, "{}", error.len());
    }
}
