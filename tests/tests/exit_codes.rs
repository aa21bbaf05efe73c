//! One test for each exit code, and the table in the documentation.

use keyrack_tests::fake::FakeDaemon;
use keyrack_tests::rack::KeyType;
use keyrack_tests::team::Team;
use keyrack_tests::{Rack, need, source};

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN").ok();
    rack
}

#[test]
fn code_0_ok() {
    rack().sh("keyrack get --unlock --for bot --key TOKEN").ok().bytes(b"value");
}

#[test]
fn code_1_unexpected() {
    let done =
        rack().sh("keyrack unlock --quiet --for bot; keyrack get --for bot --key TOKEN >/dev/full");
    done.fails(1, "keyrack: error: stdout: No space left on device (os error 28)\n");
    // What may not be looked at is not absent.
    let rack = Rack::ordinary();
    rack.sh("keyrack init --for bot; chmod 000 ~/.local/share/keyrack").ok();
    for command in ["list", "unlock", "get --key TOKEN"] {
        let done = rack.sh(&format!("keyrack {command} --for bot"));
        assert!(done.code(1).errors().contains("Permission denied"), "{done}");
    }
    rack.sh("chmod 700 ~/.local/share/keyrack").ok();
}

#[test]
fn code_2_usage() {
    rack().sh("keyrack get --for bot").code(2).bytes(b"");
}

#[test]
fn code_3_locked_or_expired() {
    rack().sh("keyrack get --for bot --key TOKEN").code(3).bytes(b"");
}

#[test]
fn code_4_absent() {
    let rack = rack();
    rack.sh("keyrack unlock --for bot; keyrack get --for bot --key NOTHING").code(4).bytes(b"");
    rack.sh("keyrack list --for nobody").code(4).bytes(b"");
}

#[test]
fn code_5_denied() {
    let rack = rack();
    rack.sh("keyrack unlock --quiet --for bot; mv ~/.ssh/id_ed25519_bot away").ok();
    rack.sh("keyrack get --for bot --key TOKEN").code(5).bytes(b"");
}

#[test]
fn code_6_no_usable_identity() {
    rack().sh("mv ~/.ssh/id_ed25519_bot away; keyrack unlock --for bot").code(6).bytes(b"");
}

#[test]
fn code_7_daemon_unreachable() {
    let rack = rack();
    FakeDaemon::saying(&rack.socket("bot"), Some(vec![0xff; 8]));
    rack.sh("keyrack get --for bot --key TOKEN").code(7).bytes(b"");
}

#[test]
fn code_8_needs_a_person() {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for bot; printf x | keyrack set --quiet --for bot --key TOKEN").ok();
    rack.sh("keyrack unlock --for bot").code(8).bytes(b"");
    rack.sh("keyrack destroy --for bot").code(8).bytes(b"");
}

#[test]
fn code_9_timed_out() {
    let rack = rack();
    // Another process has the manifest's lock and does not let go.
    let lock = rack.sh("find ~/.local -name '*lock*' -type f | head -1").text();
    assert!(!lock.is_empty(), "a lock file is expected");
    let held = format!("flock -x {lock} bash -c 'printf x | keyrack set --for bot --key OTHER'");
    rack.sh(&held).code(9).bytes(b"");
}

#[test]
fn code_10_partly_done() {
    let rack = rack();
    rack.sh(
        "keyrack set --for bot --key REMOTE --vault openbao --exid kv/x; keyrack unlock --for bot",
    )
    .code(10);
}

#[test]
fn code_11_conflict() {
    let rack = rack();
    rack.key("other");
    rack.sh("keyrack init --for bot --pubkey ~/.ssh/id_ed25519_other.pub").code(11).bytes(b"");
}

#[test]
fn code_12_tampered() {
    rack()
        .sh("printf x > ~/.local/share/keyrack/host.bot.yml.age; keyrack list --for bot")
        .code(12)
        .bytes(b"");
}

#[test]
fn code_13_blocked_by_a_sandbox() {
    let rack = rack();
    rack.sh("keyrack unlock --for bot").ok();
    rack.write("work/blocked.py", BLOCKED);
    let done = rack.sh("python3 blocked.py connect keyrack get --for bot --key TOKEN");
    done.code(13).bytes(b"");
}

/// As of a service with `PrivateTmp=yes`: there is a daemon, and no way to it from here.
#[test]
fn code_13_behind_a_tmp_of_its_own() {
    need!(root);
    let sockets = tempfile::Builder::new().prefix("kr-").tempdir_in("/tmp").expect("a directory");
    let rack = Rack::of_root_at_home()
        .with_env("KEYRACK_SOCKET_DIR", &sockets.path().display().to_string());
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN; keyrack unlock --for bot").ok();
    let inside = |command: &str| {
        rack.sh(&format!("unshare --mount sh -c 'mount -t tmpfs none /tmp; exec {command}'"))
    };
    let get = "keyrack get --for bot --key TOKEN";
    for command in [get, "keyrack relock --for bot", "keyrack attach --for bot"] {
        let done = inside(command);
        done.code(13).bytes(b"");
        assert!(done.errors().contains("PrivateTmp=no"), "{done}");
    }
    rack.sh(get).ok().bytes(b"value");
    // A daemon that was locked is gone, wherever one looks from.
    rack.sh("keyrack relock --for bot").ok();
    inside(get).code(3).bytes(b"");
}

#[test]
fn code_14_no_audit_line() {
    // Its log is a directory: as good as a full disk.
    let team = Team::of(&["alice", "bob"]);
    team.sh("printf x | keyrack set --for alice --vault team --key TOKEN").ok();
    team.sh(
        "cd ~/.local/share/keyrack/vaults/team/audit; for log in */*.log; do rm $log; mkdir $log; done",
    )
    .ok();
    team.sh("keyrack get --unlock --for bob --key TOKEN").code(14).bytes(b"");
}

const BLOCKED: &str = include_str!("../support/blocked.py");

#[test]
fn the_documentation_has_the_same_table() {
    let table = source::read("keyrack-cli/src/error.rs");
    let (_, table) = table.split_once("const TABLE").expect("the one table");
    let rows: Vec<&str> = table
        .split("];")
        .next()
        .expect("it ends")
        .lines()
        .filter_map(|l| l.split('"').nth(1))
        .collect();
    let codes: Vec<u32> = (0..=14).chain([126, 127]).collect();
    assert_eq!(rows.len(), codes.len());
    let all: String = source::texts("md")
        .into_iter()
        .filter(|(p, _)| p.starts_with("docs"))
        .map(|(_, t)| t)
        .collect();
    for (code, meaning) in codes.iter().zip(&rows) {
        assert!(
            all.contains(&format!("| {code} | {meaning}")),
            "| {code} | {meaning} is in no document"
        );
    }
}
