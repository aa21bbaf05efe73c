//! A real Unix user for one test, removed at its end with all that is its own. Root only.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::rack::PROGRAMS;
use crate::{binaries, daemons};

/// A user with a name, for whoever needs more than a number.
#[derive(Debug)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The home directory; it exists only with [`User::with_home`].
    pub home: PathBuf,
}

impl User {
    /// A user without a home.
    pub fn add(name: &str) -> Self {
        Self::make(name, "--no-create-home")
    }

    /// A user with a home in `/home`.
    pub fn with_home(name: &str) -> Self {
        Self::make(name, "--create-home")
    }

    fn make(name: &str, home: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("kr{}-{number}{name}", std::process::id());
        insist(|| run("useradd", &[home, "--shell", "/bin/bash", &name]));
        let id = run("id", &["-u", &name]);
        let uid = String::from_utf8_lossy(&id.stdout).trim().parse().expect("a user was added");
        let home = Path::new("/home").join(&name);
        Self { name, uid, home }
    }

    /// Where its daemons listen besides `/tmp`.
    pub fn fallback(&self) -> PathBuf {
        format!("/tmp/keyrack-{}", self.uid).into()
    }
}

/// Runs every test of this very program again as a user of its own, but the one that asks
/// for it: attackers and daemons are ordinary users' then. Root only.
#[track_caller]
pub fn all_again(but: &str) {
    let user = User::with_home("t");
    let dir = tempfile::Builder::new().prefix("kr-").tempdir_in("/tmp").expect("a directory");
    let open = |path: &Path| {
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own");
    };
    let copy = |from: &Path, to: &str| -> PathBuf {
        let to = dir.path().join(to);
        fs::create_dir_all(to.parent().expect("a file")).expect("our own");
        fs::copy(from, &to).expect("a program");
        open(&to);
        to
    };
    open(dir.path());
    // As deep as cargo puts it.
    let tests = copy(&std::env::current_exe().expect("it runs"), "target/debug/deps/tests");
    for name in PROGRAMS {
        copy(&binaries::dir().join(name), &format!("bin/{name}"));
    }
    let (uid, path) = (user.uid, std::env::join_paths(crate::rack::path_dirs()));
    let out = Command::new("setpriv")
        .args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"])
        .arg("--inh-caps=-all")
        .arg(tests)
        .args(["--skip", but, "--test-threads=2"])
        .env_clear()
        .env("PATH", path.expect("directories without colons"))
        .env("HOME", &user.home)
        .env("KEYRACK_TEST_BIN", dir.path().join("bin"))
        .current_dir(&user.home)
        .output()
        .expect("setpriv runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && said.contains("test result: ok"), "{said}");
}

impl Drop for User {
    fn drop(&mut self) {
        let of_user = |path: &Path| {
            use std::os::unix::fs::MetadataExt as _;
            path.starts_with(self.fallback()) || path.metadata().is_ok_and(|m| m.uid() == self.uid)
        };
        let left = daemons::kill(of_user);
        let _ = std::fs::remove_dir_all(self.fallback());
        insist(|| run("userdel", &["--remove", "--force", &self.name]));
        if !thread::panicking() {
            assert!(left.is_empty(), "daemons {left:?} outlived their user");
        }
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().expect("tests/run installs it")
}

/// Others may be adding and removing users at the same time.
fn insist(attempt: impl Fn() -> Output) {
    for _ in 0..50 {
        // userdel says 12 when there was no home to remove.
        if matches!(attempt().status.code(), Some(0 | 12)) {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
}
