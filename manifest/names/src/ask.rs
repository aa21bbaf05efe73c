//! An ask: what a caller wants to read, and the look-up rules that answer it.
//!
//! `sudo` is only ever reached exactly. Every other env falls back to `all`, and every
//! org to `@all`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Env, KeyName, Org, Slug};

/// One credential asked for, as far as the caller named it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The org to look in; `@all` is always looked in last.
    pub org: Org,
    /// The env, or `None` when the caller named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Env>,
    /// The credential's name.
    pub key: KeyName,
    /// Whether the caller named the whole slug: then nothing is fallen back to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
}

/// Why an ask has no single answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// Nothing fits.
    Absent,
    /// Several fit equally well, and the caller did not say which.
    Ambiguous(Vec<Slug>),
}

impl Ask {
    /// Asks for exactly `slug`.
    pub fn exactly(slug: Slug) -> Self {
        Self { org: slug.org, env: Some(slug.env), key: slug.key, exact: true }
    }

    /// The slugs to try, best first, when the ask can be answered by trying.
    ///
    /// `ORG.E`, `ORG.all`, `@all.E`, `@all.all`; for `sudo` the two that name it; without
    /// an env `ORG.all`.
    pub fn candidates(&self) -> Vec<Slug> {
        let slug = |org: &Org, env: &Env| Slug::new(org.clone(), env.clone(), self.key.clone());
        let mut slugs = Vec::with_capacity(4);
        let mut push = |slug| {
            if !slugs.contains(&slug) {
                slugs.push(slug);
            }
        };
        let all = Env::all();
        match &self.env {
            Some(env) if self.exact => push(slug(&self.org, env)),
            Some(env) => {
                for org in [&self.org, &Org::all()] {
                    push(slug(org, env));
                    if !env.is_sudo() {
                        push(slug(org, &all));
                    }
                }
            }
            None => push(slug(&self.org, &all)),
        }
        slugs
    }

    /// The slug the ask names first: what an answer is called when nothing is known.
    pub fn best(&self) -> Slug {
        let env = self.env.clone().unwrap_or_else(Env::all);
        Slug::new(self.org.clone(), env, self.key.clone())
    }

    /// Answers the ask from what there is: the first candidate present; and without an
    /// env, where no candidate is, the only slug with this key that is not `sudo`.
    ///
    /// # Errors
    /// [`AskError::Absent`] where nothing fits, [`AskError::Ambiguous`] where several do.
    pub fn find<'a>(
        &self,
        has: impl Fn(&Slug) -> bool,
        all: impl Iterator<Item = &'a Slug>,
    ) -> Result<Slug, AskError> {
        if let Some(found) = self.candidates().into_iter().find(|slug| has(slug)) {
            return Ok(found);
        }
        if self.env.is_some() {
            return Err(AskError::Absent);
        }
        // A set of them sorts as it grows.
        let mut fitting = BTreeSet::new();
        fitting.extend(
            all.filter(|slug| slug.key == self.key && !slug.env.is_sudo() && has(slug)).cloned(),
        );
        match fitting.len() {
            0 | 1 => fitting.pop_first().ok_or(AskError::Absent),
            _ => Err(AskError::Ambiguous(fitting.into_iter().collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(org: &str, env: Option<&str>, key: &str) -> Ask {
        Ask {
            org: org.parse().unwrap(),
            env: env.map(|e| e.parse().unwrap()),
            key: key.parse().unwrap(),
            exact: false,
        }
    }

    fn find(ask: &Ask, held: &[&str]) -> Result<String, AskError> {
        let held: Vec<Slug> = held.iter().map(|s| s.parse().unwrap()).collect();
        ask.find(|slug| held.contains(slug), held.iter()).map(|slug| slug.to_string())
    }

    #[test]
    fn an_env_falls_back_to_all_then_to_every_org() {
        let wanted = ask("org", Some("dev"), "K");
        let order = ["org.dev.K", "org.all.K", "@all.dev.K", "@all.all.K"];
        for start in 0..order.len() {
            assert_eq!(find(&wanted, &order[start..]).unwrap(), order[start]);
        }
        assert_eq!(find(&wanted, &["org.prod.K"]), Err(AskError::Absent));
    }

    #[test]
    fn sudo_is_only_reached_exactly() {
        assert_eq!(find(&ask("org", None, "K"), &["org.sudo.K"]), Err(AskError::Absent));
        assert_eq!(find(&ask("org", Some("all"), "K"), &["org.sudo.K"]), Err(AskError::Absent));
        assert_eq!(find(&ask("org", Some("sudo"), "K"), &["org.all.K"]), Err(AskError::Absent));
        assert_eq!(find(&ask("org", Some("sudo"), "K"), &["org.sudo.K"]).unwrap(), "org.sudo.K");
        assert_eq!(find(&ask("org", Some("sudo"), "K"), &["@all.sudo.K"]).unwrap(), "@all.sudo.K");
    }

    #[test]
    fn without_an_env_all_wins_then_the_only_one() {
        assert_eq!(find(&ask("org", None, "K"), &["org.all.K", "org.dev.K"]).unwrap(), "org.all.K");
        assert_eq!(find(&ask("org", None, "K"), &["x.dev.K", "x.sudo.K"]).unwrap(), "x.dev.K");
        assert_eq!(
            find(&ask("org", None, "K"), &["x.dev.K", "x.prod.K"]),
            Err(AskError::Ambiguous(vec!["x.dev.K".parse().unwrap(), "x.prod.K".parse().unwrap()]))
        );
    }

    #[test]
    fn a_whole_slug_falls_back_to_nothing() {
        let exact = Ask::exactly("org.dev.K".parse().unwrap());
        assert_eq!(find(&exact, &["org.all.K", "@all.dev.K"]), Err(AskError::Absent));
        assert_eq!(find(&exact, &["org.dev.K"]).unwrap(), "org.dev.K");
    }
}
