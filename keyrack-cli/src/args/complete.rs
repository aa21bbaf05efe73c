//! Completion of a command line that is being typed. The shell runs the command itself, so
//! owners, keys and vaults are completed, too; from names alone, which are not secret: no
//! key is used, no manifest opened and no daemon asked.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::env::Shells;
use clap_complete::{ArgValueCompleter, CompleteEnv, CompletionCandidate, Shell};
use keyrack_names::{Owner, Slug};
use serde::Deserialize;

use crate::args::{Cli, Global};
use crate::project;
use crate::settings::{Settings, asked_to_complete};

/// More records than these are not looked through while somebody waits.
const MOST: usize = 1_000;
/// A record's first line, with room to spare for what is not its name.
const LINE: u64 = 64 * 1024;

/// Completes, where a shell asks for that. Whether it did.
///
/// # Errors
/// When stdout cannot be written, or the shell is none that is known.
pub fn answer() -> Result<bool, clap::Error> {
    let Some(variable) = asked_to_complete() else { return Ok(false) };
    let here = std::env::current_dir().ok();
    CompleteEnv::with_factory(Cli::command)
        .var(variable)
        .try_complete(std::env::args_os(), here.as_deref())
}

/// The script that has `shell` ask.
///
/// # Errors
/// When there is none for that shell.
pub fn registration(shell: Shell) -> io::Result<Vec<u8>> {
    let name = shell.to_string();
    let shells = Shells::builtins();
    let completer = shells.completer(&name).ok_or(io::ErrorKind::Unsupported)?;
    let mut script = Vec::new();
    completer.write_registration(
        crate::settings::COMPLETE,
        "keyrack",
        "keyrack",
        "keyrack",
        &mut script,
    )?;
    Ok(script)
}

/// Owners of this home.
pub fn owners() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let owners = settings().and_then(|settings| settings.places.owners().ok());
        candidates(typed, owners.unwrap_or_default().iter().map(Owner::to_string))
    })
}

/// Keys that the owner has or `keyrack.yml` asks for: their names, and their slugs once an
/// org is typed.
pub fn keys() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let mut names = BTreeSet::new();
        if let Ok(Some(project)) = project::find() {
            names.extend(project.env.into_values().flatten().map(|wanted| wanted.key.to_string()));
        }
        let slugs = settings().map(|settings| slugs(&settings)).unwrap_or_default();
        let whole = typed.to_str().is_some_and(|typed| typed.contains(['.', '@']));
        names.extend(
            slugs
                .into_iter()
                .map(|slug| if whole { slug.to_string() } else { slug.key.to_string() }),
        );
        candidates(typed, names)
    })
}

/// Vaults of this home, and the owner's own.
pub fn vaults() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let mut names = vec!["personal".to_owned()];
        if let Some(settings) = settings() {
            names.extend(children(&settings.places.home.join("vaults")).into_iter().filter_map(
                |vault| {
                    let name = vault.file_name()?.to_str()?;
                    (!name.starts_with(['@', '.'])).then(|| name.to_owned())
                },
            ));
        }
        candidates(typed, names)
    })
}

fn candidates(typed: &OsStr, names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let fitting = names.into_iter().filter(|name| name.starts_with(&*typed));
    fitting.map(CompletionCandidate::new).collect()
}

fn settings() -> Option<Settings> {
    let global = Global {
        owner: typed_owner(std::env::args_os()).into_iter().collect(),
        ..Global::default()
    };
    Settings::read(&global).ok().map(|(settings, _)| settings)
}

/// The owner that the line names so far.
fn typed_owner(words: impl Iterator<Item = OsString>) -> Option<Owner> {
    let words: Vec<String> = words.filter_map(|word| word.into_string().ok()).collect();
    let mut named = words.iter().zip(words.iter().skip(1)).filter_map(|(flag, value)| {
        let joined = ["--for=", "--owner="].iter().find_map(|flag| value.strip_prefix(flag));
        joined.or_else(|| ["--for", "--owner"].contains(&flag.as_str()).then_some(value))
    });
    named.next_back()?.parse().ok()
}

/// The names of the records in the owner's vault, which stand in them in the clear.
fn slugs(settings: &Settings) -> BTreeSet<Slug> {
    let Ok(owner) = settings.owner() else { return BTreeSet::new() };
    let vault = settings.places.personal_vault(owner);
    let private = children(&vault.join("private"));
    // Where a vault from before its chain has them.
    let before = children(&vault.join("epochs")).into_iter().map(|epoch| epoch.join("creds"));
    let records = private.into_iter().chain(before).flat_map(|folder| children(&folder));
    let records = records.filter(|file| file.extension().is_some_and(|end| end == "cred"));
    records.take(MOST).filter_map(|record| name(&record)).collect()
}

fn name(record: &Path) -> Option<Slug> {
    #[derive(Deserialize)]
    struct Named {
        name: Slug,
    }
    let mut line = String::new();
    BufReader::new(io::Read::take(File::open(record).ok()?, LINE)).read_line(&mut line).ok()?;
    serde_json::from_str::<Named>(&line).ok().map(|record| record.name)
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_the_last_one_typed() {
        for (line, owner) in [
            ("keyrack get --key", None),
            ("keyrack --for bot get --key", Some("bot")),
            ("keyrack get --for=bot --key", Some("bot")),
            ("keyrack get --owner a --for b --key", Some("b")),
            ("keyrack get --for ../x --key", None),
        ] {
            let words = line.split(' ').map(OsString::from);
            assert_eq!(typed_owner(words).as_ref().map(Owner::as_str), owner, "{line}");
        }
    }
}
