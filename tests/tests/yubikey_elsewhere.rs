//! An owner whose key is on a YubiKey, on a machine that has not seen it yet.

use keyrack_tests::desk::{Desk, PIN, SERIAL};
use keyrack_tests::need_virtual_reader;
use keyrack_virtual_yubikey::Firmware;

#[test]
fn a_new_machine_remembers_which_yubikey_opened_it() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--touch-policy always");
    std::fs::remove_dir_all(desk.rack.state()).expect("what the first machine remembers");
    desk.unlock().ok();
    let pin = std::fs::read_to_string(desk.rack.state().join("owners/mechanic.json"));
    let pin: serde_json::Value = serde_json::from_str(&pin.expect("a pin")).expect("JSON");
    assert_eq!(pin["serial"], SERIAL);
    assert_eq!((&pin["pin_policy"], &pin["touch_policy"]), (&"once".into(), &"always".into()));
    let doctor = desk.rack.sh("keyrack doctor --for mechanic").text();
    assert!(doctor.contains("keyrack-yubikey\t/"), "{doctor}");
    let status = desk.rack.sh("keyrack status --for mechanic").ok().text();
    assert!(status.contains("L1"), "{status}");
}

#[test]
fn an_owner_made_by_a_host_with_only_the_recipient_opens_it_by_the_yubikey() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--touch-policy never");
    let listed = desk.rack.sh("keyrack recipient list --for mechanic").code;
    assert_eq!(listed, 8, "nobody is there for the PIN");
    let recipients = desk.with_pin(PIN, "keyrack recipient list --for mechanic").ok().text();
    let recipient = recipients.split('\t').next_back().expect("a recipient").trim().to_owned();
    // Another home, where no YubiKey is needed to make the manifest and to leave a value.
    let script = format!(
        "export KEYRACK_HOME=$PWD/other
         keyrack init --for robot --via yubikey --pubkey {recipient}
         printf value | keyrack set --for robot --key TOKEN"
    );
    let said = desk.rack.sh(&script).ok().errors();
    assert!(said.contains("provisional") && said.contains("left as a drop"), "{said}");
    let get = "export KEYRACK_HOME=$PWD/other
        keyrack unlock --for robot && keyrack get --for robot --key TOKEN";
    let done = desk.with_pin(PIN, get);
    assert!(done.ok().text().ends_with("value"), "{done}");
}
