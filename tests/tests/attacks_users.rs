//! Owners under a Unix user of their own: what root's command does as that user, and what
//! another user cannot do to it.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use keyrack_tests::{Finished, Rack, User, daemons, need};

/// Root's own rack, whose binaries every user can run, and an owner that lives elsewhere.
struct Scene {
    user: User,
    owner: String,
    root: Rack,
}

impl Scene {
    fn new() -> Self {
        let root = Rack::of_user(0);
        std::fs::set_permissions(root.root(), std::fs::Permissions::from_mode(0o755))
            .expect("ours");
        let user = User::with_home("o");
        let scene = Self { owner: format!("{}-bot", user.name), user, root };
        scene.run("init --for OWNER --user USER").ok();
        scene.run_with("printf value | ", "set --for OWNER --key TOKEN").ok();
        scene
    }

    fn line(&self, line: &str) -> String {
        line.replace("OWNER", &self.owner).replace("USER", &self.user.name)
    }

    /// A command of root's.
    fn run(&self, line: &str) -> Finished {
        self.run_with("", line)
    }

    fn run_with(&self, before: &str, line: &str) -> Finished {
        self.root.sh(&format!("{before}keyrack {}", self.line(line)))
    }

    fn manifest(&self) -> PathBuf {
        self.user.home.join(format!(".local/share/keyrack/host.{}.yml.age", self.owner))
    }

    fn key(&self) -> PathBuf {
        self.user.home.join(format!(".ssh/id_ed25519_{}", self.owner))
    }

    fn socket(&self) -> PathBuf {
        format!("/tmp/keyrack-daemon.{}.sock", self.owner).into()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.run("relock --for OWNER");
        let own = |path: &std::path::Path| path.to_string_lossy().contains(&self.owner);
        daemons::kill(own);
        let _ = std::fs::remove_file(self.socket());
    }
}

