//! A job on a runner of GitHub's kind, as an ordinary user: the worker starts each step by
//! itself, with an environment of its own, nothing on its input, and reads its output to
//! the end. The steps share no shell. Whatever the worker's end is, nothing stays.

use keyrack_tests::rack::KeyType;
use keyrack_tests::{Rack, daemons};

/// The worker: a program of that name. It runs the steps in `steps`, in order.
const WORKER: &str = r#"#!/bin/bash
step() {
    # Read to its end: who holds on to the step's output holds up the job.
    timeout 20 env -i HOME="$HOME" PATH="$PATH" KEYRACK_SOCKET_DIR="$KEYRACK_SOCKET_DIR" \
        GITHUB_ACTIONS=true CI=true RUNNER_TRACKING_ID=github_5f0c \
        bash --noprofile --norc -eo pipefail "$1" <&- 2>&1 | cat >>log
    echo "status ${PIPESTATUS[0]}" >>log
}
for script in steps/*; do step "$script"; done
touch finished
[ "$1" != waits ] || sleep 600
"#;

fn job(steps: &[&str]) -> Rack {
    let rack = Rack::ordinary();
    rack.key("agent");
    rack.sh("keyrack init --for agent; printf token-of-agent | keyrack set --for agent --key TOKEN --env repo").ok();
    let worker = rack.write("work/Runner.Worker", WORKER);
    rack.sh("mkdir steps");
    for (n, step) in steps.iter().enumerate() {
        let file = rack.write(&format!("work/steps/{n}"), format!("{step}\n"));
        rack.hand_over(&file);
    }
    rack.hand_over(&worker);
    rack.sh("chmod +x Runner.Worker").ok();
    rack
}

fn log(rack: &Rack) -> String {
    std::fs::read_to_string(rack.path("work/log")).unwrap_or_default()
}

#[test]
fn steps_share_what_one_unlocked_and_the_end_of_the_job_ends_it() {
    let rack = job(&[
        "keyrack unlock --for agent --env repo --ephemeral --no-input",
        "test \"$(keyrack get --for agent --key TOKEN --env repo)\" = token-of-agent",
        "keyrack exec --quiet --for agent --env repo --key TOKEN -- sh -c 'echo ${#TOKEN} bytes'",
        "keyrack unlock --quiet --for agent --env repo --ephemeral --no-input",
    ]);
    let running = rack.script("./Runner.Worker waits & echo $! >pid; wait").start();
    daemons::until(|| rack.path("work/finished").exists());
    let log = log(&rack);
    assert_eq!(log.matches("status 0").count(), 4, "{log}");
    assert!(log.contains("14 bytes") && !log.contains("token-of-agent"), "{log}");
    let worker = std::fs::read_to_string(rack.path("work/pid")).expect("a pid");
    let worker = worker.trim();
    assert!(log.contains(&format!("all of it ends with Runner.Worker (pid {worker})")), "{log}");
    assert_eq!(rack.daemons().len(), 1, "it outlives its step");
    // The job is cancelled, and the worker killed.
    rack.sh(&format!("kill -9 {worker}")).ok();
    rack.no_daemon();
    rack.sh("keyrack get --for agent --key TOKEN --env repo").code(3).bytes(b"");
    nix::sys::signal::killpg(
        nix::unistd::Pid::from_raw(running.pid() as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("our child");
    running.finish();
}

#[test]
fn a_job_that_ends_by_itself_leaves_nothing() {
    let rack = job(&["keyrack unlock --quiet --for agent --env repo --ephemeral"]);
    rack.sh("./Runner.Worker").ok();
    assert!(log(&rack).contains("status 0"), "{}", log(&rack));
    rack.no_daemon();
    rack.sh("keyrack daemon list").ok().bytes(b"");
    // A daemon that is sealed cannot remove its socket, and the next command does.
    rack.sh("keyrack daemon prune; ls $KEYRACK_SOCKET_DIR").ok().bytes(b"");
}

#[test]
fn a_key_with_a_passphrase_is_a_clear_failure_and_no_hang() {
    let rack = job(&["keyrack unlock --for locked --ephemeral"]);
    rack.make_key("id_ed25519_locked", KeyType::Ed25519, "open sesame");
    rack.sh("keyrack init --for locked").ok();
    rack.sh("./Runner.Worker").ok();
    assert!(log(&rack).contains("status 8"), "{}", log(&rack));
    assert_eq!(rack.daemons(), [] as [i32; 0]);
}

#[test]
fn without_a_worker_above_it_nothing_is_guessed() {
    let rack = job(&[]);
    let done = rack.sh("RUNNER_TRACKING_ID=github_5f0c keyrack unlock --for agent --ephemeral");
    // A container that these tests were put into from outside: there it lasts as long as that.
    if done.errors().contains("ends with") {
        assert!(done.ok().errors().contains("(pid 1)"), "{done}");
        rack.sh("keyrack relock --for agent").ok();
        return;
    }
    assert!(done.code(4).errors().contains("Runner.Worker is not above this process"), "{done}");
    rack.sh("RUNNER_TRACKING_ID=github_5f0c keyrack unlock --quiet --for agent --env repo --ephemeral=$$").ok();
    rack.no_daemon();
}
