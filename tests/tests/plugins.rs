//! Owners whose key an age plugin holds: by age's own protocol, with prompts where the
//! person is. `support/plugin/age-plugin-toy` is such a plugin.

use keyrack_tests::{Rack, binaries, need};

/// A rack with the plugin on its PATH, and `toy.txt`, an identity of it.
fn rack_with(kind: u8) -> Rack {
    let rack = Rack::new();
    rack.sh(&format!("{} age-plugin-toy --make {kind} > toy.txt && chmod 600 toy.txt", path()))
        .ok();
    rack
}

fn path() -> String {
    let plugin = binaries::repository().join("tests/support/plugin");
    format!("export PATH={}:$PATH; ", plugin.display())
}

const INIT: &str = "keyrack init --for robot --via plugin:toy --pubkey toy.txt";

#[test]
fn a_plugin_that_asks_nothing_serves_without_a_person() {
    need!("python3");
    let rack = rack_with(0);
    let said = rack.sh(&format!("{}{INIT}", path())).ok().errors();
    assert!(said.contains("is sealed to SHA256:"), "{said}");
    let script = "keyrack unlock --for robot && keyrack get --for robot --key TOKEN";
    let set = rack.sh(&format!("{}printf value | keyrack set --for robot --key TOKEN", path()));
    assert!(set.ok().errors().contains("TOKEN is set"), "{set}");
    assert_eq!(rack.sh(&format!("{}{script}", path())).ok().text(), "value");
    // The same again is the same owner; stock age and the plugin open what it holds.
    rack.sh(&format!("{}{INIT}", path())).ok();
    if keyrack_tests::skip::has("age") {
        let manifest = rack.manifest("robot");
        let opened =
            rack.sh(&format!("{}age -d -i toy.txt {} | head -n 1", path(), manifest.display()));
        assert_eq!(opened.ok().text(), "version: 1");
    }
}

#[test]
fn a_plugin_asks_on_the_terminal() {
    need!("python3");
    let rack = rack_with(1);
    rack.sh(&format!("{}{INIT}", path())).ok();
    let mut terminal = rack.terminal(&format!(
        "{}printf value | keyrack set --for robot --key TOKEN; keyrack unlock --for robot; keyrack get --for robot --key TOKEN",
        path()
    ));
    terminal.expect("the toy is about to ask").expect("PIN of the toy").type_hidden("2718");
    terminal.expect("TOKEN is set").expect("PIN of the toy").type_hidden("2718");
    terminal.expect("value");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    // Once for a command, however often it reads the file.
    assert_eq!(screen.matches("PIN of the toy").count(), 2, "{screen}");
    assert!(!screen.contains("2718"), "{screen}");
}

#[test]
fn a_plugin_gets_answers_and_lines() {
    need!("python3");
    let rack = rack_with(2);
    rack.sh(&format!("{}{INIT}", path())).ok();
    let unlock = format!("{}keyrack unlock --for robot", path());
    let mut terminal = rack.terminal(&unlock);
    terminal.expect("does the toy go on? (go, or else: stop)").type_line("y");
    terminal.expect("which colour").type_line("red");
    terminal.expect("there is nothing to unlock");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    let mut terminal = rack.terminal(&unlock);
    terminal.expect("does the toy go on?").type_line("n");
    let (code, screen) = terminal.finish();
    assert_eq!(code, 6, "{screen}");
    assert!(screen.contains("the toy was stopped"), "{screen}");
}

#[test]
fn nobody_there_is_told_from_a_plugin_that_fails() {
    need!("python3");
    let rack = rack_with(1);
    rack.sh(&format!("{}{INIT}", path())).ok();
    let nobody = rack.sh(&format!("{}keyrack unlock --for robot --no-input", path()));
    nobody.code(8);
    assert!(nobody.errors().contains("the toy wants its PIN"), "{nobody}");
    let wrong =
        rack.sh(&format!("{}KEYRACK_PASSPHRASE_FD=9 keyrack unlock --for robot 9<<<0000", path()));
    wrong.code(6);
    // `get` and `status` do not speak to it at all.
    rack.sh("rm ~/toy.env").ok();
    rack.sh(&format!("{}keyrack get --for robot --key TOKEN", path())).code(3);
    rack.sh(&format!("{}keyrack status --for robot", path())).ok();
    assert!(!rack.home().join("toy.env").exists());
}

