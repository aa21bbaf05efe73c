//! Sockets that daemons left: finding them, and removing the dead ones.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyrack_protocol::client::{self, ClientError};
use keyrack_protocol::message::{BareRequest, BareStatus};
use keyrack_protocol::{dirs, paths, peer};
use nix::unistd::Pid;
use rustix::process::{Signal, pidfd_send_signal};

use crate::settings::Settings;
use crate::system::process;

/// How long a daemon that was told to end may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A socket of this user with a daemon's name.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Who serves it, as the kernel says; `None` when it is dead.
    pub server: Option<Server>,
}

impl Found {
    /// What a daemon there answers; `None` when it is dead or does not answer.
    pub fn status(&self) -> Option<BareStatus> {
        self.server.as_ref().and_then(|_| client::bare(&self.path, BareRequest::Status).ok())
    }
}

/// The process that serves a socket.
#[derive(Debug)]
pub struct Server {
    /// Its pid, for people.
    pub pid: i32,
    /// The process itself, where the kernel hands it out: its pid may be another's by now.
    process: Option<OwnedFd>,
}

impl Server {
    fn of(path: &Path) -> Option<Self> {
        let socket = client::connect(path).ok()?;
        let pid = peer::of(&socket).ok()?.pid;
        Some(Self { pid, process: peer::process(&socket).ok() })
    }

    /// Whether it is called as a daemon is.
    pub fn is_daemon(&self) -> bool {
        process::is_called(Pid::from_raw(self.pid), "keyrackd")
    }

    /// Ends a daemon that does not answer when it is told to lock. Only where the kernel
    /// hands out the process, and that is a daemon: never by a number.
    pub fn kill(&self) -> bool {
        let Some(process) = &self.process else { return false };
        // It lives after it was looked at: so it was this one that was looked at.
        self.is_daemon()
            && peer::ends_within(process, Duration::ZERO) == Some(false)
            && pidfd_send_signal(process, Signal::KILL).is_ok()
            && peer::ends_within(process, PATIENCE) == Some(true)
    }
}

/// Every socket of ours in the socket directories, sorted by name; of one name, that in the
/// better directory first.
pub fn find(settings: &Settings) -> Vec<Found> {
    let mut found: Vec<Found> = settings
        .sockets
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_daemon_socket(path))
        .map(|path| Found { server: Server::of(&path), path })
        .collect();
    found.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
    found
}

/// Removes those of `paths` that are dead sockets of ours, giving a daemon that was just
/// told to end a moment to do so. Returns how many it removed.
pub fn sweep(paths: &[PathBuf]) -> usize {
    let deadline = Instant::now() + PATIENCE;
    paths.iter().filter(|path| is_ours(path)).filter(|path| removed(path, deadline)).count()
}

/// Ends the daemons that serve `paths` and do not answer, as [`Server::kill`]. Returns whether
/// there was one.
pub fn end_silent(paths: &[PathBuf]) -> bool {
    let silent = paths.iter().filter(|path| {
        let asked = client::bare(path, BareRequest::Status);
        !matches!(asked, Ok(_) | Err(ClientError::NotRunning | ClientError::Foreign { .. }))
    });
    silent.filter_map(|path| Server::of(path)).filter(Server::kill).count() > 0
}

/// Whether nobody listens on a socket that is there.
pub fn is_dead(path: &Path) -> bool {
    matches!(client::bare(path, BareRequest::Status), Err(ClientError::NotRunning))
}

/// Who holds a path, and does not answer there as a daemon.
#[derive(Debug)]
pub struct Holder {
    /// For people.
    pub who: String,
    /// It is a daemon, which hangs.
    pub is_daemon: bool,
}

/// Who holds `path` and does not answer as a daemon: another user, another program, another
/// kind of file.
pub fn holder(path: &Path) -> Option<Holder> {
    let other = |who: String| Some(Holder { who, is_daemon: false });
    let found = path.symlink_metadata().ok()?;
    if found.uid() != peer::own_uid() {
        return other(format!("uid {}", found.uid()));
    }
    if !found.file_type().is_socket() {
        return other("a file that is no socket".to_owned());
    }
    match client::bare(path, BareRequest::Status) {
        Ok(_) | Err(ClientError::NotRunning) => None,
        Err(error) => {
            let server = Server::of(path);
            let is_daemon = server.as_ref().is_some_and(Server::is_daemon);
            let who = server.map_or("a program".to_owned(), |server| format!("pid {}", server.pid));
            let what = if is_daemon { "hangs" } else { "is no keyrack daemon" };
            Some(Holder { who: format!("{who}, which {what} ({error})"), is_daemon })
        }
    }
}

fn removed(path: &Path, deadline: Instant) -> bool {
    loop {
        if is_dead(path) {
            return remove_dead(path).is_some();
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes a dead socket under the lock that starters hold: without it, a daemon that
/// bound the path since it was looked at would lose its socket.
fn remove_dead(path: &Path) -> Option<()> {
    let (dir, uid) = (path.parent()?, peer::own_uid());
    let _lock = dirs::lock(&[(dir, dirs::place(dir, uid).ok()?)], uid).ok()?;
    if is_dead(path) { fs::remove_file(path).ok() } else { None }
}

fn is_daemon_socket(path: &Path) -> bool {
    let named =
        path.file_name().and_then(|name| name.to_str()).and_then(paths::parse_name).is_some();
    named && is_ours(path)
}

fn is_ours(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_socket() && m.uid() == peer::own_uid())
}
