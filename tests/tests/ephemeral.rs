//! What is unlocked for a process ends with it, however it ends.

use keyrack_tests::{Rack, daemons};

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf x | keyrack set --for bot --key TOKEN").ok();
    rack
}

#[test]
fn an_unlock_ends_with_the_program_that_called_it() {
    let rack = rack();
    let script = "keyrack unlock --for bot --ephemeral >said 2>&1; keyrack get --for bot --key TOKEN; touch unlocked; sleep 600";
    let running = rack.script(script).start();
    daemons::until(|| rack.path("work/unlocked").exists());
    assert_eq!(rack.daemons().len(), 1);
    let status = rack.sh("keyrack status --for bot --json").ok().json();
    assert_eq!(status["owners"][0]["daemon"]["endsWith"]["pid"], running.pid(), "{status}");
    let said = std::fs::read_to_string(rack.path("work/said")).expect("it said something");
    assert!(said.contains(&format!("all of it ends with bash (pid {})", running.pid())), "{said}");
    // Killed, so that it says goodbye to nobody.
    nix::sys::signal::killpg(
        nix::unistd::Pid::from_raw(running.pid() as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("our child");
    rack.no_daemon();
    rack.sh("keyrack get --for bot --key TOKEN").code(3).bytes(b"");
    running.finish();
}

#[test]
fn an_exec_ends_with_its_program() {
    let rack = rack();
    for flags in ["", "--redact", "--files", "--isolate=best-effort"] {
        let exec = format!("keyrack exec --quiet --for bot --ephemeral {flags} --");
        rack.sh(&format!("{exec} sh -c 'test -n \"$TOKEN\"'")).ok();
        rack.no_daemon();
        rack.sh(&format!("{exec} sh -c 'kill -9 $$'")).code(137);
        rack.no_daemon();
    }
}

#[test]
fn a_named_process_is_ended_with() {
    let rack = rack();
    let script = "sleep 600 & keyrack unlock --quiet --for bot --ephemeral=$!; keyrack get --for bot --key TOKEN; kill $!; wait";
    rack.sh(script).stdout("x");
    rack.no_daemon();
}

#[test]
fn what_only_passes_on_is_not_ended_with() {
    let rack = rack();
    let script = "said=$(timeout 60 keyrack unlock --for bot --ephemeral 2>&1); keyrack get --for bot --key TOKEN; echo; echo $$; echo \"$said\"";
    let done = rack.sh(script);
    let text = done.ok().text();
    let pid = text.lines().nth(1).expect("the shell's pid");
    assert!(text.contains(&format!("all of it ends with bash (pid {pid})")), "{text}");
    rack.no_daemon();
}

#[test]
fn a_process_that_is_not_there_is_refused() {
    let rack = rack();
    rack.sh("keyrack unlock --for bot --ephemeral=4194304")
        .fails(4, "keyrack: error: there is no process 4194304 to end with\n");
    rack.sh("sleep 0 & p=$!; wait; keyrack unlock --for bot --ephemeral=$p").code(4);
    rack.sh("keyrack unlock --for bot --ephemeral=0").code(2);
    rack.sh("keyrack unlock --for bot --ephemeral=bash").code(2);
    assert_eq!(rack.daemons(), [] as [i32; 0]);
}

#[test]
fn a_daemon_that_would_live_on_is_not_made_do() {
    let rack = rack();
    rack.sh("printf y | keyrack set --for bot --key OTHER; keyrack unlock --quiet --for bot --key TOKEN").ok();
    let refused = rack.sh("keyrack unlock --for bot --ephemeral; exit $?");
    assert!(refused.code(11).errors().contains("does not end with bash (pid"), "{refused}");
    rack.sh("keyrack exec --for bot --key OTHER --ephemeral -- true").code(11);
    rack.sh("keyrack get --for bot --key OTHER").code(3);
    // What is there stays as it was.
    rack.sh("keyrack get --for bot --key TOKEN").ok().bytes(b"x");
    rack.sh("keyrack relock --for bot").ok();
}

#[test]
fn an_unlock_without_it_says_when_all_of_it_ends() {
    let rack = rack();
    let script = "keyrack unlock --quiet --for bot --ephemeral; keyrack unlock --for bot; exit $?";
    let done = rack.sh(script);
    assert!(done.ok().errors().contains("all of it ends with bash (pid"), "{done}");
    rack.no_daemon();
}
