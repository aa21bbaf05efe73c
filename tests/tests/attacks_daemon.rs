//! At a daemon and a robot that live: from beside them, as their own user and as another.
//! Each attack of `tests/attackers` is first shown to work on a program that does nothing
//! about it, where this kernel lets it.

use std::process::{Command, Stdio};

use keyrack_tests::rack::KeyType;
use keyrack_tests::script::{Running, exit_code};
use keyrack_tests::skip::{Missing, skip};
use keyrack_tests::{Rack, binaries, daemons, need};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The status with which an attacker says that it got through.
const SUCCEEDED: i32 = 99;
const UNLOCK: &str =
    "KEYRACK_PASSPHRASE_FD=3 keyrack unlock --quiet --accept-drops --for bot 3<<<'open sesame'";

/// What leads into a process's memory, or tells what is in it.
const INTO_MEMORY: &[&str] = &[
    "open_only /proc/PID/mem",
    "open_only /proc/PID/task/PID/mem",
    "open_only /proc/PID/pagemap",
    "open_to_write /proc/PID/mem",
    "open_to_write /proc/PID/clear_refs",
    "read /proc/PID/environ",
    "read /proc/PID/maps",
    "read /proc/PID/smaps",
    "read /proc/PID/numa_maps",
    "read /proc/PID/auxv",
    "read /proc/PID/syscall",
    "read /proc/PID/io",
    "list /proc/PID/fd",
    "list /proc/PID/fdinfo",
    "list /proc/PID/map_files",
    "follow /proc/PID/exe",
    "follow /proc/PID/cwd",
    "follow /proc/PID/root",
    "trace PID",
    "attach PID",
    "vm_read PID",
    "vm_write PID",
    "take_descriptor PID",
    "compare_memory PID",
    "robust_list PID",
    "sample PID",
    "allow_core PID",
];

/// An ordinary user with an unlocked daemon, whose key needs a person; a robot of it that
/// was given the value in its environment; and a program that protects itself from nobody.
struct Scene {
    running: Vec<Running>,
    attacker: tempfile::TempDir,
    // Dropped last: the others run in it.
    rack: Rack,
}

