//! What a daemon's process gives up at its start, in this order: inherited descriptors,
//! being read and traced, cores, privileges, writable code, the caller's keyring, the
//! caller's session and working directory. Each step that a kernel lacks is named in
//! `status`, and the daemon goes on.

use std::io;

use keyrack_protocol::message::Protection;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};

use crate::arena::Arena;
use crate::harden::{self, PageKind};
use crate::reexec::Window;

/// A daemon that is being traced does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// Somebody sees all of its memory.
    #[error("this process is being traced by pid {0}")]
    Traced(u32),
    /// A step that every Linux has failed.
    #[error("this process cannot be made safe: {0}")]
    Step(#[from] nix::Error),
}

/// The state of each ingredient, for `status`.
#[derive(Default)]
pub(crate) struct Protections(Vec<Protection>);

impl Protections {
    fn note(&mut self, name: &str, missing: Option<String>) {
        let on = missing.is_none();
        let state = missing.unwrap_or_else(|| "in force".to_owned());
        self.0.push(Protection { name: name.to_owned(), state, on });
    }

    /// Notes a step by how it went.
    pub(crate) fn step<E: ToString>(&mut self, name: &str, result: Result<(), E>) {
        self.note(name, result.err().map(|e| e.to_string()));
    }

    /// Whether anybody could look in while the process began.
    pub(crate) fn window(&mut self, window: Window) {
        self.note(
            "start window",
            match window {
                Window::Shut => None,
                Window::Open(why) => Some(format!("open: {why}")),
            },
        );
    }

    /// How well the locked page is kept.
    pub(crate) fn page(&mut self, arena: &Arena) {
        let (on, state) = match arena.kind() {
            PageKind::Secret => (true, "secret memory"),
            PageKind::Locked => (true, "locked memory"),
            PageKind::Plain => (false, "ordinary memory: this machine locks none"),
        };
        let name = "locked page".to_owned();
        self.0.push(Protection { name, state: state.to_owned(), on });
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Protection> {
        self.0
    }
}

/// Closes what a careless caller left open. Before anything of ours is.
pub(crate) fn close_inherited(protections: &mut Protections) {
    protections.step("no inherited descriptors", harden::close_inherited());
}

/// Gives up what else a daemon does not need.
///
/// # Errors
/// When the process is traced, or refuses what every Linux can do.
pub(crate) fn give_up(protections: &mut Protections) -> Result<(), ProcessError> {
    prctl::set_dumpable(false)?;
    if let Some(tracer) = tracer() {
        return Err(ProcessError::Traced(tracer));
    }
    protections.note("non-dumpable", None);
    if is_in_user_namespace() {
        let why = "whoever made it can look into this daemon from outside";
        protections.note("user namespace", Some(why.to_owned()));
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    protections.note("no core", None);
    prctl::set_no_new_privs()?;
    protections.note("no new privileges", None);
    protections.step("no writable code", harden::deny_writable_code());
    protections.step("own keyring", harden::leave_session_keyring());
    // Fails for a leader of a group, which a daemon started by hand may be.
    let _ = nix::unistd::setsid();
    nix::unistd::chdir("/")?;
    umask(Mode::from_bits_truncate(0o077));
    let environment = std::env::vars_os().next().is_some();
    protections.note("empty environment", environment.then(|| "it was given one".to_owned()));
    prctl::set_name(c"keyrackd")?;
    harden::ignore_hangups();
    harden::share_heap();
    Ok(())
}

/// Who makes a user namespace has every right over what runs in it, and needs no other.
fn is_in_user_namespace() -> bool {
    let every_user = ["0", "0", "4294967295"];
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().ne(every_user))
}

/// Who traces this process. Looked up after it became unreadable: nobody can begin later.
fn tracer() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok().filter(|pid| *pid != 0)
}

/// Makes room for `needed` descriptors and up to `wanted` more. Returns how many more there
/// are.
///
/// # Errors
/// When the limits cannot be read.
pub(crate) fn make_room(needed: usize, wanted: usize) -> io::Result<usize> {
    let (soft, hard) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE)?;
    let all = ((needed + wanted) as u64).min(hard.max(soft));
    if soft < all {
        setrlimit(Resource::RLIMIT_NOFILE, all, hard)?;
    }
    // Where there are too few for all who may come, the last ones wait to be accepted.
    let more = usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(needed);
    Ok(more.max(wanted / 16))
}
