//! New values for an owner's credentials: a declared program makes them, they are tried, and
//! take the place of the old ones in one write. Where anything fails, the old ones stay.

use std::os::fd::RawFd;

use jiff::Timestamp;
use keyrack_manifest::{Digest, Entry, Grant, VaultName};
use keyrack_names::{Ask, KeyName, Owner, Secret, Slug};
use keyrack_protocol::message::Answer;

use super::declaration::{Credential, Declaration, Program};
use super::environment::built;
use super::found::Found;
use super::granted;
use super::hook::{Hook, Made};
use super::questions;
use crate::cmd::set::Way;
use crate::error::{Code, Failure, Outcome};
use crate::exec::declared::{Declared, Item};
use crate::exec::environment::{self, Environment};
use crate::exec::fetch::{self, fetch};
use crate::exec::launch::in_variable;
use crate::owner::opened::Opened;
use crate::owner::values::{self, NewValue};
use crate::person::ui::Ui;
use crate::policy::Policy;
use crate::rack::{access, push};
use crate::settings::{self, Settings};

/// Renews what one grant names.
#[derive(Debug)]
pub struct Renewal<'a> {
    /// Whose credentials.
    pub owner: &'a Owner,
    /// The connector.
    pub found: &'a Found,
    /// What it may be given.
    pub grant: &'a Grant,
    /// Where questions go instead of to the terminal.
    pub interaction: Option<RawFd>,
}

/// What has a new value.
#[derive(Debug)]
pub struct Renewed {
    /// The credentials.
    pub slugs: Vec<Slug>,
    /// Why their old values could not be taken back from the service.
    pub unrevoked: Option<Failure>,
}

/// A credential with a value for it.
type Valued = (KeyName, Secret);