impl Scene {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let rack = Rack::ordinary();
        rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
        rack.sh("keyrack init --for bot; printf the-value | keyrack set --for bot --key TOKEN; touch plain")
            .ok();
        let robot = format!(
            "{UNLOCK}; keyrack exec --quiet --for bot --key TOKEN -- sh -c 'echo $$ >robot; exec sleep 300'"
        );
        let running = vec![
            rack.script("echo $$ >plain; exec sleep 300").start(),
            rack.script(&robot).start(),
        ];
        // Any user may read the attacker itself.
        let attacker =
            tempfile::Builder::new().prefix("kr-").tempdir_in("/tmp").expect("a directory");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&attacker, open).expect("ours");
        let program = binaries::repository().join("tests/attackers/attack.py");
        std::fs::copy(program, attacker.path().join("attack.py")).expect("it is there");
        let scene = Self { running, attacker, rack };
        daemons::until(|| scene.pid("robot").is_some() && scene.pid("plain").is_some());
        scene
    }

    fn pid(&self, file: &str) -> Option<i32> {
        std::fs::read_to_string(self.rack.path("work").join(file)).ok()?.trim().parse().ok()
    }

    fn plain(&self) -> i32 {
        self.pid("plain").expect("it runs")
    }

    fn robot(&self) -> i32 {
        self.pid("robot").expect("it runs")
    }

    fn daemon(&self) -> i32 {
        self.rack.daemons()[0]
    }

    /// Another ordinary user, where there can be one.
    fn another(&self) -> Option<u32> {
        self.rack.uid().map(|uid| uid + 20_000_000)
    }

    /// The attack as `uid`, else as the rack's own user; its status and what it said.
    fn attack(&self, uid: Option<u32>, attack: &str, pid: i32) -> (i32, String) {
        let attack = attack.replace("PID", &pid.to_string());
        let program = self.attacker.path().join("attack.py");
        let mut command = match uid {
            None => self.rack.command("python3"),
            Some(uid) => {
                let mut setpriv = Command::new("setpriv");
                setpriv.args([&format!("--reuid={uid}"), &format!("--regid={uid}")]);
                setpriv.args(["--clear-groups", "--inh-caps=-all", "python3"]);
                setpriv.env("PATH", "/usr/bin:/bin");
                setpriv
            }
        };
        let out = command
            .arg(program)
            .args(attack.split(' '))
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let said = [out.stdout, out.stderr].concat();
        (exit_code(out.status), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn refused(&self, uid: Option<u32>, attack: &str, pid: i32) {
        let (code, said) = self.attack(uid, attack, pid);
        assert!(code == 0 && said.starts_with("refused: "), "{attack} as {uid:?}: {code} {said}");
    }

    #[track_caller]
    fn succeeds(&self, uid: Option<u32>, attack: &str, pid: i32) {
        let (code, said) = self.attack(uid, attack, pid);
        assert_eq!(code, SUCCEEDED, "{attack} as {uid:?}: {said}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for running in self.running.drain(..) {
            let _ = killpg(Pid::from_raw(running.pid() as i32), Signal::SIGKILL);
            running.finish();
        }
    }
}

/// Asserts that no attack into memory gets at `target`: as its own user where `own`, and
/// as another.
#[track_caller]
fn closed(scene: &Scene, target: i32, own: bool) {
    let mut worked = 0;
    for attack in INTO_MEMORY {
        let (code, said) = scene.attack(None, attack, scene.plain());
        if code != SUCCEEDED {
            skip("attacks_daemon.rs", Missing::Here(&format!("{attack}: {}", said.trim())));
            continue;
        }
        worked += 1;
        if own {
            scene.refused(None, attack, target);
        }
        if let Some(another) = scene.another() {
            scene.refused(Some(another), attack, target);
        }
    }
    // The kernel may lack some; a machine on which nothing works shows nothing.
    assert!(worked > 15, "only {worked} of {} work anywhere", INTO_MEMORY.len());
}

#[test]
fn no_way_leads_into_a_daemons_memory() {
    need!("python3");
    let scene = Scene::new();
    closed(&scene, scene.daemon(), true);
}

/// A command that waits with a value, and one that stays beside a program that has it.
#[test]
fn no_way_leads_into_the_memory_of_a_command() {
    need!("python3");
    let mut scene = Scene::new();
    let big = "head -c 300000 /dev/zero | tr '\\0' v | keyrack set --for bot --key BIG";
    scene.rack.sh(&format!("{big}; {UNLOCK}")).ok();
    // No pipe holds so much.
    let get = format!(
        "{UNLOCK}; (echo $BASHPID >getting; exec keyrack get --for bot --key BIG) | sleep 300"
    );
    let exec = format!(
        "{UNLOCK}; (echo $BASHPID >staying; exec keyrack exec --quiet --for bot --key TOKEN --redact -- sleep 300)"
    );
    for (script, file) in [(get, "getting"), (exec, "staying")] {
        scene.running.push(scene.rack.script(&script).start());
        daemons::until(|| {
            scene.pid(file).is_some_and(|pid| {
                std::fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|name| name == "keyrack\n")
            })
        });
        // Past its start, which is another test's.
        std::thread::sleep(std::time::Duration::from_millis(100));
        closed(&scene, scene.pid(file).expect("it runs"), true);
    }
}

#[test]
fn no_way_leads_another_user_into_a_robots_memory() {
    need!("python3");
    need!(root);
    let scene = Scene::new();
    closed(&scene, scene.robot(), false);
}

/// A robot is a program like any other: who is its user may look into it.
#[test]
fn looking_into_a_robot_of_ones_own_succeeds_by_design() {
    need!("python3");
    let scene = Scene::new();
    for attack in ["read /proc/PID/environ", "open_only /proc/PID/mem", "signal PID"] {
        scene.succeeds(None, attack, scene.robot());
    }
    let environ = scene.rack.sh(&format!("tr '\\0' '\\n' </proc/{}/environ", scene.robot()));
    assert!(environ.text().contains("TOKEN=the-value"), "{environ}");
    // Nor is a mount namespace any obstacle to who is its user.
    let files = format!(
        "{UNLOCK}; keyrack exec --quiet --for bot --files -- sh -c 'echo $TOKEN >path; exec sleep 300' & \
         until [ -s path ]; do sleep 0.02; done; cat /proc/$!/root/$(cat path); kill $!"
    );
    scene.rack.sh(&files).ok().bytes(b"the-value");
}

/// The maker of a user namespace, from outside, is master of all that runs in it: a daemon there
/// says so, in `doctor.rs::root_of_a_user_namespace_is_told_that_its_start_window_is_open`.
#[test]
fn looking_into_a_daemon_of_ones_own_namespace_succeeds_by_design() {
    need!("python3");
    need!("unshare");
    let scene = Scene::new();
    let inside = format!("{UNLOCK}; keyrack daemon list --json >list; touch up; sleep 100");
    scene.rack.write("work/inside.sh", inside);
    let script =
        "mkdir -m 700 other; export KEYRACK_SOCKET_DIR=$PWD/other; exec unshare -Ur bash inside.sh";
    let running = scene.rack.script(script).start();
    daemons::until(|| scene.rack.path("work/up").exists());
    let list = std::fs::read_to_string(scene.rack.path("work/list")).expect("it is there");
    let pid = list.split("\"pid\":").nth(1).and_then(|rest| rest.split(',').next());
    let pid = pid.and_then(|pid| pid.parse().ok()).expect("a daemon");
    scene.succeeds(None, "vm_read PID", pid);
    scene.refused(None, "vm_read PID", scene.daemon());
    let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
    let _ = killpg(Pid::from_raw(running.pid() as i32), Signal::SIGKILL);
    running.finish();
}

