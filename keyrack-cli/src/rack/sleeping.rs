//! The process trees that were given a capability, as this device remembers them. A daemon
//! ends when it holds nothing any more; a tree that lives on is granted to again by its id.
//! Only a relock ends it.

use std::cmp::Reverse;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use keyrack_manifest::atomic;
use keyrack_names::Owner;
use keyrack_protocol::CapabilityId;
use keyrack_protocol::keys::Key;
use keyrack_protocol::message::{Registration, Rights, Scope};
use serde::{Deserialize, Serialize};

use crate::rack::daemon::Rack;
use crate::rack::whereabouts::boot;
use crate::settings::Settings;

/// So many are remembered for an owner, the newest.
const MOST: usize = 32;
const LARGEST: u64 = 4096;

/// One tree. Its key is veiled: only who opens the manifest can show it.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// Key rings do not outlive it.
    boot: String,
    label: String,
    scope: Scope,
    veiled: Key,
}

/// Remembers whom a capability was given to. Best effort, and not synced: what is lost by a
/// crash is lost with the tree.
pub fn remember(settings: &Settings, rack: &Rack, given: &Registration) {
    let Some(key) = given.key.as_ref().filter(|_| given.rights == Rights::TREE) else { return };
    let tree = Remembered {
        boot: boot(),
        label: given.label.clone(),
        scope: given.scope,
        veiled: rack.secret.veil(&given.id, key),
    };
    let dir = dir(settings, &rack.owner);
    let path = dir.join(format!("{}.json", given.id));
    let Ok(bytes) = serde_json::to_vec(&tree) else { return };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    if atomic::make_dir(&dir).is_ok()
        && let Ok(mut file) = options.open(path)
    {
        let _ = file.write_all(&bytes);
    }
    let mut all = files(&dir);
    all.sort_by_key(|path| Reverse(age_of(path)));
    all.iter().skip(MOST).for_each(|old| drop(fs::remove_file(old)));
}

/// Forgets them all: a relock ends every capability.
pub fn forget(settings: &Settings, owner: &Owner) {
    let _ = fs::remove_dir_all(dir(settings, owner));
}

/// The trees of `owner` whose first process lives: id, label and scope.
pub fn list(settings: &Settings, owner: &Owner) -> Vec<(CapabilityId, String, Scope)> {
    let trees = files(&dir(settings, owner)).into_iter().filter_map(|path| read(&path));
    let living = trees.filter(|(_, tree)| first_process(&tree.label).is_some_and(lives));
    living.map(|(id, tree)| (id, tree.label, tree.scope)).collect()
}

/// The one tree whose id begins with `id`, ready to be told to a new daemon.
pub fn find(settings: &Settings, rack: &Rack, id: &str) -> Option<Registration> {
    let trees = files(&dir(settings, &rack.owner)).into_iter().filter_map(|path| read(&path));
    let mut fitting = trees.filter(|(found, _)| found.to_string().starts_with(id));
    let (id, tree) = fitting.next().filter(|_| fitting.next().is_none())?;
    let key = Some(rack.secret.veil(&id, &tree.veiled));
    Some(Registration { id, key, rights: Rights::TREE, label: tree.label, scope: tree.scope })
}

fn read(path: &Path) -> Option<(CapabilityId, Remembered)> {
    let id = path.file_stem()?.to_str()?.parse().ok()?;
    let bytes = atomic::read_limited(path, LARGEST).ok()??;
    let tree: Remembered = serde_json::from_slice(&bytes).ok()?;
    (tree.boot == boot()).then_some((id, tree))
}

/// `bash (pid 4711)` says which process is its first.
fn first_process(label: &str) -> Option<i32> {
    label.rsplit_once("(pid ")?.1.strip_suffix(')')?.parse().ok()
}

fn lives(pid: i32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn age_of(path: &Path) -> SystemTime {
    path.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn dir(settings: &Settings, owner: &Owner) -> PathBuf {
    settings.places.state.join("trees").join(owner.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_is_read_from_the_label() {
        assert_eq!(first_process("bash (pid 4711)"), Some(4711));
        assert_eq!(first_process("odd (pid 1) (pid 22)"), Some(22));
        for other in ["login session", "bash (pid x)", "bash (pid 1) and more", ""] {
            assert_eq!(first_process(other), None);
        }
        assert!(lives(1) && !lives(i32::MAX));
    }
}
