//! A program with credentials: they are fetched, its environment and its place are made,
//! and it runs in a process tree that holds a capability for these and nothing else of ours.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use keyrack_manifest::Digest;
use keyrack_names::{KeyName, Owner, Secret, Slug};
use nix::unistd::dup2_stdin;

use super::apart::Apart;
use super::declared::Declared;
use super::environment::{self, Environment};
use super::fetch::{Fetched, Given, Program, fetch};
use super::files::Files;
use super::redact::Values;
use super::supervise::{self, On};
use crate::args::{Ephemeral, Isolation, RunnerArg};
use crate::deliver::{self, DeliverError};
use crate::error::{Code, Context, ExitStatus, Failure, Outcome};
use crate::person::ui::Ui;
use crate::rack::anchor::Anchor;
use crate::sandbox::namespaces::{self, Kinds};
use crate::sandbox::{Built, Sandbox, hidden};
use crate::settings::Settings;
use crate::tree::TreeError;
use crate::tree::ring::{self, Keep};

/// A program that is to be run, and how.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The program and its arguments.
    pub command: &'a [OsString],
    /// What it is given.
    pub declared: Declared,
    /// Where each of that is put.
    pub delivery: Delivery,
    /// What else it finds in its environment.
    pub environment: Environment,
    /// Its sandbox.
    pub isolation: &'a Isolation,
    /// Whether the daemon ends with it.
    pub lasting: &'a Ephemeral,
    /// Whether values are taken out of what it prints.
    pub redact: bool,
    /// What hides values in the log of a job.
    pub format: Option<RunnerArg>,
    /// What to type, or to write, where a value fits no variable.
    pub as_files: String,
}

/// Where a program finds the values it is given.
#[derive(Debug, Default)]
pub struct Delivery {
    /// As a file, whatever is not named here.
    pub files: bool,
    /// Elsewhere than under the name of the key.
    pub named: BTreeMap<Slug, Place>,
    /// Nowhere: it asks for each by its capability.
    pub ask: bool,
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: KeyName,
    /// Whether it holds the path of a file with the value, and not the value.
    pub file: bool,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Where its files are, each with whose value it was and the SHA-256 of that.
    pub given: Vec<InFile>,
    /// They go with this.
    _files: Option<Files>,
}

/// A value that a program was given as a file.
#[derive(Debug)]
pub struct InFile {
    /// Whose.
    pub slug: Slug,
    /// Where.
    pub path: PathBuf,
    /// SHA-256 of what stood in it.
    pub was: Digest,
}

impl Delivery {
    fn place(&self, slug: &Slug) -> Place {
        let own = || Place { name: slug.key.clone(), file: self.files };
        self.named.get(slug).cloned().unwrap_or_else(own)
    }

    /// Whether there has to be a place for files.
    fn takes_files(&self) -> bool {
        !self.ask && (self.files || self.named.values().any(|place| place.file))
    }
}

