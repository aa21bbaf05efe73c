//! A sandbox: a home of its own with real SSH keys, sockets of its own, the real binaries
//! on PATH, and nothing of the caller's environment. When it ends, so does every daemon
//! that was started in it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::script::Script;
use crate::{Finished, Terminal, binaries, daemons};

/// What is installed side by side.
pub(crate) const PROGRAMS: &[&str] = &["keyrack", "keyrackd", "keyrack-yubikey"];

/// A throwaway home with the real binaries.
#[derive(Debug)]
pub struct Rack {
    // Dropped last: the daemons' sockets lie in it.
    root: TempDir,
    uid: Option<u32>,
    env: Vec<(String, String)>,
}

/// What kind of SSH key to make.
#[derive(Debug, Clone, Copy)]
pub enum KeyType {
    /// `ssh-ed25519`
    Ed25519,
    /// `ssh-rsa`, 3072 bits
    Rsa,
    /// `ecdsa-sha2-nistp256`, which age cannot use
    Ecdsa,
}

impl Default for Rack {
    fn default() -> Self {
        Self::new()
    }
}

impl Rack {
    /// An empty home, and a private directory for sockets.
    pub fn new() -> Self {
        Self::make(None, Path::new("/tmp"))
    }

    /// The same for another user. Root only.
    pub fn of_user(uid: u32) -> Self {
        Self::make(Some(uid), Path::new("/tmp"))
    }

    /// An ordinary user's, whoever runs the tests: for root, of a user that exists only as
    /// a number, and no other test has.
    pub fn ordinary() -> Self {
        Self::make(ordinary_uid(), Path::new("/tmp"))
    }

    /// The same where homes usually are, and not in `/tmp`: what hides `/tmp` does not hide
    /// this.
    pub fn ordinary_at_home() -> Self {
        match ordinary_uid() {
            Some(uid) => Self::make(Some(uid), Path::new("/var/lib")),
            None => Self::make(None, &binaries::target()),
        }
    }

    /// Root's own, where homes usually are.
    pub fn of_root_at_home() -> Self {
        Self::make(None, Path::new("/var/lib"))
    }

    fn make(uid: Option<u32>, within: &Path) -> Self {
        // Short, because a socket's path ends at 108 bytes.
        let root = tempfile::Builder::new().prefix("kr-").tempdir_in(within).expect("a sandbox");
        let sockets = root.path().join("run").display().to_string();
        let rack = Self { root, uid, env: vec![("KEYRACK_SOCKET_DIR".into(), sockets)] };
        rack.install();
        for dir in ["home", "home/.ssh", "run", "work"] {
            let dir = rack.path(dir);
            fs::create_dir(&dir).expect("a fresh directory");
            fs::set_permissions(&dir, Permissions::from_mode(0o700)).expect("our directory");
        }
        if let Some(uid) = uid {
            let all = ["", "home", "home/.ssh", "run", "work"].map(|dir| rack.path(dir));
            for dir in all {
                std::os::unix::fs::chown(dir, Some(uid), Some(uid)).expect("root may");
            }
        }
        rack
    }

    /// Another user may not be able to reach the build directory; and `doctor --fix` changes
    /// how the daemon's program is installed.
    fn install(&self) {
        let bin = self.path("bin");
        fs::create_dir(&bin).expect("a fresh directory");
        for name in PROGRAMS {
            let (built, here) = (binaries::dir().join(name), bin.join(name));
            // A link has the mode of what is shared with every other rack.
            let linked = if *name == "keyrackd" {
                Err(())
            } else {
                fs::hard_link(&built, &here).map_err(drop)
            };
            if linked.is_err() {
                fs::copy(&built, &here).expect("the binary");
            }
        }
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(bin.join("keyrackd"), open).expect("our file");
    }

    /// Sets a variable for everything that runs in this rack.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Listens where a user's daemons do, in `/tmp`, instead of a directory of its own.
    #[must_use]
    pub fn with_real_sockets(mut self) -> Self {
        self.env.retain(|(name, _)| name != "KEYRACK_SOCKET_DIR");
        self
    }

    /// The sandbox.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path in the sandbox.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// The user's home directory.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Where manifests are.
    pub fn data(&self) -> PathBuf {
        self.path("home/.local/share/keyrack")
    }

    /// What this device remembers.
    pub fn state(&self) -> PathBuf {
        self.path("home/.local/state/keyrack")
    }

    /// `host.<owner>.yml.age`
    pub fn manifest(&self, owner: &str) -> PathBuf {
        self.data().join(format!("host.{owner}.yml.age"))
    }

    /// The first socket `owner`'s daemon listens on, where the rack has its own directory.
    pub fn socket(&self, owner: &str) -> PathBuf {
        self.path(&format!("run/keyrack-daemon.{owner}.sock"))
    }

