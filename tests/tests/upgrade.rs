//! An upgrade costs nobody their unlocks: a daemon of the version before serves on until
//! its grants end, and the next start is the new one.

use std::sync::Arc;

use keyrack_tests::old_daemon::OldDaemon;
use keyrack_tests::rack::KeyType;
use keyrack_tests::relay::{Change, From, Relay};
use keyrack_tests::{Rack, daemons, fake, need};

/// Two credentials; nothing is unlocked.
fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh(
        "keyrack init --for bot
         printf apple | keyrack set --for bot --key A; printf bread | keyrack set --for bot --key B",
    )
    .ok();
    rack
}

/// `YXBwbGU=` is apple: unlocked before the upgrade.
fn old_daemon(rack: &Rack) -> OldDaemon {
    let manifest =
        rack.sh("age -d -i ~/.ssh/id_ed25519_bot ~/.local/share/keyrack/host.bot.yml.age");
    let grants = [("@all.all.A", "YXBwbGU=")];
    OldDaemon::listen(&rack.socket("bot"), "bot", &manifest.ok().text(), &grants)
}

#[test]
fn an_older_daemon_serves_on_and_takes_more() {
    need!("age");
    let rack = rack();
    let old = old_daemon(&rack);
    rack.sh("keyrack get --for bot --key A").ok().bytes(b"apple");
    rack.sh("keyrack get --for bot --key B").code(4);
    let script =
        "keyrack unlock --quiet --for bot; keyrack get --for bot --key B --key A --json; exit $?";
    let got = rack.sh(script).ok().json();
    assert_eq!(
        (&got["values"][0]["value"], &got["values"][1]["value"]),
        (&"bread".into(), &"apple".into()),
        "{got}"
    );
    assert_eq!(old.holds(), ["@all.all.A", "@all.all.B"]);
    rack.sh("keyrack exec --quiet --for bot --key B -- sh -c 'test $B = bread'").ok();
    assert_eq!(old.strange(), [] as [String; 0], "nothing was said that it does not know");
    assert_eq!(rack.daemons(), [std::process::id() as i32], "and no other was started");
}

#[test]
fn the_skew_is_shown_and_the_next_start_is_the_new_one() {
    need!("age");
    let rack = rack();
    let old = old_daemon(&rack);
    let words = "its daemon is of keyrack 0.0.9 (protocol 1), this is";
    let status = rack.sh("keyrack status --for bot");
    assert!(status.ok().text().contains(words), "{status}");
    let doctor = rack.sh("keyrack doctor --for bot");
    assert!(doctor.text().contains(words), "{doctor}");
    assert!(doctor.errors().contains("keyrack daemon restart --for bot"), "{doctor}");
    rack.sh("keyrack relock --for bot").ok();
    assert!(old.was_ended());
    drop(old);
    rack.sh("keyrack unlock --quiet --for bot; keyrack get --for bot --key A").ok().bytes(b"apple");
    let status = rack.sh("keyrack status --for bot --json").ok().json();
    let daemon = &status["owners"][0]["daemon"];
    assert_eq!(daemon["protocolVersions"][0], 2, "{status}");
    assert!(daemon["skew"].is_null(), "{status}");
}

#[test]
fn an_older_daemon_is_not_taken_for_one_that_ends_with_a_process() {
    need!("age");
    let rack = rack();
    let old = old_daemon(&rack);
    let done = rack.sh("keyrack unlock --for bot --ephemeral; exit $?");
    assert!(done.code(11).errors().contains("does not end with bash (pid"), "{done}");
    assert_eq!(old.holds(), ["@all.all.A"], "it was given nothing");
    assert_eq!(old.strange(), [] as [String; 0]);
}

const FETCH: &str = "keyrack get --for bot --key A";