impl Launch<'_> {
    /// Runs the program. Where nothing is left to do afterwards, it takes this process's
    /// place and nothing returns; `stays` says that something is.
    ///
    /// # Errors
    /// By what it is to be given, as `get` and `unlock`; [`Code::Blocked`] where its sandbox
    /// cannot be made; [`Code::NotFound`] and [`Code::NotRunnable`].
    pub fn run(self, owner: &Owner, stays: bool, settings: &Settings, ui: &Ui) -> Outcome<Ended> {
        let mut environment = self.environment.clone();
        let sandbox = Sandbox::new(self.isolation, settings, owner, &environment)?;
        let program = Program {
            label: format!("{} (pid {})", self.name(), std::process::id()),
            anchor: Anchor::of_exec(self.lasting, &self.name())?,
        };
        let work = || fetch(&self.declared, owner, program, settings, ui);
        let Prepared { fetched, files, closing } = match sandbox {
            Some(sandbox) => self.sandboxed(sandbox, work, settings, ui)?,
            None if self.delivery.takes_files() => self.with_files(work, settings, ui)?,
            None => Prepared { fetched: work()?, files: None, closing: None },
        };
        let Fetched { values, others, capability } = fetched;
        if let Some(RunnerArg::Gha) = self.format {
            ui.payload(&deliver::masks(values.iter().map(|(_, value)| value)))?;
        }
        let redacted = self.redact.then(|| redacted(&values, ui));
        environment::without_others(&mut environment, &others);
        let mut in_files = Vec::new();
        let given = self.deliver(values, files.as_ref(), &mut in_files)?;
        environment::with(&mut environment, owner, given);
        let is_isolated = closing.is_some();
        if is_isolated {
            environment.retain(|name, _| !hidden::leads_outside(name));
            environment.insert("TMPDIR".into(), "/tmp".into());
        }
        if self.delivery.ask && capability.is_none() {
            let message = format!("{owner}: this tree's own capability can make none for another");
            return Err(Failure::new(Code::Denied, message));
        }
        let keep = if is_isolated { Keep::Nothing } else { Keep::Foreign };
        enter(capability, keep, owner, ui)?;
        if ui.asker.passphrase_fd == Some(0) {
            empty_stdin()?;
        }
        if let Some((sandbox, built)) = closing {
            sandbox.close(&built, ui)?;
        }
        let mut command = Command::new(self.program());
        command.args(self.command.get(1..).unwrap_or_default()).env_clear().envs(environment);
        let watched = redacted.filter(|values| !values.is_empty());
        let on = if is_isolated { On::Own } else { On::Callers };
        let is_left_to = !stays
            && watched.is_none()
            && !on.is_apart()
            && !matches!(files, Some(Files::Temporary(_)));
        if is_left_to {
            return Err(self.not_run(&command.exec()));
        }
        match supervise::run(command, watched.as_ref(), on)? {
            Ok(status) => Ok(Ended { status: ExitStatus(status), given: in_files, _files: files }),
            Err(error) => Err(self.not_run(&error)),
        }
    }

    fn program(&self) -> &OsStr {
        self.command.first().map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// The program's own name, for people.
    fn name(&self) -> String {
        name(self.program())
    }

    fn not_run(&self, error: &std::io::Error) -> Failure {
        let code = match error.kind() {
            ErrorKind::NotFound => Code::NotFound,
            _ => Code::NotRunnable,
        };
        Failure::new(code, format!("{}: {error}", Path::new(self.program()).display()))
    }

    fn sandboxed(
        &self,
        mut sandbox: Sandbox,
        work: impl FnOnce() -> Outcome<Fetched>,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Prepared> {
        let place = self.delivery.takes_files().then(|| Files::place(settings)).transpose()?;
        let apart = Apart::begin(work)?;
        sandbox.enter_namespaces()?;
        let fetched = apart.go()?;
        let sockets: Vec<PathBuf> =
            fetched.capability.iter().map(|given| given.entry.socket.clone()).collect();
        let built = sandbox.build(&sockets, place.as_ref(), ui)?;
        let files = match place {
            Some(place) if sandbox.is_private(&place) => Some(Files::Private(place)),
            Some(_) => Some(Files::temporary(&self.environment, ui)?),
            None => None,
        };
        Ok(Prepared { fetched, files, closing: Some((sandbox, built)) })
    }

    fn with_files(
        &self,
        work: impl FnOnce() -> Outcome<Fetched>,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Prepared> {
        let place = Files::place(settings)?;
        let apart = Apart::begin(work)?;
        // Root needs no user namespace to mount, and stays root without.
        let user = !nix::unistd::geteuid().is_root();
        let entered = namespaces::enter(Kinds { user, memory: false, network: false });
        let fetched = apart.go()?;
        let private = entered.ok().and_then(|()| Files::private(&place).ok());
        let files = match private {
            Some(files) => files,
            None => Files::temporary(&self.environment, ui)?,
        };
        Ok(Prepared { fetched, files: Some(files), closing: None })
    }

    /// The values as the program will find them: each in its variable, or as a file whose
    /// path is in the variable.
    fn deliver(
        &self,
        values: Vec<(Slug, Secret)>,
        files: Option<&Files>,
        in_files: &mut Vec<InFile>,
    ) -> Outcome<Vec<(KeyName, OsString)>> {
        let mut given: Vec<(KeyName, OsString)> = Vec::with_capacity(values.len());
        if self.delivery.ask {
            return Ok(given);
        }
        for (slug, value) in values {
            let Place { name, file } = self.delivery.place(&slug);
            if given.iter().any(|(other, _)| *other == name) {
                let message = format!(
                    "several of the credentials are called {name}, and the program can be given one"
                );
                return Err(Failure::new(Code::Conflict, message));
            }
            let text = match files.filter(|_| file) {
                Some(_) if deliver::is_dangerous(name.as_str()) => {
                    return Err(refused(DeliverError::Dangerous(name)));
                }
                Some(files) => {
                    let path = files.write(&name, &value)?;
                    let was = Digest::of(value.expose());
                    in_files.push(InFile { slug, path: path.clone(), was });
                    path.into_os_string()
                }
                None => in_variable(&name, &value, &self.as_files)?,
            };
            given.push((name, text));
        }
        Ok(given)
    }
}

/// A value as the content of a variable; `hint` says what to do where it cannot be.
///
/// # Errors
/// [`Code::Denied`] for a name that is never delivered; [`Code::Usage`] for a value that no
/// variable holds.
pub fn in_variable(name: &KeyName, value: &Secret, hint: &str) -> Outcome<OsString> {
    deliver::check(name, value.expose()).map_err(|error| match error {
        DeliverError::Dangerous(_) => refused(error),
        error => refused(error).hint(hint),
    })?;
    if !environment::fits(name, value.len()) {
        let message = format!(
            "{name} has {} bytes, and no environment variable holds more than 128 KiB",
            value.len()
        );
        return Err(Failure::new(Code::Usage, message).hint(hint));
    }
    Ok(OsString::from_vec(value.expose().to_vec()))
}

/// A program's name without its folders, for people.
pub fn name(program: &OsStr) -> String {
    let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// What is at hand before the program's environment is made.
struct Prepared {
    fetched: Fetched,
    files: Option<Files>,
    closing: Option<(Sandbox, Built)>,
}

fn refused(error: DeliverError) -> Failure {
    let code = if matches!(error, DeliverError::Dangerous(_)) { Code::Denied } else { Code::Usage };
    Failure::new(code, error.to_string())
}

/// What is to be taken out of what the program prints.
fn redacted(values: &[(Slug, Secret)], ui: &Ui) -> Values {
    let mut redacted = Values::default();
    for (slug, value) in values {
        if !redacted.add(value.expose()) {
            ui.warn(format!("{slug} is too short to be redacted"));
        }
    }
    redacted
}

/// Puts nothing in place of the standard input that a passphrase comes by: a program that is
/// started without one would take the first file it opens for it.
fn empty_stdin() -> Outcome {
    let doing = || "/dev/null".to_owned();
    let nothing = File::open("/dev/null").context(doing)?;
    dup2_stdin(nothing).context(doing)
}

/// Leaves the caller's session for one in which the program's capability is all of ours.
fn enter(capability: Option<Given>, keep: Keep, owner: &Owner, ui: &Ui) -> Outcome {
    let entered = match capability {
        Some(given) => given.tree().enter(keep),
        None => ring::begin(keep).map_err(TreeError::from),
    };
    match entered {
        Ok(()) => Ok(()),
        // There is no session here that could hold anything of ours.
        Err(error @ TreeError::Forbidden(_)) => {
            ui.warn(format!("{owner}: the program gets its values and no capability: {error}"));
            Ok(())
        }
        Err(error) => Err(Failure::new(
            Code::Unexpected,
            format!("{owner}: no capability for the program: {error}"),
        )),
    }
}
