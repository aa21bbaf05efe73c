//! Where declarations lie: in `connectors/` of the repository, at or above the working
//! directory; else in `connectors/` of the home, where `connector add` puts them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use keyrack_manifest::{Digest, Grant, Word, WordError, atomic};

use super::declaration::{Declaration, Program};
use crate::error::{Code, Failure, Outcome};
use crate::project;
use crate::settings::Settings;

const FOLDER: &str = "connectors";
/// The longest program of a repository, in bytes.
const LONGEST: u64 = 64 << 20;

/// A declaration, and where it was found.
#[derive(Debug)]
pub struct Found {
    /// What it says.
    pub declaration: Declaration,
    /// The file.
    pub path: PathBuf,
    /// Where a program of a repository is looked for; a declaration of the home has none there.
    root: Option<PathBuf>,
}

impl Found {
    /// A declaration as it will be found in the home.
    pub fn of_home(declaration: Declaration, path: &Path) -> Self {
        Self { declaration, path: path.to_owned(), root: None }
    }

    /// A program as it is run.
    ///
    /// # Errors
    /// [`Code::Usage`] when it is to be found beside a declaration that is in no repository.
    pub fn exec(&self, program: &Program) -> Outcome<Vec<OsString>> {
        let mut words: Vec<OsString> = program.exec.iter().map(Into::into).collect();
        if let Some(path) = self.of_repository(program)? {
            words[0] = path.into_os_string();
        }
        Ok(words)
    }

    /// SHA-256 of each program that lies in the repository, where whoever changes it would be
    /// handed what the one before was granted.
    ///
    /// # Errors
    /// [`Code::Absent`] when one is not there.
    pub fn programs(&self) -> Outcome<BTreeMap<Word, Digest>> {
        let mut digests = BTreeMap::new();
        for (name, program) in self.declaration.programs() {
            let Some(path) = self.of_repository(program)? else { continue };
            let bytes = atomic::read_limited(&path, LONGEST)
                .map_err(|e| project::problem(&path, &e.source.to_string()))?
                .ok_or_else(|| {
                    let message = format!("{}: {name} is declared, and not there", path.display());
                    Failure::new(Code::Absent, message)
                })?;
            let name =
                name.parse().map_err(|e: WordError| project::problem(&path, &e.to_string()))?;
            digests.insert(name, Digest::of(&bytes));
        }
        Ok(digests)
    }

    /// Where a program is that is named by a path from the repository.
    fn of_repository(&self, program: &Program) -> Outcome<Option<PathBuf>> {
        let path = Path::new(program.exec.first().map_or("", String::as_str));
        if path.is_absolute() || path.components().count() < 2 && !path.starts_with(".") {
            return Ok(None);
        }
        match &self.root {
            Some(root) => Ok(Some(root.join(path))),
            None => {
                let why = format!(
                    "{} is beside a repository's declaration: in the home, name programs by whole paths",
                    path.display()
                );
                Err(project::problem(&self.path, &why))
            }
        }
    }
}

/// The declaration of `connector`.
///
/// # Errors
/// [`Code::Absent`] when there is none; [`Code::Usage`] when it does not parse.
pub fn find(connector: &Word, settings: &Settings) -> Outcome<Found> {
    match places(connector, settings).into_iter().next() {
        Some((path, root)) => read(&path, root, connector),
        None => Err(absent(connector, settings)),
    }
}

/// The declaration that `grant` was given for.
///
/// # Errors
/// [`Code::Conflict`] when it, or a program of its repository, is another one now; else as
/// [`find`].
pub fn granted(grant: &Grant, settings: &Settings) -> Outcome<Found> {
    let (connector, mut changed) = (&grant.connector, None);
    for (path, root) in places(connector, settings) {
        let found = read(&path, root, connector)?;
        if found.declaration.digest != grant.declaration {
            changed.get_or_insert(path);
            continue;
        }
        let programs = found.programs()?;
        match programs.iter().find(|(name, digest)| grant.programs.get(*name) != Some(*digest)) {
            None => return Ok(found),
            Some((name, _)) => {
                return Err(other(grant, &format!("{name} of {connector} is another program")));
            }
        }
    }
    match changed {
        Some(path) => Err(other(grant, &format!("{} says something else", path.display()))),
        None => Err(absent(connector, settings)),
    }
}

fn other(grant: &Grant, what: &str) -> Failure {
    let (owner, connector) = (&grant.owner, &grant.connector);
    Failure::new(Code::Conflict, format!("{what} than when {owner} granted it"))
        .hint(format!("keyrack connector disclose {connector} --for {owner}"))
        .hint(format!("keyrack connector grant {connector} --for {owner}"))
}

/// All declarations that are found from here, the nearest of each connector, by id.
pub fn all(settings: &Settings) -> Vec<Outcome<Found>> {
    let mut ids = std::collections::BTreeSet::new();
    for folder in folders(settings) {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        ids.extend(files.filter_map(|file| id(&file.path())));
    }
    ids.iter().map(|id| find(id, settings)).collect()
}

/// Reads a declaration from any file.
///
/// # Errors
/// [`Code::Usage`] when it does not parse.
pub fn at(path: &Path) -> Outcome<(Declaration, String)> {
    let text = project::text(path)?;
    let declaration = Declaration::parse(&text).map_err(|why| project::problem(path, &why))?;
    Ok((declaration, text))
}

fn read(path: &Path, root: Option<PathBuf>, connector: &Word) -> Outcome<Found> {
    let (declaration, _) = at(path)?;
    if declaration.connector != *connector {
        let why = format!("declares {}, and is called {connector}", declaration.connector);
        return Err(project::problem(path, &why));
    }
    Ok(Found { declaration, path: path.to_owned(), root })
}

/// The files that may declare it, the nearest first.
fn places(connector: &Word, settings: &Settings) -> Vec<(PathBuf, Option<PathBuf>)> {
    let here = std::env::current_dir().unwrap_or_default();
    let name = format!("{connector}.yml");
    let is_meant = |file: &PathBuf| file.is_file() && !project::was_planted(file);
    let near = here.ancestors().map(|dir| (dir.join(FOLDER).join(&name), Some(dir.to_owned())));
    let near = near.filter(|(file, _)| is_meant(file)).take(1);
    let home = settings.places.connector(connector);
    let home = is_meant(&home).then_some((home, None));
    near.chain(home).collect()
}

fn folders(settings: &Settings) -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let near = here.ancestors().map(|dir| dir.join(FOLDER));
    near.chain([settings.places.home.join(FOLDER)]).collect()
}

fn id(file: &Path) -> Option<Word> {
    let is_one = file.extension() == Some(OsStr::new("yml"));
    file.file_stem()?.to_str()?.parse().ok().filter(|_| is_one)
}

fn absent(connector: &Word, settings: &Settings) -> Failure {
    let message = format!(
        "no connector {connector} is declared: neither in {FOLDER}/{connector}.yml here or above, nor in {}",
        settings.places.home.display()
    );
    Failure::new(Code::Absent, message).hint("keyrack connector add FILE")
}
