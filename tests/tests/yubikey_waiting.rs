//! While somebody waits for a finger or a PIN: everybody else goes on, and nothing outlives
//! whoever asked.

use std::fs;
use std::time::{Duration, Instant};

use keyrack_tests::daemons::until;
use keyrack_tests::desk::{Desk, PIN, SERIAL};
use keyrack_tests::need_virtual_reader;
use keyrack_virtual_yubikey::{Act, Firmware, Habit};

/// Nothing here takes that long, unless it waits for a finger.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn others_answer_while_one_waits_for_a_touch() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--pin-policy never --touch-policy always");
    desk.rack.key("bot");
    desk.rack.sh("keyrack init --for bot && printf x | keyrack set --for bot --key TOKEN").ok();
    desk.rack.sh("keyrack unlock --for bot").ok();
    // A shell that has the owner unlocked, and waits for the word to read.
    let shell = desk.rack.script(
        "keyrack unlock --for mechanic && touch unlocked
         until [ -e go ]; do sleep 0.01; done
         keyrack get --for mechanic --key TOKEN; touch got",
    );
    let shell = shell.start();
    let exists = |name: &str| until(|| desk.rack.path("work").join(name).exists());
    exists("unlocked");
    desk.key.touched(Habit::WhenTold);
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect(&format!("touch YubiKey {SERIAL} now"));
    desk.key.wait_until_blinking();
    let began = Instant::now();
    let status = desk.rack.sh("keyrack status --for mechanic").ok().text();
    assert!(status.contains(&format!("waits for a touch of YubiKey {SERIAL}")), "{status}");
    desk.rack.sh("keyrack unlock --for bot; keyrack get --for bot --key TOKEN").ok();
    desk.rack.sh("keyrack relock --for bot").ok();
    desk.rack.write("work/go", "");
    exists("got");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert!(desk.key.is_blinking());
    assert!(shell.finish().ok().text().ends_with("value"));
    desk.key.touch();
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    let status = desk.rack.sh("keyrack status --for mechanic").ok().text();
    assert!(!status.contains("waits for"), "{status}");
}

#[test]
fn who_waits_for_a_yubikey_in_use_is_told() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--pin-policy never --touch-policy always");
    desk.key.touched(Habit::WhenTold);
    let mut first = desk.unlock_on_terminal();
    first.expect(&format!("touch YubiKey {SERIAL} now"));
    desk.key.wait_until_blinking();
    let mut second = desk.rack.terminal("keyrack yubikey list");
    second.expect(&format!("waits for a touch of YubiKey {SERIAL}"));
    desk.key.touch();
    assert_eq!(first.finish().0, 0);
    second.expect("R1");
    assert_eq!(second.finish().0, 0);
}

#[test]
fn who_waits_for_another_program_is_told() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--touch-policy never");
    let other = desk.hold("busy");
    let mut terminal = desk.rack.terminal("keyrack yubikey list");
    terminal.expect("a YubiKey is in use by another program: waiting for it");
    other.let_go();
    terminal.expect("R1");
    assert_eq!(terminal.finish().0, 0);
}

#[test]
fn a_forgotten_prompt_ends_with_its_client() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("PIN of");
    assert_eq!(helpers().len(), 1);
    terminal.interrupt();
    assert_ne!(terminal.finish().0, 0);
    assert_gone();
    // The terminal itself goes away.
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("PIN of");
    drop(terminal);
    assert_gone();
    assert_eq!(desk.key.card().pin_tries(), 3);
    desk.unlock().ok();
}

#[test]
fn a_forgotten_touch_ends_with_its_client() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--pin-policy never --touch-policy always");
    desk.key.touched(Habit::WhenTold);
    // The card goes on blinking to its end, whoever asked: the next one waits for that.
    desk.key.blinks_for(Duration::from_secs(2));
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("touch YubiKey");
    desk.key.wait_until_blinking();
    terminal.interrupt();
    terminal.finish();
    assert_gone();
    assert!(desk.key.is_blinking());
    // Whoever comes next is told, and by which touch it ends at once.
    let mut terminal = desk.unlock_on_terminal();
    let told = format!("YubiKey {SERIAL} still waits for the touch of a command that was ended");
    terminal.expect(&told);
    terminal.expect(&format!("touch YubiKey {SERIAL} now"));
    desk.key.touch();
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    // What was noted of the touch is no longer told.
    let status = desk.rack.sh("keyrack status --for mechanic").ok().text();
    assert!(!status.contains("waits for"), "{status}");
}

/// The helpers that run in this namespace.
fn helpers() -> Vec<String> {
    let network = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let here = network("self").expect("our own");
    let processes = fs::read_dir("/proc").expect("Linux has it").flatten();
    let names = processes.filter_map(|process| process.file_name().into_string().ok());
    names
        .filter(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim_end() == "keyrack-yubikey" && network(pid).as_ref() == Some(&here)
        })
        .collect()
}

#[track_caller]
fn assert_gone() {
    until(|| helpers().is_empty());
    assert_eq!(helpers(), [] as [String; 0], "the helper outlived its client");
}

#[test]
fn the_pin_is_forgotten_by_the_card_when_the_command_ends() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--touch-policy never");
    desk.unlock().ok();
    assert!(!desk.key.card().is_verified(), "another program could use it now");
}

#[test]
fn two_commands_at_once_do_not_disturb_each_other() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--touch-policy never");
    for owner in ["one", "two", "three"] {
        let init = format!(
            "keyrack init --for {owner} --via yubikey --pin-policy never --touch-policy never"
        );
        desk.with_pin(PIN, &init).ok();
        desk.set(PIN, owner, "TOKEN", "x");
    }
    desk.rack
        .sh(&format!(
            "for owner in one two three; do keyrack unlock --for $owner & pids+=($!); done
             KEYRACK_PASSPHRASE_FD=3 keyrack unlock --for mechanic 3<<<{PIN} & pids+=($!)
             for pid in \"${{pids[@]}}\"; do wait $pid || exit 1; done"
        ))
        .ok();
    assert_eq!(desk.key.card().pin_tries(), 3);
    assert!(desk.key.count(Act::Ecdh) >= 4);
}
