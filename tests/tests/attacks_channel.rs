//! Between a command and its daemon: who passes on, changes, repeats, shortens or swaps
//! what they say, or leads one owner's command to another's daemon.

use std::sync::{Arc, Mutex};

use keyrack_tests::rack::KeyType;
use keyrack_tests::relay::{Change, From, Relay, faithful};
use keyrack_tests::{Rack, fake, need};

const VALUE: &str = "hunter2-hunter2-hunter2";
/// `VALUE` in base64, wherever it begins.
const CODED: &[&str] = &[
    "aHVudGVyMi1odW50ZXIyLWh1bnRlcjI",
    "h1bnRlcjItaHVudGVyMi1odW50ZXIy",
    "odW50ZXIyLWh1bnRlcjItaHVudGVyM",
];

/// Owners whose keys need a person, so that only a capability answers.
fn rack() -> Rack {
    let rack = Rack::new();
    for owner in ["bot", "eve"] {
        rack.make_key(&format!("id_ed25519_{owner}"), KeyType::Ed25519, "open sesame");
        let set = format!(
            "printf {VALUE} | KEYRACK_PASSPHRASE_FD=3 keyrack set --for {owner} --key SECRET_NAME 3<<<'open sesame'"
        );
        rack.sh(&format!("keyrack init --for {owner}; {set}")).ok();
    }
    rack
}

const UNLOCK: &str = "KEYRACK_PASSPHRASE_FD=3 keyrack unlock --quiet --for bot 3<<<'open sesame'";
const GET: &str = "keyrack get --for bot --key SECRET_NAME";

/// Unlocks, lets `attack` take place, and runs `then` in the tree.
#[track_caller]
fn in_the_tree(rack: &Rack, then: &str, attack: impl FnOnce()) -> keyrack_tests::Finished {
    let script = format!("{UNLOCK}; touch unlocked; until [ -e go ]; do sleep 0.02; done; {then}");
    let _ = std::fs::remove_file(rack.path("work/go"));
    let running = rack.script(&script).start();
    keyrack_tests::daemons::until(|| rack.path("work/unlocked").exists());
    attack();
    rack.write("work/go", "");
    running.finish()
}

/// `get` through a relay; gives what became of it and what the relay heard.
fn relayed(rack: &Rack, change: Arc<Change>) -> (keyrack_tests::Finished, Vec<(From, Vec<u8>)>) {
    let mut relay = None;
    let done = in_the_tree(rack, GET, || relay = Some(Relay::before(&rack.socket("bot"), change)));
    let relay = relay.expect("it was set up");
    // Whatever happened to that, the daemon lives and answers the next.
    std::fs::rename(relay.behind(), rack.socket("bot")).expect("our directory");
    rack.sh(&format!("{UNLOCK}; {GET}")).ok().bytes(VALUE.as_bytes());
    rack.sh("rm -f unlocked go").ok();
    (done, relay.heard())
}

#[test]
fn a_relay_that_changes_nothing_learns_nothing() {
    let rack = rack();
    let (done, heard) = relayed(&rack, faithful());
    done.ok().bytes(VALUE.as_bytes());
    assert!(heard.iter().any(|(who, _)| *who == From::Daemon), "it was relayed");
    for (who, frame) in heard {
        let text = String::from_utf8_lossy(&frame);
        for secret in CODED.iter().chain(&[VALUE, "SECRET_NAME"]) {
            assert!(!text.contains(secret), "{who:?} said {secret}");
        }
    }
}

