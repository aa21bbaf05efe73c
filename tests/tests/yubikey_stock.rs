//! The virtual YubiKey is one to the tools of others: yubico-piv-tool, and
//! age-plugin-yubikey under rage and Debian's age, each through a real pcscd.

use keyrack_tests::{Rack, namespaced, need, need_virtual_reader};
use keyrack_virtual_yubikey::{Act, Card, Device, Firmware, Habit, Reader};

const SERIAL: u32 = 11_223_344;
/// A PIN that is not the factory's.
const PIN: &str = "271828";

/// The plugin makes a key in the first retired slot, and the rack keeps `id.txt` and
/// `recipient`.
fn made_by_the_plugin(rack: &Rack, touch: &str) {
    let make = format!("age-plugin-yubikey --generate --slot 1 --touch-policy {touch} > id.txt");
    let mut terminal = rack.terminal(&make);
    terminal.expect("default is 123456").type_hidden("123456");
    terminal.expect("default is 12345678").type_hidden("12345678");
    terminal.expect("Choose a new PIN").type_hidden(PIN);
    terminal.expect("Repeat").type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    rack.sh("grep -o 'age1yubikey1.*' id.txt > recipient").ok();
}

/// Opens `sealed` with `tool`, on a terminal.
fn open(rack: &Rack, tool: &str, device: &Device) -> String {
    let verified = device.count(Act::Verify);
    let mut terminal = rack.terminal(&format!("{tool} -d -i id.txt sealed > opened"));
    terminal.expect("PIN").type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{tool}: {screen}");
    assert!(device.count(Act::Verify) > verified, "{tool}");
    rack.sh("cat opened; rm opened").text()
}

fn seals_and_opens(tool: &str) {
    // Without a pinentry, rage asks on the terminal, as age does.
    let rack = Rack::new().with_env("PINENTRY_PROGRAM", "");
    let mut reader = Reader::start();
    let mut device = reader.plug_in(Card::new(SERIAL, Firmware::V5_4));
    made_by_the_plugin(&rack, "never");
    let listed = rack.sh("age-plugin-yubikey --list").ok().text();
    assert!(listed.contains(&rack.sh("cat recipient").text()), "{listed}");
    rack.sh(&format!("echo hello | {tool} -R recipient -o sealed")).ok();
    assert_eq!(open(&rack, tool, &device), "hello");
    // In again: the PIN is forgotten, the key is not.
    device.plug_in();
    assert_eq!(open(&rack, tool, &device), "hello");
}

#[test]
fn rage_seals_and_opens_by_the_plugin() {
    need!("age-plugin-yubikey");
    need!("rage");
    need_virtual_reader!();
    seals_and_opens("rage");
}

#[test]
fn age_seals_and_opens_by_the_plugin() {
    need!("age-plugin-yubikey");
    need!("age");
    need_virtual_reader!();
    seals_and_opens("age");
}

#[test]
fn the_plugin_waits_for_the_touch() {
    need!("age-plugin-yubikey");
    need!("age");
    need_virtual_reader!();
    let rack = Rack::new();
    let mut reader = Reader::start();
    let device = reader.plug_in(Card::new(SERIAL, Firmware::V5_4));
    made_by_the_plugin(&rack, "always");
    rack.sh("echo hello | age -R recipient -o sealed").ok();
    device.touched(Habit::WhenTold);
    let mut terminal = rack.terminal("age -d -i id.txt sealed");
    terminal.expect("PIN").type_hidden(PIN);
    device.wait_until_blinking();
    device.touch();
    let (code, screen) = terminal.finish();
    assert!(code == 0 && screen.contains("hello"), "{screen}");
    assert!(!device.is_blinking());
}

#[test]
fn the_plugin_cannot_make_keys_on_firmware_5_7() {
    need!("age-plugin-yubikey");
    need_virtual_reader!();
    let rack = Rack::new();
    let mut reader = Reader::start();
    let _device = reader.plug_in(Card::new(SERIAL, Firmware::V5_7));
    let mut terminal = rack.terminal("age-plugin-yubikey --generate --slot 1");
    terminal.expect("default is 123456").type_hidden("123456");
    terminal.expect("default is 12345678").type_hidden("12345678");
    terminal.expect("Choose a new PIN").type_hidden(PIN);
    terminal.expect("Repeat").type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert!(code != 0 && screen.contains("management key"), "{screen}");
}

#[test]
fn yubico_piv_tool_makes_attests_signs_and_agrees() {
    need!("yubico-piv-tool");
    need!("openssl");
    need_virtual_reader!();
    let rack = Rack::new();
    let mut reader = Reader::start();
    let device = reader.plug_in(Card::new(SERIAL, Firmware::V5_4));
    let tool = "yubico-piv-tool -s 9a";
    rack.sh(&format!("{tool} -a generate -A ECCP256 -o public.pem")).ok();
    // The certificate says whose public key it is, and the card signs for it.
    rack.sh(&format!(
        "{tool} -a attest > attested.pem && yubico-piv-tool -s f9 -a read-certificate > f9.pem &&
         openssl verify -CAfile f9.pem attested.pem &&
         openssl x509 -in attested.pem -pubkey -noout | cmp - public.pem"
    ))
    .ok();
    for proof in ["test-signature", "test-decipher"] {
        rack.sh(&format!("{tool} -a verify-pin -P 123456 -a {proof} -i attested.pem")).ok();
    }
    rack.sh("yubico-piv-tool -a change-pin -P 123456 -N 654321").ok();
    rack.sh("yubico-piv-tool -a verify-pin -P 123456").code(1);
    assert_eq!(device.card().pin_tries(), 2);
    rack.sh("yubico-piv-tool -a unblock-pin -P 12345678 -N 222222").ok();
    rack.sh("yubico-piv-tool -a verify-pin -P 222222").ok();
    assert_eq!(device.card().pin_tries(), 3);
}

#[test]
fn a_card_that_is_pulled_out_is_gone_for_the_tool() {
    need!("yubico-piv-tool");
    need_virtual_reader!();
    let rack = Rack::new();
    let mut reader = Reader::start();
    let mut device = reader.plug_in(Card::new(SERIAL, Firmware::V5_4));
    device.pull_out_at(Act::Verify);
    rack.sh("yubico-piv-tool -a verify-pin -P 123456").code(1);
    device.plug_in();
    rack.sh("yubico-piv-tool -a verify-pin -P 123456").ok();
    let status = rack.sh("yubico-piv-tool -a status").ok().text();
    assert!(status.contains(&SERIAL.to_string()), "{status}");
}

#[test]
fn two_cards_are_two() {
    need!("yubico-piv-tool");
    need_virtual_reader!();
    let rack = Rack::new();
    let mut reader = Reader::start();
    let first = reader.plug_in(Card::new(SERIAL, Firmware::V5_4));
    let second = reader.plug_in(Card::new(55_667_788, Firmware::V5_7));
    rack.sh("yubico-piv-tool -a status -r 01").ok();
    assert_eq!(first.count(Act::GetData), 0);
    assert!(second.count(Act::GetData) > 0);
}

#[test]
fn an_ordinary_user_has_a_virtual_reader_too() {
    need!(root);
    need!("yubico-piv-tool");
    namespaced::as_ordinary_user("yubico_piv_tool_makes_attests_signs_and_agrees");
}
