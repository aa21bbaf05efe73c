//! The values a program is given, and a capability for them alone. By the capability of
//! the calling tree where that gives all of them; else the manifest is opened, with a
//! person where one is needed, and what is locked is unlocked first.

use std::collections::{BTreeMap, BTreeSet};

use keyrack_manifest::Class;
use keyrack_names::{Ask, AskError, KeyName, Owner, Secret, Slug};
use keyrack_protocol::RackId;
use keyrack_protocol::client::Session;
use keyrack_protocol::keys::{Key, TreeSecret};
use keyrack_protocol::message::{Answer, Refusal, Registration, Reply, Request, Rights, Scope};
use serde::{Deserialize, Serialize};

use super::declared::{Declared, Item};
use crate::args::{Ephemeral, KeyArg, Reach, Unlock};
use crate::cmd::unlock;
use crate::deliver;
use crate::error::{Code, Failure, Outcome};
use crate::owner::drops;
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::rack::anchor::Anchor;
use crate::rack::{access, answer, daemon};
use crate::settings::Settings;
use crate::team::offered;
use crate::tree::{Entry, Tree};

/// What a program is given.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fetched {
    /// The values.
    pub values: Vec<(Slug, Secret)>,
    /// The names of all else the owner holds, as far as that could be seen.
    pub others: Vec<KeyName>,
    /// The program's capability. `None` when there is nothing to read, or when the caller's
    /// own capability can make no other.
    pub capability: Option<Given>,
}

/// A capability on its way to a program.
#[derive(Debug, Serialize, Deserialize)]
pub struct Given {
    secret: Key,
    /// Where the owner's daemon listens.
    pub entry: Entry,
}

impl Given {
    /// The secret of the program's process tree.
    pub fn tree(self) -> Tree {
        Tree { secret: TreeSecret::new(self.secret), entries: vec![self.entry] }
    }
}

/// The program that is given values.
#[derive(Debug)]
pub struct Program {
    /// Its name, for people.
    pub label: String,
    /// The process that a daemon ends with which is unlocked for it.
    pub anchor: Option<Anchor>,
}

/// Fetches for `owner` what `program` is given.
///
/// # Errors
/// By what is missing, as `get` and `unlock`.
pub fn fetch(
    declared: &Declared,
    owner: &Owner,
    program: Program,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<Fetched> {
    if let Some((session, rack)) = access::by_capability(settings, owner) {
        let mut source = Source { session, rack, owner, label: &program.label, settings };
        if let Some(fetched) = source.by_capability(declared, ui)? {
            return Ok(fetched);
        }
    }
    by_key(declared, owner, program, settings, ui)
}

/// An open channel to the owner's daemon.
struct Source<'a> {
    session: Session,
    rack: RackId,
    owner: &'a Owner,
    label: &'a str,
    settings: &'a Settings,
}

