//! The tests' own tools do what the tests rely on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use keyrack_tests::Rack;

#[test]
fn outputs_and_statuses_are_told_apart() {
    let rack = Rack::new();
    let done = rack.script("cat; echo err >&2; (exit 3)").stdin("in").run();
    done.code(3).stdout("in").stderr("err\n");
    rack.sh("kill -TERM $$").code(143);
}

#[test]
fn nothing_of_the_callers_environment_comes_in() {
    let rack = Rack::new();
    let names = rack.sh("env | cut -d= -f1 | sort | tr '\\n' ' '");
    names.stdout("HOME KEYRACK_SOCKET_DIR LANG PATH PWD SHLVL TERM _ ");
}

#[test]
fn a_held_pipe_is_noticed() {
    let rack = Rack::new();
    let held = catch_unwind(AssertUnwindSafe(|| rack.sh("sleep 12 & disown").code));
    assert!(held.is_err(), "a script that left a process on its stdout passed");
}

#[test]
fn a_daemon_that_outlives_its_rack_is_noticed() {
    let held = catch_unwind(AssertUnwindSafe(|| {
        let rack = Rack::new();
        // It shows no environment while it becomes another program: once it is one, it stays it.
        rack.sh("setsid sh -c '>begun; sleep 12; :' >/dev/null 2>&1 </dev/null &
             until [ -e begun ]; do sleep 0.01; done")
            .ok();
    }));
    assert!(held.is_err(), "a process outlived its rack");
}

#[test]
fn a_person_reads_and_types() {
    let rack = Rack::new();
    let mut terminal =
        rack.terminal("read -r -p 'name? ' name; echo \"hello $name\" >/dev/tty; exit 4");
    terminal.expect("name? ").type_line("you");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 4);
    assert!(screen.ends_with("hello you\n"), "{screen:?}");
}
