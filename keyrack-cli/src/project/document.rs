//! One `keyrack.yml` as it is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keyrack_manifest::Class;
use keyrack_names::{Env, KeyName, Org};
use serde::Deserialize;

use super::Wanted;

/// The file as written. Envs stand as `env.<e>:` lists, or nested under `env:`.
#[derive(Default)]
pub struct Document {
    /// The org.
    pub org: Option<Org>,
    /// Other such files, or folders with one.
    pub extends: Vec<PathBuf>,
    /// What each env needs, in the order written.
    pub env: Vec<(Env, Vec<Item>)>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Document;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("org, extends and env.<name> lists")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Document, A::Error> {
                use serde::de::Error;
                let mut document = Document::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "org" => document.org = map.next_value()?,
                        "extends" => document.extends = map.next_value()?,
                        "env" => document.env.extend(map.next_value::<BTreeMap<Env, Vec<Item>>>()?),
                        other => {
                            let env = other.strip_prefix("env.").ok_or_else(|| {
                                A::Error::custom(format!(
                                    "unknown field {other:?}: use org, extends or env.<name>"
                                ))
                            })?;
                            document
                                .env
                                .push((env.parse().map_err(A::Error::custom)?, map.next_value()?));
                        }
                    }
                }
                Ok(document)
            }
        }
        from.deserialize_map(Visitor)
    }
}

impl Document {
    /// # Errors
    /// What is wrong and where, in words that show no value: a repository says which files
    /// are read, and it may say a private key's.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        // By way of a value, which refuses what stands twice.
        let bad = |e: serde_yaml::Error| without_value(e.to_string());
        let value: serde_yaml::Value = serde_yaml::from_str(text).map_err(bad)?;
        serde_yaml::from_value(value).map_err(bad)
    }
}

/// What the parser says, without the value that it found in the wrong place.
pub fn without_value(words: String) -> String {
    let kinds = ["invalid type: ", "invalid value: ", "invalid length "];
    let found = kinds.iter().filter_map(|kind| words.find(kind)).min();
    let expected =
        found.and_then(|at| Some((&words[..at], words[at..].rsplit_once(", expected ")?.1)));
    match expected {
        Some((place, kind)) => format!("{place}expected {kind}"),
        None => words,
    }
}

/// One entry of a list: a name, or names with what is asked of each.
pub enum Item {
    /// `KEY`
    Name(KeyName),
    /// `KEY: { optional: true, class: CLASS }`
    Full(BTreeMap<KeyName, Constraint>),
}

/// By hand: derived, it would only say that neither of the two fits.
impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
        struct EitherWay;
        impl<'de> Visitor<'de> for EitherWay {
            type Value = Item;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("KEY, or KEY: { optional: true, class: CLASS }")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Item, E> {
                name.parse().map(Item::Name).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Item::Full)
            }
        }
        from.deserialize_any(EitherWay)
    }
}

impl Item {
    /// The credentials it names.
    pub fn wanted(self) -> Vec<Wanted> {
        match self {
            Self::Name(key) => vec![Wanted { key, optional: false, class: None }],
            Self::Full(map) => map
                .into_iter()
                .map(|(key, rule)| Wanted { key, optional: rule.optional, class: rule.class })
                .collect(),
        }
    }
}

/// What is asked of a credential.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "{ optional: true, class: CLASS }")]
pub struct Constraint {
    #[serde(default)]
    optional: bool,
    class: Option<Class>,
}
