//! Which credentials a program is given: those named by flags, else those that a trusted
//! `keyrack.yml` lists, else, where none lists any, all of an env.

use std::path::Path;

use keyrack_manifest::Class;
use keyrack_names::{Ask, Env, Org, Owner};

use crate::args::Exec;
use crate::cmd::trust;
use crate::error::{Code, Failure, Outcome};
use crate::project;
use crate::project::wanted;
use crate::settings::Settings;

/// What is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// These.
    Named(Vec<Item>),
    /// All of an env but `sudo`, or of every one.
    All {
        /// The env, and what it falls back to.
        env: Option<Env>,
        /// The org, and `@all`.
        org: Org,
    },
}

impl std::fmt::Display for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(items) => {
                let names: Vec<&str> = items.iter().map(|item| item.ask.key.as_str()).collect();
                f.write_str(&names.join(", "))
            }
            Self::All { env: Some(env), .. } => write!(f, "all of env {env}"),
            Self::All { env: None, .. } => f.write_str("all of every env but sudo"),
        }
    }
}

/// One credential that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where to look for it.
    pub ask: Ask,
    /// Whether to go on without it.
    pub optional: bool,
    /// The class it must have.
    pub class: Option<Class>,
}

impl Declared {
    /// Reads the flags and the nearest `keyrack.yml`.
    ///
    /// # Errors
    /// [`Code::Denied`] when that file is not trusted as it is now; [`Code::Usage`] when
    /// all of `sudo` is asked for.
    pub fn read(args: &Exec, settings: &Settings, owner: &Owner) -> Outcome<Self> {
        if !args.key.is_empty() {
            let item = |key| {
                let ask = wanted::ask(key, args.within.env.as_ref(), args.within.org.as_ref())?;
                Ok(Item { ask, optional: false, class: None })
            };
            return Ok(Self::Named(args.key.iter().map(item).collect::<Outcome<_>>()?));
        }
        if args.within.env.as_ref().is_some_and(Env::is_sudo) {
            return Err(Failure::new(
                Code::Usage,
                "sudo is only ever reached exactly: name each --key",
            )
            .hint(format!("keyrack exec --for {owner} --env sudo --key KEY -- …")));
        }
        let project = project::find()?;
        if let Some(project) = &project
            && !trust::is_trusted(project, settings)?
        {
            return Err(Failure::new(
                Code::Denied,
                format!(
                    "{} is not trusted as it is now, so it decides nothing",
                    project.path.display()
                ),
            )
            .hint("keyrack trust")
            .hint(format!("keyrack exec --for {owner} --key KEY -- …")));
        }
        let org = args
            .within
            .org
            .clone()
            .or_else(|| project.as_ref()?.org.clone())
            .unwrap_or_else(Org::all);
        let env = args.within.env.as_ref();
        // A file that says whose repository it is and no more decides nothing.
        let Some(project) = project.filter(|project| !project.env.is_empty()) else {
            return Ok(Self::All { env: env.cloned(), org });
        };
        let path = project.path.clone();
        match listed(project, env, &org) {
            none if none.is_empty() => Err(nothing_listed(&path, env, owner)),
            listed => Ok(Self::Named(listed)),
        }
    }
}

/// To give all in its place would give what nobody listed.
fn nothing_listed(file: &Path, env: Option<&Env>, owner: &Owner) -> Failure {
    let file = file.display();
    match env {
        Some(env) => {
            Failure::new(Code::Absent, format!("{file} lists nothing for env {env}, nor for all"))
                .hint(format!("keyrack exec --for {owner} --env {env} --key KEY -- …"))
        }
        None => Failure::new(Code::Absent, format!("{file} lists nothing for all envs"))
            .hint(format!("keyrack exec --for {owner} --env ENV -- …"))
            .hint(format!("keyrack exec --for {owner} --key KEY -- …")),
    }
}

/// What a project lists for an env and for `all`; without an env, for `all`.
fn listed(project: project::Project, env: Option<&Env>, org: &Org) -> Vec<Item> {
    let fits = |of: &Env| of.is_all() || env.is_some_and(|env| env == of);
    let mut items: Vec<Item> = Vec::new();
    // What the env itself says wins over what is said for all.
    let mut envs: Vec<_> = project.env.into_iter().filter(|(of, _)| fits(of)).collect();
    envs.sort_by_key(|(of, _)| of.is_all());
    for wanted in envs.into_iter().flat_map(|(_, wanted)| wanted) {
        if items.iter().all(|item| item.ask.key != wanted.key) {
            let ask = Ask { org: org.clone(), env: env.cloned(), key: wanted.key, exact: false };
            items.push(Item { ask, optional: wanted.optional, class: wanted.class });
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{Project, Wanted};

    fn project(lists: &[(&str, &[&str])]) -> Project {
        let wanted = |key: &&str| Wanted {
            key: key.parse().unwrap(),
            optional: key.starts_with('O'),
            class: None,
        };
        let env = lists
            .iter()
            .map(|(env, keys)| (env.parse().unwrap(), keys.iter().map(wanted).collect()))
            .collect();
        Project { env, ..Project::default() }
    }

    fn keys(lists: &[(&str, &[&str])], env: Option<&str>) -> Vec<String> {
        let env = env.map(|env| env.parse().unwrap());
        let items = listed(project(lists), env.as_ref(), &Org::all());
        items.iter().map(|item| item.ask.key.to_string()).collect()
    }

    #[test]
    fn an_env_brings_what_is_listed_for_all() {
        let lists: &[(&str, &[&str])] =
            &[("all", &["A", "B"]), ("prod", &["B", "P"]), ("dev", &["D"])];
        assert_eq!(keys(lists, None), ["A", "B"]);
        assert_eq!(keys(lists, Some("prod")), ["B", "P", "A"]);
        assert_eq!(keys(lists, Some("test")), ["A", "B"]);
    }

    #[test]
    fn what_is_optional_stays_so() {
        let items = listed(project(&[("all", &["A", "O"])]), None, &Org::all());
        assert_eq!(items.iter().map(|item| item.optional).collect::<Vec<_>>(), [false, true]);
    }
}
