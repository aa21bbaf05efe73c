//! What git brings with it: commits, remotes, and what others push.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use keyrack_vault::git::{GitError, Pushed, Repository};
use keyrack_vault::{FileStore, VaultStore};
use tempfile::TempDir;

fn git(dir: &Path, arguments: &[&str]) {
    let done = Command::new("git").arg("-C").arg(dir).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

const FIRST: &str = "chain/0000000000.link";
const SECOND: &str = "chain/0000000001.link";

/// A work tree of its own, with a vault below its top.
pub struct WorkTree {
    dir: TempDir,
    pub store: FileStore,
}

impl WorkTree {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet", "-b", "main"]);
        let store = FileStore::at(&dir.path().join("secrets/team"));
        Self { dir, store }
    }

    /// What was written is what a commit of it has, as far as it is a vault's.
    pub fn is_what_is_committed(&self) {
        self.store.create(FIRST, b"first\r\n").unwrap();
        let repository = Repository::of(self.store.dir(), false).unwrap().unwrap();
        assert!(!repository.is_whole());
        assert!(repository.commit_all("vault", "me").unwrap());
        let snapshot = repository.snapshot(&repository.head().unwrap()).unwrap();
        assert!(snapshot.objects().contains_key(FIRST));
        for (name, bytes) in snapshot.objects() {
            assert_eq!(self.store.get(&name, 2 << 20).unwrap(), Some(bytes), "{name}");
        }
        assert!(!repository.commit_all("again", "me").unwrap());
        assert!(self.dir.path().join(".git").is_dir());
    }
}

/// A bare repository and clones of it.
struct Hub(TempDir);

impl Hub {
    fn new() -> Self {
        let hub = Self(tempfile::tempdir().unwrap());
        git(hub.0.path(), &["init", "--quiet", "--bare", "-b", "main", "hub.git"]);
        hub
    }

    fn clone(&self, name: &str) -> (FileStore, Repository) {
        let dir = self.0.path().join(name);
        let url = self.0.path().join("hub.git").display().to_string();
        let repository = Repository::clone(&url, &dir, false).unwrap();
        (FileStore::at(&dir), repository)
    }
}

#[test]
fn what_one_pushes_another_has_after_a_look_at_it() {
    let hub = Hub::new();
    let (one, ours) = hub.clone("one");
    one.create(FIRST, b"first").unwrap();
    assert!(ours.commit_all("first", "me").unwrap());
    assert_eq!(ours.fetch("main").unwrap(), None);
    assert_eq!(ours.push("main").unwrap(), Pushed::Done);

    let (two, theirs) = hub.clone("two");
    assert_eq!(two.get(FIRST, 10).unwrap().unwrap(), b"first");
    two.create(SECOND, b"second").unwrap();
    theirs.commit_all("second", "me").unwrap();
    assert_eq!(theirs.push("main").unwrap(), Pushed::Done);

    // In memory, before a file of it is here.
    let news = ours.fetch("main").unwrap().unwrap();
    assert_eq!(ours.snapshot(&news).unwrap().get(SECOND, 10).unwrap().unwrap(), b"second");
    assert_eq!(one.get(SECOND, 10).unwrap(), None);
    assert!(ours.is_ancestor(&ours.head().unwrap(), &news));
    ours.fast_forward(&news).unwrap();
    assert_eq!(one.get(SECOND, 10).unwrap().unwrap(), b"second");
}

#[test]
fn who_pushes_later_is_told() {
    let hub = Hub::new();
    let ((one, ours), (two, theirs)) = (hub.clone("one"), hub.clone("two"));
    for (store, repository, what) in [(&one, &ours, FIRST), (&two, &theirs, SECOND)] {
        store.create(what, what.as_bytes()).unwrap();
        repository.commit_all(what, "me").unwrap();
    }
    assert_eq!(ours.push("main").unwrap(), Pushed::Done);
    assert_eq!(theirs.push("main").unwrap(), Pushed::Behind);
    let news = theirs.fetch("main").unwrap().unwrap();
    assert!(theirs.fast_forward(&news).is_err());
    theirs.become_of(&news).unwrap();
    assert_eq!(
        (two.get(FIRST, 99).unwrap(), two.get(SECOND, 99).unwrap()),
        (Some(FIRST.into()), None)
    );
}

#[test]
fn a_link_in_what_others_pushed_is_refused() {
    let hub = Hub::new();
    let (one, ours) = hub.clone("one");
    one.create(FIRST, b"first").unwrap();
    symlink("/etc/passwd", one.dir().join(SECOND)).unwrap();
    git(one.dir(), &["-c", "core.symlinks=true", "add", "-A"]);
    git(one.dir(), &["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x"]);
    let refused = ours.snapshot(&ours.head().unwrap()).unwrap_err();
    assert!(matches!(&refused, GitError::Foreign(what) if what.contains(SECOND)), "{refused}");
    // And a clone of it gets no link.
    ours.push("main").unwrap();
    let (two, _) = hub.clone("two");
    assert!(!two.dir().join(SECOND).symlink_metadata().unwrap().is_symlink());
}

#[test]
fn no_hook_of_the_repository_runs() {
    let hub = Hub::new();
    let (one, ours) = hub.clone("one");
    let ran = hub.0.path().join("ran");
    for hook in ["pre-commit", "post-commit", "pre-push", "post-merge", "post-checkout"] {
        let path = one.dir().join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    one.create(FIRST, b"first").unwrap();
    ours.commit_all("first", "me").unwrap();
    ours.push("main").unwrap();
    ours.become_of(&ours.head().unwrap()).unwrap();
    assert!(!ran.exists());
}

#[test]
fn what_is_never_shared_is_left_alone() {
    let hub = Hub::new();
    let (one, ours) = hub.clone("one");
    let exclude = one.dir().join(".git/info/exclude");
    std::fs::create_dir_all(exclude.parent().unwrap()).unwrap();
    std::fs::write(&exclude, b"caf\xe9/").unwrap();
    ours.configure("keyrack").unwrap();
    ours.configure("keyrack").unwrap();
    assert_eq!(std::fs::read(&exclude).unwrap(), b"caf\xe9/\n/audit/\n");
    one.create(FIRST, b"first").unwrap();
    one.create("audit/me/device.log", b"mine").unwrap();
    ours.commit_all("first", "me").unwrap();
    let names: Vec<String> =
        ours.snapshot(&ours.head().unwrap()).unwrap().objects().into_keys().collect();
    assert_eq!(names, [FIRST]);
    let attributes = std::fs::read_to_string(one.dir().join(".git/info/attributes")).unwrap();
    assert_eq!(attributes.matches("merge=keyrack").count(), 2);
}

#[test]
fn a_directory_without_git_is_no_work_tree() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Repository::of(dir.path(), false).unwrap().is_none());
    let gone = Repository::clone("/nowhere/at/all", &dir.path().join("x"), false).unwrap_err();
    assert!(gone.to_string().starts_with("git clone: fatal: "), "{gone}");
}
