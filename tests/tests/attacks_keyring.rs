//! The secret of a process tree in the kernel's key rings: who cannot get at it, what a
//! new session must not lose, and what the weak places are worth.

use keyrack_tests::rack::KeyType;
use keyrack_tests::skip::{Missing, skip};
use keyrack_tests::{Rack, binaries, daemons, need};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// An ordinary user's owner whose key needs a person.
fn rack() -> Rack {
    let rack = Rack::ordinary();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    let set = "printf value | KEYRACK_PASSPHRASE_FD=3 keyrack set --for bot --key TOKEN 3<<<'open sesame'";
    rack.sh(&format!("keyrack init --for bot; {set}")).ok();
    rack
}

const UNLOCK: &str = "KEYRACK_PASSPHRASE_FD=3 keyrack unlock --quiet --for bot 3<<<'open sesame'";
const GET: &str = "keyrack get --for bot --key TOKEN";
/// What `keyctl show` says of a ring, as `id name` lines.
const RING: &str = "keyctl show @s | sed -n 's/^ *\\([0-9]*\\) .* \\(keyring\\|user\\): /\\1 /p'";

/// Runs `attack` in a sibling while a tree with a capability lives; `tree` begins it.
fn sibling(rack: &Rack, tree: &str, attack: &str) -> keyrack_tests::Finished {
    let running = rack.script(&format!("{tree}; {RING} >ring; touch ready; sleep 100")).start();
    daemons::until(|| rack.path("work/ready").exists());
    let done = rack.sh(attack);
    killpg(Pid::from_raw(running.pid() as i32), Signal::SIGKILL).expect("our script");
    running.finish();
    done
}

#[test]
fn eighteen_operations_by_a_sibling_are_eighteen_refusals() {
    need!("keyctl");
    let rack = rack();
    let program = binaries::repository().join("tests/attackers/keyring.py");
    let program = rack.write("attackers/keyring.py", std::fs::read(program).expect("it is there"));
    let attack = format!(
        "key=$(sed -n 's/ keyrack:tree$//p' ring); ring=$(sed -n '1s/ .*//p' ring); \
         [ -n \"$key\" ] && [ -n \"$ring\" ] || exit 98; python3 {} $key $ring",
        program.display()
    );
    let done = sibling(&rack, UNLOCK, &attack);
    let lines: Vec<String> = done.ok().text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 18, "{done}");
    let through: Vec<&String> = lines.iter().filter(|line| line.ends_with(": ok")).collect();
    assert_eq!(through, [] as [&String; 0], "{done}");
    // The same program in the tree itself: so it is the place that is refused, not the program.
    let done = rack.sh(&format!("{UNLOCK}; {RING} >ring; {attack}"));
    let text = done.ok().text();
    assert!(text.contains("read the key: ok\n") && text.contains("update the key: ok\n"), "{done}");
}

#[test]
fn a_capability_of_exec_is_as_closed() {
    let rack = rack();
    let tree = "KEYRACK_PASSPHRASE_FD=3 keyrack exec --quiet --for bot -- bash ring.sh 3<<<'open sesame' &";
    rack.write("work/ring.sh", format!("{RING} >inner; touch inside; sleep 100\n"));
    let attack = "until [ -e inside ]; do sleep 0.02; done; key=$(sed -n 's/ keyrack:tree$//p' inner); [ -n \"$key\" ] || exit 98; keyctl pipe $key";
    let done = sibling(&rack, &tree.replace(" &", " & true"), attack);
    assert!(done.code != 0 && done.code != 98 && done.stdout.is_empty(), "{done}");
    rack.sh(GET).code(5).bytes(b"");
}

#[test]
fn exec_gives_its_caller_nothing() {
    let rack = rack();
    let exec = "KEYRACK_PASSPHRASE_FD=3 keyrack exec --quiet --for bot -- true 3<<<'open sesame'";
    rack.sh(&format!("{exec}; {GET}")).code(5).bytes(b"");
}

#[test]
fn what_the_old_session_held_is_still_reached() {
    need!("keyctl");
    let rack = rack();
    // A session of this script's own, with a key that is not ours, as Kerberos keeps one.
    let inner = format!(
        "keyctl add user ticket secret @s >/dev/null; {UNLOCK}; keyctl pipe $(keyctl search @s user ticket); echo; \
        keyrack exec --quiet --for bot -- bash -c \"keyctl pipe \\$(keyctl search @s user ticket)\""
    );
    rack.write("work/inner.sh", inner);
    rack.sh("keyctl session - bash inner.sh 2>/dev/null").ok().stdout("secret\nsecret");
}

