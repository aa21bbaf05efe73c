//! What one command does between two steps of another: each is held at the step by a lock.

use std::fs::File;

use keyrack_tests::{Rack, daemons};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf old | keyrack set --for bot --key OLD").ok();
    rack
}

/// The value is read before the daemon starts, and here a `set` and a `del` come in between.
fn set_and_deleted_beside_an_unlock(rack: &Rack, vault: &str) {
    rack.sh(&format!(
        "printf old | keyrack set --for bot --vault {vault} --key KEPT
         printf old | keyrack set --for bot --vault {vault} --key GONE"
    ))
    .ok();
    // Whoever starts a daemon waits for this lock.
    let starts = File::open(rack.path("run")).expect("our directory");
    starts.lock().expect("nobody starts one");
    let unlock = rack.script("keyrack unlock --for bot").start();
    let log = rack.data().join("audit/bot.log");
    daemons::until(|| log.exists());
    rack.sh(&format!(
        "printf new | keyrack set --for bot --vault {vault} --key KEPT
         keyrack del --for bot --vault {vault} --key GONE
         printf new | keyrack set --for bot --vault {vault} --key LATER"
    ))
    .ok();
    drop(starts);
    unlock.finish().ok();
    rack.sh("keyrack get --for bot --key KEPT").ok().bytes(b"new");
    rack.sh("keyrack get --for bot --key GONE").code(4);
    rack.sh("keyrack get --for bot --key LATER").code(3);
}

#[test]
fn what_is_set_or_deleted_beside_an_unlock_is_so_in_the_daemon() {
    set_and_deleted_beside_an_unlock(&rack(), "personal");
}

#[test]
fn what_is_set_or_deleted_in_a_vault_beside_an_unlock_is_so_in_the_daemon() {
    let rack = rack();
    rack.sh("keyrack vault create house -q --for bot").ok();
    set_and_deleted_beside_an_unlock(&rack, "house");
}

/// The entry goes when the vault has the value: not one that was set since.
#[test]
fn what_is_set_beside_an_adoption_is_adopted() {
    let rack = rack();
    rack.sh("keyrack vault create house --instead -q --for bot").ok();
    let files = || {
        let found = rack.sh("find ~/.local/share/keyrack/vaults/house -type f | wc -l").text();
        found.parse::<u32>().expect("a number")
    };
    let before = files();
    let lock = File::open(rack.state().join("locks/bot.lock")).unwrap();
    lock.lock().unwrap();
    let adopt = rack.script("exec keyrack vault adopt -q --for bot").start();
    daemons::until(|| files() > before);
    assert!(files() > before, "the vault has it");
    let pid = Pid::from_raw(adopt.pid().cast_signed());
    kill(pid, Signal::SIGSTOP).unwrap();
    drop(lock);
    let set = rack.sh("printf new | keyrack set --for bot --vault personal --key OLD");
    kill(pid, Signal::SIGCONT).unwrap();
    adopt.finish().ok();
    set.ok();
    rack.sh("keyrack get --unlock --for bot --key OLD").ok().bytes(b"new");
}