impl Renewal<'_> {
    /// Has `program` make new values, tries them where the declaration says how, and stores
    /// them.
    ///
    /// # Errors
    /// What the program fails with, or [`Code::Denied`] when it hands in what is not its to
    /// make. Nothing was changed then.
    pub fn by(
        &self,
        program: &str,
        opened: &mut Opened,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Renewed> {
        let declaration = self.declaration();
        let mine: Vec<&KeyName> = declaration.made_by(program).map(|(name, _)| name).collect();
        let read: Vec<&KeyName> =
            declaration.read_by(Some(program)).map(|(name, _)| name).collect();
        let is_rotation = program == "rotate";
        let old = match is_rotation {
            true => self.values(&mine, opened, settings, ui)?,
            false => Vec::new(),
        };
        let mut given = self.values(&read, opened, settings, ui)?;
        given.extend(old.iter().cloned());
        let made = self.run(program, &given, ui)?;
        if let Some(other) = made.iter().find(|made| !self.is_to_make(&mine, &made.name)) {
            let words = format!(
                "{} handed in {}, which is not its to make",
                self.called(program),
                other.name
            );
            return Err(Failure::new(Code::Denied, words));
        }
        if made.is_empty() {
            let message = format!("{} handed in nothing", self.called(program));
            return Err(Failure::new(Code::Unexpected, message));
        }
        if is_rotation {
            let new = made.iter().map(|made| (made.name.clone(), made.value.clone()));
            self.hook("verify", &new.collect::<Vec<Valued>>(), ui)?;
        }
        let replaced = |(name, _): &Valued| made.iter().any(|made| made.name == *name);
        let old: Vec<Valued> = old.into_iter().filter(replaced).collect();
        let slugs = self.store(made, opened, settings, ui)?;
        let unrevoked = is_rotation.then(|| self.hook("revoke", &old, ui)).and_then(Result::err);
        let unrevoked = unrevoked.map(|failure| Failure {
            message: format!(
                "the new value counts, and the old one still does: {}",
                failure.message
            ),
            ..failure
        });
        Ok(Renewed { slugs, unrevoked })
    }

    fn is_to_make(&self, mine: &[&KeyName], name: &KeyName) -> bool {
        mine.contains(&name) && self.grant.credentials.contains_key(name)
    }

    fn declaration(&self) -> &Declaration {
        &self.found.declaration
    }

    fn called(&self, program: &str) -> String {
        format!("{program} of {}", self.grant.connector)
    }

    /// Runs a hook that makes nothing, where there is one.
    fn hook(&self, name: &str, given: &[Valued], ui: &Ui) -> Outcome {
        if self.declaration().program(name).is_none() {
            return Ok(());
        }
        match self.run(name, given, ui)?.first() {
            None => Ok(()),
            Some(_) => {
                let message = format!("{} is not to hand in anything", self.called(name));
                Err(Failure::new(Code::Denied, message))
            }
        }
    }

    fn run(&self, name: &str, given: &[Valued], ui: &Ui) -> Outcome<Vec<Made>> {
        let program: &Program = self.declaration().program(name).ok_or_else(|| {
            let message = format!("{} declares no {name}", self.grant.connector);
            Failure::new(Code::Absent, message)
        })?;
        let mut environment: Environment = built(settings::inherited(), &[]);
        let mut variables = Vec::with_capacity(given.len());
        for (name, value) in given {
            let variable = self.credential(name)?.variable(name);
            let hint = "a helper is given no files: make the value shorter";
            variables.push((variable.clone(), in_variable(variable, value, hint)?));
        }
        environment::with(&mut environment, self.owner, variables);
        // Once more, now that a person may have been waited for.
        self.found.is_granted(self.grant)?;
        let hook = Hook {
            name: self.called(name),
            command: self.found.exec(program)?,
            folder: self.found.folder().to_owned(),
            environment,
            asks: &program.asks,
        };
        let who = self.called(name);
        hook.run(&mut |question| questions::put(question, &who, self.interaction, ui))
    }

    /// The values of those that are granted and there.
    fn values(
        &self,
        names: &[&KeyName],
        opened: &mut Opened,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Vec<Valued>> {
        let mut values = Vec::with_capacity(names.len());
        let policy = Policy::read(settings)?;
        for name in names.iter().filter(|name| self.grant.credentials.contains_key(**name)) {
            policy.provides(self.credential(name)?.class)?;
            if let Some(value) = self.value(name, opened, settings, ui)? {
                values.push(((*name).clone(), value));
            }
        }
        Ok(values)
    }

    /// From the personal vault straight to the helper: what is for helpers only is never held
    /// by the daemon. What others share is had as by `exec`.
    fn value(
        &self,
        name: &KeyName,
        opened: &mut Opened,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Option<Secret>> {
        let item = self.item(name)?;
        let slug = item.ask.best();
        match opened.manifest.keys.get(&slug) {
            Some(entry) if entry.vault.is_personal() => {
                item.fits(&slug, entry.class.as_str())?;
                values::personal(opened, settings, &slug).map(Some)
            }
            _ => {
                let label = format!("helpers of {}", self.grant.connector);
                let program = fetch::Program { label, anchor: None };
                let wanted = Declared::Named(vec![Item { optional: true, ..item }]);
                let fetched = fetch(&wanted, self.owner, program, settings, ui)?;
                Ok(fetched.values.into_iter().next().map(|(_, value)| value))
            }
        }
    }

    /// A granted credential, as a program is given it.
    ///
    /// # Errors
    /// [`Code::Denied`] when it is not granted.
    pub fn item(&self, name: &KeyName) -> Outcome<Item> {
        let credential = self.credential(name)?;
        let slug = self.grant.credentials.get(name).ok_or_else(|| {
            let message = format!("{} was not granted {name}", self.grant.connector);
            Failure::new(Code::Denied, message)
        })?;
        Ok(Item {
            ask: Ask::exactly(slug.clone()),
            optional: credential.optional,
            class: Some(credential.class),
        })
    }

    fn credential(&self, name: &KeyName) -> Outcome<&Credential> {
        self.declaration().credentials.get(name).ok_or_else(|| {
            let message = format!("{} declares no credential {name}", self.grant.connector);
            Failure::new(Code::Absent, message)
        })
    }

    /// Keeps what a connector made of a credential that it was handed as `was`, its SHA-256: in
    /// the manifest, where that opens without a person, else as a drop.
    ///
    /// # Errors
    /// [`Code::Conflict`] when somebody set it meanwhile; when the grant is there no more; else
    /// as `set`.
    pub fn keep(
        &self,
        name: &KeyName,
        value: Secret,
        was: &Digest,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome {
        let (now, slug) = (Timestamp::now(), self.item(name)?.ask.best());
        let Grant { connector, name: grant, .. } = self.grant;
        granted::current(self.owner, connector, grant, settings)?;
        let ask = Ask::exactly(slug.clone());
        let held = access::get(settings, self.owner, std::slice::from_ref(&ask));
        let held = held.ok().and_then(|mut all| all.pop());
        if let Some(Answer::Granted { value: held, .. }) = held {
            self.is_as_it_was(&slug, &held, was)?;
        }
        let mut way = Way::to(self.owner, settings, ui)?;
        let entry = match &mut way {
            Way::Manifest(opened) => {
                let entry = self.entry(name, &slug, opened, now)?;
                if opened.manifest.keys.contains_key(&slug) {
                    let stored = values::personal(opened, settings, &slug)?;
                    self.is_as_it_was(&slug, &stored, was)?;
                }
                entry
            }
            Way::Drop(..) => self.new_entry(name, &slug, now)?,
        };
        let quiet = Ui { quiet: true, json: false, ..ui.clone() };
        way.write(Entry { updated_at: now, ..entry }, &value, settings, &quiet)
    }

    fn is_as_it_was(&self, slug: &Slug, now: &Secret, was: &Digest) -> Outcome {
        if Digest::of(now.expose()) == *was {
            return Ok(());
        }
        let connector = &self.grant.connector;
        let message = format!("{slug} was set while {connector} ran, and stays as it was set");
        Err(Failure::new(Code::Conflict, message))
    }

    /// All of it in one write of the manifest, and into the running daemon what it holds.
    fn store(
        &self,
        made: Vec<Made>,
        opened: &mut Opened,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Vec<Slug>> {
        let now = Timestamp::now();
        let mut new = Vec::with_capacity(made.len());
        for Made { name, value, expires } in made {
            let slug = self.item(&name)?.ask.best();
            let entry = self.entry(&name, &slug, opened, now)?;
            let expires_at = expires.map(|when| when.at(now));
            new.push((value, Entry { expires_at, updated_at: now, ..entry }));
        }
        opened.update(settings, |manifest| {
            let values = new.iter().map(|(value, entry)| NewValue {
                slug: &entry.slug,
                value,
                entry: entry.clone(),
            });
            values::put_all(manifest, settings, values.collect(), now)
        })?;
        let mut renewed = Vec::with_capacity(new.len());
        for (value, entry) in new {
            push::replace(opened, &entry, &value, settings, ui);
            renewed.push(entry.slug);
        }
        Ok(renewed)
    }

    /// What the manifest is to say of it: how it is had is not changed in silence.
    fn entry(
        &self,
        name: &KeyName,
        slug: &Slug,
        opened: &Opened,
        now: Timestamp,
    ) -> Outcome<Entry> {
        match opened.manifest.keys.get(slug) {
            Some(entry) if entry.vault.is_personal() => Ok(entry.clone()),
            Some(entry) => {
                let message =
                    format!("{slug} lives in {}, where only its owner renews it", entry.vault);
                Err(Failure::new(Code::Conflict, message))
            }
            None => self.new_entry(name, slug, now),
        }
    }

    fn new_entry(&self, name: &KeyName, slug: &Slug, now: Timestamp) -> Outcome<Entry> {
        let credential = self.credential(name)?;
        let mut entry = Entry::new(slug.clone(), VaultName::personal(), now);
        entry.class = credential.class;
        entry.obtained_via = credential.obtained_via.word();
        Ok(entry)
    }
}
