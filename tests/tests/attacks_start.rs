//! At a daemon while it starts: by opening its memory before it closes it, by tracing it
//! from its first instruction, by looking for a moment in which its socket is open to all.

use std::os::unix::fs::PermissionsExt as _;

use keyrack_tests::{Rack, binaries, need};

/// An ordinary user's owner, whose daemon starts without a person.
fn rack() -> Rack {
    let rack = Rack::ordinary();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf the-value | keyrack set --for bot --key TOKEN").ok();
    rack
}

/// Puts an attacker of `tests/attackers` into the working directory.
fn attacker(rack: &Rack, name: &str) {
    let program = binaries::repository().join("tests/attackers").join(name);
    rack.write(&format!("work/{name}"), std::fs::read(program).expect("it is there"));
}

const START: &str =
    "keyrack unlock --quiet --for bot; sleep 0.01; keyrack relock --quiet --for bot";

/// Runs `round` so many times beside an attacker, which ends when a file `stop` is there;
/// gives the last thing it said.
#[track_caller]
fn beside(rack: &Rack, attack: &str, rounds: u32, round: &str) -> String {
    let script = format!(
        "rm -f stop said; python3 {attack} >said & until [ -s said ]; do sleep 0.01; done; \
         for i in $(seq {rounds}); do {round}; done; touch stop; wait; tail -n 1 said"
    );
    rack.sh(&script).ok().text()
}

/// Two hundred daemons are raced at their start, by a program of their own user: half of
/// them as cargo installs them, half as they should be installed, unreadable.
#[test]
fn of_two_hundred_starts_none_is_read() {
    need!("python3");
    let rack = rack();
    attacker(&rack, "race.py");
    let race = |name: &str, rounds: u32, round: &str| -> (u32, u32) {
        let said = beside(&rack, &format!("race.py {name}"), rounds, round);
        let (seen, read) = said.split_once(' ').expect("two numbers");
        (seen.parse().expect("a number"), read.parse().expect("a number"))
    };
    for mode in [0o755, 0o111] {
        let program = rack.path("bin/keyrackd");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).expect("ours");
        let (seen, read) = race("keyrackd", 100, START);
        assert!(seen > 50, "the race was not run: {seen} of 100 seen");
        assert_eq!(read, 0, "{read} of {seen} daemons were read (mode {mode:o})");
    }
    // What closes itself when it has started, as a daemon without a cure would, is read.
    rack.write(
        "work/late.py",
        "import ctypes, time\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\ntime.sleep(0.1)\n",
    );
    let (seen, read) = race("python3", 20, "python3 late.py");
    assert!(read > 0, "the attack does not work: {seen} seen, none read");
}

/// What a daemon is handed at its start opens it for ever. Who has its standard input from its
/// first moment hears that, whatever it closes afterwards.
#[test]
fn what_a_daemon_is_handed_is_heard_by_nobody() {
    need!("python3");
    let rack = rack();
    attacker(&rack, "steal.py");
    let steal = |name: &str, round: &str| -> (u32, u32) {
        let said = beside(&rack, &format!("steal.py {name}"), 60, round);
        let (seen, heard) = said.split_once(' ').expect("two numbers");
        (seen.parse().expect("a number"), heard.parse().expect("a number"))
    };
    let (seen, heard) = steal("keyrackd", START);
    assert!(seen > 30, "the race was not run: {seen} of 60 seen");
    assert_eq!(heard, 0, "{heard} of {seen} daemons were overheard");
    let other = "import socket, subprocess\n\
        ours, theirs = socket.socketpair()\n\
        child = subprocess.Popen(['sleep', '0.05'], stdin=theirs)\n\
        ours.sendall(b'secret')\nchild.wait()\n";
    rack.write("work/other.py", other);
    let (seen, heard) = steal("sleep", "python3 other.py");
    assert!(heard > 0, "the attack does not work: {seen} seen, none heard");
}

/// Whatever the umask says, and however quickly somebody looks.
#[test]
fn a_socket_is_never_open_to_others_not_for_a_moment() {
    need!("python3");
    let rack = rack();
    attacker(&rack, "window.py");
    let attack = format!("window.py {}", rack.socket("bot").display());
    assert_eq!(beside(&rack, &attack, 30, &format!("umask 0; {START}")), "600");
    // A socket that is bound as most programs do it has such a moment.
    let common = "umask 0; rm -f other; python3 -c 'import os, socket; socket.socket(socket.AF_UNIX).bind(\"other\"); os.chmod(\"other\", 0o600)'; sleep 0.01";
    let any_is_seen = (0..5).any(|_| beside(&rack, "window.py other", 10, common).contains("777"));
    assert!(any_is_seen, "the attack does not work");
}

/// Who traces a daemon sees all that it is given. So it is given nothing.
#[test]
fn one_that_is_traced_from_its_beginning_does_not_start() {
    need!("strace");
    let rack = rack();
    for mode in [0o755, 0o111] {
        let program = rack.path("bin/keyrackd");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).expect("ours");
        let done = rack.sh("strace -f -o trace -e trace=prctl keyrack unlock --for bot");
        // A program that cannot be read cannot be executed under a tracer either.
        done.code(if mode == 0o755 { 7 } else { done.code });
        assert_ne!(done.code, 0, "{done}");
        rack.no_daemon();
    }
    let done = rack.sh("strace -f -o trace -e trace=prctl keyrack unlock --for bot");
    assert!(!done.errors().contains("granted"), "{done}");
}

/// The command closes itself with its first instruction. Before that it is open for a moment,
/// but where its user cannot read its program.
#[test]
fn reading_a_command_while_it_starts_succeeds_by_design() {
    need!("python3");
    let rack = rack();
    attacker(&rack, "race.py");
    let program = rack.path("bin/keyrack");
    let copy = rack.path("bin/copy");
    std::fs::copy(&program, &copy).expect("the binary");
    std::fs::rename(&copy, &program).expect("ours");
    let race = |mode: u32| {
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).expect("ours");
        // It has started, and waits for the value.
        let round = "sleep 0.03 | keyrack set --quiet --for bot --key LATER 2>/dev/null";
        let said = beside(&rack, "race.py keyrack", 40, round);
        let (seen, read) = said.split_once(' ').expect("two numbers");
        (seen.parse::<u32>().expect("a number"), read.parse::<u32>().expect("a number"))
    };
    let (seen, read) = race(0o111);
    assert!(seen > 20, "the race was not run: {seen} of 40 seen");
    assert_eq!(read, 0, "{read} of {seen} commands were read");
    let any_is_read = (0..5).any(|_| race(0o755).1 > 0);
    assert!(any_is_read, "what is admitted does not happen");
}

/// Who may write our programs decides what they do, and is told all that they are told.
#[test]
fn replacing_programs_of_ones_own_succeeds_by_design() {
    let rack = rack();
    let script = format!(
        "cp {bin}/keyrack ~/; printf '#!/bin/sh\\nhead -c 64 >%s/caught\\n' ~ >~/keyrackd; chmod 755 ~/keyrackd; \
         ~/keyrack unlock --for bot 2>/dev/null; wc -c <~/caught",
        bin = rack.path("bin").display()
    );
    rack.sh(&script).ok().stdout("64\n");
    if rack.uid().is_some() {
        // Root's are not for others to write.
        let program = rack.path("bin/keyrackd").display().to_string();
        rack.sh(&format!("cp ~/keyrackd {program}; mv ~/keyrackd {program}")).code(1);
    }
}
