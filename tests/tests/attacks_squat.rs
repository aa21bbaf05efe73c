//! Another user who puts something where a daemon would listen, before it does: a socket
//! that lives or is dead, a file, a directory, a fifo, links. The daemon serves on its other
//! path and says who holds the first; nothing is ever said to the squatter.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keyrack_tests::{Finished, Rack, binaries, daemons, need};

const KINDS: &[&str] = &[
    "live",
    "dead",
    "file",
    "directory",
    "fifo",
    "link_to_file",
    "link_to_socket",
    "dangling_link",
    "hard_link",
];

/// `tests/attackers/squat.py` as another ordinary user, until dropped.
struct Squatter {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Squatter {
    fn on(path: &Path, kind: &str, uid: u32) -> Self {
        let program = binaries::repository().join("tests/attackers/squat.py");
        let text = std::fs::read_to_string(program).expect("it is there");
        // Not by its path: another user may not be able to read it there.
        let mut child = Command::new("setpriv")
            .args([&format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups"])
            .args(["--inh-caps=-all", "python3", "-c", &text, kind])
            .arg(path)
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv runs");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it speaks");
        assert_eq!(line, "ready\n", "{kind} cannot be put there");
        Self { child, said }
    }

    /// Ends it, and gives what it was told.
    fn heard(mut self) -> String {
        drop(self.child.stdin.take());
        let mut heard = String::new();
        self.said.read_to_string(&mut heard).expect("it speaks");
        assert!(self.child.wait().expect("our child").success());
        heard
    }
}

/// An ordinary user's owner, whose daemon listens where daemons do.
struct Scene {
    rack: Rack,
    owner: String,
}

impl Scene {
    fn new() -> Self {
        let rack = Rack::ordinary().with_real_sockets();
        let owner = format!("kr-squat-{}", rack.uid().expect("root made one"));
        rack.key(&owner);
        let make =
            "keyrack init --for OWNER; printf the-value | keyrack set --for OWNER --key TOKEN";
        rack.sh(&make.replace("OWNER", &owner)).ok();
        Self { rack, owner }
    }

    fn run(&self, script: &str) -> Finished {
        self.rack.sh(&script.replace("OWNER", &self.owner))
    }

    fn first(&self) -> PathBuf {
        format!("/tmp/keyrack-daemon.{}.sock", self.owner).into()
    }

    fn fallback(&self) -> PathBuf {
        format!("/tmp/keyrack-{}", self.rack.uid().expect("root made one")).into()
    }

    fn squatter(&self) -> u32 {
        self.rack.uid().expect("root made one") + 20_000_000
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let (first, fallback) = (self.first(), self.fallback());
        daemons::kill(|path| path == first || path.starts_with(&fallback));
        let _ = std::fs::remove_file(first);
        let _ = std::fs::remove_dir_all(fallback);
    }
}

const GET: &str = "keyrack get --for OWNER --key TOKEN";

#[test]
fn whatever_another_user_puts_there_is_stepped_around_and_told_nothing() {
    need!(root);
    need!("python3");
    let scene = Scene::new();
    for kind in KINDS {
        let squatter = Squatter::on(&scene.first(), kind, scene.squatter());
        let before = scene.first().symlink_metadata().expect("it is there");
        let unlock = scene.run("keyrack unlock --quiet --for OWNER");
        assert!(
            unlock.ok().errors().contains(&format!("uid {}", scene.squatter())),
            "{kind}: who holds the path is said\n{unlock}"
        );
        scene.run(GET).ok().bytes(b"the-value");
        scene
            .run("env -i HOME=$HOME PATH=$PATH keyrack get --for OWNER --key TOKEN")
            .ok()
            .bytes(b"the-value");
        let status = scene.run("keyrack status --for OWNER; keyrack doctor --for OWNER");
        assert!(
            status.text().contains(&format!("is held by uid {}", scene.squatter())),
            "{kind}\n{status}"
        );
        scene.run("keyrack relock --for OWNER").ok();
        scene.run(GET).code(3);
        // And it was left alone.
        use std::os::unix::fs::MetadataExt as _;
        let after = scene.first().symlink_metadata().expect("it is there still");
        assert_eq!((before.ino(), before.uid()), (after.ino(), after.uid()), "{kind}");
        assert_eq!(squatter.heard(), "", "{kind}");
    }
}

#[test]
fn a_private_directory_that_another_user_made_first_is_not_used() {
    need!(root);
    need!("python3");
    let scene = Scene::new();
    let squatter = Squatter::on(&scene.fallback(), "directory", scene.squatter());
    scene.run("keyrack unlock --quiet --for OWNER").ok();
    scene.run(GET).ok().bytes(b"the-value");
    assert_eq!(std::fs::read_dir(scene.fallback()).expect("it is there").count(), 0);
    scene.run("keyrack relock --for OWNER").ok();
    assert_eq!(squatter.heard(), "");
}

/// There is a place in the home, which nobody else can hold.
#[test]
fn holding_every_path_in_tmp_keeps_no_daemon_from_starting() {
    need!(root);
    need!("python3");
    let scene = Scene::new();
    let squatters = [(scene.first(), "live"), (scene.fallback(), "directory")]
        .map(|(path, kind)| Squatter::on(&path, kind, scene.squatter()));
    scene
        .rack
        .parallel(5, &format!("keyrack unlock --quiet --for {} 2>/dev/null", scene.owner))
        .ok();
    scene.run(GET).ok().bytes(b"the-value");
    scene
        .run("env -i HOME=$HOME PATH=$PATH keyrack get --for OWNER --key TOKEN")
        .ok()
        .bytes(b"the-value");
    let list = scene.run("keyrack daemon list");
    let own = scene.rack.state().join("run").display().to_string();
    assert!(list.text().contains(&own) && list.text().lines().count() == 1, "{list}");
    scene.run("keyrack relock --for OWNER").ok();
    scene.run(GET).code(3).bytes(b"");
    for squatter in squatters {
        assert_eq!(squatter.heard(), "");
    }
}

/// In a directory that everybody may write to, nobody else says which org's credentials are
/// meant.
#[test]
fn a_project_file_that_another_user_put_above_is_passed_over() {
    need!(root);
    need!("python3");
    use std::os::unix::fs::PermissionsExt as _;
    let scene = Scene::new();
    let shared = tempfile::Builder::new().prefix("kr-").tempdir_in("/tmp").expect("a directory");
    let open = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(&shared, open).expect("ours");
    let file = shared.path().join("keyrack.yml");
    let squatter = Squatter::on(&file, "project", scene.squatter());
    let script = format!(
        "mkdir {0}/work; cd {0}/work; printf x | keyrack set --quiet --for OWNER --key NEW; keyrack list --for OWNER; \
         keyrack fill --for OWNER </dev/null",
        shared.path().display()
    );
    let done = scene.run(&script);
    assert!(done.text().contains("@all.all.NEW") && !done.text().contains("evil"), "{done}");
    assert!(!done.errors().contains("PLANTED"), "{done}");
    assert_eq!(squatter.heard(), "");
    // One's own counts there, and so does another's in a directory that is not everybody's.
    scene.run(&format!("cd {0}/work; echo 'org: mine' >../keyrack.yml; printf x | keyrack set --quiet --for OWNER --key NEW; keyrack list --for OWNER | grep -c mine.all.NEW", shared.path().display())).ok().stdout("1\n");
}