#[test]
fn a_relay_that_changes_any_byte_is_noticed() {
    let rack = rack();
    let (_, heard) = relayed(&rack, faithful());
    let whole = |who: From| {
        heard.iter().find(|(w, _)| *w == who).map(|(_, frame)| frame.len()).expect("both spoke")
    };
    for who in [From::Command, From::Daemon] {
        let length = whole(who);
        // The first bytes, the last, and some in between.
        for at in [0, 1, 2, 3, 8, length / 3, length / 2, length - 17, length - 1] {
            let change: Arc<Change> = Arc::new(move |from, n, mut frame: Vec<u8>| {
                if from == who && n == 0 && at < frame.len() {
                    frame[at] ^= 1;
                }
                vec![frame]
            });
            let (done, _) = relayed(&rack, change);
            assert!(done.code != 0 && done.stdout.is_empty(), "byte {at} of {who:?}\n{done}");
        }
    }
}

#[test]
fn a_relay_that_shortens_is_noticed() {
    let rack = rack();
    for who in [From::Command, From::Daemon] {
        for keep in [1, 2, 40, 90] {
            let change: Arc<Change> = Arc::new(move |from, _, mut frame: Vec<u8>| {
                if from == who {
                    frame.truncate(keep);
                }
                vec![frame]
            });
            let (done, _) = relayed(&rack, change);
            assert!(done.code != 0 && done.stdout.is_empty(), "{keep} bytes of {who:?}\n{done}");
        }
    }
}

#[test]
fn a_relay_that_repeats_is_noticed() {
    let rack = rack();
    for who in [From::Command, From::Daemon] {
        let change: Arc<Change> =
            Arc::new(
                move |from, _, frame: Vec<u8>| {
                    if from == who { vec![frame.clone(), frame] } else { vec![frame] }
                },
            );
        let (done, _) = relayed(&rack, change);
        // What is said twice is read once, or not at all; never as another answer.
        assert!(done.stdout.is_empty() || done.stdout == VALUE.as_bytes(), "{done}");
    }
}

#[test]
fn frames_that_are_swapped_are_noticed() {
    let rack = rack();
    // Long enough for several frames.
    let set = "head -c 300000 /dev/zero | tr '\\0' x | KEYRACK_PASSPHRASE_FD=3 keyrack set --for bot --key LONG 3<<<'open sesame'";
    rack.sh(set).ok();
    let get = |change: Arc<Change>| {
        let mut relay = None;
        let done = in_the_tree(
            &rack,
            "keyrack get --for bot --key LONG | wc -c; exit ${PIPESTATUS[0]}",
            || {
                relay = Some(Relay::before(&rack.socket("bot"), change));
            },
        );
        let relay = relay.expect("it was set up");
        std::fs::rename(relay.behind(), rack.socket("bot")).expect("our directory");
        rack.sh("rm -f unlocked go").ok();
        (done, relay.heard())
    };
    let (done, heard) = get(faithful());
    done.ok().stdout("300000\n");
    assert!(heard.iter().filter(|(who, _)| *who == From::Daemon).count() > 3, "several frames");
    let held = Mutex::new(None);
    let swap: Arc<Change> = Arc::new(move |from, n, frame: Vec<u8>| match (from, n) {
        (From::Daemon, 1) => {
            *held.lock().expect("no panic while held") = Some(frame);
            Vec::new()
        }
        (From::Daemon, 2) => {
            let first = held.lock().expect("no panic while held").take();
            std::iter::once(frame).chain(first).collect()
        }
        _ => vec![frame],
    });
    let (done, _) = get(swap);
    done.code(7).stdout("0\n");
}

