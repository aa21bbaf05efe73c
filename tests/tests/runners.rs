//! What runners lack: key rings, a runtime directory, a terminal, a standard input, an
//! environment, root or anybody else. And the composite action of the guides, run as a
//! runner runs it.

use keyrack_tests::{Rack, daemons, source};

const BLOCKED: &str = include_str!("../support/blocked.py");
const READ_BACK: &str = include_str!("../support/read_back.py");

/// A step: nothing of the caller's environment, no standard input, no session, no terminal,
/// key rings forbidden.
fn step(command: &str) -> String {
    format!(
        "setsid --wait env -i HOME=$HOME PATH=$PATH KEYRACK_SOCKET_DIR=$KEYRACK_SOCKET_DIR GITHUB_ENV=$PWD/env \
         python3 blocked.py keyctl timeout 20 bash --noprofile --norc -eo pipefail -c '{command}' <&-"
    )
}

/// A whole job, each line a step that shares no shell with the others.
fn job(rack: &Rack) {
    rack.key("agent");
    rack.write("work/blocked.py", BLOCKED);
    rack.write("work/read_back.py", READ_BACK);
    for command in [
        "keyrack init --for agent",
        "printf \"two\\nlines\" | keyrack set --quiet --for agent --key TOKEN --env repo",
        "keyrack unlock --for agent --env repo --no-input --no-keyring",
        "test \"$(keyrack get --for agent --key TOKEN | wc -l)\" = 1",
        "keyrack exec --for agent --key TOKEN -- printenv TOKEN",
        "keyrack exec --for agent --key TOKEN --files -- sh -c \"wc -c <\\$TOKEN\"",
        "eval \"$(keyrack source --for agent)\"; test ${#TOKEN} = 9",
        "keyrack source --for agent --format gha >masks",
        "keyrack status --for agent",
    ] {
        rack.sh(&step(command)).ok();
    }
    rack.sh("cat masks").ok().stdout("::add-mask::two\n::add-mask::lines\n");
    rack.sh("python3 read_back.py gha env").ok().stdout("{\"TOKEN\": \"74776f0a6c696e6573\"}\n");
    rack.sh(&step("keyrack daemon stop --all")).ok();
    rack.no_daemon();
    rack.sh("ls $KEYRACK_SOCKET_DIR").ok().stdout("");
}

#[test]
fn a_job_without_key_rings_terminal_input_or_environment_as_an_ordinary_user() {
    job(&Rack::ordinary());
}

#[test]
fn a_job_without_key_rings_terminal_input_or_environment_as_whoever_tests() {
    job(&Rack::new());
}

#[test]
fn without_a_runtime_directory_sockets_are_in_tmp_and_nothing_waits() {
    let rack = Rack::ordinary().with_real_sockets();
    rack.key("no-runtime-dir");
    let timed = "SECONDS=0; keyrack init --for no-runtime-dir; printf x | keyrack set --quiet --for no-runtime-dir --key K
                 [ ! -e /run/user/$(id -u) ]; keyrack unlock --quiet --for no-runtime-dir
                 keyrack get --for no-runtime-dir --key K; keyrack daemon list | wc -l
                 keyrack relock --quiet --for no-runtime-dir; ls -A /tmp/keyrack-$(id -u); rmdir /tmp/keyrack-$(id -u)
                 [ $SECONDS -lt 5 ]";
    rack.sh(timed).ok().stdout("x1\n");
}

/// The one script in the composite action.
fn action() -> String {
    let text = source::read("docs/guides/github-action/action.yml");
    let (_, script) = text.split_once("      run: |\n").expect("it has a script");
    assert!(!script.contains("${{"), "values come by the environment, or they could be code");
    script
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or(line)))
        .collect()
}

#[test]
fn the_composite_action_gives_the_next_steps_what_was_asked_for() {
    let rack = Rack::ordinary();
    rack.key("agent");
    rack.sh("keyrack init --for agent; printf 'of the\nagent' | keyrack set --for agent --key TOKEN --env repo
             mkdir checkout; cp -R ~/.local/share/keyrack checkout/rack; rm -r ~/.local; mv ~/.ssh/id_ed25519_agent secret")
        .ok();
    rack.write("work/action.sh", action());
    rack.write("work/read_back.py", READ_BACK);
    let worker = rack.write("work/Runner.Worker", include_str!("../support/runner_worker.sh"));
    rack.hand_over(&worker);
    rack.sh("chmod +x Runner.Worker; ./Runner.Worker").ok();
    let log = std::fs::read_to_string(rack.path("work/log")).expect("the job's log");
    assert!(log.contains("::add-mask::of the\n::add-mask::agent\n"), "{log}");
    assert!(log.contains("TOKEN is 12 bytes\nget gives 12 bytes\nas agent\n"), "{log}");
    daemons::until(|| rack.daemons().is_empty());
    assert_eq!(rack.daemons(), [] as [i32; 0], "it ended with the worker");
}
