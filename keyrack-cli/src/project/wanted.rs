//! From `--key`, `--env` and `--org` to what is meant by them.

use keyrack_names::{Ask, Env, Org, Slug};

use crate::args::{KeyArg, OneKey};
use crate::error::{Code, Failure, Outcome};
use crate::project;

/// The org meant: the flag, else the nearest `keyrack.yml`'s, else `@all`.
///
/// # Errors
/// When a `keyrack.yml` does not parse.
pub fn org(flag: Option<&Org>) -> Outcome<Org> {
    if let Some(org) = flag {
        return Ok(org.clone());
    }
    Ok(project::org()?.unwrap_or_else(Org::all))
}

/// What `get` and its kin look up.
///
/// # Errors
/// [`Code::Usage`] when a whole slug and a flag contradict each other.
pub fn ask(key: &KeyArg, env: Option<&Env>, org_flag: Option<&Org>) -> Outcome<Ask> {
    match key {
        KeyArg::Slug(slug) => {
            agree(slug, env, org_flag)?;
            Ok(Ask::exactly(slug.clone()))
        }
        KeyArg::Name(key) => {
            Ok(Ask { org: org(org_flag)?, env: env.cloned(), key: key.clone(), exact: false })
        }
    }
}

/// The one slug that `set` and its kin are about; without an env, `all`.
///
/// # Errors
/// [`Code::Usage`] when a whole slug and a flag contradict each other.
pub fn slug(at: &OneKey) -> Outcome<Slug> {
    let OneKey { key, env, org: org_flag } = at;
    match key {
        KeyArg::Slug(slug) => {
            agree(slug, env.as_ref(), org_flag.as_ref())?;
            Ok(slug.clone())
        }
        KeyArg::Name(key) => Ok(Slug::new(
            org(org_flag.as_ref())?,
            env.clone().unwrap_or_else(Env::all),
            key.clone(),
        )),
    }
}

fn agree(slug: &Slug, env: Option<&Env>, org: Option<&Org>) -> Outcome {
    if env.is_some_and(|env| *env != slug.env) || org.is_some_and(|org| *org != slug.org) {
        return Err(Failure::new(
            Code::Usage,
            format!("--key {slug} names its org and env; --org or --env says another"),
        ));
    }
    Ok(())
}

/// Which credentials an unlock is about.
#[derive(Debug)]
pub struct Selection<'a> {
    /// Only these.
    pub keys: &'a [KeyArg],
    /// Only this env and what it falls back to.
    pub env: Option<&'a Env>,
    /// Only this org and `@all`.
    pub org: Option<&'a Org>,
}

impl Selection<'_> {
    /// Whether anything was named at all.
    pub fn is_everything(&self) -> bool {
        self.keys.is_empty() && self.env.is_none() && self.org.is_none()
    }

    /// Whether `slug` is meant. `sudo` is reached only by a key, exactly: by `--env sudo`
    /// or by its whole slug.
    pub fn takes(&self, slug: &Slug) -> bool {
        if self.keys.is_empty() {
            return !slug.env.is_sudo() && self.env_fits(slug) && self.org_fits(slug);
        }
        self.keys.iter().any(|key| self.key_takes(key, slug))
    }

    /// Whether one of the keys takes `slug`.
    pub fn key_takes(&self, key: &KeyArg, slug: &Slug) -> bool {
        match key {
            KeyArg::Slug(exact) => exact == slug,
            KeyArg::Name(name) => *name == slug.key && self.env_fits(slug) && self.org_fits(slug),
        }
    }

    fn env_fits(&self, slug: &Slug) -> bool {
        match self.env {
            Some(env) if env.is_sudo() => slug.env.is_sudo(),
            // `unlock --env all` is every env but sudo, as without --env.
            Some(env) if !env.is_all() => slug.env == *env || slug.env.is_all(),
            _ => !slug.env.is_sudo(),
        }
    }

    fn org_fits(&self, slug: &Slug) -> bool {
        self.org.is_none_or(|org| slug.org == *org || slug.org == Org::all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: [&str; 6] =
        ["@all.all.K", "@all.dev.K", "acme.dev.K", "acme.prod.K", "acme.sudo.K", "acme.all.L"];

    fn taken(keys: &[&str], env: Option<&str>, org: Option<&str>) -> Vec<&'static str> {
        let keys: Vec<KeyArg> = keys.iter().map(|k| k.parse().unwrap()).collect();
        let env: Option<Env> = env.map(|e| e.parse().unwrap());
        let org: Option<Org> = org.map(|o| o.parse().unwrap());
        let selection = Selection { keys: &keys, env: env.as_ref(), org: org.as_ref() };
        HELD.into_iter().filter(|slug| selection.takes(&slug.parse().unwrap())).collect()
    }

    #[test]
    fn everything_but_sudo_by_default_and_for_all() {
        assert_eq!(
            taken(&[], None, None),
            ["@all.all.K", "@all.dev.K", "acme.dev.K", "acme.prod.K", "acme.all.L"]
        );
        assert_eq!(taken(&[], Some("all"), None), taken(&[], None, None));
        assert_eq!(
            taken(&["K"], Some("all"), None),
            ["@all.all.K", "@all.dev.K", "acme.dev.K", "acme.prod.K"]
        );
    }

    #[test]
    fn sudo_is_only_reached_by_key() {
        assert!(taken(&[], Some("sudo"), None).is_empty());
        assert_eq!(taken(&["K"], Some("sudo"), None), ["acme.sudo.K"]);
        assert_eq!(taken(&["acme.sudo.K"], None, None), ["acme.sudo.K"]);
        assert!(!taken(&["K"], None, None).contains(&"acme.sudo.K"));
    }

    #[test]
    fn an_env_takes_what_it_falls_back_to() {
        assert_eq!(
            taken(&[], Some("dev"), None),
            ["@all.all.K", "@all.dev.K", "acme.dev.K", "acme.all.L"]
        );
        assert_eq!(taken(&[], Some("dev"), Some("acme")), taken(&[], Some("dev"), None));
        assert_eq!(taken(&[], None, Some("other")), ["@all.all.K", "@all.dev.K"]);
    }

    #[test]
    fn a_slug_and_a_flag_must_agree() {
        let key: KeyArg = "acme.dev.K".parse().unwrap();
        let prod: Env = "prod".parse().unwrap();
        assert_eq!(ask(&key, Some(&prod), None).unwrap_err().code, Code::Usage);
        assert!(ask(&key, None, None).unwrap().exact);
    }
}
