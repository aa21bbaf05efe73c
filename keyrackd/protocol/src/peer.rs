//! Who is at the other end of a socket, as the kernel says.
//!
//! The uid decides who is served. All else here is a label, for the log and for `status`.

use std::cell::OnceCell;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::time::TimeSpec;
use nix::unistd::{Pid, getsid};

/// The process that connected or that bound the socket, at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user id.
    pub uid: u32,
    /// Its process id.
    pub pid: i32,
}

/// Asks the kernel (`SO_PEERCRED`) who is at the other end.
///
/// # Errors
/// When the socket is not a Unix socket.
pub fn of(socket: &impl AsFd) -> nix::Result<Peer> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
    Ok(Peer { uid: credentials.uid(), pid: credentials.pid() })
}

/// Our own effective user id.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// What has become of the process that connected. It may have handed the socket on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// The kernel does not say: it is older than Linux 6.5, or the session is not one of
    /// our pid namespace.
    Unknown,
    /// It lives, and this is its session: the pid of the session's first process.
    Session(i32),
    /// It has ended. Its pid may be another process's by now.
    Exited,
}

impl Life {
    /// The session of a process that lives.
    pub fn session(self) -> Option<i32> {
        match self {
            Self::Session(session) => Some(session),
            Self::Unknown | Self::Exited => None,
        }
    }
}

/// A peer at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The process that connected.
    pub peer: Peer,
    /// What had become of it.
    pub life: Life,
}

impl Seen {
    /// Looks what has become of `peer`, which connected to `socket`.
    pub fn now(socket: &impl AsFd, peer: Peer) -> Self {
        Followed::new(peer).now(socket)
    }

    /// This, and what the process says it is: `pid 4711, session 4700, who says: git`.
    pub fn and_says(&self, caller: &str) -> String {
        if caller.is_empty() { self.to_string() } else { format!("{self}, who says: {caller}") }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.peer.pid)?;
        match self.life {
            Life::Unknown => Ok(()),
            Life::Session(session) => write!(f, ", session {session}"),
            Life::Exited => f.write_str(" (exited)"),
        }
    }
}

/// A peer that is looked at again and again: its process is asked for once.
#[derive(Debug)]
pub struct Followed {
    peer: Peer,
    process: OnceCell<OwnedFd>,
}

impl Followed {
    /// Costs nothing before the first look.
    pub fn new(peer: Peer) -> Self {
        Self { peer, process: OnceCell::new() }
    }

    /// Looks what has become of the process that connected to `socket`, the same each time.
    pub fn now(&self, socket: &impl AsFd) -> Seen {
        // The session first: while the process lives, its pid is nobody else's. A pid of
        // 0 is one of a namespace that we do not see; to `getsid` it means ourselves.
        let pid = self.peer.pid;
        let session = if pid > 0 { getsid(Some(Pid::from_raw(pid))).ok() } else { None };
        let life = match (self.has_exited(socket), session) {
            (Some(true), _) => Life::Exited,
            (Some(false), Some(session)) if session.as_raw() > 0 => Life::Session(session.as_raw()),
            _ => Life::Unknown,
        };
        Seen { peer: self.peer, life }
    }

    /// Whether the process has ended; `None` where the kernel does not say.
    fn has_exited(&self, socket: &impl AsFd) -> Option<bool> {
        let process = match self.process.get() {
            Some(process) => process,
            None => match process(socket) {
                Ok(process) => self.process.get_or_init(|| process),
                // What older kernels say of a process that was waited for already.
                Err(Errno::ESRCH | Errno::EINVAL) => return Some(true),
                Err(_) => return None,
            },
        };
        ends_within(process, Duration::ZERO)
    }
}

/// The process at the other end, by a descriptor that stays its own when its pid is given
/// to another. Since Linux 6.5.
///
/// # Errors
/// When the kernel does not say, or the process was waited for already.
pub fn process(socket: &impl AsFd) -> nix::Result<OwnedFd> {
    getsockopt(socket, sockopt::PeerPidfd)
}

/// Whether a process has ended, or does so `within` that time; `None` where the kernel
/// does not say.
pub fn ends_within(process: &impl AsFd, within: Duration) -> Option<bool> {
    // A descriptor of a process can be read from when it ends. `ppoll`, for unlike `poll`
    // it is a system call on every architecture.
    let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    ppoll(&mut fds, Some(TimeSpec::from_duration(within)), None).ok().map(|ended| ended > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_in_words() {
        let seen = |life| Seen { peer: Peer { uid: 1000, pid: 4711 }, life };
        assert_eq!(seen(Life::Unknown).to_string(), "pid 4711");
        assert_eq!(seen(Life::Session(4700)).to_string(), "pid 4711, session 4700");
        assert_eq!(seen(Life::Exited).and_says(""), "pid 4711 (exited)");
        assert_eq!(
            seen(Life::Session(4700)).and_says("git"),
            "pid 4711, session 4700, who says: git"
        );
    }

    #[test]
    fn a_peer_of_another_namespace_has_no_session_of_ours() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = Peer { uid: own_uid(), pid: 0 };
        assert_eq!(Seen::now(&one, peer).life, Life::Unknown);
    }
}
