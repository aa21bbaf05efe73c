//! After a relock, a crash or a day's work a value is left nowhere: not in the daemon's
//! memory, not in a core file of the command's, not in a log.

use keyrack_tests::skip::{Missing, skip};
use keyrack_tests::{Rack, need};

const CANARY: &str = "canary-51d7-once-held-and-then-forgotten";
/// The canary as it would look in JSON on the channel and in hex, wherever it begins.
const CODED: &[&str] = &[
    CANARY,
    "Y2FuYXJ5LTUxZDctb25jZS1oZWxkLWFuZC10aGVuLWZvcmdvdHRl",
    "NhbmFyeS01MWQ3LW9uY2UtaGVsZC1hbmQtdGhlbi1mb3Jnb3R0Z",
    "jYW5hcnktNTFkNy1vbmNlLWhlbGQtYW5kLXRoZW4tZm9yZ290dG",
    "63616e6172792d353164372d6f6e63652d68656c64",
];

/// An ordinary user's owner that has the canary under `FORGOTTEN`, and another value.
fn rack() -> Rack {
    let rack = Rack::ordinary();
    rack.key("bot");
    let set = format!(
        "printf {CANARY} | keyrack set --for bot --key FORGOTTEN; printf kept | keyrack set --for bot --key KEPT"
    );
    rack.sh(&format!("keyrack init --for bot; {set}")).ok();
    rack
}

/// Every way by which a value leaves a daemon, and some by which it enters one.
const USE: &str = r"
    keyrack unlock --for bot
    for i in $(seq 20); do keyrack get --for bot --key FORGOTTEN; done
    keyrack get --for bot --key FORGOTTEN --key KEPT --json
    keyrack get --for bot --key FORGOTTEN --format export
    keyrack source --for bot
    keyrack exec --for bot -- true
    keyrack exec --for bot --files --key FORGOTTEN -- true
    keyrack get --for bot --key FORGOTTEN | keyrack set --for bot --key FORGOTTEN
    keyrack copy --from bot --to bot --key FORGOTTEN
    env -u PATH $(command -v keyrack) get --for bot --key FORGOTTEN
";

#[test]
fn what_was_relocked_is_nowhere_in_the_daemons_memory() {
    need!(root);
    need!("python3");
    let rack = rack();
    rack.sh(&format!("{{ {USE} }} >/dev/null 2>&1; keyrack relock --for bot --key FORGOTTEN")).ok();
    rack.sh("keyrack get --for bot --key FORGOTTEN").code(3);
    let daemon = rack.daemons()[0];
    let scan = rack.write("scan.py", include_str!("../support/scan.py"));
    // As root: a daemon's memory is closed to its own user.
    let count = |needle: &str| {
        let mut python = std::process::Command::new("python3");
        let out = python.arg(&scan).args([&daemon.to_string(), needle]).output().expect("it runs");
        String::from_utf8_lossy(&out.stdout).trim().parse::<usize>().expect("a number")
    };
    for coded in CODED {
        assert_eq!(count(coded), 0, "{coded}");
    }
    // The scan finds what is there, and the daemon is the one that served.
    assert!(count("@all.all.KEPT") + count("personal") > 0, "the scan finds nothing at all");
    rack.sh("keyrack get --for bot --key KEPT").ok().bytes(b"kept");
    // Nor what is still held: it is sealed, and opened for the length of one reply.
    assert_eq!(count("kept-by-nobody") + count("\"value\":\"a2VwdA==\""), 0);
}

#[test]
fn a_command_that_crashes_leaves_no_core() {
    need!("python3");
    let rack = rack();
    rack.sh("keyrack unlock --quiet --for bot; head -c 900000 /dev/zero | tr '\\0' x | keyrack set --quiet --for bot --key LONG; keyrack unlock --quiet --for bot").ok();
    // Each holds a value when it is made to crash: one waits for the rest of it, one for
    // its reader.
    let crash = |command: &str| {
        format!(
            "rm -f core*; ulimit -c unlimited; (printf {CANARY}; sleep 2) | {{ {command} & echo $! >pid; wait $!; }} | sleep 2 & \
             until [ -s pid ]; do sleep 0.01; done; sleep 0.3; kill -SEGV $(cat pid); wait; rm pid; cat core* 2>/dev/null | grep -c -e {CANARY} -e xxxxxxxx; true"
        )
    };
    let plain = "python3 -c 'import sys, time; x = sys.stdin.buffer.read(40); time.sleep(9)'";
    if rack.sh(&crash(plain)).ok().text() == "0" {
        return skip(
            "nothing_left.rs::a_command_that_crashes_leaves_no_core",
            Missing::Here("this machine leaves no core files in the working directory"),
        );
    }
    for command in [
        "keyrack set --for bot --key NEW",
        "keyrack get --for bot --key LONG",
        "keyrack get --for bot --key LONG --json",
        "keyrack exec --for bot --key FORGOTTEN -- sleep 9",
    ] {
        rack.sh(&crash(command)).ok().stdout("0\n");
    }
}

#[test]
fn no_log_has_it() {
    let rack = rack();
    let script = format!(
        "export KEYRACK_LOG=1 KEYRACK_REASON=tests; {{ {USE} }} >/dev/null 2>log; keyrack relock --for bot 2>>log; \
         keyrack log --for bot >>log; keyrack doctor --for bot >>log 2>&1; keyrack status --all >>log"
    );
    rack.sh(&script).ok();
    let log = std::fs::read_to_string(rack.path("work/log")).expect("it was written");
    assert!(log.contains("keyrack: log: ") && log.contains(r#""action":"get""#), "{log}");
    for coded in CODED {
        let found = rack.script("grep -rlaF -f - .. 2>/dev/null").stdin(format!("{coded}\n")).run();
        assert_eq!(found.text(), "", "{coded} is in a file");
    }
}
