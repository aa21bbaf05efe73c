//! Where declarations lie: in `connectors/` of the repository, at or above the working
//! directory; else in `connectors/` of the home, where `connector add` puts them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use keyrack_manifest::{Grant, Word};

use super::declaration::{Declaration, Program};
use crate::error::{Code, Failure, Outcome};
use crate::project;
use crate::settings::Settings;

const FOLDER: &str = "connectors";

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
    pub fn exec(&self, program: &Program) -> Outcome<Vec<std::ffi::OsString>> {
        let mut words: Vec<std::ffi::OsString> = program.exec.iter().map(Into::into).collect();
        let Some(first) = words.first_mut() else { return Ok(words) };
        let path = Path::new(first.as_os_str());
        let is_by_path = path.components().count() > 1 || path.starts_with(".");
        if path.is_relative() && is_by_path {
            let root = self.root.as_ref().ok_or_else(|| {
                project::problem(
                    &self.path,
                    &format!("{} is beside a repository's declaration: in the home, name programs by whole paths", path.display()),
                )
            })?;
            *first = root.join(path).into_os_string();
        }
        Ok(words)
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
/// [`Code::Conflict`] when the text is another one now; else as [`find`].
pub fn granted(grant: &Grant, settings: &Settings) -> Outcome<Found> {
    let (connector, mut changed) = (&grant.connector, None);
    for (path, root) in places(connector, settings) {
        let found = read(&path, root, connector)?;
        if found.declaration.digest == grant.declaration {
            return Ok(found);
        }
        changed.get_or_insert(path);
    }
    let Some(path) = changed else { return Err(absent(connector, settings)) };
    let owner = &grant.owner;
    let message = format!("{} says something else than when {owner} granted it", path.display());
    Err(Failure::new(Code::Conflict, message)
        .hint(format!("keyrack connector disclose {connector} --for {owner}"))
        .hint(format!("keyrack connector grant {connector} --for {owner}")))
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
