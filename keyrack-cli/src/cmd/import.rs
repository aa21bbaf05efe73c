//! `keyrack import`: shows what lies in a file of another tool, without values, and brings it
//! into the owner's vault after a yes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::{Class, Digest, Entry, VaultName, atomic};
use keyrack_names::{Env, Owner, Slug};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::args::{ImportDotenv, ImportFrom};
use crate::deliver;
use crate::error::{Code, Context, Failure, Outcome};
use crate::import::classify;
use crate::import::dotenv::{self, Unread, Variable};
use crate::owner::opened::{self, Opened};
use crate::owner::values::{self, NewValue};
use crate::person::counted::counted;
use crate::person::typed::path;
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::push;
use crate::settings::Settings;

/// The longest file.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Runs `keyrack import`.
pub fn run(from: &ImportFrom, settings: &Settings, ui: &Ui) -> Outcome {
    match from {
        ImportFrom::Dotenv(with) => of_dotenv(&with.own, settings, ui),
    }
}

/// What is proposed for one variable.
#[derive(Debug, Serialize)]
struct Row {
    slug: Slug,
    class: Class,
    service: Option<&'static str>,
    state: State,
    #[serde(skip)]
    variable: Variable,
}

impl Row {
    /// What the manifest is to say: a new value makes no other credential of it.
    fn entry(&self, old: Option<&Entry>, now: Timestamp) -> Entry {
        let mut entry = Entry::new(self.slug.clone(), VaultName::personal(), now);
        entry.class = self.class;
        match old {
            Some(old) => Entry { updated_at: now, expires_at: None, ..old.clone() },
            None => entry,
        }
    }
}

/// What becomes of one variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// The owner has nothing of that name.
    New,
    /// The owner has it with the same value.
    Same,
    /// The owner has something else under the name.
    Taken,
    /// It would make the next program run what it says, and is no credential.
    Never,
    /// It has no value.
    Empty,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Taken => "taken",
            Self::Never => "never",
            Self::Empty => "empty",
        }
    }
}

/// What is in a file, and what is not to be read.
struct Inventory {
    rows: Vec<Row>,
    unread: Vec<Unread>,
    /// SHA-256 of what was read.
    digest: Digest,
}

fn of_dotenv(args: &ImportDotenv, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let file = args.file.display();
    let mut opened = opened::open(settings, ui, owner)?;
    let found = Inventory::take(args, &mut opened, settings)?;
    found.unread.iter().for_each(|why| ui.warn(format!("{file}: {why}")));
    if !ui.json {
        found.show(ui)?;
    }
    if args.classify || settings.dry_run {
        return if ui.json { ui.object(&found.object(args, owner, false, false)) } else { Ok(()) };
    }
    let meant = found.meant(args);
    let count = counted(meant.len(), "credential");
    if !meant.is_empty() {
        if !ui.asker.agrees(&format!("import {count} into {owner}'s vault?"))? {
            return Err(Failure::new(Code::NeedsPerson, "nothing was imported"));
        }
        store(&meant, &mut opened, settings, ui)?;
    }
    ui.say(format!("{owner}: imported {count} of {file}"));
    let taken = found.rows.iter().any(|row| row.state == State::Taken && !args.replace);
    let left = found.left(args);
    let removed = found.remove(args, owner, ui)?;
    if ui.json {
        ui.object(&found.object(args, owner, true, removed))?;
    }
    match left {
        0 => Ok(()),
        left => {
            let message = format!("{file}: {} left", counted(left, "line"));
            let failure = Failure::new(Code::Partly, message);
            Err(if taken {
                failure.hint("to replace what the owner has: --replace")
            } else {
                failure
            })
        }
    }
}