impl Source<'_> {
    /// `None` when this tree was not given all of it.
    fn by_capability(&mut self, declared: &Declared, ui: &Ui) -> Outcome<Option<Fetched>> {
        let Reply::Status(status) = self.call(&Request::Status)? else { return Ok(None) };
        let seen: BTreeSet<Slug> = status.grants.iter().map(|grant| grant.slug.clone()).collect();
        let items = items(declared, &seen, ui);
        if items.is_empty() {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(items.len());
        for (item, answer) in items.iter().zip(self.get(&items)?) {
            match answer {
                Answer::Granted { slug, value, .. } => {
                    let found = status.grants.iter().find(|grant| grant.slug == slug);
                    item.fits(&slug, found.map_or("", |grant| &grant.class))?;
                    values.push((slug, value));
                }
                Answer::Absent if item.optional => {}
                // These no unlock would change.
                Answer::Absent | Answer::Ambiguous { .. } => {
                    answer::granted(self.owner, &item.ask, answer)?;
                }
                Answer::Locked { .. } | Answer::Expired { .. } | Answer::Denied { .. } => {
                    return Ok(None);
                }
            }
        }
        self.given(values, &seen).map(Some)
    }

    fn get(&mut self, items: &[Item]) -> Outcome<Vec<Answer>> {
        let asks: Vec<Ask> = items.iter().map(|item| item.ask.clone()).collect();
        let (count, request) = (asks.len(), Request::Get { asks, caller: self.settings.caller() });
        match self.call(&request)? {
            Reply::Values { answers } if answers.len() == count => Ok(answers),
            reply => Err(self.unexpected(reply)),
        }
    }

    /// Makes the program a capability of its own, for exactly what it is given.
    fn given(&mut self, values: Vec<(Slug, Secret)>, held: &BTreeSet<Slug>) -> Outcome<Fetched> {
        let slugs: Vec<Slug> = values.iter().map(|(slug, _)| slug.clone()).collect();
        let others = others(held, &values);
        let capability = if slugs.is_empty() { None } else { self.mint(slugs)? };
        Ok(Fetched { values, others, capability })
    }

    fn mint(&mut self, slugs: Vec<Slug>) -> Outcome<Option<Given>> {
        let secret = Key::random().map_err(|e| Failure::new(Code::Unexpected, e.to_string()))?;
        let tree = TreeSecret::new(secret.clone());
        let capability = Registration {
            id: tree.capability_id(self.owner, &self.rack),
            key: Some(tree.capability_key(self.owner, &self.rack)),
            rights: Rights::READ,
            label: self.label.to_owned(),
            scope: Scope::Tree,
        };
        match self.call(&Request::Mint { capability, slugs: Some(slugs) })? {
            Reply::Done { .. } => {}
            // A program that was itself given a narrow one: what it starts gets values only.
            Reply::Refused { code: Refusal::Right, .. } => return Ok(None),
            reply => return Err(self.unexpected(reply)),
        }
        let entry = Entry {
            owner: self.owner.clone(),
            rack: self.rack,
            home: self.settings.home_tag(),
            socket: self.session.path().to_owned(),
        };
        Ok(Some(Given { secret, entry }))
    }

    fn call(&mut self, request: &Request) -> Outcome<Reply> {
        self.session.call(request).map_err(|e| daemon::failure(&e, self.owner))
    }

    fn unexpected(&self, reply: Reply) -> Failure {
        let owner = self.owner;
        match reply {
            Reply::Refused { message, .. } => {
                Failure::new(Code::Denied, format!("{owner}: {message}"))
            }
            _ => {
                Failure::new(Code::Unreachable, format!("{owner}'s daemon answered something else"))
            }
        }
    }
}

fn by_key(
    declared: &Declared,
    owner: &Owner,
    program: Program,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<Fetched> {
    let begun = unlock::Begun::new(settings, owner).ending_with(program.anchor);
    let mut opened = opened::open(settings, ui, owner)?;
    drops::merge(&mut opened, settings, ui, false)?;
    let label = program.label.as_str();
    let has = offered::names(&mut opened, settings);
    let held: BTreeSet<Slug> = has.keys().cloned().collect();
    let items = exactly(items(declared, &held, ui), owner, &has)?;
    let attach = |opened: &Opened| -> Option<Source<'_>> {
        let rack = opened.rack();
        let session = rack.attach(settings).ok()?;
        Some(Source { session, rack: rack.id, owner, label, settings })
    };
    let mut source = attach(&opened);
    let mut answers = match &mut source {
        Some(source) => source.get(&items)?,
        None => Vec::new(),
    };
    let missing: Vec<KeyArg> = items
        .iter()
        .enumerate()
        .filter(|(at, _)| !matches!(answers.get(*at), Some(Answer::Granted { .. })))
        .map(|(_, item)| KeyArg::Slug(item.ask.best()))
        .collect();
    if !missing.is_empty() {
        let unlocked = unlock::grant(&begun, &mut opened, &first(missing), settings, &quiet(ui));
        match (unlocked, declared) {
            // Of all, what can be had.
            (Err(failure), Declared::All { .. }) => ui.warn(&failure.message),
            (unlocked, _) => unlocked?,
        }
        source = attach(&opened);
        answers = match &mut source {
            Some(source) => source.get(&items)?,
            None => Vec::new(),
        };
    }
    let mut values = Vec::with_capacity(items.len());
    for (item, answer) in items.iter().zip(answers) {
        match (answer::granted(owner, &item.ask, answer), declared) {
            (Ok(granted), _) => values.push((granted.slug, granted.value)),
            (Err(_), Declared::All { .. }) => {}
            (Err(failure), _) => return Err(failure),
        }
    }
    match &mut source {
        Some(source) => source.given(values, &held),
        None => Ok(Fetched { others: others(&held, &values), values, capability: None }),
    }
}