#[test]
fn what_was_recorded_does_nothing_when_it_is_said_again() {
    let rack = rack();
    let set = |value: &str| {
        format!("printf {value} | keyrack set --quiet --for bot --key SECRET_NAME; true")
    };
    let mut relay = None;
    let forge = || relay = Some(Relay::before(&rack.socket("bot"), faithful()));
    in_the_tree(&rack, &set("changed"), forge).ok();
    let relay = relay.expect("it was set up");
    let heard = relay.heard().into_iter();
    let recorded: Vec<Vec<u8>> =
        heard.filter(|(who, _)| *who == From::Command).map(|(_, frame)| frame).collect();
    assert!(recorded.len() > 2, "there was something to record");
    std::fs::rename(relay.behind(), rack.socket("bot")).expect("our directory");
    rack.sh("rm -f unlocked go").ok();
    let script =
        format!("{}; touch unlocked; until [ -e go ]; do sleep 0.02; done; {GET}", set(VALUE));
    let running = rack.script(&format!("{UNLOCK}; {script}")).start();
    keyrack_tests::daemons::until(|| rack.path("work/unlocked").exists());
    let all: Vec<u8> = recorded.iter().flat_map(|frame| fake::framed(frame)).collect();
    fake::say(&rack.socket("bot"), &all);
    for frame in &recorded {
        fake::say(&rack.socket("bot"), &fake::framed(frame));
    }
    rack.write("work/go", "");
    running.finish().ok().bytes(VALUE.as_bytes());
}

#[test]
fn one_owners_command_led_to_anothers_daemon_is_refused() {
    let rack = rack();
    rack.sh(&UNLOCK.replace("bot", "eve")).ok();
    let lead = |how: &dyn Fn()| {
        let done = in_the_tree(&rack, GET, || {
            std::fs::rename(rack.socket("bot"), rack.path("run/away")).expect("our directory");
            how();
        });
        assert!(done.code != 0 && done.stdout.is_empty(), "{done}");
        std::fs::remove_file(rack.socket("bot")).expect("our directory");
        std::fs::rename(rack.path("run/away"), rack.socket("bot")).expect("our directory");
        rack.sh("rm -f unlocked go").ok();
    };
    lead(&|| std::fs::hard_link(rack.socket("eve"), rack.socket("bot")).expect("our directory"));
    lead(&|| {
        std::os::unix::fs::symlink(rack.socket("eve"), rack.socket("bot")).expect("our directory")
    });
    let relay = Mutex::new(None);
    lead(&|| {
        let led = Relay::to(&rack.socket("eve"), &rack.socket("bot"), faithful());
        *relay.lock().expect("no panic while held") = Some(led);
    });
    let log = rack.sh("KEYRACK_PASSPHRASE_FD=3 keyrack log --for eve 3<<<'open sesame'");
    assert!(log.text().contains("refused"), "{log}");
}

#[test]
fn a_version_that_nobody_offered_is_noticed() {
    let rack = rack();
    for other in [0, 3] {
        let change: Arc<Change> = Arc::new(move |from, _, mut frame: Vec<u8>| {
            // Two versions, which are 2 and 1, and an owner of three letters.
            let offer = frame.windows(9).position(|bytes| bytes == b"\x02\x00\x02\x00\x01\x03bot");
            if let (From::Command, Some(at)) = (from, offer) {
                frame[at + 2] = other;
            }
            vec![frame]
        });
        let (done, _) = relayed(&rack, change);
        assert!(done.code != 0 && done.stdout.is_empty(), "{done}");
    }
}

#[test]
fn a_relay_learns_nothing_from_an_unlock_either() {
    let rack = rack();
    rack.sh(UNLOCK).ok();
    let relay = Relay::before(&rack.socket("bot"), faithful());
    rack.sh(UNLOCK).ok();
    std::fs::rename(relay.behind(), rack.socket("bot")).expect("our directory");
    let heard = relay.heard();
    assert!(
        heard.iter().any(|(who, frame)| *who == From::Command && frame.len() > 100),
        "a push was relayed"
    );
    for (_, frame) in heard {
        let text = String::from_utf8_lossy(&frame);
        assert!(!CODED.iter().chain(&[VALUE, "SECRET_NAME"]).any(|secret| text.contains(secret)));
    }
}

/// The same, where command, daemon and attacker are an ordinary user's.
#[test]
fn all_of_it_as_an_ordinary_user() {
    need!(root);
    keyrack_tests::user::all_again("all_of_it_as_an_ordinary_user");
}
