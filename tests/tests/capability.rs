//! Who may read: the tree that unlocked, whoever can use the key without a person, and
//! nobody else. `SIBLING` is a bash that did not unlock.

use keyrack_tests::fake::{self, FakeDaemon};
use keyrack_tests::rack::KeyType;
use keyrack_tests::{Rack, need};

/// A passphrased owner: nobody can use its key without a person.
fn passphrased() -> Rack {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN").ok();
    rack
}

fn plain() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN").ok();
    rack
}

const UNLOCK: &str =
    "KEYRACK_PASSPHRASE_FD=3 keyrack unlock --quiet --for bot --accept-drops 3<<<'open sesame'";
const GET: &str = "keyrack get --for bot --key TOKEN";

/// In a tree's script: says that it got so far, and waits for [`meanwhile`].
const MEANWHILE: &str = "touch here; until [ -e there ]; do sleep 0.02; done";

/// Runs `command` in a sibling tree while another waits at [`MEANWHILE`].
#[track_caller]
fn meanwhile(rack: &Rack, command: &str) {
    rack.sh("until [ -e here ]; do sleep 0.02; done").ok();
    let done = rack.sh(command);
    rack.sh("touch there").ok();
    done.ok();
}

#[test]
fn the_tree_reads_however_it_is_shaped() {
    let rack = passphrased();
    for child in [
        GET.to_owned(),
        format!("({GET})"),
        format!("bash -c '{GET}; :'"),
        "env -i \"$(command -v keyrack)\" get --for bot --key TOKEN".to_owned(),
        format!("setsid --wait {GET}"),
        format!("nohup {GET} 2>/dev/null"),
        format!("timeout 10 {GET}"),
        "echo TOKEN | xargs -n 1 keyrack get --for bot --key".to_owned(),
        format!("python3 -c 'import subprocess; subprocess.run(\"{GET}\".split(), check=True)'"),
        format!(
            "python3 -c 'import threading, subprocess; t = threading.Thread(target=lambda: subprocess.run(\"{GET}\".split())); t.start(); t.join()'"
        ),
        format!("x=$({GET}); printf %s \"$x\""),
    ] {
        rack.sh(&format!("{UNLOCK}; {child}")).ok().bytes(b"value");
    }
    rack.sh("keyrack relock --for bot").ok();
}

#[test]
fn a_child_of_node_reads() {
    need!("node");
    let rack = passphrased();
    let node =
        format!("node -e 'process.stdout.write(require(\"child_process\").execSync(\"{GET}\"))'");
    rack.sh(&format!("{UNLOCK}; {node}")).ok().bytes(b"value");
}

#[test]
fn a_sibling_is_denied() {
    let rack = passphrased();
    rack.sh(UNLOCK).ok();
    rack.sh(GET).code(5).bytes(b"");
    rack.sh("keyrack source --for bot").code(5).bytes(b"");
    let list = rack.sh("keyrack status --for bot");
    assert!(!list.text().contains("TOKEN"), "names of keys need a capability\n{list}");
}

#[test]
fn a_sibling_of_the_granted_child_is_denied() {
    let rack = passphrased();
    let script = format!("bash -c \"{UNLOCK}; {GET}\"; echo; {GET}");
    let done = rack.sh(&script.replace("'open sesame'", "'\\''open sesame'\\''").replace('"', "'"));
    done.code(5).bytes(b"value\n");
}

#[test]
fn relock_revokes_every_capability_at_once() {
    let rack = passphrased();
    let script = format!("{UNLOCK}; {GET}; echo; keyrack relock --quiet --for bot; {GET}");
    rack.sh(&script).code(3).bytes(b"value\n");
    // Unlocked again by another tree, the first does not come back to life.
    let script = format!("{UNLOCK}; keyrack relock --quiet --for bot; {MEANWHILE}; {GET}");
    let first = rack.script(&script).start();
    meanwhile(&rack, UNLOCK);
    first.finish().code(5).bytes(b"");
}

/// A robot that runs for days: its grants end, and the daemon with them. It is not started
/// again for that.
#[test]
fn a_tree_that_outlives_its_daemon_is_granted_to_again() {
    let rack = passphrased();
    let script = format!("{UNLOCK} --duration 2s; {GET}; echo; {MEANWHILE}; {GET}");
    let robot = rack.script(&script).start();
    rack.sh("until [ -e here ]; do sleep 0.02; done").ok();
    rack.no_daemon();
    let status = rack.sh("keyrack status --for bot").text();
    let tree = status.split("--tree ").nth(1).expect("it sleeps").trim().to_owned();
    let unlock = format!("{} --tree {tree}", UNLOCK.replace(" --quiet", ""));
    let said = rack.sh(&unlock);
    assert!(said.ok().errors().contains(&format!("given to tree {tree} of bash (pid ")), "{said}");
    // Whoever granted it is no part of the tree.
    rack.sh(GET).code(5);
    rack.sh("touch there").ok();
    robot.finish().ok().bytes(b"value\nvalue");
    // Of no tree that ended, and of none after a relock.
    assert!(
        !rack.sh("keyrack relock --for bot; keyrack status --for bot").text().contains("--tree")
    );
    rack.sh(&unlock).code(4);
}