/// Runs a line of bash as another ordinary user; says what came of it.
fn as_another(user: &User, line: &str) -> (bool, String) {
    let out = Command::new("setpriv")
        .args([
            &format!("--reuid={}", user.uid),
            &format!("--regid={}", user.uid),
            "--clear-groups",
            "--inh-caps=-all",
        ])
        .args(["env", "-i", "PATH=/usr/bin:/bin", "bash", "-c", line])
        .output()
        .expect("setpriv runs");
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn all_that_is_the_owners_belongs_to_its_user() {
    need!(root);
    let scene = Scene::new();
    for file in [scene.manifest(), scene.key()] {
        let found = file.metadata().expect("it is there");
        assert_eq!(
            (found.uid(), found.mode() & 0o777),
            (scene.user.uid, 0o600),
            "{}",
            file.display()
        );
    }
    let unlocked = scene.run("unlock --for OWNER");
    assert!(!unlocked.ok().errors().contains("warning"), "root's shell needs none\n{unlocked}");
    let found = scene.socket().metadata().expect("it listens");
    assert_eq!((found.uid(), found.mode() & 0o777), (scene.user.uid, 0o600));
    let daemon = daemons::pid(&scene.socket()).expect("it lives");
    assert_eq!(
        PathBuf::from(format!("/proc/{daemon}")).metadata().expect("it lives").uid(),
        scene.user.uid
    );
    // And none of it is root's.
    assert!(!scene.root.manifest(&scene.owner).exists());
}

#[test]
fn a_program_runs_as_the_owners_user_with_nothing_of_roots() {
    need!(root);
    need!("keyctl");
    let scene = Scene::new();
    scene.root.key("human");
    let program = "id -un; id -Gn; echo $HOME $USER $OF_ROOT; printf \"$TOKEN \"; keyrack get --for $KEYRACK_FOR --key TOKEN; echo; \
        keyctl show @s | grep -c of-root; grep -E \"^Cap(Inh|Prm|Eff|Amb)\" /proc/self/status | sort -u -k2";
    scene.root.write("program.sh", program);
    let script = scene.line(
        "keyrack init; printf x | keyrack set --key K; keyrack unlock -q; keyctl add user of-root x @s >/dev/null; export OF_ROOT=x; cd /; \
         keyrack exec --quiet --for OWNER -- bash SCRIPT",
    );
    let path = scene.root.path("program.sh").display().to_string();
    let done = scene.root.sh(&script.replace("SCRIPT", &path));
    let (name, home) = (&scene.user.name, scene.user.home.display());
    done.ok().stdout(&format!(
        "{name}\n{name}\n{home} {name}\nvalue value\n0\nCapInh:\t0000000000000000\n"
    ));
}

#[test]
fn root_speaks_for_the_owner_with_every_command() {
    need!(root);
    let scene = Scene::new();
    assert!(scene.run("list --for OWNER").ok().text().contains("TOKEN"));
    scene.run("unlock --for OWNER").ok();
    scene.run("get --for OWNER --key TOKEN").ok().bytes(b"value");
    assert!(scene.run("status --for OWNER").ok().text().contains("L3"));
    // In a directory that the owner's user can enter.
    let program = format!(
        "cd {}; cd work; keyrack exec --quiet --for OWNER --isolate -- sh -c 'touch here; printf $TOKEN'",
        scene.user.home.display()
    );
    scene
        .root
        .sh(&scene.line(&format!(
            "setpriv --reuid={0} --regid={0} --clear-groups mkdir {1}/work; {program}",
            scene.user.uid,
            scene.user.home.display()
        )))
        .ok()
        .bytes(b"value");
    scene.run("relock --for OWNER").ok();
    scene.run("get --for OWNER --key TOKEN").code(3);
}

#[test]
fn another_user_reads_none_of_it() {
    need!(root);
    let scene = Scene::new();
    scene.run("unlock --for OWNER").ok();
    let other = User::add("x");
    for file in [scene.manifest(), scene.key()] {
        let (read, said) = as_another(&other, &format!("cat {}", file.display()));
        assert!(!read && said.contains("Permission denied"), "{said}");
    }
    let connect = format!(
        "python3 -c \"import socket; socket.socket(socket.AF_UNIX).connect('{}')\"",
        scene.socket().display()
    );
    let (connected, said) = as_another(&other, &connect);
    assert!(!connected && said.contains("Permission denied"), "{said}");
    let bin = scene.root.path("bin/keyrack");
    let (got, said) = as_another(
        &other,
        &format!("HOME=/nonexistent {} get --for {} --key TOKEN", bin.display(), scene.owner),
    );
    assert!(!got && !said.contains("value"), "{said}");
}

#[test]
fn another_user_touches_no_process_of_it() {
    need!(root);
    let scene = Scene::new();
    let script = scene.line(
        "keyrack exec --quiet --for OWNER -- sh -c 'echo $$ >/tmp/OWNER.pid; exec sleep 100'",
    );
    let running = scene.root.script(&script).start();
    let pid_file = format!("/tmp/{}.pid", scene.owner);
    daemons::until(|| std::fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')));
    let robot = std::fs::read_to_string(&pid_file).expect("it runs").trim().to_owned();
    std::fs::remove_file(&pid_file).expect("root may");
    let daemon = daemons::pid(&scene.socket()).expect("it lives").to_string();
    let other = User::add("x");
    for pid in [&robot, &daemon] {
        for attack in [
            format!("kill -TERM {pid}"),
            format!("cat /proc/{pid}/environ"),
            format!("cat /proc/{pid}/maps"),
            format!("ls -l /proc/{pid}/fd/0"),
        ] {
            let (worked, said) = as_another(&other, &attack);
            assert!(
                !worked && (said.contains("not permitted") || said.contains("denied")),
                "{attack}: {said}"
            );
        }
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(robot.parse().expect("a pid")),
        nix::sys::signal::Signal::SIGTERM,
    )
    .expect("root may");
    running.finish();
}

#[test]
fn another_user_types_into_no_terminal_of_it() {
    need!(root);
    need!("tmux");
    let scene = Scene::new();
    let (uid, home) = (scene.user.uid, scene.user.home.display());
    let own =
        format!("setpriv --reuid={uid} --regid={uid} --clear-groups env -i HOME={home} PATH=$PATH");
    let tmux = format!("tmux -f /dev/null -S {home}/terminal");
    scene.root.sh(&format!("cd /; {own} {tmux} new-session -d 'exec sleep 100'")).ok();
    let other = User::add("x");
    let (typed, said) = as_another(&other, &format!("{tmux} send-keys x"));
    assert!(!typed && said.contains("Permission denied"), "{said}");
    // Its own user may.
    scene.root.sh(&format!("cd /; {own} {tmux} send-keys x; {own} {tmux} kill-server")).ok();
}

#[test]
fn an_owner_moves_to_no_other_user_and_asking_again_is_no_error() {
    need!(root);
    let scene = Scene::new();
    scene.run("init --for OWNER --user USER").ok();
    scene.run("init --for OWNER").ok();
    let other = User::with_home("x");
    scene.run(&format!("init --for OWNER --user {}", other.name)).code(11);
    scene.run("init --for another --user root").code(2);
    scene.run("init --for another --user no-such-user-here").code(4);
    scene.run("init --for one --for two --user USER").code(2);
    // Under the same user, two owners are not apart any more, and that is said.
    scene.run("init --for OWNER.2 --user USER").ok();
    assert!(scene.run("status --for OWNER").text().contains("its Unix user has other owners, too"));
}

#[test]
fn only_root_makes_an_owner_for_another_user() {
    let rack = Rack::ordinary();
    let done = rack.sh("keyrack init --for bot --user daemon");
    done.code(5);
    assert!(!rack.manifest("bot").exists());
}

/// All programs of a login are one user's, whatever the owner is called.
#[test]
fn a_login_is_no_user_of_the_owners_own() {
    need!(root);
    let scene = Scene::new();
    let level = |done: Finished| {
        done.ok().json()["owners"][0]["level"]["name"].as_str().expect("a name").to_owned()
    };
    let as_itself = |line: &str| {
        let User { uid, home, .. } = &scene.user;
        scene.root.sh(&scene.line(&format!(
            "cd /; setpriv --reuid={uid} --regid={uid} --clear-groups --inh-caps=-all \
             env -i HOME={} PATH=$PATH keyrack {line}",
            home.display()
        )))
    };
    as_itself("init --for another --user USER").code(5);
    assert_eq!(level(scene.run("init --for OWNER --json")), "L3");
    // What root gave the one is not the next one's.
    scene.run("destroy --for OWNER --yes").ok();
    assert_eq!(level(as_itself("init --for OWNER --json")), "L0");
    as_itself("destroy --for OWNER --yes").ok();
    assert_eq!(level(scene.run("init --for OWNER --user USER --json")), "L3");
}

/// Of what is done for several at once, nothing is done here for one who lives elsewhere.
#[test]
fn who_lives_elsewhere_is_made_nowhere_else() {
    need!(root);
    let scene = Scene::new();
    scene.root.key("human");
    scene.run("init").ok();
    scene.root.write("work/agents.yml", scene.line("owners:\n  one: {}\n  OWNER: {}\n"));
    for line in [
        "init --for one --for OWNER",
        "unlock --for one --for OWNER",
        "init --from agents.yml",
        "copy --from human --to OWNER --key TOKEN",
        "copy --from OWNER --to human --key TOKEN",
    ] {
        let done = scene.run(line);
        let where_it_is = format!("{} lives under the user {}", scene.owner, scene.user.name);
        assert!(done.code(2).errors().contains(&where_it_is), "{done}");
    }
    assert!(!scene.root.manifest(&scene.owner).exists() && !scene.root.manifest("one").exists());
}

#[test]
fn destroyed_it_lives_nowhere() {
    need!(root);
    let scene = Scene::new();
    scene.run("destroy --for OWNER --yes").ok();
    assert!(!scene.manifest().exists());
    scene.run("list --for OWNER").code(4);
    assert!(
        scene.run("list --for OWNER").errors().contains(&scene.root.data().display().to_string()),
        "it is root's own to make now"
    );
}

/// Root is whoever it wants to be.
#[test]
fn reading_as_root_succeeds_by_design() {
    need!(root);
    let scene = Scene::new();
    let key = scene.key().display().to_string();
    let home = scene.user.home.join(".local/share/keyrack").display().to_string();
    let state = scene.user.home.join(".local/state/keyrack").display().to_string();
    let steal = format!(
        "KEYRACK_HOME={home} KEYRACK_STATE={state} keyrack get --unlock --quiet --for OWNER --key TOKEN --identity {key}"
    );
    let done = scene.root.sh(&scene.line(&steal));
    done.ok().bytes(b"value");
    scene
        .root
        .sh(&scene
            .line(&format!("KEYRACK_HOME={home} KEYRACK_STATE={state} keyrack relock --for OWNER")))
        .ok();
}
