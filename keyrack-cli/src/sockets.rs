//! Sockets that daemons left: finding them, and removing the dead ones.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyrack_protocol::client::{self, ClientError};
use keyrack_protocol::message::{BareRequest, BareStatus};
use keyrack_protocol::{dirs, paths, peer};

use crate::settings::Settings;

/// A socket of this user with a daemon's name.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Who answers there; `None` when it is dead.
    pub status: Option<BareStatus>,
}

/// Every socket of ours in the socket directories, sorted by path.
pub fn find(settings: &Settings) -> Vec<Found> {
    let mut found: Vec<Found> = settings
        .sockets
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_daemon_socket(path))
        .map(|path| Found { status: client::bare(&path, BareRequest::Status).ok(), path })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Removes those of `paths` that are dead sockets of ours, giving a daemon that was just
/// told to end a moment to do so. Returns how many it removed.
pub fn sweep(paths: &[PathBuf]) -> usize {
    let deadline = Instant::now() + Duration::from_secs(2);
    paths.iter().filter(|path| is_ours(path)).filter(|path| removed(path, deadline)).count()
}

/// Who holds `path` that is no daemon: another user, another program, another kind of file.
pub fn stranger(path: &Path) -> Option<String> {
    let found = path.symlink_metadata().ok()?;
    if found.uid() != peer::own_uid() {
        return Some(format!("uid {}", found.uid()));
    }
    if !found.file_type().is_socket() {
        return Some("a file that is no socket".to_owned());
    }
    match client::bare(path, BareRequest::Status) {
        Ok(_) | Err(ClientError::NotRunning) => None,
        Err(error) => {
            let pid = UnixStream::connect(path)
                .ok()
                .and_then(|socket| peer::of(&socket).ok())
                .map(|peer| peer.pid);
            let who = pid.map(|pid| format!("pid {pid}")).unwrap_or_else(|| "a program".to_owned());
            Some(format!("{who}, which is no keyrack daemon ({error})"))
        }
    }
}

fn removed(path: &Path, deadline: Instant) -> bool {
    loop {
        match client::bare(path, BareRequest::Status) {
            Err(ClientError::NotRunning) => return remove_dead(path).is_some(),
            _ if Instant::now() >= deadline => return false,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Removes a dead socket under the lock that starters hold: without it, a daemon that
/// bound the path since it was looked at would lose its socket.
fn remove_dead(path: &Path) -> Option<()> {
    let (dir, uid) = (path.parent()?, peer::own_uid());
    let _lock = dirs::lock(&[(dir, dirs::place(dir, uid).ok()?)], uid).ok()?;
    match client::bare(path, BareRequest::Status) {
        Err(ClientError::NotRunning) => fs::remove_file(path).ok(),
        _ => None,
    }
}

fn is_daemon_socket(path: &Path) -> bool {
    let named =
        path.file_name().and_then(|name| name.to_str()).and_then(paths::parse_name).is_some();
    named && is_ours(path)
}

fn is_ours(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_socket() && m.uid() == peer::own_uid())
}
