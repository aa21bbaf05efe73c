//! No lock-in: keys, files and manifests go both ways between keyrack and
//! age-plugin-yubikey, under rage and Debian's age.

use keyrack_tests::desk::{Desk, PIN, SERIAL};
use keyrack_tests::{need, need_virtual_reader};
use keyrack_virtual_yubikey::{Act, Card, Firmware};

/// What `keyrack yubikey list` calls the recipient, in a file.
fn recipient_of(desk: &Desk) -> String {
    let listed = desk.rack.sh("keyrack yubikey list").ok().text();
    let found = listed.split_whitespace().find(|word| word.starts_with("age1yubikey1"));
    found.unwrap_or_else(|| panic!("no recipient in {listed}")).to_owned()
}

/// The plugin's identity file for the first key, and what it calls the recipient.
fn identity_of(desk: &Desk) -> String {
    desk.rack.sh(&format!("age-plugin-yubikey --identity --serial {SERIAL} > id.txt")).ok();
    desk.rack.sh("grep -o 'age1yubikey1.*' id.txt").ok().text()
}

/// Opens a file with a stock tool and the plugin, and types the PIN.
fn open(desk: &Desk, tool: &str, file: &str) -> String {
    // The plugin leaves a PIN verified, for whoever comes next.
    desk.key.alter(Card::reset);
    let verified = desk.key.count(Act::Verify);
    let mut terminal = desk.rack.terminal(&format!("{tool} -d -i id.txt {file} > opened"));
    terminal.expect("PIN").type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{tool}: {screen}");
    assert!(desk.key.count(Act::Verify) > verified, "{tool} asked for nothing");
    desk.rack.sh("cat opened; rm opened").ok().text()
}

fn stock_opens_what_keyrack_seals(tool: &str, firmware: Firmware) {
    let desk = Desk::with_owner(firmware, "");
    assert_eq!(identity_of(&desk), recipient_of(&desk), "one key, one name");
    let manifest = desk.rack.manifest("mechanic").display().to_string();
    let shown = open(&desk, tool, &manifest);
    assert!(shown.contains("name: mechanic"), "{shown}");
    desk.rack.sh(&format!("printf hello | {tool} -r {} -o sealed", recipient_of(&desk))).ok();
    assert_eq!(open(&desk, tool, "sealed"), "hello");
}

#[test]
fn age_opens_a_manifest_by_the_plugin() {
    need!("age-plugin-yubikey");
    need!("age");
    need_virtual_reader!();
    stock_opens_what_keyrack_seals("age", Firmware::V5_7);
}

#[test]
fn rage_opens_a_manifest_by_the_plugin() {
    need!("age-plugin-yubikey");
    need!("rage");
    need_virtual_reader!();
    stock_opens_what_keyrack_seals("rage", Firmware::V5_4);
}

/// A key that the plugin made is found by `init`; then the manifest is decrypted and sealed
/// again by a stock tool with the plugin's own recipient, which keyrack opens natively.
fn keyrack_opens_what_stock_seals(tool: &str) {
    let desk = Desk::new(Firmware::V5_4);
    let mut terminal =
        desk.rack.terminal("age-plugin-yubikey --generate --slot 3 --touch-policy never > made");
    terminal.expect("default is 123456").type_hidden(PIN);
    terminal.expect("default is 12345678").type_hidden("12345678");
    terminal.expect("Choose a new PIN").type_hidden("271828");
    terminal.expect("Repeat").type_hidden("271828");
    assert_eq!(terminal.finish().0, 0);
    let generated = desk.key.count(Act::Generate);
    desk.with_pin("271828", "keyrack init --for mechanic --via yubikey").ok();
    assert_eq!(desk.key.count(Act::Generate), generated, "the key that is there is taken");
    let recipient = identity_of(&desk);
    assert_eq!(recipient, recipient_of(&desk));
    desk.set("271828", "mechanic", "TOKEN", "value");
    let manifest = desk.rack.manifest("mechanic").display().to_string();
    let mut terminal = desk.rack.terminal(&format!("{tool} -d -i id.txt {manifest} > plain"));
    terminal.expect("PIN").type_hidden("271828");
    assert_eq!(terminal.finish().0, 0);
    desk.rack.sh(&format!("{tool} -r {recipient} -o sealed plain && cat sealed > {manifest}")).ok();
    let unlock = "keyrack unlock --for mechanic && keyrack get --for mechanic --key TOKEN";
    let done = desk.with_pin("271828", unlock);
    assert!(done.ok().text().ends_with("value"), "{done}");
}

#[test]
fn keyrack_opens_what_age_seals_by_the_plugin() {
    need!("age-plugin-yubikey");
    need!("age");
    need_virtual_reader!();
    keyrack_opens_what_stock_seals("age");
}

#[test]
fn keyrack_opens_what_rage_seals_by_the_plugin() {
    need!("age-plugin-yubikey");
    need!("rage");
    need_virtual_reader!();
    keyrack_opens_what_stock_seals("rage");
}