#[test]
fn a_lock_without_a_key_is_not_verified() {
    let rack = passphrased();
    rack.sh(UNLOCK).ok();
    let said = "keyrack: bot: its daemon was asked to lock, which is not verified: no key to it is at hand\n";
    rack.sh("keyrack relock --for bot").ok().stderr(said);
    rack.sh(&format!("{UNLOCK}; keyrack relock --for bot")).ok().stderr("keyrack: bot is locked\n");
    // Something in the daemon's place that says whatever is asked of it.
    let status = r#"{"owner":"bot","rack":"RACK","pid":1,"version":"0","versions":[1],"locked":false,"generation":1,"protections":[]}"#;
    let rack_id = rack.sh("sed -n 's/.*\"rack_id\": *\"\\([0-9a-f]*\\)\".*/\\1/p' ~/.local/state/keyrack/owners/bot.json").text();
    let payload = [b"\x02".as_slice(), status.replace("RACK", &rack_id).as_bytes()].concat();
    let _fake = FakeDaemon::saying(&rack.socket("bot"), Some(fake::framed(&payload)));
    let done = rack.sh("keyrack relock --for bot --json");
    assert_eq!(done.ok().json()["verified"], false);
}

#[test]
fn a_line_of_a_makefile_ends_with_its_unlock_and_says_so() {
    need!("make");
    let rack = passphrased();
    rack.write("work/pass", "open sesame\n");
    let unlock = "KEYRACK_PASSPHRASE_FD=0 keyrack unlock --accept-drops --for bot";
    rack.write("work/Makefile", format!("alone:\n\t{unlock}\nwith-robot:\n\t{unlock} && {GET}\n"));
    let done = rack.sh("make --silent alone <pass");
    assert!(done.errors().contains("and it is a shell for this one command"), "{done}");
    assert!(done.code(2).errors().contains("[Makefile:2: alone] Error 10"), "{done}");
    rack.sh("make --silent with-robot <pass").ok().bytes(b"value");
}

#[test]
fn a_tree_has_what_its_own_unlock_granted() {
    let rack = passphrased();
    rack.sh("printf other | keyrack set --for bot --key OTHER").ok();
    let other = "keyrack get --for bot --key OTHER";
    let script = format!("{UNLOCK} --key TOKEN; {MEANWHILE}; {GET}; echo; {other}");
    let first = rack.script(&script).start();
    meanwhile(&rack, &format!("{UNLOCK}; {other} >/dev/null"));
    first.finish().code(5).bytes(b"value\n");
}

