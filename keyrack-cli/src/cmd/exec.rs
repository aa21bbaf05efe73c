//! `keyrack exec`: runs a program with exactly the declared credentials, in a process tree
//! that holds a capability for these and nothing else of ours; with `--isolate`, where it
//! reaches nothing else either.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use keyrack_names::{KeyName, Owner, Secret, Slug};

use crate::args::{Exec, RunnerArg};
use crate::deliver;
use crate::error::{Code, ExitStatus, Failure, Outcome};
use crate::exec::apart::Apart;
use crate::exec::declared::Declared;
use crate::exec::environment::{self, Environment};
use crate::exec::fetch::{Fetched, Given, Program, fetch};
use crate::exec::files::Files;
use crate::exec::redact::Values;
use crate::exec::supervise::{self, On};
use crate::person::ui::Ui;
use crate::rack::anchor::Anchor;
use crate::sandbox::namespaces::{self, Kinds};
use crate::sandbox::{Built, Sandbox, hidden};
use crate::settings::{self, Settings};
use crate::system::sys;
use crate::tree::TreeError;
use crate::tree::ring::{self, Keep};

/// Runs `keyrack exec`. Where nothing is left to do afterwards, the program takes this
/// process's place and nothing returns.
pub fn run(args: &Exec, settings: &Settings, ui: &Ui) -> Outcome<ExitStatus> {
    let owner = settings.owner()?;
    let declared = Declared::read(args, settings, owner)?;
    if settings.dry_run {
        let program = args.program().to_string_lossy();
        let words = format!("{owner}: {program} would be run with {declared}");
        let object =
            serde_json::json!({ "owner": owner, "program": program, "with": declared.to_string() });
        return ui.would(words, object).map(|()| ExitStatus::SUCCESS);
    }
    let mut environment = settings::inherited();
    let sandbox = Sandbox::new(&args.isolation, settings, owner, &environment)?;
    let program = Program {
        label: format!("{} (pid {})", name(args), std::process::id()),
        anchor: Anchor::of_exec(&args.lasting, &name(args))?,
    };
    let work = || fetch(&declared, owner, program, settings, ui);
    let Prepared { fetched, files, closing } = match sandbox {
        Some(sandbox) => sandboxed(sandbox, args, work, settings, &environment, ui)?,
        None if args.files => with_files(work, settings, &environment, ui)?,
        None => Prepared { fetched: work()?, files: None, closing: None },
    };
    let Fetched { values, others, capability } = fetched;
    if let Some(RunnerArg::Gha) = args.format {
        ui.payload(&deliver::masks(values.iter().map(|(_, value)| value)))?;
    }
    let redacted = args.redact.then(|| redacted(&values, ui));
    environment::without_others(&mut environment, &others);
    let given = deliver(values, files.as_ref(), owner, args)?;
    environment::with(&mut environment, owner, given);
    let is_isolated = closing.is_some();
    if is_isolated {
        environment.retain(|name, _| !hidden::leads_outside(name));
        environment.insert("TMPDIR".into(), "/tmp".into());
    }
    let keep = if is_isolated { Keep::Nothing } else { Keep::Foreign };
    enter(capability, keep, owner, ui)?;
    if let Some(fd) = ui.asker.passphrase_fd {
        sys::keep_from_programs(fd);
    }
    if let Some((sandbox, built)) = closing {
        sandbox.close(&built, ui)?;
    }
    let mut command = Command::new(args.program());
    command.args(args.arguments()).env_clear().envs(environment);
    let watched = redacted.filter(|values| !values.is_empty());
    let on = if is_isolated { On::Own } else { On::Callers };
    let is_left_to =
        watched.is_none() && !on.is_apart() && !matches!(files, Some(Files::Temporary(_)));
    if is_left_to {
        return Err(not_run(args, &command.exec()));
    }
    match supervise::run(command, watched.as_ref(), on)? {
        Ok(status) => Ok(ExitStatus(status)),
        Err(error) => Err(not_run(args, &error)),
    }
}

/// What is at hand before the program's environment is made.
struct Prepared {
    fetched: Fetched,
    files: Option<Files>,
    closing: Option<(Sandbox, Built)>,
}

fn sandboxed(
    mut sandbox: Sandbox,
    args: &Exec,
    work: impl FnOnce() -> Outcome<Fetched>,
    settings: &Settings,
    environment: &Environment,
    ui: &Ui,
) -> Outcome<Prepared> {
    let place = args.files.then(|| Files::place(settings)).transpose()?;
    let apart = Apart::begin(work)?;
    sandbox.enter_namespaces()?;
    let fetched = apart.go()?;
    let sockets: Vec<PathBuf> =
        fetched.capability.iter().map(|given| given.entry.socket.clone()).collect();
    let built = sandbox.build(&sockets, place.as_ref(), ui)?;
    let files = match place {
        Some(place) if sandbox.is_private(&place) => Some(Files::Private(place)),
        Some(_) => Some(Files::temporary(environment, ui)?),
        None => None,
    };
    Ok(Prepared { fetched, files, closing: Some((sandbox, built)) })
}

fn with_files(
    work: impl FnOnce() -> Outcome<Fetched>,
    settings: &Settings,
    environment: &Environment,
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
        None => Files::temporary(environment, ui)?,
    };
    Ok(Prepared { fetched, files: Some(files), closing: None })
}

/// The values as the program will find them: each in its variable, or as a file whose path
/// is in the variable.
fn deliver(
    values: Vec<(Slug, Secret)>,
    files: Option<&Files>,
    owner: &Owner,
    args: &Exec,
) -> Outcome<Vec<(KeyName, OsString)>> {
    let mut given: Vec<(KeyName, OsString)> = Vec::with_capacity(values.len());
    for (slug, value) in values {
        let name = slug.key;
        if given.iter().any(|(other, _)| *other == name) {
            let message = format!(
                "several of the credentials are called {name}, and the program can be given one"
            );
            return Err(Failure::new(Code::Conflict, message));
        }
        let text = match files {
            Some(_) if deliver::is_dangerous(name.as_str()) => {
                return Err(refused(deliver::DeliverError::Dangerous(name)));
            }
            Some(files) => files.write(&name, &value)?.into_os_string(),
            None => {
                deliver::check(&name, value.expose()).map_err(|error| match error {
                    deliver::DeliverError::Dangerous(_) => refused(error),
                    error => refused(error).hint(as_files(owner, args)),
                })?;
                if !environment::fits(&name, value.len()) {
                    let message = format!(
                        "{name} has {} bytes, and no environment variable holds more than 128 KiB",
                        value.len()
                    );
                    return Err(Failure::new(Code::Usage, message).hint(as_files(owner, args)));
                }
                OsString::from_vec(value.expose().to_vec())
            }
        };
        given.push((name, text));
    }
    Ok(given)
}

fn refused(error: deliver::DeliverError) -> Failure {
    let code = if matches!(error, deliver::DeliverError::Dangerous(_)) {
        Code::Denied
    } else {
        Code::Usage
    };
    Failure::new(code, error.to_string())
}

fn as_files(owner: &Owner, args: &Exec) -> String {
    format!("keyrack exec --for {owner} --files … -- {}", name(args))
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

fn not_run(args: &Exec, error: &std::io::Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::NotFound => Code::NotFound,
        _ => Code::NotRunnable,
    };
    Failure::new(code, format!("{}: {error}", args.program().display()))
}

/// The program's own name, for people.
fn name(args: &Exec) -> String {
    let path = std::path::Path::new(args.program());
    let name = path.file_name().unwrap_or(args.program()).to_string_lossy();
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