#[test]
fn a_program_in_a_sandbox_has_nothing_of_the_old_session() {
    need!("keyctl");
    let rack = rack();
    let show = "keyctl show @s | tail -n +2 | sed 's/.* \\(keyring\\|user\\): /\\1 /'";
    rack.write("work/show.sh", show);
    let inner = format!(
        "keyctl add user ticket secret @s >/dev/null; {UNLOCK}; keyrack exec --quiet --for bot --isolate -- bash show.sh"
    );
    rack.write("work/inner.sh", inner);
    rack.sh("keyctl session - bash inner.sh 2>/dev/null")
        .ok()
        .stdout("keyring _ses\nuser keyrack:tree\n");
}

#[test]
fn a_program_of_exec_gets_neither_the_users_ring_nor_another_secret() {
    need!("keyctl");
    let rack = rack();
    let show = "keyctl show @s | tail -n +2 | sed 's/.* \\(keyring\\|user\\|logon\\): /\\1 /'";
    rack.write("work/show.sh", show);
    let script = format!(
        "keyctl new_session >/dev/null 2>&1; keyctl link @u @s; keyctl add user mine x @s >/dev/null; \
         ring=$(keyctl newring of-others @s); keyctl add user keyrack:tree x $ring >/dev/null; \
         {UNLOCK}; keyrack exec --quiet --for bot -- bash show.sh"
    );
    rack.write("work/inner.sh", script);
    let done = rack.sh("keyctl session - bash inner.sh 2>/dev/null");
    let mut seen: Vec<String> = done.ok().text().lines().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, ["keyring _ses", "user keyrack:tree", "user mine"], "{done}");
}

#[test]
fn the_session_that_everybody_shares_is_never_added_to() {
    need!("keyctl");
    let rack = rack();
    // Without PAM, as in cron: every such process of the user finds the same ring.
    let shared = "keyctl show @us | grep -c keyrack:";
    rack.sh(&format!("{UNLOCK}; {GET}; echo; {shared}")).code(1).stdout("value\n0\n");
    let done = rack.sh(&format!("{UNLOCK} --scope session"));
    if rack.sh("[ \"$(keyctl id @s)\" = \"$(keyctl id @us)\" ]").code == 0 {
        assert_ne!(done.code, 0, "{done}");
        assert!(done.errors().contains("no session key ring of its own"), "{done}");
    }
    rack.sh(&format!("{GET}; {shared}")).stdout("0\n");
}

#[test]
fn a_full_quota_is_said_and_nothing_is_stepped_down() {
    need!("keyctl");
    need!(root);
    let rack = rack();
    let fill = "i=0; while [ $i -lt 400 ]; do keyctl add user filler$i x @u >/dev/null 2>&1 || break; i=$((i + 1)); done";
    let done = rack.sh(&format!("{fill}; {UNLOCK}"));
    assert!(done.errors().contains("quota is used up"), "{done}");
    done.code(10);
    rack.sh(GET).code(5).bytes(b"");
    let exec =
        "KEYRACK_PASSPHRASE_FD=3 keyrack exec --quiet --for bot -- touch ran 3<<<'open sesame'";
    let done = rack.sh(&format!("{exec}; code=$?; test ! -e ran && exit $code"));
    assert!(done.code(1).errors().contains("quota is used up"), "{done}");
    rack.sh("keyctl clear @u").ok();
    rack.sh(&format!("{UNLOCK}; {GET}")).ok().bytes(b"value");
}

#[test]
fn who_leaves_the_tree_reads_no_more() {
    need!("keyctl");
    let rack = rack();
    let leave = "keyctl session - bash -c";
    rack.sh(&format!(
        "{UNLOCK}; {leave} '{GET}' 2>errors; code=$?; grep -q capability errors && exit $code"
    ))
    .code(5);
    // The program of another tree, started by a service that was there before.
    let service = format!(
        "(until [ -e go ]; do sleep 0.02; done; {GET} >got; touch done) & {UNLOCK}; touch go; until [ -e done ]; do sleep 0.02; done; cat got"
    );
    rack.sh(&service).ok().bytes(b"");
}