/// The names of what is held besides what is given.
fn others(held: &BTreeSet<Slug>, given: &[(Slug, Secret)]) -> Vec<KeyName> {
    let names: BTreeSet<&KeyName> = held.iter().map(|slug| &slug.key).collect();
    let is_other = |name: &&KeyName| given.iter().all(|(slug, _)| slug.key != **name);
    names.into_iter().filter(is_other).cloned().collect()
}

/// What is meant, from the slugs that are seen.
fn items(declared: &Declared, seen: &BTreeSet<Slug>, ui: &Ui) -> Vec<Item> {
    let (env, org) = match declared {
        Declared::Named(items) => return items.clone(),
        Declared::All { env, org } => (env, org),
    };
    let here = |slug: &&Slug| slug.org == *org || slug.org == keyrack_names::Org::all();
    let slugs: Vec<&Slug> = seen.iter().filter(here).collect();
    let mut names: Vec<&KeyName> = slugs.iter().map(|slug| &slug.key).collect();
    names.dedup();
    names.sort();
    names.dedup();
    let mut items = Vec::new();
    for name in names {
        let ask = Ask { org: org.clone(), env: env.clone(), key: name.clone(), exact: false };
        match ask.find(|slug| slugs.contains(&slug), slugs.iter().copied()) {
            Ok(slug) if deliver::is_dangerous(slug.key.as_str()) => {
                ui.say(format!("{slug} is never delivered into an environment"));
            }
            Ok(slug) => items.push(Item { ask: Ask::exactly(slug), optional: false, class: None }),
            Err(AskError::Absent) => {}
            Err(AskError::Ambiguous(slugs)) => {
                let names: Vec<String> = slugs.iter().map(Slug::to_string).collect();
                ui.warn(format!(
                    "{name} is left out: it is in several envs ({})",
                    names.join(", ")
                ));
            }
        }
    }
    items
}

/// The same items by their whole slugs, as the owner has them.
fn exactly(items: Vec<Item>, owner: &Owner, keys: &BTreeMap<Slug, Class>) -> Outcome<Vec<Item>> {
    let mut exact = Vec::with_capacity(items.len());
    for item in items {
        match item.ask.find(|slug| keys.contains_key(slug), keys.keys()) {
            Ok(slug) => {
                let class = keys.get(&slug).map(ToString::to_string).unwrap_or_default();
                item.fits(&slug, &class)?;
                exact.push(Item { ask: Ask::exactly(slug), ..item });
            }
            Err(AskError::Absent) if item.optional => {}
            Err(AskError::Absent) => drop(answer::granted(owner, &item.ask, Answer::Absent)?),
            Err(AskError::Ambiguous(slugs)) => {
                answer::granted(owner, &item.ask, Answer::Ambiguous { slugs })?;
            }
        }
    }
    Ok(exact)
}

impl Item {
    /// Whether a credential of that class is what is asked for.
    ///
    /// # Errors
    /// [`Code::Conflict`] when it is not.
    pub fn fits(&self, slug: &Slug, class: &str) -> Outcome {
        match &self.class {
            Some(wanted) if wanted.to_string() != class => Err(Failure::new(
                Code::Conflict,
                format!("{slug} is a {class}, and what is declared is a {wanted}"),
            )),
            _ => Ok(()),
        }
    }
}

/// An unlock of these and no others, for nobody: the program gets a capability of its own.
fn first(key: Vec<KeyArg>) -> Unlock {
    let reach = Reach { scope: None, no_keyring: true, tree: None };
    let lasting = Ephemeral::default();
    Unlock {
        env: None,
        org: None,
        key,
        duration: None,
        reach,
        accept_drops: false,
        lasting,
        notify: false,
    }
}

/// stdout is the program's.
fn quiet(ui: &Ui) -> Ui {
    Ui { quiet: ui.quiet || ui.json, json: false, ..ui.clone() }
}
