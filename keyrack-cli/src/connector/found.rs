//! Where declarations lie: in `connectors/` of the repository, at or above the working
//! directory; else in `connectors/` of the home, where `connector add` puts them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use keyrack_manifest::{Digest, Grant, Word, atomic};

use super::declaration::{Declaration, Program};
use super::granted;
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

    /// A program as it is run: its files of the repository by their whole paths.
    ///
    /// # Errors
    /// [`Code::Usage`] when there is no repository for them.
    pub fn exec(&self, program: &Program) -> Outcome<Vec<OsString>> {
        let word = |word: &String| match is_of_repository(word) {
            true => Ok(self.root(word)?.join(word).into_os_string()),
            false => Ok(word.into()),
        };
        program.exec.iter().map(word).collect()
    }

    /// Where its programs are run: in the repository, whatever the caller's directory is.
    pub fn folder(&self) -> &Path {
        self.root.as_deref().unwrap_or(Path::new("/"))
    }

    /// The repository, as a grant says it.
    pub fn repository(&self) -> Option<String> {
        self.root.as_ref().map(|root| root.display().to_string())
    }

    /// SHA-256 of each file of the repository that its programs are, or are given: whoever
    /// changes one would be handed what the one before was granted.
    ///
    /// # Errors
    /// [`Code::Absent`] when one is not there.
    pub fn programs(&self) -> Outcome<BTreeMap<String, Digest>> {
        let mut digests = BTreeMap::new();
        for (name, program) in self.declaration.programs() {
            let is_below = |word: &&String| {
                let root = self.root.as_ref();
                is_of_repository(word) || root.is_some_and(|root| Path::new(word).starts_with(root))
            };
            for word in program.exec.iter().filter(is_below) {
                let path = self.root(word)?.join(word);
                let bytes = atomic::read_limited(&path, LONGEST)
                    .map_err(|e| project::problem(&path, &e.source.to_string()))?
                    .ok_or_else(|| {
                        let message =
                            format!("{}: {name} needs it, and it is not there", path.display());
                        Failure::new(Code::Absent, message)
                    })?;
                digests.insert(word.clone(), Digest::of(&bytes));
            }
        }
        Ok(digests)
    }

    /// Whether it is what `grant` was given for, its files included.
    ///
    /// # Errors
    /// [`Code::Conflict`], with what is another one now.
    pub fn is_granted(&self, grant: &Grant) -> Outcome {
        let path = self.path.display();
        if self.declaration.digest != grant.declaration {
            return Err(other(grant, &format!("{path} says something else")));
        }
        if self.repository() != grant.repository {
            return Err(other(grant, &format!("{path} is in another place")));
        }
        match self.programs()?.iter().find(|(word, now)| grant.programs.get(*word) != Some(*now)) {
            None => Ok(()),
            Some((word, _)) => {
                Err(other(grant, &format!("{word} of {} is another file", grant.connector)))
            }
        }
    }

    fn root(&self, word: &str) -> Outcome<&Path> {
        self.root.as_deref().ok_or_else(|| {
            let why = format!(
                "{word} is beside a repository's declaration: in the home, name programs by whole paths"
            );
            project::problem(&self.path, &why)
        })
    }
}

/// Whether a word of a program is a file of the repository: it begins with `./`, or `../`.
fn is_of_repository(word: &str) -> bool {
    word.starts_with("./") || word.starts_with("../")
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
/// [`Code::Conflict`] when it, or a file of its repository, is another one now; else as
/// [`find`].
pub fn granted(grant: &Grant, settings: &Settings) -> Outcome<Found> {
    let mut first = None;
    for (path, root) in places(&grant.connector, settings) {
        // One that is not it, or does not even parse, hides no other.
        let found = read(&path, root, &grant.connector);
        match found.and_then(|found| found.is_granted(grant).map(|()| found)) {
            Ok(found) => return Ok(found),
            Err(failure) => drop(first.get_or_insert(failure)),
        }
    }
    Err(first.unwrap_or_else(|| absent(&grant.connector, settings)))
}

fn other(grant: &Grant, what: &str) -> Failure {
    let (owner, connector) = (&grant.owner, &grant.connector);
    Failure::new(Code::Conflict, format!("{what} than when {owner} granted it"))
        .hint(format!("keyrack connector disclose {connector} --for {owner}"))
        .hint(format!(
            "keyrack connector grant {connector} --for {owner}{}",
            granted::flag(&grant.name)
        ))
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
    // By its real path, whichever way leads here.
    let here = std::env::current_dir().and_then(|dir| dir.canonicalize()).unwrap_or_default();
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