#[test]
fn a_tree_under_another_user_reads_nothing() {
    need!(root);
    let rack = rack();
    let other = rack.uid().expect("root made one") + 20_000_000;
    let bin = rack.path("bin/keyrack");
    let done = rack.sh(&format!("{UNLOCK}; {GET}"));
    done.ok().bytes(b"value");
    let socket = rack.socket("bot");
    let connect =
        format!("import socket; socket.socket(socket.AF_UNIX).connect('{}')", socket.display());
    let out = std::process::Command::new("setpriv")
        .args([&format!("--reuid={other}"), &format!("--regid={other}"), "--clear-groups"])
        .args(["/usr/bin/python3", "-c", &connect])
        .output()
        .expect("setpriv runs");
    assert!(
        String::from_utf8_lossy(&out.stderr).contains("Permission denied"),
        "{out:?} {}",
        bin.display()
    );
}

/// What any process of the user may put into the user's ring, which a login's session links.
const PLANTED: &str = "4141414141414141414141414141414141414141414141414141414141414141";

#[test]
fn a_secret_planted_in_the_users_ring_is_never_the_trees_own() {
    need!("keyctl");
    let rack = rack();
    let plant =
        format!("keyctl clear @u; keyctl add user keyrack:tree \"keyrack/1 {PLANTED}\n\" @u");
    rack.write("work/login.sh", format!("keyctl link @u @s; {UNLOCK} --scope $1; {GET}"));
    let planted = format!("keyctl session - env KEYRACK_CAPABILITY={PLANTED} {GET} 2>/dev/null");
    for scope in ["tree", "session"] {
        rack.sh(&plant.replace("\\n", "\n")).ok();
        rack.sh(&format!("keyctl session - bash login.sh {scope} 2>/dev/null"))
            .ok()
            .bytes(b"value");
        rack.sh(&planted).code(5).bytes(b"");
        rack.sh("keyrack relock --for bot; keyctl clear @u").ok();
    }
}

/// Another home of the user, whose daemon the user's ring says is the owner's here.
fn with_a_daemon_planted(rack: &Rack) {
    let evil = "export KEYRACK_HOME=$HOME/evil KEYRACK_PASSPHRASE_FD=3";
    let home = "printf %s \"$HOME/.local/share/keyrack\" | sha256sum | head -c 8";
    rack.write(
        "work/plant.sh",
        format!(
            "({evil}; keyrack init --for bot 3<<<'open sesame'; \
             printf of-the-attacker | keyrack set --for bot --key TOKEN 3<<<'open sesame'; \
             keyrack unlock --for bot --scope user 3<<<'open sesame')
             keyctl link @u @s; key=$(keyctl search @s user keyrack:user)
             keyctl pipe $key | sed \"2s/^\\([^ ]* [^ ]*\\) [^ ]*/\\1 $({home})/\" >said; keyctl pupdate $key <said"
        ),
    );
    rack.sh("keyctl session - bash plant.sh").ok();
}

#[test]
fn what_the_users_ring_says_of_another_daemon_is_not_believed() {
    need!("keyctl");
    let rack = rack();
    with_a_daemon_planted(&rack);
    rack.sh(GET).code(3).bytes(b"");
    rack.sh("keyrack --no-input exec --for bot --key TOKEN -- env </dev/null").code(8).bytes(b"");
    // A drop goes to nobody but its owner.
    let set = rack.sh("printf told | keyrack --no-input set --for bot --key TOKEN");
    assert!(!set.ok().errors().contains("has it already"), "{set}");
    let theirs = "export KEYRACK_HOME=$HOME/evil; KEYRACK_PASSPHRASE_FD=3 keyrack attach --quiet --for bot 3<<<'open sesame'";
    rack.sh(&format!("{theirs}; {GET}")).ok().bytes(b"of-the-attacker");
    rack.sh("keyctl clear @u").ok();
}

#[test]
fn what_the_users_ring_says_keeps_no_lock_from_the_true_daemon() {
    need!("keyctl");
    let rack = rack();
    with_a_daemon_planted(&rack);
    rack.sh(&format!("{UNLOCK}; {GET}")).ok().bytes(b"value");
    let locked = rack.sh("keyrack relock --for bot --json");
    assert_eq!(locked.ok().json()["verified"], false, "{locked}");
    rack.sh("keyrack status --for bot --json | grep -q '\"slug\"'").code(1);
    rack.sh("keyctl clear @u").ok();
}

