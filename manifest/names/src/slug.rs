//! A slug: the full name of a credential, `ORG.ENV.KEY`.

use std::fmt;
use std::str::FromStr;

use crate::name::{NameError, text_name, text_serde};

/// The organisation a credential belongs to: `@all` (machine-wide) or
/// `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Org(String);

/// The environment a credential is for, `[a-z][a-z0-9-]{0,31}`. `all` and `sudo` have
/// rules of their own (see [`Ask`](crate::Ask)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Env(String);

/// A credential's own name, `[A-Za-z_][A-Za-z0-9_]{0,127}`: also the name of the
/// environment variable it is delivered in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

text_name!(Org);
text_name!(Env);
text_name!(KeyName);

impl Org {
    /// `@all`: for every organisation on this machine.
    pub fn all() -> Self {
        Self("@all".to_owned())
    }
}

impl FromStr for Org {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "use @all, or 1 to 64 of A-Z, a-z, 0-9, '_' and '-', starting with a \
                            letter or digit";
        let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
        let fits = text == "@all"
            || (text.len() <= 64
                && text.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric())
                && text.bytes().all(inner));
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::showing("org", text, RULE)) }
    }
}

impl Env {
    /// `all`: what `set` writes when no env is named, and what every look-up but `sudo`
    /// falls back to.
    pub fn all() -> Self {
        Self("all".to_owned())
    }

    /// Whether this is `all`.
    pub fn is_all(&self) -> bool {
        self.0 == "all"
    }

    /// Whether this is `sudo`, which is only ever reached exactly.
    pub fn is_sudo(&self) -> bool {
        self.0 == "sudo"
    }
}

impl FromStr for Env {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "use 1 to 32 of a-z, 0-9 and '-', starting with a letter";
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let fits = text.len() <= 32
            && text.bytes().next().is_some_and(|c| c.is_ascii_lowercase())
            && text.bytes().all(inner);
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::showing("env", text, RULE)) }
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: &str = "use 1 to 128 of A-Z, a-z, 0-9 and '_', not starting with a digit";
        let edge = |c: u8| c.is_ascii_alphabetic() || c == b'_';
        let fits = text.len() <= 128
            && text.bytes().next().is_some_and(edge)
            && text.bytes().all(|c| edge(c) || c.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::hiding("key", RULE)) }
    }
}

/// The full name of a credential: `ORG.ENV.KEY`, such as `ehmpathy.sudo.GITHUB_TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug {
    /// Whose credential it is.
    pub org: Org,
    /// Which environment it is for.
    pub env: Env,
    /// Its own name.
    pub key: KeyName,
}

text_serde!(Slug);

impl Slug {
    /// Puts the three parts together.
    pub fn new(org: Org, env: Env, key: KeyName) -> Self {
        Self { org, env, key }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.org, self.env, self.key)
    }
}

impl FromStr for Slug {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut parts = text.splitn(3, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(org), Some(env), Some(key)) => {
                let org = org.parse().map_err(NameError::in_slug)?;
                let env = env.parse().map_err(NameError::in_slug)?;
                let key = key.parse().map_err(NameError::in_slug)?;
                Ok(Self { org, env, key })
            }
            _ => Err(NameError::hiding("slug", "use ORG.ENV.KEY")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_slug_is_not_shown() {
        for text in
            ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2VjcmV0", "sec ret.all.K", "a.b.s-t"]
        {
            let said = text.parse::<Slug>().unwrap_err().to_string();
            assert!(said.contains("in ORG.ENV.KEY: use "), "{said}");
            assert!(text.split('.').all(|part| part.len() < 4 || !said.contains(part)), "{said}");
        }
    }

    #[test]
    fn parses_and_shows_the_same_text() {
        for text in ["ehmpathy.sudo.GITHUB_TOKEN", "@all.all._x", "9-Org_.a-1.k"] {
            assert_eq!(text.parse::<Slug>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_hostile_parts() {
        for bad in [
            "",
            "KEY",
            "org.KEY",
            "org.all.",
            ".all.KEY",
            "org..KEY",
            "@al.all.KEY",
            "@all.All.KEY",
            "org.all.KEY.MORE",
            "org.all.1KEY",
            "org.all.K-EY",
            "o rg.all.KEY",
            "org.all.KEY\n",
            "org.1.KEY",
            "../x.all.KEY",
        ] {
            assert!(bad.parse::<Slug>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn never_shows_a_key_back() {
        let error = "TOKEN=hunter2".parse::<KeyName>().unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    proptest! {
        /// What one door accepts every later door accepts.
        #[test]
        fn accepted_slugs_survive_a_round_trip(text in "\\PC{0,40}") {
            if let Ok(slug) = text.parse::<Slug>() {
                prop_assert_eq!(slug.to_string().parse::<Slug>().unwrap(), slug);
            }
        }

        #[test]
        fn slugs_survive_json(text in "([A-Za-z0-9][A-Za-z0-9_-]{0,63}|@all)\\.[a-z][a-z0-9-]{0,31}\\.[A-Za-z_][A-Za-z0-9_]{0,127}") {
            let slug: Slug = text.parse().unwrap();
            let json = serde_json::to_string(&slug).unwrap();
            prop_assert_eq!(serde_json::from_str::<Slug>(&json).unwrap(), slug);
        }
    }
}
