//! A canary is set, unlocked, read, copied and dropped, and is found nowhere: not in an
//! argument, an environment, an output, a log or a file; and the daemon holds nothing of
//! its caller's.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keyrack_tests::{Rack, need};

const CANARY: &str = "canary-0b5f-never-seen";
const PASSPHRASE: &str = "passphrase-6e1d-never-seen";
/// For the one test that looks at everybody's arguments: another gives [`CANARY`] as one.
const UNARGUED: &str = "canary-93ac-never-seen";

/// Everything that handles a value, with every log on.
const EVERYTHING: &str = r#"
    export KEYRACK_LOG=trace RUST_LOG=trace RUST_BACKTRACE=full
    exec 3<pass; KEYRACK_PASSPHRASE_FD=3 keyrack init --for bot
    keyrack init --for other
    keyrack set --for bot --key DROPPED --from-file value
    keyrack set --for other --key PLAIN < value
    KEYRACK_PASSPHRASE_FD=4 keyrack set --for bot --key SET --from-file value 4<pass
    KEYRACK_PASSPHRASE_FD=4 keyrack unlock --for bot --accept-drops 4<pass
    keyrack unlock --for other
    keyrack get --for bot --key SET > got
    keyrack get --for bot --key MISSING
    keyrack source --for bot > sourced
    keyrack copy --from other --to bot --key PLAIN
    keyrack set --for bot --key SET --from-file value
    keyrack set --for bot --key SET "$(cat value)"
    keyrack set --for bot --key "$(cat value)" < value
    keyrack get --for bot --key "$(cat value)"
    KEYRACK_PASSPHRASE_FD=4 keyrack list --for bot 4< <(cat value)
    keyrack status --all; keyrack list --for other; keyrack log --for bot; keyrack log verify --for other
    keyrack doctor --for bot; keyrack doctor --for other
    keyrack get --for other --key PLAIN >/dev/full
    rm value pass got sourced
"#;

fn rack() -> Rack {
    let rack = Rack::new();
    key(&rack);
    rack.key("other");
    rack.write("work/value", CANARY);
    rack.write("work/pass", PASSPHRASE);
    rack
}

/// A key with the passphrase, which only `ssh-keygen`'s prompt is told: this file's tests
/// look at everybody's arguments.
fn key(rack: &Rack) {
    let mut terminal = rack.terminal("ssh-keygen -q -t ed25519 -C bot -f ~/.ssh/id_ed25519_bot");
    terminal.expect("assphrase").type_line(PASSPHRASE);
    terminal.expect("again").type_line(PASSPHRASE);
    assert_eq!(terminal.finish().0, 0);
}

#[test]
fn not_in_outputs_logs_or_files() {
    let rack = rack();
    let done = rack.sh(EVERYTHING);
    // The shell itself is told the value where the test gives it as an argument.
    let said = done.errors() + &String::from_utf8_lossy(&done.stdout);
    for secret in [CANARY, PASSPHRASE] {
        assert!(!said.contains(secret), "{done}");
    }
    let held = rack.sh("keyrack get --for other --key PLAIN");
    held.ok().bytes(CANARY.as_bytes());
    for encoded in [CANARY.to_owned(), PASSPHRASE.to_owned(), base64(CANARY), hex(CANARY)] {
        let found =
            rack.script("grep -rlaF -f - .. 2>/dev/null").stdin(format!("{encoded}\n")).run();
        assert_eq!(found.text(), "", "{encoded} is on disk");
    }
}

#[test]
fn not_in_arguments_or_environments() {
    let rack = rack();
    rack.write("work/all.sh", EVERYTHING.replace("\"$(cat value)\"", "x"));
    let over = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                seen.extend(exposed());
            }
            seen
        });
        for _ in 0..5 {
            rack.write("work/value", UNARGUED);
            rack.write("work/pass", PASSPHRASE);
            rack.sh(". ./all.sh");
        }
        over.store(true, Ordering::Relaxed);
        watcher.join().expect("the watcher")
    });
    assert_eq!(seen, [] as [String; 0]);
}

/// Processes whose arguments or environment show a secret.
fn exposed() -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
    let shows = |process: &fs::DirEntry| {
        let name = process.file_name();
        if !name.to_str()?.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let read = |kind: &str| fs::read(process.path().join(kind)).unwrap_or_default();
        let (cmdline, environ) = (read("cmdline"), read("environ"));
        let hit = [UNARGUED, PASSPHRASE].iter().any(|secret| {
            [&cmdline, &environ]
                .iter()
                .any(|text| text.windows(secret.len()).any(|w| w == secret.as_bytes()))
        });
        hit.then(|| format!("{name:?}: {}", String::from_utf8_lossy(&cmdline)))
    };
    processes.filter_map(|p| shows(&p)).collect()
}

