//! In which directories an owner's daemon was started to listen, as this device remembers
//! it: a caller with a `/tmp` of its own finds no daemon, and is not told that there is none.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use keyrack_manifest::atomic;
use keyrack_names::Owner;
use serde::{Deserialize, Serialize};

use crate::error::{Code, Failure};
use crate::settings::Settings;

#[derive(Debug, Serialize, Deserialize)]
struct Whereabouts {
    /// Directories have other numbers after the next boot.
    boot: String,
    /// For each socket its directory, and those above it.
    dirs: Vec<Vec<Dir>>,
}

/// A directory by its path, and by what it is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Dir {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Dir {
    fn look(path: &Path) -> Option<Self> {
        let found = path.metadata().ok()?;
        Some(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }

    fn look_up_from(socket: &Path) -> Vec<Self> {
        socket.ancestors().skip(1).filter_map(Self::look).collect()
    }
}

/// Whether something else is there now. A directory that was removed says nothing; the one
/// above it does.
fn is_another(dirs: &[Dir]) -> bool {
    let now = dirs.iter().find_map(|seen| Some((seen, Dir::look(&seen.path)?)));
    now.is_some_and(|(seen, now)| now != *seen)
}

/// Remembers where the daemon that was just started listens. Best effort.
pub fn remember(settings: &Settings, owner: &Owner, sockets: &[PathBuf]) {
    let dirs = sockets.iter().map(|socket| Dir::look_up_from(socket)).collect();
    if let Ok(bytes) = serde_json::to_vec(&Whereabouts { boot: boot(), dirs }) {
        let _ = atomic::replace(&file(settings, owner), &bytes);
    }
}

/// Forgets it: the daemon is gone.
pub fn forget(settings: &Settings, owner: &Owner) {
    let _ = fs::remove_file(file(settings, owner));
}

/// Why no daemon is found although one may live, if that is so: it listens in directories
/// that this process does not see.
pub fn out_of_sight(settings: &Settings, owner: &Owner) -> Option<Failure> {
    let bytes = atomic::read_limited(&file(settings, owner), 64 * 1024).ok()??;
    let seen: Whereabouts = serde_json::from_slice(&bytes).ok()?;
    let first = seen.dirs.first()?.first().filter(|_| seen.boot == boot())?;
    if !seen.dirs.iter().all(|dirs| is_another(dirs)) {
        return None;
    }
    let dir = first.path.display();
    let message = format!("{owner}: its daemon was started in another {dir} than this process has");
    Some(Failure::new(Code::Blocked, message).hint(format!(
        "share {dir} with it (systemd: PrivateTmp=no), or keyrack unlock --for {owner} inside"
    )))
}

fn file(settings: &Settings, owner: &Owner) -> PathBuf {
    settings.places.state.join("daemons").join(format!("{owner}.json"))
}

/// This boot's own number.
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_directory_is_told_from_one_that_was_removed() {
        let home = tempfile::tempdir().expect("a directory");
        let run = home.path().join("run");
        fs::create_dir(&run).expect("our directory");
        let seen = Dir::look_up_from(&run.join("a.sock"));
        assert!(!is_another(&seen));
        fs::remove_dir(&run).expect("our directory");
        assert!(!is_another(&seen), "the one above is the same");
        // Its inode may be used again, so the one that was seen stays beside.
        fs::create_dir(&run).expect("our directory");
        let seen = Dir::look_up_from(&run.join("a.sock"));
        fs::rename(&run, home.path().join("away")).expect("our directory");
        fs::create_dir(&run).expect("our directory");
        assert!(is_another(&seen));
        assert!(!is_another(&[]));
    }
}