    /// Makes `~/.ssh/id_ed25519_<owner>`, or for `human` the default key.
    pub fn key(&self, owner: &str) -> PathBuf {
        let name =
            if owner == "human" { "id_ed25519".into() } else { format!("id_ed25519_{owner}") };
        self.make_key(&name, KeyType::Ed25519, "")
    }

    /// Makes `~/.ssh/<name>` with `ssh-keygen`.
    pub fn make_key(&self, name: &str, kind: KeyType, passphrase: &str) -> PathBuf {
        let path = self.home().join(".ssh").join(name);
        let kind: &[&str] = match kind {
            KeyType::Ed25519 => &["-t", "ed25519"],
            KeyType::Rsa => &["-t", "rsa", "-b", "3072"],
            KeyType::Ecdsa => &["-t", "ecdsa"],
        };
        // Not as the rack's user: ssh-keygen does not serve one without a name.
        let made = Command::new("ssh-keygen")
            .args(["-q", "-C", name, "-N", passphrase])
            .args(kind)
            .arg("-f")
            .arg(&path)
            .status();
        assert!(made.is_ok_and(|s| s.success()), "ssh-keygen could not make {}", path.display());
        for file in [&path, &path.with_extension("pub")] {
            self.hand_over(file);
        }
        path
    }

    /// Gives a file to the rack's user.
    pub fn hand_over(&self, path: &Path) {
        if self.uid.is_some() {
            std::os::unix::fs::chown(path, self.uid, self.uid).expect("root may");
        }
    }

    /// The rack's user, where that is not the one who runs the test.
    pub fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// Writes a file into the sandbox, with its directories.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("our sandbox");
        fs::write(&path, content).expect("our sandbox");
        path
    }

    /// A bash script in the working directory `work`.
    pub fn script(&self, text: &str) -> Script<'_> {
        Script::new(self, text)
    }

    /// Runs a bash script with an empty stdin.
    #[track_caller]
    pub fn sh(&self, text: &str) -> Finished {
        self.script(text).run()
    }

    /// Runs `command` in so many processes at once, each with its number as `$i`; fails
    /// unless all succeed.
    #[track_caller]
    pub fn parallel(&self, count: usize, command: &str) -> Finished {
        self.sh(&format!(
            "for i in $(seq {count}); do {command} & pids+=($!); done
             for pid in \"${{pids[@]}}\"; do wait $pid || exit 1; done"
        ))
    }

    /// Runs a bash script on a terminal.
    pub fn terminal(&self, text: &str) -> Terminal {
        Terminal::new(self.command("setsid"), text)
    }

    /// A command with the rack's environment and nothing of the caller's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.uid {
            Some(uid) => {
                let mut setpriv = Command::new("setpriv");
                setpriv.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}"));
                setpriv.args(["--clear-groups", "--inh-caps=-all"]).arg(program.as_ref());
                setpriv
            }
            None => Command::new(program),
        };
        command.env_clear().current_dir(self.path("work"));
        command.env("PATH", self.search_path()).env("HOME", self.home());
        command.env("LANG", "C.UTF-8").env("TERM", "xterm").envs(self.env.iter().cloned());
        command
    }

    /// The pids of the daemons that listen in this rack.
    pub fn daemons(&self) -> Vec<i32> {
        daemons::listening(|path| path.starts_with(self.root()))
    }

    /// Asserts that no daemon listens in this rack, or does not in a moment.
    #[track_caller]
    pub fn no_daemon(&self) {
        // A look at the kernel's list: a connection would keep an idle daemon awake.
        let left = || daemons::sockets(|path| path.starts_with(self.root()));
        daemons::until(|| left().is_empty());
        assert!(left().is_empty(), "{:?} are still listened on", left());
    }

    fn search_path(&self) -> std::ffi::OsString {
        let dirs = std::iter::once(self.path("bin")).chain(path_dirs());
        std::env::join_paths(dirs).expect("directories without colons")
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        let left = daemons::kill(|path| path.starts_with(self.root()));
        let strays = daemons::mentioning(self.root());
        if !std::thread::panicking() {
            assert!(left.is_empty(), "daemons {left:?} outlived their rack");
            assert!(strays.is_empty(), "processes outlived their rack: {strays:?}");
        }
    }
}

/// A uid of this test's own, where it can be had.
fn ordinary_uid() -> Option<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() % 20_000 * 50 + NEXT.fetch_add(1, Ordering::Relaxed);
    crate::skip::is_root().then_some(200_000 + number)
}

/// Where programs are looked up: what `tests/run` built, then the system's before anything
/// that depends on a home directory.
pub(crate) fn path_dirs() -> Vec<PathBuf> {
    let mut dirs = vec![binaries::target().join("tools/bin")];
    dirs.extend(["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    dirs
}
