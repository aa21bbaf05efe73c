//! Where a daemon listens: the path that everybody expects, and one that nobody else can
//! occupy. Twenty starters at once leave one daemon; a socket nobody serves any more is
//! taken over; anything else in the way is left alone and named.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use keyrack_protocol::client::{ClientError, Session, Target};
use keyrack_protocol::dirs::{self, Place};
use keyrack_protocol::message::Refusal;
use keyrack_protocol::paths::SocketDirs;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};

/// How many callers may wait to be accepted.
const BACKLOG: i32 = 1024;

/// What came of it.
pub(crate) enum Bound {
    /// Ours, with what a person should know.
    Listening { sockets: Vec<Socket>, notes: Vec<String> },
    /// Another daemon of this rack lives there.
    AlreadyRunning(PathBuf),
}

/// A socket that is ours.
pub(crate) struct Socket {
    pub(crate) path: PathBuf,
    pub(crate) listener: UnixListener,
}

/// There is nowhere to listen.
#[derive(Debug, thiserror::Error)]
#[error("there is nowhere to listen: {}", notes.join("; "))]
pub(crate) struct BindError {
    notes: Vec<String>,
}

/// What is at a path.
enum There {
    /// Nothing.
    Nothing,
    /// A socket of ours that nobody serves.
    Dead,
    /// A daemon of this owner and rack.
    Same,
    /// A daemon of another rack of this owner.
    OtherRack,
    /// Something that is not ours to touch.
    Taken(String),
}

/// Binds in each of `dirs`, best first, for the daemon that `target` names.
///
/// # Errors
/// When no path is free; the error says who holds them.
pub(crate) fn everywhere(dirs: &[PathBuf], target: &Target, uid: u32) -> Result<Bound, BindError> {
    let mut notes = Vec::new();
    let mut usable = Vec::new();
    for (index, dir) in dirs.iter().enumerate() {
        match dirs::place(dir, uid) {
            // Behind the first, a directory serves as the one nobody else can occupy.
            Ok(Place::Shared) if index > 0 => {
                notes.push(format!("{} is open to others", dir.display()));
            }
            Ok(place) => usable.push((dir.as_path(), place)),
            Err(why) => notes.push(why),
        }
    }
    let locks = match dirs::lock(&usable, uid) {
        Ok(locks) => locks,
        Err(why) => {
            notes.push(why);
            return Err(BindError { notes });
        }
    };
    // From here on nobody else starts. First look everywhere: what lives on any path lives.
    let mut plans = Vec::new();
    for (dir, _) in usable {
        let names = SocketDirs::only(dir).sockets(&target.owner, &target.rack);
        let mut seen = Vec::new();
        for path in names {
            let there = look(&path, target, uid);
            if matches!(there, There::Same) {
                return Ok(Bound::AlreadyRunning(path));
            }
            seen.push((path, there));
        }
        plans.push(seen);
    }
    let sockets: Vec<Socket> =
        plans.into_iter().filter_map(|seen| bind_first(seen, &mut notes)).collect();
    drop(locks);
    if sockets.is_empty() {
        Err(BindError { notes })
    } else {
        Ok(Bound::Listening { sockets, notes })
    }
}

/// Binds to the plain path, or to the one with the rack's id where another rack of the
/// same owner holds the plain one.
fn bind_first(seen: Vec<(PathBuf, There)>, notes: &mut Vec<String>) -> Option<Socket> {
    for (path, there) in seen {
        match there {
            There::Dead => {
                if let Err(e) = fs::remove_file(&path) {
                    notes.push(format!("{}: {e}", path.display()));
                    return None;
                }
            }
            There::Nothing => {}
            There::OtherRack => continue,
            There::Taken(why) => {
                notes.push(format!("{} {why}", path.display()));
                return None;
            }
            There::Same => return None,
        }
        return match listen_at(&path) {
            Ok(listener) => Some(Socket { path, listener }),
            Err(e) => {
                notes.push(format!("{}: {}", path.display(), e.desc()));
                None
            }
        };
    }
    None
}

/// Binds at the final path: a socket that was renamed into place is deleted by cleaners
/// of `/tmp` while it lives.
fn listen_at(path: &Path) -> Result<UnixListener, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // Before there is a path: 0600 with no window, whatever the umask.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(UnixListener::from(socket))
}

fn look(path: &Path, target: &Target, uid: u32) -> There {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return There::Nothing,
        Err(e) => return There::Taken(format!("cannot be looked at: {e}")),
    };
    if found.uid() != uid {
        return There::Taken(format!("is held by uid {}", found.uid()));
    }
    if !found.file_type().is_socket() {
        return There::Taken("is not a socket".to_owned());
    }
    // Only a daemon that holds the same key can answer: a socket that merely claims to be
    // ours is not taken for it.
    match Session::open(path, target) {
        Ok(_) => There::Same,
        Err(ClientError::NotRunning) => There::Dead,
        Err(ClientError::Refused { refusal, .. }) if refusal.code == Refusal::Rack => {
            There::OtherRack
        }
        Err(e) => There::Taken(format!("is held by another process of yours ({e})")),
    }
}