#[test]
fn two_owners_in_one_tree_keep_both() {
    let rack = passphrased();
    rack.make_key("id_ed25519_two", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for two; printf second | keyrack set --for two --key TOKEN").ok();
    let two = UNLOCK.replace("--for bot", "--for two");
    let script = format!("{UNLOCK}; {two}; {GET}; keyrack get --for two --key TOKEN");
    rack.sh(&script).ok().bytes(b"valuesecond");
}

#[test]
fn what_the_old_session_held_stays_reachable() {
    need!("keyctl");
    let rack = passphrased();
    let script = format!(
        "keyctl add user test:ticket ticket @s >/dev/null; {UNLOCK}; keyctl pipe $(keyctl search @s user test:ticket); {GET}"
    );
    rack.sh(&format!("keyctl session - bash -c '{}'", script.replace('\'', "'\\''"))).ok();
    let done = rack
        .sh(&format!("keyctl session - bash -c '{}' 2>/dev/null", script.replace('\'', "'\\''")));
    done.ok().bytes(b"ticketvalue");
}

#[test]
fn the_secret_of_a_tree_is_not_for_its_siblings() {
    need!("keyctl");
    let rack = passphrased();
    // The id is known to the sibling: the tree itself tells it.
    let tree = format!(
        "{UNLOCK}; keyctl search @s user keyrack:tree > id; keyctl show > ring; touch ready; sleep 30"
    );
    let running = rack.script(&tree).start();
    keyrack_tests::daemons::until(|| rack.path("work/ready").exists());
    let attempts = "id=$(cat id); [ -n \"$id\" ] || exit 99; for act in pipe read describe 'link:@u' revoke 'timeout:1' 'setperm:0x3f3f3f3f' unlink; do \
        case $act in link:*) keyctl link $id @s;; timeout:*) keyctl timeout $id 1;; setperm:*) keyctl setperm $id 0x3f3f3f3f;; unlink) keyctl unlink $id @s;; *) keyctl $act $id;; esac \
        >>out 2>/dev/null && echo $act; done; true";
    if rack.sh("[ -s work/id ] || [ -s id ]").code != 0 {
        panic!("the tree's secret is not where a session ring has it");
    }
    rack.sh(attempts).ok().bytes(b"");
    nix::sys::signal::killpg(
        nix::unistd::Pid::from_raw(running.pid() as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("our script");
    running.finish();
}

#[test]
fn an_unlock_from_a_program_with_threads_says_what_to_do() {
    need!("node");
    let rack = passphrased();
    let node = "node -e 'const r = require(\"child_process\").spawnSync(\"keyrack\", [\"unlock\", \"--for\", \"bot\", \"--accept-drops\"], \
                {stdio: [\"ignore\", \"inherit\", \"inherit\", 3], env: {...process.env, KEYRACK_PASSPHRASE_FD: \"3\"}}); process.exit(r.status)' 3<<<'open sesame'";
    let done = rack.sh(&format!("{node}; code=$?; KEYRACK_PASSPHRASE_FD=3 keyrack status --for bot --json 3<<<'open sesame'; exit $code"));
    // Nobody has it: it is no tree that may read.
    let status = &done.json()["owners"][0];
    assert_eq!(status["grants"][0]["slug"], "@all.all.TOKEN", "{done}");
    assert_eq!(status["trees"], serde_json::json!([]), "{done}");
    done.code(10).stderr(
        "keyrack: bot: @all.all.TOKEN merged from a drop\n\
         keyrack: warning: bot: no capability was given to node (pid 4711): the kernel does not let \
         the calling program take it (EPERM: Operation not permitted)\n\
         keyrack: bot: @all.all.TOKEN granted for 9h\n\
         keyrack: error: bot is unlocked, but the calling program has no capability to read\n\
         keyrack: hint: keyrack unlock --for bot, run plainly in the shell that is to read\n\
         keyrack: hint: keyrack exec --for bot -- PROGRAM\n",
    );
}

#[test]
fn a_key_without_a_passphrase_proves_itself() {
    let rack = plain();
    rack.sh("keyrack unlock --for bot").ok();
    // No shell in common with the one that unlocked.
    rack.sh(GET).ok().bytes(b"value");
    rack.sh("env -i HOME=$HOME KEYRACK_SOCKET_DIR=$KEYRACK_SOCKET_DIR \"$(command -v keyrack)\" get --for bot --key TOKEN").ok().bytes(b"value");
    rack.sh("mv ~/.ssh/id_ed25519_bot away").ok();
    rack.sh(GET).code(5).bytes(b"");
}

#[test]
fn self_proof_reaches_sudo_only_while_it_is_unlocked() {
    let rack = plain();
    rack.sh("printf root | keyrack set --for bot --key TOKEN --env sudo; keyrack unlock --for bot")
        .ok();
    rack.sh(&format!("{GET} --env sudo")).code(3).bytes(b"");
    rack.sh("keyrack unlock --for bot --env sudo --key TOKEN").ok();
    rack.sh(&format!("{GET} --env sudo")).ok().bytes(b"root");
}

#[test]
fn without_a_keyring_only_the_key_serves() {
    let rack = passphrased();
    let script = format!("{UNLOCK} --no-keyring; {GET}");
    rack.sh(&script).code(5).bytes(b"");
    let rack = plain();
    rack.sh(&format!("keyrack unlock --quiet --for bot --no-keyring; {GET}")).ok().bytes(b"value");
}

#[test]
fn the_weak_scopes_say_that_they_are() {
    let rack = passphrased();
    let unlock = UNLOCK.replace(" --quiet", "");
    let script = format!(
        "eval \"$({unlock} --scope env)\"; setsid --wait bash -c '{GET}; :'; echo; \
         env -u KEYRACK_CAPABILITY {GET}"
    );
    let done = rack.sh(&script);
    done.code(5).bytes(b"value\n");
    assert!(done.errors().contains("weak"), "{done}");
}

/// As in a container with Docker's own profile.
#[test]
fn where_keyrings_are_forbidden_the_key_or_the_environment_serves() {
    let blocked =
        |rack: &Rack| rack.write("work/blocked.py", include_str!("../support/blocked.py"));
    let rack = plain();
    blocked(&rack);
    rack.sh(&format!(
        "python3 blocked.py keyctl keyrack unlock --for bot && python3 blocked.py keyctl {GET}"
    ))
    .ok()
    .bytes(b"value");
    let rack = passphrased();
    blocked(&rack);
    let unlock =
        UNLOCK.replace("keyrack unlock --quiet", "python3 blocked.py keyctl keyrack unlock");
    let refused = rack.sh(&unlock);
    refused.code(10).bytes(b"");
    assert!(refused.errors().contains("key rings are forbidden here"), "{refused}");
    let script = format!("eval \"$({unlock} --scope env)\"; python3 blocked.py keyctl {GET}");
    rack.sh(&script).ok().bytes(b"value");
}
