//! Where a daemon listens: the path that everybody expects, and one that nobody else can
//! occupy. Twenty starters at once leave one daemon; a socket nobody serves any more is
//! taken over; anything else in the way is left alone and named.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyrack_protocol::client::{ClientError, Session, Target};
use keyrack_protocol::message::Refusal;
use keyrack_protocol::paths::SocketDirs;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};

/// How long another starter may take.
const LOCK_DEADLINE: Duration = Duration::from_secs(5);
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

/// Who may write into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// We alone may even look into it.
    Private,
    /// Others may look or put things into it, but not remove ours.
    Shared,
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
        match place(dir, uid) {
            // Behind the first, a directory serves as the one nobody else can occupy.
            Ok(Place::Shared) if index > 0 => {
                notes.push(format!("{} is open to others", dir.display()));
            }
            Ok(place) => usable.push((dir, place)),
            Err(why) => notes.push(why),
        }
    }
    let locks = match lock_all(&usable, uid) {
        Ok(locks) => locks,
        Err(why) => {
            notes.push(why);
            return Err(BindError { notes });
        }
    };
    // From here on nobody else starts. First look everywhere: what lives on any path lives.
    let mut plans = Vec::new();
    for (dir, _) in usable {
        let names = SocketDirs::new(Some(dir), None, uid).sockets(&target.owner, &target.rack);
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

/// Looks at a directory, makes it where it is missing.
fn place(dir: &Path, uid: u32) -> Result<Place, String> {
    let shown = dir.display();
    if let Err(e) = fs::DirBuilder::new().mode(0o700).create(dir)
        && e.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(format!("{shown}: {e}"));
    }
    let found = dir.symlink_metadata().map_err(|e| format!("{shown}: {e}"))?;
    let (owner, mode) = (found.uid(), found.mode());
    if !found.is_dir() {
        Err(format!("{shown} is not a directory"))
    } else if owner == uid && mode & 0o077 == 0 {
        Ok(Place::Private)
    } else if mode & 0o1002 == 0o1002 && (owner == 0 || owner == uid) {
        Ok(Place::Shared)
    } else if owner != uid {
        Err(format!("{shown} belongs to uid {owner}"))
    } else if mode & 0o022 == 0 {
        Ok(Place::Shared)
    } else {
        Err(format!("others may write into {shown}"))
    }
}

/// Locks every private directory we bind in, and for shared ones the user's own: so two
/// starters that would meet at a path meet at a lock, whatever their environments say.
fn lock_all(dirs: &[(&PathBuf, Place)], uid: u32) -> Result<Vec<Flock<File>>, String> {
    let mut wanted: Vec<PathBuf> = Vec::new();
    for (dir, kind) in dirs {
        wanted.push(match kind {
            Place::Private => (*dir).clone(),
            Place::Shared => own_dir(uid)?,
        });
    }
    // In one order for all, so that nobody waits for each other.
    wanted.sort();
    wanted.dedup();
    wanted.iter().map(|dir| lock(dir)).collect()
}

/// A directory of the user's own that every process of the user agrees on.
fn own_dir(uid: u32) -> Result<PathBuf, String> {
    let runtime = PathBuf::from(format!("/run/user/{uid}"));
    let has_runtime = runtime.symlink_metadata().is_ok_and(|found| found.uid() == uid);
    let dir = if has_runtime {
        runtime.join("keyrack")
    } else {
        PathBuf::from(format!("/tmp/keyrack-{uid}"))
    };
    match place(&dir, uid)? {
        Place::Private => Ok(dir),
        Place::Shared => {
            Err(format!("{} is open to others; it must have mode 0700", dir.display()))
        }
    }
}

/// The lock is on the directory itself: no lock file that a cleaner could delete.
fn lock(dir: &Path) -> Result<Flock<File>, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{} cannot be locked: {why}", dir.display());
    let end = Instant::now() + LOCK_DEADLINE;
    loop {
        let mut opened = File::options()
            .read(true)
            .custom_flags((nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_NOFOLLOW).bits())
            .open(dir)
            .map_err(|e| failed(&e))?;
        while Instant::now() < end {
            match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
                Ok(locked) if is_still(dir, &locked) => return Ok(locked),
                // It was replaced while we waited: lock the one that is there now.
                Ok(_) => break,
                Err((file, Errno::EWOULDBLOCK)) => opened = file,
                Err((_, e)) => return Err(failed(&e)),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if Instant::now() >= end {
            return Err(failed(&"another start is under way"));
        }
    }
}

fn is_still(dir: &Path, locked: &File) -> bool {
    let id = |found: &fs::Metadata| (found.dev(), found.ino());
    matches!((dir.symlink_metadata(), locked.metadata()), (Ok(a), Ok(b)) if id(&a) == id(&b))
}
