//! What a directory brings with it: links, modes, killed writers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keyrack_vault::{FileStore, VaultStore};
use tempfile::TempDir;

/// A directory whose group may write.
pub fn of_a_group() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o2770)).unwrap();
    dir
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_link_in_the_place_of_an_object_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::at(dir.path());
    store.create("chain/real", b"x").unwrap();
    symlink("real", dir.path().join("chain/linked")).unwrap();
    assert!(store.get("chain/linked", 10).unwrap_err().is_foreign());
    // Not followed, not replaced.
    assert!(!store.create("chain/linked", b"y").unwrap());
    symlink("nowhere", dir.path().join("chain/dangling")).unwrap();
    assert!(!store.create("chain/dangling", b"y").unwrap());
    assert!(!dir.path().join("chain/nowhere").exists());
}

#[test]
fn a_link_in_the_place_of_a_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("a"), "theirs").unwrap();
    symlink(elsewhere.path(), dir.path().join("chain")).unwrap();
    let store = FileStore::at(dir.path());
    assert!(store.get("chain/a", 10).unwrap_err().is_foreign());
    assert!(store.list("chain").unwrap_err().is_foreign());
    assert!(store.create("chain/b", b"b").unwrap_err().is_foreign());
    assert!(store.stage(&[("chain/b".to_owned(), b"b".to_vec())]).unwrap_err().is_foreign());
    assert!(store.remove("chain/a").unwrap_err().is_foreign());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
}

#[test]
fn a_fifo_is_refused_and_holds_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::at(dir.path());
    fs::create_dir(dir.path().join("chain")).unwrap();
    nix::unistd::mkfifo(&dir.path().join("chain/a"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(store.get("chain/a", 10).unwrap_err().is_foreign());
}

#[test]
fn files_are_for_whoever_the_directory_is_for() {
    let private = tempfile::tempdir().unwrap();
    let root = private.path().join("vault");
    let store = FileStore::at(&root);
    store.create("chain/a", b"a").unwrap();
    store.stage(&[("epochs/e/creds/b".to_owned(), b"b".to_vec())]).unwrap();
    assert_eq!((mode(&root), mode(&root.join("chain"))), (0o700, 0o700));
    assert_eq!((mode(&root.join("chain/a")), mode(&root.join("epochs/e/creds/b"))), (0o600, 0o600));

    let group = of_a_group();
    let store = FileStore::at(group.path());
    store.create("chain/a", b"a").unwrap();
    store.stage(&[("epochs/e/creds/b".to_owned(), b"b".to_vec())]).unwrap();
    let path = |name: &str| group.path().join(name);
    assert_eq!((mode(&path("chain")), mode(&path("epochs/e/creds"))), (0o2770, 0o2770));
    assert_eq!((mode(&path("chain/a")), mode(&path("epochs/e/creds/b"))), (0o660, 0o660));
}

#[test]
fn what_a_killed_writer_left_is_not_listed_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::at(dir.path());
    store.create("chain/a", b"a").unwrap();
    let left = dir.path().join("chain/.b~0011223344556677.tmp");
    fs::write(&left, "half").unwrap();
    assert_eq!(store.list("chain").unwrap(), ["a"]);
    // Somebody may be writing it now, for all that is known without the lock.
    store.create("chain/b", b"b").unwrap();
    assert!(left.exists());
    let held = store.lock().unwrap();
    store.create("chain/c", b"c").unwrap();
    assert!(!left.exists());
    drop(held);
}

#[test]
fn the_lock_keeps_another_store_of_the_same_directory_out() {
    let dir = tempfile::tempdir().unwrap();
    let (store, other) = (FileStore::at(dir.path()), FileStore::at(dir.path()));
    let held = store.lock().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let held = other.lock().unwrap();
            sender.send(()).unwrap();
            drop(held);
        });
        assert!(receiver.recv_timeout(Duration::from_millis(200)).is_err());
        drop(held);
        receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    });
}