/// Everybody may see which processes there are. No value is in a command line.
#[test]
fn seeing_that_it_lives_succeeds_by_design() {
    need!("python3");
    let scene = Scene::new();
    for uid in [None, scene.another()] {
        for file in ["cmdline", "comm", "stat", "status"] {
            for pid in [scene.daemon(), scene.robot()] {
                scene.succeeds(uid, &format!("read /proc/PID/{file}"), pid);
            }
        }
    }
    let all = scene.rack.sh(&format!(
        "cat /proc/{}/cmdline /proc/{}/cmdline",
        scene.daemon(),
        scene.robot()
    ));
    assert!(!String::from_utf8_lossy(&all.stdout).contains("the-value"), "{all}");
}

#[test]
fn without_a_key_a_daemon_tells_no_name_and_gives_no_value() {
    need!("python3");
    let scene = Scene::new();
    let socket = scene.rack.socket("bot").display().to_string();
    let pin = std::fs::read_to_string(scene.rack.state().join("owners/bot.json")).expect("a pin");
    let rack_id = pin.split("\"rack_id\"").nth(1).and_then(|rest| rest.split('"').nth(1));
    let rack_id = rack_id.expect("it names the rack");
    let attacks = [
        format!("learn_a_name {socket} TOKEN"),
        format!("learn_a_name {socket} the-value"),
        format!("speak_without_a_key {socket} bot {rack_id}"),
        format!("speak_without_a_key {socket} eve {rack_id}"),
    ];
    for attack in &attacks {
        scene.refused(None, attack, 0);
    }
    // That it answers at all, so that the above can fail: it tells its owner's name.
    scene.succeeds(None, &format!("learn_a_name {socket} bot"), 0);
    // And another user is not even let in.
    if scene.another().is_some() {
        scene.refused(scene.another(), &format!("connect {socket}"), 0);
        scene.refused(scene.another(), &format!("learn_a_name {socket} bot"), 0);
        scene.refused(scene.another(), &format!("lock {socket}"), 0);
        scene.refused(scene.another(), "signal PID", scene.daemon());
    }
    let log =
        scene.rack.sh(&format!("{} | tail -n 50", "cat ~/.local/share/keyrack/audit/bot.log"));
    assert!(log.text().contains(r#""action":"connect""#), "what was refused is logged\n{log}");
}

/// A program is called what it likes, and its name is shown to people.
#[test]
fn what_a_program_calls_itself_commands_no_terminal() {
    need!("python3");
    let rack = Rack::ordinary();
    rack.key("bot");
    let tree = "import ctypes, subprocess\n\
        ctypes.CDLL(None).prctl(15, b'\\x1b[31mred\\x07', 0, 0, 0)\n\
        subprocess.run(['keyrack', 'unlock', '--for', 'bot'])\n";
    rack.write("work/tree.py", tree);
    let done = rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN; \
        python3 tree.py; keyrack status --for bot; keyrack status --for bot --json; keyrack log --for bot");
    let shown = done.ok().text() + &done.errors();
    assert!(shown.contains("[31mred (pid "), "{shown}");
    let commands = shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    assert!(!commands, "{shown:?}");
}

/// Locking always wins: over a daemon that was stopped so that it would live through it, too.
#[test]
fn a_daemon_that_was_stopped_is_locked_all_the_same() {
    need!("python3");
    let scene = Scene::new();
    let pid = scene.daemon();
    scene.succeeds(None, "freeze PID", pid);
    let done = scene.rack.sh("keyrack relock --for bot");
    assert!(done.ok().errors().contains("did not answer, and was ended"), "{done}");
    scene.rack.no_daemon();
    assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists());
}

/// Locking is for every process of the user, and so is ending.
#[test]
fn locking_and_ending_a_daemon_of_ones_own_succeeds_by_design() {
    need!("python3");
    let scene = Scene::new();
    let (socket, pid) = (scene.rack.socket("bot"), scene.daemon());
    scene.succeeds(None, "signal PID", pid);
    scene.succeeds(None, &format!("lock {}", socket.display()), 0);
    daemons::until(|| daemons::sockets(|path| path == socket).is_empty());
    scene.rack.no_daemon();
}
