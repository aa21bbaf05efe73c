//! `keyrack fill`: stores what `keyrack.yml` asks for and the owner does not have. Values
//! come from prompts, or as KEY=VALUE lines on stdin.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use jiff::Timestamp;
use keyrack_manifest::{Entry, VaultName};
use keyrack_names::{Ask, Env, KeyName, Org, Secret, Slug};

use crate::args::Fill;
use crate::bounded;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::owner::values::{self, NewValue};
use crate::person::ui::Ui;
use crate::project::{self, Project, Wanted};
use crate::rack::push;
use crate::settings::Settings;
use crate::system::streams::Stdin;

/// Stdin ends here.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Runs `keyrack fill`.
pub fn run(args: &Fill, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let project = project::find()?.ok_or_else(|| {
        Failure::new(Code::Absent, format!("there is no {} here or above", project::FILE))
    })?;
    if let Some(env) = args.env.as_ref().filter(|env| !project.env.contains_key(env)) {
        let message = format!("{} has no env {env}", project.path.display());
        return Err(Failure::new(Code::Absent, message));
    }
    let mut opened = opened::open(settings, ui, owner)?;
    let missing = missing(args, &project, &opened);
    let object = |set: &[&Slug], missing: &[&Slug]| serde_json::json!({ "owner": owner, "set": set, "missing": missing });
    if missing.is_empty() {
        let words = format!("{owner} has everything that {} asks for", project.path.display());
        return ui.done(words, object(&[], &[]));
    }
    if settings.dry_run {
        let slugs: Vec<&Slug> = missing.iter().map(|(slug, _)| slug).collect();
        let words: Vec<String> =
            slugs.iter().map(|slug| format!("{owner}: {slug} is missing")).collect();
        return ui.would(words.join("\n"), object(&[], &slugs));
    }
    let mut given = Given::read()?;
    let mut filled: Vec<(Slug, Wanted, Secret)> = Vec::new();
    let mut left = Vec::new();
    for (slug, wanted) in missing {
        match given.value(&slug, ui)? {
            Some(value) => filled.push((slug, wanted, value)),
            None => left.push((slug, wanted.optional)),
        }
    }
    store(&mut opened, &filled, settings)?;
    push::known(&mut opened, settings);
    filled.iter().for_each(|(slug, ..)| ui.say(format!("{owner}: {slug} is set")));
    left.iter().for_each(|(slug, _)| ui.warn(format!("{owner}: {slug} is still missing")));
    given.left_over(&filled).iter().for_each(|name| {
        ui.warn(format!("{owner}: {name} was given, and is not what is missing: it is not kept"));
    });
    if ui.json {
        let set: Vec<&Slug> = filled.iter().map(|(slug, ..)| slug).collect();
        let missing: Vec<&Slug> = left.iter().map(|(slug, _)| slug).collect();
        ui.object(&object(&set, &missing))?;
    }
    match left.iter().filter(|(_, optional)| !optional).count() {
        0 => Ok(()),
        _ if filled.is_empty() => {
            Err(Failure::new(Code::Absent, format!("{owner}: nothing was given"))
                .hint(format!("printf '%s\\n' KEY=VALUE | keyrack fill --for {owner}")))
        }
        count => Err(Failure::new(Code::Partly, format!("{owner}: {count} still missing"))),
    }
}

/// What is asked for and not there, nor anywhere it would fall back to.
fn missing(args: &Fill, project: &Project, opened: &Opened) -> Vec<(Slug, Wanted)> {
    let org = project.org.clone().unwrap_or_else(Org::all);
    let has = |slug: &Slug| opened.manifest.keys.contains_key(slug);
    // What an env needs falls back to `all`, as where it is read; `sudo` does not.
    let is_meant = |env: &Env| {
        let falls_back = |asked: &Env| asked == env || (env.is_all() && !asked.is_sudo());
        args.env.as_ref().is_none_or(falls_back)
    };
    let envs = project.env.iter().filter(|(env, _)| is_meant(env));
    envs.flat_map(|(env, keys)| keys.iter().map(move |wanted| (env, wanted)))
        .filter(|(env, wanted)| {
            ask(&org, env, &wanted.key).find(has, opened.manifest.keys.keys()).is_err()
        })
        .map(|(env, wanted)| {
            (Slug::new(org.clone(), env.clone(), wanted.key.clone()), wanted.clone())
        })
        .collect()
}

fn ask(org: &Org, env: &Env, key: &KeyName) -> Ask {
    Ask { org: org.clone(), env: Some(env.clone()), key: key.clone(), exact: false }
}

/// All of it in one write of the manifest.
fn store(opened: &mut Opened, filled: &[(Slug, Wanted, Secret)], settings: &Settings) -> Outcome {
    if filled.is_empty() {
        return Ok(());
    }
    let now = Timestamp::now();
    opened.update(settings, |manifest| {
        let new = filled.iter().map(|(slug, wanted, value)| {
            let mut entry = Entry::new(slug.clone(), VaultName::personal(), now);
            entry.class = wanted.class.unwrap_or_default();
            NewValue { slug, value, entry }
        });
        values::put_all(manifest, settings, new.collect(), now)
    })?;
    Ok(())
}

/// Where values come from.
enum Given {
    Terminal,
    Lines(BTreeMap<KeyName, Secret>),
}

impl Given {
    fn read() -> Outcome<Self> {
        if io::stdin().is_terminal() {
            return Ok(Self::Terminal);
        }
        let text = bounded::text(Stdin, LONGEST, "stdin")?;
        let mut values = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            // The line is not shown: it holds a value.
            let bad =
                |why: &str| Failure::new(Code::Usage, format!("stdin, line {}: {why}", at + 1));
            let (name, value) = line.split_once('=').ok_or_else(|| bad("use KEY=VALUE"))?;
            let name = name.trim().parse().map_err(|_| bad("what stands before = is no key"))?;
            values.insert(name, Secret::from(value.as_bytes()));
        }
        Ok(Self::Lines(values))
    }

    /// What was given and is in none of `filled`.
    fn left_over(&self, filled: &[(Slug, Wanted, Secret)]) -> Vec<&KeyName> {
        let Self::Lines(values) = self else { return Vec::new() };
        values.keys().filter(|name| !filled.iter().any(|(slug, ..)| slug.key == **name)).collect()
    }

    fn value(&mut self, slug: &Slug, ui: &Ui) -> Outcome<Option<Secret>> {
        match self {
            Self::Lines(values) => Ok(values.get(&slug.key).cloned()),
            Self::Terminal => {
                let answer = ui.asker.secret(&format!("value of {slug} (empty to skip)"))?;
                Ok(answer.filter(|value| !value.is_empty()))
            }
        }
    }
}
