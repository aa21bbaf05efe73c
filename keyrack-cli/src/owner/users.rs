//! Owners that live under a Unix user of their own. Root keeps who lives where, and what
//! root's command is asked for such an owner is done as that user: in that user's places,
//! with that user's rights, and with nothing of root's.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, IsTerminal, stderr, stdin, stdout};
use std::os::fd::{AsFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use keyrack_manifest::atomic;
use keyrack_names::Owner;
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, fchown, geteuid, setgroups, setresgid, setresuid};

use crate::args::Command;
use crate::error::{Code, Context, ExitStatus, Failure, Outcome};
use crate::exec::supervise::{self, On};
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
pub fn elsewhere(
    command: &Command,
    passphrase_fd: Option<RawFd>,
    settings: &Settings,
) -> Outcome<Option<ExitStatus>> {
    let asked = match command {
        // Its file names the owners.
        Command::Init(with) if with.own.from.is_some() => return Ok(None),
        Command::Init(with) => with.own.user.as_deref(),
        // These are about this user, or about no owner.
        Command::Copy(copy) => {
            let (from, to) = (&copy.own.from, &copy.own.to);
            let hint =
                format!("keyrack get --for {from} --key KEY | keyrack set --for {to} --key KEY");
            all_live_here([from, to], settings).map_err(|failure| failure.hint(hint))?;
            return Ok(None);
        }
        Command::Daemon(_) | Command::Demo(_) | Command::Generate(_) | Command::Version(_) => {
            return Ok(None);
        }
        _ => None,
    };
    if !geteuid().is_root() {
        return match asked {
            // A person's own login is no user of the owner's own.
            Some(_) if !settings.is_for_root => {
                Err(Failure::new(Code::Denied, "only root can give an owner a user of its own")
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
            None => all_live_here(settings.owners(), settings).map(|()| None),
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
    let status = run(&user, owner, changes, passphrase_fd)?;
    match command {
        Command::Init(_) if status == 0 && known.is_none() && !settings.dry_run => {
            kept.write(&name)?
        }
        Command::Destroy(_) if status == 0 && !settings.dry_run => kept.remove()?,
        _ => {}
    }
    Ok(Some(ExitStatus(status)))
}

/// Refuses what is done for several owners at once where one of them lives elsewhere: here
/// it would be taken for one that is not there yet.
///
/// # Errors
/// [`Code::Usage`], naming that one.
pub fn all_live_here<'a>(
    owners: impl IntoIterator<Item = &'a Owner>,
    settings: &Settings,
) -> Outcome {
    for owner in owners {
        if let Some(name) = Kept::of(settings, owner).read()? {
            let message = format!(
                "{owner} lives under the user {name}: what is done for it is done for no other"
            );
            return Err(Failure::new(Code::Usage, message));
        }
    }
    Ok(())
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

/// Runs this very command as `user`, and gives its status. Root's own terminal is nothing for
/// another user, not even our own command's: who takes that over while it starts would type
/// into root's shell. Nor is what root has open. Where there is no terminal, and this process
/// is not `needed` afterwards, the command takes its place.
fn run(user: &Account, owner: &Owner, needed: bool, passphrase_fd: Option<RawFd>) -> Outcome<u8> {
    let doing = || "finding the keyrack command itself".to_owned();
    let program = std::env::current_exe().context(doing)?;
    let mut command = Program::new(&program);
    command.args(std::env::args_os().skip(1)).env_clear().envs(environment(user, owner));
    let groups = accounts::groups(user);
    let (uid, gid) = (user.uid, user.gid);
    sandbox::keep_only(|fd| Some(fd) == passphrase_fd)
        .context(|| "finding what is open here".to_owned())?;
    let is_apart = On::Own.is_apart();
    sandbox::begin_as(&mut command, move || {
        if is_apart {
            give_terminals(uid)?;
        }
        become_user(uid, gid, &groups)
    });
    let error = if needed || is_apart {
        match supervise::run(command, None, On::Own)? {
            Ok(status) => return Ok(status),
            Err(error) => error,
        }
    } else {
        command.exec()
    };
    Err(Failure::new(
        Code::Unexpected,
        format!("the user {} cannot run {}: {error}", user.name, program.display()),
    )
    .hint("install keyrack and keyrackd where every user can run them, such as /usr/local/bin"))
}

/// Gives the terminals that root made for a program to its user, who may open them by name.
fn give_terminals(uid: Uid) -> nix::Result<()> {
    [stdin().as_fd(), stdout().as_fd(), stderr().as_fd()]
        .into_iter()
        .filter(IsTerminal::is_terminal)
        .try_for_each(|stream| fchown(stream, Some(uid), None))
}

/// Becomes a user for good: groups, ids, and a session that holds no key of root's.
fn become_user(uid: Uid, gid: Gid, groups: &[Gid]) -> nix::Result<()> {
    setgroups(groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
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
        text(settings::FOR_ROOT, Path::new("1")),
    ]);
    let runtime = PathBuf::from(format!("/run/user/{}", user.uid));
    if runtime.metadata().is_ok_and(|found| found.uid() == user.uid.as_raw()) {
        variables.push(text("XDG_RUNTIME_DIR", &runtime));
    }
    variables
}