/// What becomes of a `get` by capability through a relay that changes what is offered.
#[track_caller]
fn through(change: Arc<Change>) -> (keyrack_tests::Finished, usize) {
    let rack = Rack::new();
    rack.make_key("id_ed25519_bot", KeyType::Ed25519, "open sesame");
    let with = "KEYRACK_PASSPHRASE_FD=3 keyrack";
    rack.sh(&format!(
        "keyrack init --for bot; printf apple | {with} set --for bot --key A 3<<<'open sesame'"
    ))
    .ok();
    let script = format!(
        "{with} unlock --quiet --for bot 3<<<'open sesame'; touch unlocked; until [ -e go ]; do sleep 0.02; done; {FETCH}"
    );
    let running = rack.script(&script).start();
    daemons::until(|| rack.path("work/unlocked").exists());
    let relay = Relay::before(&rack.socket("bot"), change);
    rack.write("work/go", "");
    let done = running.finish();
    std::fs::rename(relay.behind(), rack.socket("bot")).expect("our directory");
    // Hellos that were said: a downgrade dance would say a second.
    let said = relay.heard();
    let hellos =
        said.iter().filter(|(who, frame)| *who == From::Command && frame.first() == Some(&1));
    (done, hellos.count())
}

/// A frame's hello, with these versions in the place of those that were offered.
fn offering(versions: &[u8]) -> Arc<Change> {
    let versions = versions.to_vec();
    Arc::new(move |who, n, frame| {
        // lead(1) length(2) "keyrack"(7) count(1) versions(2 each)
        if who != From::Command || n > 0 || frame.first() != Some(&1) {
            return vec![frame];
        }
        let (head, rest) = frame.split_at(10);
        let (offered, behind) = rest.split_at(1 + usize::from(rest[0]) * 2);
        let mut other = vec![versions.len() as u8];
        other.extend(versions.iter().flat_map(|version| [0, *version]));
        let length = u16::from_be_bytes([head[1], head[2]]) as usize + other.len() - offered.len();
        let head = [&head[..1], &(length as u16).to_be_bytes(), &head[3..]].concat();
        vec![[&head, &other[..], behind].concat()]
    })
}

#[test]
fn a_downgrade_forced_by_a_relay_is_refused() {
    let (done, _) = through(offering(&[2, 1]));
    done.ok().bytes(b"apple");
    for versions in [&[1][..], &[1, 1], &[1, 2], &[2]] {
        let (done, _) = through(offering(versions));
        assert!(done.code != 0 && done.stdout.is_empty(), "{versions:?}\n{done}");
    }
}

#[test]
fn a_refusal_that_anybody_could_have_written_leads_to_no_lower_offer() {
    let refused = br#"{"code":"version","message":"this daemon speaks no protocol version that was offered"}"#;
    let change: Arc<Change> = Arc::new(move |who, _, frame: Vec<u8>| match who {
        From::Daemon if frame.first() == Some(&1) => vec![[&[3][..], refused].concat()],
        _ => vec![frame],
    });
    let (done, hellos) = through(change);
    assert!(done.code(7).stdout.is_empty(), "{done}");
    assert_eq!(hellos, 1);
}

