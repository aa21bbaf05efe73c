//! Somebody between a command and its daemon: the live socket is moved away and another
//! listens in its place. Frames are passed on as they are, or changed.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use keyrack_protocol::frame;
use nix::sys::socket::{Shutdown, shutdown};

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The command.
    Command,
    /// The daemon.
    Daemon,
}

/// What becomes of a frame: who said it, the how manyth of theirs it is, and what it says.
pub type Change = dyn Fn(From, usize, Vec<u8>) -> Vec<Vec<u8>> + Send + Sync;

/// Who said what.
type Heard = Arc<Mutex<Vec<(From, Vec<u8>)>>>;

/// A relay. Dropped, it takes no further connections.
#[derive(Debug)]
pub struct Relay {
    heard: Heard,
    behind: PathBuf,
    listener: UnixListener,
}

impl Relay {
    /// Moves the daemon's socket away and takes its place.
    pub fn before(socket: &Path, change: Arc<Change>) -> Self {
        let behind = socket.with_extension("moved");
        fs::rename(socket, &behind).expect("our directory");
        Self::to(&behind, socket, change)
    }

    /// Listens on `socket` and leads to the one `behind`.
    pub fn to(behind: &Path, socket: &Path, change: Arc<Change>) -> Self {
        let listener = UnixListener::bind(socket).expect("a free path");
        let accepting = listener.try_clone().expect("a descriptor");
        let relay = Self { heard: Arc::default(), behind: behind.to_owned(), listener };
        let (heard, behind) = (Arc::clone(&relay.heard), behind.to_owned());
        thread::spawn(move || {
            while let Ok((command, _)) = accepting.accept() {
                let Ok(daemon) = UnixStream::connect(&behind) else { continue };
                for (from, to, who) in
                    [(&command, &daemon, From::Command), (&daemon, &command, From::Daemon)]
                {
                    let (from, to) = (copy(from), copy(to));
                    let (heard, change) = (Arc::clone(&heard), Arc::clone(&change));
                    thread::spawn(move || pass(from, to, who, &heard, &*change));
                }
            }
        });
        relay
    }

    /// Every frame, in the order it came.
    pub fn heard(&self) -> Vec<(From, Vec<u8>)> {
        self.heard.lock().expect("no panic while held").clone()
    }

    /// Where the daemon is now.
    pub fn behind(&self) -> &Path {
        &self.behind
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Who waits in accept is told.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
    }
}

/// Passes everything on as it is.
pub fn faithful() -> Arc<Change> {
    Arc::new(|_, _, frame| vec![frame])
}

fn copy(stream: &UnixStream) -> UnixStream {
    stream.try_clone().expect("a descriptor")
}

fn pass(mut from: UnixStream, mut to: UnixStream, who: From, heard: &Heard, change: &Change) {
    for n in 0.. {
        let Ok(said) = frame::read(&mut from) else { break };
        heard.lock().expect("no panic while held").push((who, said.to_vec()));
        for said in change(who, n, said.to_vec()) {
            let _ = frame::write(&mut to, &said);
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