impl Inventory {
    fn take(args: &ImportDotenv, opened: &mut Opened, settings: &Settings) -> Outcome<Self> {
        let file = args.file.display();
        let bytes = atomic::read_limited(&args.file, LONGEST)
            .context(|| file.to_string())?
            .ok_or_else(|| Failure::new(Code::Absent, format!("{file} does not exist")))?;
        let bytes = Zeroizing::new(bytes);
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::new(Code::Usage, format!("{file} is not UTF-8")))?;
        let (variables, unread) = dotenv::parse(text);
        let org = wanted::org(args.org.as_ref())?;
        let env = args.env.clone().unwrap_or_else(Env::all);
        let rows = variables.into_iter().map(|variable| {
            let slug = Slug::new(org.clone(), env.clone(), variable.name.clone());
            let class = classify::class(variable.name.as_str(), variable.value.expose());
            let service = classify::service(variable.name.as_str());
            let state = State::of(&variable, &slug, opened, settings);
            Row { slug, class, service, state, variable }
        });
        Ok(Self { rows: rows.collect(), unread, digest: Digest::of(&bytes) })
    }

    /// What is to be imported.
    fn meant(&self, args: &ImportDotenv) -> Vec<&Row> {
        let is_meant =
            |row: &&Row| row.state == State::New || row.state == State::Taken && args.replace;
        self.rows.iter().filter(is_meant).collect()
    }

    /// How much of the file is nowhere else afterwards.
    fn left(&self, args: &ImportDotenv) -> usize {
        let is_left = |row: &&Row| match row.state {
            State::Taken => !args.replace,
            State::Never => true,
            State::New | State::Same | State::Empty => false,
        };
        self.unread.len() + self.rows.iter().filter(is_left).count()
    }

    fn show(&self, ui: &Ui) -> Outcome {
        let cells = self.rows.iter().map(|row| {
            let service = row.service.unwrap_or("-").to_owned();
            [row.slug.to_string(), row.class.to_string(), service, row.state.as_str().to_owned()]
        });
        ui.table(["KEY", "CLASS", "SERVICE", "STATE"], &cells.collect::<Vec<_>>())
    }

    fn object(
        &self,
        args: &ImportDotenv,
        owner: &Owner,
        imported: bool,
        removed: bool,
    ) -> serde_json::Value {
        let unread: Vec<String> = self.unread.iter().map(ToString::to_string).collect();
        serde_json::json!({
            "owner": owner, "file": args.file, "keys": self.rows, "unread": unread,
            "imported": imported, "removed": removed,
        })
    }

    /// Removes the file where that was said, or a person says so now. One that has more than
    /// was imported stays, and one that somebody wrote to since.
    fn remove(&self, args: &ImportDotenv, owner: &Owner, ui: &Ui) -> Outcome<bool> {
        let file = args.file.display();
        if self.left(args) > 0 {
            if args.shred {
                ui.warn(format!("{file} stays: not all of it is imported"));
            }
            return Ok(false);
        }
        // To agree to the import beforehand is not to agree to this.
        let asks = !args.shred && !ui.asker.yes && ui.asker.has_person();
        let is_to_go =
            args.shred || asks && ui.asker.agrees(&format!("overwrite and remove {file}?"))?;
        if !is_to_go {
            let again = format!("keyrack import dotenv --for {owner} --shred {}", path(&args.file));
            ui.hint(format!("{file} still holds the values: {again}{}", place(args)));
            return Ok(false);
        }
        let now = atomic::read_limited(&args.file, LONGEST).context(|| file.to_string())?;
        if now.map(|bytes| Digest::of(&bytes)) != Some(self.digest) {
            ui.warn(format!("{file} stays: it is another one than was imported"));
            return Ok(false);
        }
        shred(&args.file).context(|| file.to_string())?;
        ui.say(format!(
            "{file} is overwritten and removed; copies that a backup or a snapshot keeps are not"
        ));
        Ok(true)
    }
}

/// Where the credentials are put, as flags.
fn place(args: &ImportDotenv) -> String {
    let env = args.env.as_ref().map(|env| format!(" --env {env}"));
    let org = args.org.as_ref().map(|org| format!(" --org {org}"));
    [env, org].into_iter().flatten().collect()
}

impl State {
    fn of(variable: &Variable, slug: &Slug, opened: &mut Opened, settings: &Settings) -> Self {
        if deliver::is_dangerous(variable.name.as_str()) {
            Self::Never
        } else if variable.value.is_empty() {
            Self::Empty
        } else if !opened.manifest.keys.contains_key(slug) {
            Self::New
        } else {
            match values::personal(opened, settings, slug) {
                Ok(value) if value.expose() == variable.value.expose() => Self::Same,
                _ => Self::Taken,
            }
        }
    }
}

/// All of it in one write of the manifest, and into the running daemon what it holds.
fn store(meant: &[&Row], opened: &mut Opened, settings: &Settings, ui: &Ui) -> Outcome {
    let now = Timestamp::now();
    let elsewhere = |row: &&&Row| {
        opened.manifest.keys.get(&row.slug).is_some_and(|old| !old.vault.is_personal())
    };
    if let Some(row) = meant.iter().find(elsewhere) {
        let message = format!("{}'s {} is in another vault: set it there", opened.owner, row.slug);
        return Err(Failure::new(Code::Conflict, message));
    }
    opened.update(settings, |manifest| {
        let new = meant.iter().map(|row| {
            let entry = row.entry(manifest.keys.get(&row.slug), now);
            NewValue { slug: &row.slug, value: &row.variable.value, entry }
        });
        let new = new.collect();
        values::put_all(manifest, settings, new, now)
    })?;
    for row in meant {
        let entry = row.entry(opened.manifest.keys.get(&row.slug), now);
        push::replace(opened, &entry, &row.variable.value, settings, ui);
    }
    Ok(())
}

/// Overwrites a file and removes it. What the file system keeps elsewhere stays.
fn shred(file: &Path) -> std::io::Result<()> {
    // Where it is a link, what it leads to holds the values.
    let file = file.canonicalize()?;
    let mut open = OpenOptions::new().write(true).open(&file)?;
    let mut left = open.metadata()?.len();
    let zeros = [0; 64 * 1024];
    while left > 0 {
        let now = left.min(zeros.len() as u64);
        open.write_all(&zeros[..now as usize])?;
        left -= now;
    }
    open.sync_all()?;
    fs::remove_file(file)
}