/// Nobody is there who would end it, and nothing is left of it.
#[test]
fn a_plugin_that_asks_for_ever_is_given_up() {
    need!("python3");
    let rack = rack_with(3);
    rack.sh(&format!("{}{INIT}", path())).ok();
    let unlock = "timeout 20 keyrack unlock --for robot --no-input; echo $? >code; sleep 0.3";
    let done = rack.sh(&format!("{}{unlock}; pgrep -s 0 -f [a]ge-plugin-toy", path()));
    assert_eq!(done.text(), "", "{done}");
    let said = done.errors();
    assert!(said.contains("it asked more than 64 times"), "{done}");
    assert_ne!(std::fs::read_to_string(rack.path("work/code")).expect("told"), "124\n");
}

/// It is the plugin's doing, and never the manifest's.
#[test]
fn a_plugin_that_dies_or_says_nonsense_is_not_taken_for_a_damaged_manifest() {
    need!("python3");
    let rack = rack_with(0);
    rack.sh(&format!("{}{INIT}", path())).ok();
    let broken = "export PATH=$PWD:$PATH; ";
    for body in ["exit 3", "kill -9 $$", "echo hi", "head -c 9999 /dev/zero", "printf '\\377\\n'"] {
        rack.write("work/age-plugin-toy", format!("#!/bin/sh\n{body}\n"));
        let done = rack
            .sh(&format!("chmod +x age-plugin-toy; {broken} keyrack unlock --for robot; exit $?"));
        done.code(6);
        let said = done.errors();
        assert!(said.contains("the age plugin failed: "), "{body}: {done}");
        assert!(!said.contains("damaged") && !said.contains("AGEDEBUG"), "{body}: {done}");
    }
}

#[test]
fn a_plugin_that_is_not_installed_is_named() {
    need!("python3");
    let rack = rack_with(0);
    let missing = rack.sh(INIT);
    missing.code(6);
    let said = missing.errors();
    assert!(said.contains("age-plugin-toy is not on the PATH"), "{said}");
    assert!(said.contains("hint: install age-plugin-toy"), "{said}");
}

#[test]
fn a_plugins_recipient_is_a_backup() {
    need!("python3");
    let rack = rack_with(0);
    rack.key("mechanic");
    rack.sh("keyrack init --for mechanic && printf value | keyrack set --for mechanic --key TOKEN")
        .ok();
    let add = "keyrack recipient add --for mechanic toy.txt --label toy";
    rack.sh(&format!("{}{add}", path())).ok();
    rack.sh("keyrack relock --for mechanic; rm ~/.ssh/id_ed25519_mechanic").ok();
    let by_backup = "keyrack unlock --for mechanic --identity toy.txt && keyrack get --for mechanic --key TOKEN";
    assert_eq!(rack.sh(&format!("{}{by_backup}", path())).ok().text(), "value");
}

#[test]
fn a_plugin_learns_nothing_of_ours_and_nothing_is_traced() {
    need!("python3");
    let rack = rack_with(1);
    rack.sh(&format!("{}{INIT}", path())).ok();
    let traced = rack.sh(&format!(
        "{}export AGEDEBUG=plugin KEYRACK_CAPABILITY=00 KEYRACK_PASSPHRASE_FD=9
         keyrack unlock --for robot 9<<<2718",
        path()
    ));
    let screen = format!("{}{}", traced.ok().text(), traced.errors());
    assert!(!screen.contains("2718") && !screen.contains("request-secret"), "{screen}");
    let environment = std::fs::read_to_string(rack.home().join("toy.env")).expect("it ran");
    for name in ["KEYRACK_PASSPHRASE_FD", "KEYRACK_CAPABILITY", "AGEDEBUG"] {
        assert!(!environment.contains(name), "{environment}");
    }
}