#[test]
fn a_restart_says_what_is_lost_and_loses_no_more() {
    let rack = rack();
    rack.sh("printf root | keyrack set --for bot --key R --env sudo").ok();
    // Another tree, which the restart cannot give its capability again.
    let other = rack
        .script("keyrack unlock --quiet --for bot --key A --duration 1h; touch other; sleep 600")
        .start();
    daemons::until(|| rack.path("work/other").exists());
    let script = "keyrack unlock --quiet --for bot --env sudo --key R; keyrack unlock --quiet --for bot --key B --duration 5m
        keyrack daemon restart --for bot --dry-run; keyrack daemon restart --for bot --no-input; echo $?
        keyrack get --for bot --key A >/dev/null; keyrack daemon restart --for bot --yes; echo $?
        keyrack get --for bot --key B; keyrack get --for bot --env sudo --key R; keyrack status --for bot --json >status";
    let would = rack.sh("keyrack daemon restart --for bot --dry-run --json").ok().json();
    assert_eq!((&would["dryRun"], &would["restarted"]), (&true.into(), &false.into()), "{would}");
    assert_eq!(would["keys"][0]["slug"], "@all.all.A", "{would}");
    assert_eq!(would["lost"][0]["label"], format!("bash (pid {})", other.pid()), "{would}");
    let before = rack.daemons();
    let done = rack.sh(script);
    done.ok().stdout("8\n0\nbreadroot");
    assert!(done.errors().contains("@all.all.A is granted again for the 59m"), "{done}");
    let lost = format!("of bash (pid {}) may read nothing until it unlocks again", other.pid());
    assert!(done.errors().contains(&lost), "{done}");
    assert_ne!(rack.daemons(), before);
    let status = std::fs::read(rack.path("work/status")).expect("it was written");
    let status: serde_json::Value = serde_json::from_slice(&status).expect("JSON");
    let left = |slug: &str| {
        let grants = status["owners"][0]["grants"].as_array().expect("grants");
        let grant = grants.iter().find(|grant| grant["slug"] == slug);
        grant.and_then(|grant| grant["expiresInMs"].as_u64()).expect("it is held") / 60_000
    };
    assert!(left("@all.all.A") <= 60 && left("@all.all.B") <= 5 && left("@all.sudo.R") <= 30);
    nix::sys::signal::killpg(
        nix::unistd::Pid::from_raw(other.pid() as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("our child");
    other.finish();
    rack.sh("keyrack relock --for bot; keyrack daemon restart --for bot").ok();
    assert_eq!(rack.daemons(), [] as [i32; 0]);
}

/// A daemon that was stopped, and still holds what was unlocked.
fn hanging(rack: &Rack) -> i32 {
    rack.sh("keyrack unlock --quiet --for bot").ok();
    let [pid] = rack.daemons()[..] else { panic!("one daemon") };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGSTOP)
        .expect("our daemon");
    pid
}

#[test]
fn a_daemon_that_hangs_is_asked_once_shown_and_told_how_to_end() {
    let rack = rack();
    let pid = hanging(&rack);
    let got = rack.sh("KEYRACK_LOG=1 keyrack get --for bot --key A");
    let said = got.code(7).errors();
    assert!(said.contains("does not answer: nothing came within 2 s"), "{got}");
    assert_eq!(said.matches("asked").count(), 1, "{got}");
    assert!(said.ends_with("hint: keyrack relock --for bot\n"), "{got}");
    let listed = rack.sh("keyrack daemon list").ok().text();
    assert!(listed.starts_with(&format!("bot\tpid {pid}\thangs\t")), "{listed}");
    let told = rack.sh("keyrack doctor --for bot");
    assert!(told.text().contains("which hangs"), "{told}");
    assert!(told.errors().contains("hint: keyrack relock --for bot"), "{told}");
    rack.sh("keyrack relock --for bot").ok();
    rack.no_daemon();
}

#[test]
fn an_owner_is_not_gone_while_its_daemon_hangs() {
    let rack = rack();
    hanging(&rack);
    rack.sh("keyrack destroy --yes --for bot").ok();
    rack.no_daemon();
    rack.sh("ls $KEYRACK_SOCKET_DIR").ok().bytes(b"");
}

#[test]
fn a_daemon_that_hangs_is_ended_by_what_the_kernel_hands_out() {
    let rack = rack();
    let pid = hanging(&rack);
    let done = rack.sh("keyrack daemon stop --all");
    assert!(
        done.ok().errors().contains(&format!("pid {pid} did not answer and was killed")),
        "{done}"
    );
    rack.no_daemon();
    rack.sh("keyrack daemon prune; ls $KEYRACK_SOCKET_DIR").ok().bytes(b"");
}

#[test]
fn what_is_no_daemon_is_not_killed() {
    let rack = rack();
    let socket = rack.socket("bot");
    let _fake = fake::FakeDaemon::saying(&socket, None);
    let done = rack.sh("keyrack daemon stop --all");
    assert!(done.code(7).errors().contains("does not answer: nothing came"), "{done}");
}