#[test]
fn the_daemon_inherits_nothing() {
    let rack = rack();
    rack.sh("keyrack init --for other; keyrack set --for other --key K --from-file value").ok();
    // Each of these would hang if the daemon held the pipe; the runner gives up after ten
    // seconds, so does `cat`.
    let piped = "keyrack unlock --for other 2>&1 | cat >/dev/null; \
                 x=$(keyrack relock --for other; keyrack unlock --for other 2>&1); \
                 exec 7<value 8>held 9< <(sleep 0); keyrack relock --quiet --for other; cd /; CANARY_ENV=1 keyrack unlock --quiet --for other";
    rack.sh(piped).ok();
    let daemon = rack.daemons()[0];
    let look = |what: &str| rack.sh(&format!("{what} /proc/{daemon}/")).text();
    // The nonce by which a second stage knows its first is no secret once it was used.
    let path = rack.sh(&format!("tr '\\0' '\n' </proc/{daemon}/cmdline")).text();
    let strange = path.lines().skip(1).find(|word| !word.starts_with("--second-stage="));
    assert!(path.lines().next().is_some_and(|p| p.ends_with("keyrackd")), "{path}");
    assert_eq!(strange, None);
    assert_eq!(rack.sh(&format!("cat /proc/{daemon}/comm")).text(), "keyrackd");
    if keyrack_tests::skip::is_root() {
        assert_eq!(rack.sh(&format!("wc -c </proc/{daemon}/environ")).text(), "0");
        assert_eq!(rack.sh(&format!("readlink /proc/{daemon}/cwd")).text(), "/");
        let open = look(
            "ls -l --time-style=+ /proc/PID/fd | sed -n 's/.* -> //p'"
                .replace("PID", &daemon.to_string())
                .trim_end_matches('/'),
        )
        .to_owned();
        let strange: Vec<&str> = open.lines().filter(|line| !is_the_daemons(line)).collect();
        assert_eq!(strange, [] as [&str; 0]);
    }
    let session = rack.sh(&format!("ps -o sid=,tty= -p {daemon}")).text();
    assert_eq!(session.split_whitespace().collect::<Vec<_>>(), [daemon.to_string().as_str(), "?"]);
}

/// What a daemon has open: nothing, its sockets, its clock, its log.
fn is_the_daemons(descriptor: &str) -> bool {
    let own = ["/dev/null", "socket:[", "anon_inode:", "/secretmem"];
    own.iter().any(|start| descriptor.starts_with(start)) || descriptor.contains("/audit/other.log")
}

#[test]
fn not_in_a_core_file() {
    need!("python3");
    let rack = rack();
    rack.sh("keyrack init --for other; keyrack set --for other --key K --from-file value; keyrack unlock --for other; rm value pass").ok();
    let daemon = rack.daemons()[0];
    let limits = rack.sh(&format!("grep 'Max core file size' /proc/{daemon}/limits")).text();
    assert_eq!(limits.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
    rack.sh(&format!("cd ..; ulimit -c unlimited; kill -SEGV {daemon}; sleep 0.2")).ok();
    let found = rack.script("grep -rlaF -f - .. 2>/dev/null").stdin(format!("{CANARY}\n")).run();
    assert_eq!(found.text(), "");
}

#[test]
fn prompts_do_not_echo() {
    let rack = rack();
    rack.sh("rm value pass; keyrack init --for bot").ok();
    let mut terminal = rack.terminal("keyrack set --for bot --key TOKEN; keyrack unlock --for bot && keyrack get --for bot --key TOKEN | wc -c");
    terminal.expect("assphrase").type_line(PASSPHRASE);
    terminal.expect("alue").type_line(CANARY);
    terminal.expect("assphrase").type_line(PASSPHRASE);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(CANARY) && !screen.contains(PASSPHRASE), "{screen}");
    assert!(screen.trim_end().ends_with(&CANARY.len().to_string()), "{screen}");
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

/// The whole groups of the text in base64, which any encoding at that offset contains.
fn base64(text: &str) -> String {
    const TABLE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = text.as_bytes().chunks_exact(3);
    let digits = groups.flat_map(|g| {
        let n = u32::from_be_bytes([0, g[0], g[1], g[2]]);
        [n >> 18, n >> 12, n >> 6, n].map(|d| char::from(TABLE[(d & 63) as usize]))
    });
    digits.collect()
}