/// `--scope user` is for machines where the user is the boundary, and says that it is weak.
#[test]
fn reading_by_the_users_ring_succeeds_by_design() {
    let rack = rack();
    rack.sh(&format!("{UNLOCK} --scope user")).ok();
    rack.sh(GET).ok().bytes(b"value");
    // A program that was given less still finds it: the user's ring is every program's.
    let program = "keyrack exec --quiet --for bot --key TOKEN -- keyctl show @u";
    assert!(rack.sh(program).ok().text().contains("keyrack:user"));
    rack.sh("keyctl clear @u").ok();
}

/// The kernel lets a program replace the key ring of the shell that started it. What is unlocked
/// there next goes into a ring that the program holds as well. Not from a sandbox, which is
/// `attacks_sandbox.rs::the_shell_outside_is_given_no_key_ring`.
#[test]
fn planting_a_ring_in_its_shell_succeeds_by_design() {
    let rack = rack();
    rack.key("eve");
    let program = binaries::repository().join("tests/attackers/plant.py");
    rack.write("work/plant.py", std::fs::read(program).expect("it is there"));
    let script = format!(
        "keyrack init --for eve; printf x | keyrack set --for eve --key K; rm -f go stolen; \
         keyrack exec --quiet --for eve -- python3 plant.py {GET} || exit; \
         {UNLOCK}; touch go; until [ -e stolen ]; do sleep 0.02; done; cat stolen"
    );
    rack.sh(&script).ok().bytes(b"value");
    // A program that the shell did not start itself has no way to it.
    let script = script.replace("python3 plant.py", "setsid --fork sh -c 'python3 plant.py");
    let script = script.replace(&format!("{GET} ||"), &format!("{GET}; true' ||"));
    rack.sh(&script).ok().bytes(b"");
}

/// Values given in an environment are in `/proc/PID/environ`, whatever Yama says.
#[test]
fn reading_a_programs_environment_succeeds_by_design() {
    let rack = rack();
    let tree = "KEYRACK_PASSPHRASE_FD=3 keyrack exec --quiet --for bot -- bash -c 'echo $$ >pid; touch inside; sleep 100' 3<<<'open sesame' & true";
    let attack = "until [ -e inside ]; do sleep 0.02; done; tr '\\0' '\\n' </proc/$(cat pid)/environ | grep ^TOKEN=";
    sibling(&rack, tree, attack).ok().stdout("TOKEN=value\n");
}

/// Who may trace a program of the tree reads what it reads. Our own commands do not let
/// themselves be looked into even so; the shell that takes their output does.
#[test]
fn watching_a_traced_program_of_the_tree_succeeds_by_design() {
    need!("strace");
    if std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
        .is_ok_and(|scope| scope.trim() != "0")
    {
        return skip("attacks_keyring.rs", Missing::Here("Yama forbids tracing"));
    }
    let rack = rack();
    let tree = format!(
        "{UNLOCK}; echo $$ >pid; (until [ -e go ]; do sleep 0.05; done; value=$({GET}); touch got) & true"
    );
    let attack = "until [ -s pid ]; do sleep 0.02; done; pid=$(cat pid); strace -f -e trace=read -o trace -p $pid 2>/dev/null & \
        until grep -q 'TracerPid:.*[1-9]' /proc/$(cat pid)/status; do sleep 0.02; done; \
        touch go; wait; grep -c '\"value\"' trace";
    let tree = tree.replace("echo $$ >pid; (", "(echo $BASHPID >pid; ");
    sibling(&rack, &tree, attack).stdout("1\n");
}

/// A terminal that others may type into is theirs: tmux lets its user.
#[test]
fn typing_into_the_trees_tmux_succeeds_by_design() {
    need!("tmux");
    let rack = rack();
    rack.write("work/tree.sh", format!("{UNLOCK}\ntouch ready\nexec bash --norc\n"));
    let script = format!(
        "export TMUX_TMPDIR=$HOME; tmux -f /dev/null new-session -d 'bash tree.sh'; trap 'tmux kill-server' EXIT; \
         until [ -e ready ]; do sleep 0.02; done; tmux send-keys '{GET} >stolen; touch got' Enter; \
         for i in $(seq 200); do [ -e got ] && break; sleep 0.05; done; cat stolen"
    );
    rack.sh(&script).ok().bytes(b"value");
}
