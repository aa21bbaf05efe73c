//! Owners that live under a Unix user of their own. Root keeps who lives where, and what
//! root's command is asked for such an owner is done as that user: in that user's places,
//! with that user's rights, and with nothing of root's.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use keyrack_manifest::atomic;
use keyrack_names::Owner;
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{geteuid, setgroups, setresgid, setresuid};

use crate::args::Command;
use crate::error::{Code, Context, ExitStatus, Failure, Outcome};
use crate::sandbox;
use crate::settings::{self, Settings};
use crate::system::accounts::{self, Account};
use crate::system::sys;

/// Does what is asked as the owner's user, where the owner has one and this is root. `None`
/// where the command is this process's own to do.
///
/// # Errors
/// [`Code::Denied`] when anybody else asks for a user; [`Code::Absent`] when there is no
/// such user; [`Code::Conflict`] when the owner lives under another.
pub fn elsewhere(command: &Command, settings: &Settings) -> Outcome<Option<ExitStatus>> {
    let asked = match command {
        Command::Init(with) => with.own.user.as_deref(),
        // These are about this user, or about no owner.
        Command::Daemon(_)
        | Command::Copy(_)
        | Command::Demo(_)
        | Command::Generate(_)
        | Command::Version(_) => {
            return Ok(None);
        }
        _ => None,
    };
    if !geteuid().is_root() {
        return match asked {
            Some(name) if settings::login_name().as_deref() != Some(name) => {
                Err(Failure::new(Code::Denied, "only root can make an owner for another user")
                    .hint("sudo keyrack init --for OWNER --user USER"))
            }
            _ => Ok(None),
        };
    }
    let [owner] = settings.owners() else {
        return match asked {
            Some(_) => Err(Failure::new(
                Code::Usage,
                "--user is for one --for: each owner lives under a user of its own",
            )),
            None => Ok(None),
        };
    };
    let kept = Kept::of(settings, owner);
    let known = kept.read()?;
    let name = match (asked, &known) {
        (Some(asked), Some(known)) if asked != known => {
            return Err(Failure::new(
                Code::Conflict,
                format!("{owner} lives under the user {known} already"),
            ));
        }
        (Some(name), _) => name.to_owned(),
        (None, Some(name)) => name.clone(),
        (None, None) => return Ok(None),
    };
    let user = find(&name)?;
    // Only these change where the owner lives, and only when they succeed.
    let changes = matches!(command, Command::Init(_) | Command::Destroy(_));
    if !changes {
        return Err(run(&user, owner));
    }
    let status = watched(&user, owner)?;
    match command {
        Command::Init(_) if status == 0 && known.is_none() && !settings.dry_run => {
            kept.write(&name)?
        }
        Command::Destroy(_) if status == 0 && !settings.dry_run => kept.remove()?,
        _ => {}
    }
    Ok(Some(ExitStatus(status)))
}

/// The file that says where an owner lives.
struct Kept(PathBuf);

impl Kept {
    fn of(settings: &Settings, owner: &Owner) -> Self {
        Self(settings.places.state.join("users").join(owner.as_str()))
    }

    fn read(&self) -> Outcome<Option<String>> {
        match fs::read_to_string(&self.0) {
            Ok(name) => Ok(Some(name.trim_end().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(|| self.0.display().to_string()),
        }
    }

    fn write(&self, name: &str) -> Outcome {
        atomic::replace(&self.0, format!("{name}\n").as_bytes())
            .context(|| self.0.display().to_string())
    }

    fn remove(&self) -> Outcome {
        fs::remove_file(&self.0).context(|| self.0.display().to_string())
    }
}

fn find(name: &str) -> Outcome<Account> {
    match accounts::named(name) {
        None => Err(Failure::new(Code::Absent, format!("there is no user {name}"))
            .hint(format!("useradd --create-home {name}"))),
        Some(user) if user.uid.is_root() => {
            Err(Failure::new(Code::Usage, "an owner under root is apart from nobody"))
        }
        Some(user) => Ok(user),
    }
}

/// Runs this very command as `user`, in this process's place. Gives why it could not.
fn run(user: &Account, owner: &Owner) -> Failure {
    let become_failed = |errno: Errno| {
        Failure::new(Code::Unexpected, format!("becoming the user {}: {errno}", user.name))
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            return Failure::new(
                Code::Unexpected,
                format!("finding the keyrack command itself: {error}"),
            );
        }
    };
    if let Err(errno) = become_user(user) {
        return become_failed(errno);
    }
    let error = Program::new(&program)
        .args(std::env::args_os().skip(1))
        .env_clear()
        .envs(environment(user, owner))
        .exec();
    Failure::new(
        Code::Unexpected,
        format!("the user {} cannot run {}: {error}", user.name, program.display()),
    )
    .hint("install keyrack and keyrackd where every user can run them, such as /usr/local/bin")
}

/// The same in a process of its own; gives its status.
fn watched(user: &Account, owner: &Owner) -> Outcome<u8> {
    let doing = || format!("a process of the user {}", user.name);
    let copy = sandbox::in_a_copy(|| {
        let failure = run(user, owner);
        crate::args::usage::report(&failure, false);
        failure.code as i32
    })
    .context(doing)?;
    match waitpid(copy, None).context(doing)? {
        WaitStatus::Exited(_, status) => Ok(status as u8),
        WaitStatus::Signaled(_, signal, _) => Ok(128 + signal as u8),
        _ => Ok(Code::Unexpected as u8),
    }
}

/// Becomes `user` for good: groups, ids, and a session that holds no key of root's.
fn become_user(user: &Account) -> nix::Result<()> {
    setgroups(&accounts::groups(user))?;
    setresgid(user.gid, user.gid, user.gid)?;
    setresuid(user.uid, user.uid, user.uid)?;
    match sys::join_anonymous_session() {
        // Where key rings are forbidden there is no key to leave behind.
        Err(Errno::EPERM | Errno::ENOSYS) | Ok(()) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// What a program of that user finds after a log in, and what was said to this command.
fn environment(user: &Account, owner: &Owner) -> Vec<(OsString, OsString)> {
    let mut variables = settings::passed_to_another_user();
    let text = |name: &str, value: &Path| (name.into(), value.as_os_str().to_owned());
    variables.extend([
        text("HOME", &user.dir),
        text("SHELL", &user.shell),
        text("USER", Path::new(&user.name)),
        text("LOGNAME", Path::new(&user.name)),
        text("KEYRACK_FOR", Path::new(owner.as_str())),
    ]);
    let runtime = PathBuf::from(format!("/run/user/{}", user.uid));
    if runtime.metadata().is_ok_and(|found| found.uid() == user.uid.as_raw()) {
        variables.push(text("XDG_RUNTIME_DIR", &runtime));
    }
    variables
}
