//! An owner whose key is on a YubiKey, from the box to `get`, on every firmware; backups
//! both ways; and two YubiKeys at once.

use keyrack_tests::desk::{Desk, OTHER, PIN, SERIAL};
use keyrack_tests::rack::KeyType;
use keyrack_tests::{namespaced, need, need_virtual_reader};
use keyrack_virtual_yubikey::{Act, Card, Firmware, Reader, Seen, Status};

fn from_the_box_to_get(firmware: Firmware) {
    let desk = Desk::with_owner(firmware, "");
    assert_eq!(desk.key.count(Act::Generate), 1);
    let done = desk.unlock();
    assert!(done.ok().text().ends_with("value"), "{done}");
    let listed = desk.rack.sh("keyrack yubikey list").ok().text();
    for shown in
        [&SERIAL.to_string(), "R1", "age1yubikey1", &firmware.to_string(), "once", "cached"]
    {
        assert!(listed.contains(shown), "{shown} is not in\n{listed}");
    }
    // The same again changes nothing.
    desk.init("").ok();
    assert_eq!(desk.key.count(Act::Generate), 1);
}

#[test]
fn from_the_box_to_get_on_firmware_4_3() {
    need_virtual_reader!();
    from_the_box_to_get(Firmware::V4_3);
}

#[test]
fn from_the_box_to_get_on_firmware_5_2() {
    need_virtual_reader!();
    from_the_box_to_get(Firmware(5, 2, 7));
}

#[test]
fn from_the_box_to_get_on_firmware_5_4() {
    need_virtual_reader!();
    from_the_box_to_get(Firmware::V5_4);
}

#[test]
fn from_the_box_to_get_on_firmware_5_7() {
    need_virtual_reader!();
    from_the_box_to_get(Firmware::V5_7);
}

#[test]
fn from_the_box_to_get_as_an_ordinary_user() {
    need!(root);
    namespaced::as_ordinary_user("from_the_box_to_get_on_firmware_5_7");
}

/// One that is held against a reader for cards, or any other that has no name of its own.
#[test]
fn a_yubikey_in_a_reader_of_another_name_is_found() {
    need_virtual_reader!();
    let Desk { rack, key, reader } = Desk::with_owner(Firmware::V5_7, "");
    let card = key.card();
    drop((key, reader));
    let mut reader = Reader::start_as(Some("Virtual PCD"));
    let desk = Desk { rack, key: reader.plug_in(card), reader };
    let done = desk.unlock();
    assert!(done.ok().text().ends_with("value"), "{done}");
}

#[test]
fn slot_and_policies_are_chosen_and_shown() {
    need_virtual_reader!();
    let desk = Desk::new(Firmware::V5_7);
    desk.init("--slot R7 --pin-policy never --touch-policy never").ok();
    let listed = desk.rack.sh("keyrack yubikey list").ok().text();
    assert!(listed.contains("R7") && listed.contains("never"), "{listed}");
    desk.rack.sh("printf value | keyrack set --for mechanic --key TOKEN --no-input").ok();
    // No PIN, no touch: nobody is needed.
    let get = "keyrack unlock --for mechanic --no-input && keyrack get --for mechanic --key TOKEN";
    desk.rack.sh(get).ok().bytes(b"value");
    assert_eq!(desk.key.card().pin_tries(), 3);
}

#[test]
fn what_is_in_a_slot_is_never_replaced() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "--slot R7");
    // Who names a slot with a key in it means that key.
    desk.with_pin(PIN, "keyrack init --for painter --via yubikey --slot R7").ok();
    assert_eq!(desk.key.count(Act::Generate), 1);
    desk.unlock().ok();
}

#[test]
fn sealing_needs_no_yubikey_and_opening_does() {
    need_virtual_reader!();
    let mut desk = Desk::with_owner(Firmware::V5_7, "");
    desk.key.pull_out();
    desk.rack.sh("printf later | keyrack set --for mechanic --key LATER").ok();
    desk.unlock().code(6);
    desk.key.plug_in();
    let get =
        "keyrack unlock --for mechanic --accept-drops && keyrack get --for mechanic --key LATER";
    let done = desk.with_pin(PIN, get);
    assert!(done.ok().text().ends_with("later"), "{done}");
}

#[test]
fn one_pin_for_a_session() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let pins = |desk: &Desk| desk.key.seen().iter().filter(|seen| is_right_pin(seen)).count();
    let before = pins(&desk);
    let mut terminal = desk.rack.terminal(
        "keyrack unlock --for mechanic
         keyrack get --for mechanic --key TOKEN
         printf other | keyrack set --for mechanic --key TOKEN
         keyrack get --for mechanic --key TOKEN
         printf more | keyrack set --for mechanic --key MORE
         keyrack status --for mechanic
         keyrack exec --for mechanic --key TOKEN -- sh -c 'echo ran with $TOKEN'",
    );
    terminal.expect("PIN of").type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("value") && screen.contains("ran with other"), "{screen}");
    assert_eq!((screen.matches("PIN of").count(), pins(&desk) - before), (1, 1), "{screen}");
    // What was set meanwhile is merged by the next unlock, and nobody is asked about it.
    let next = "keyrack relock --for mechanic; keyrack unlock --for mechanic
                keyrack get --for mechanic --key MORE && keyrack get --for mechanic --key TOKEN";
    assert!(desk.with_pin(PIN, next).ok().text().ends_with("moreother"));
}

/// A PIN that was right: asking whether one is needed looks the same, and is no `9000`
/// while none was shown.
fn is_right_pin(seen: &Seen) -> bool {
    seen.act == Act::Verify && seen.status == Status::OK
}

#[test]
fn the_right_one_of_two_is_used_and_named() {
    need_virtual_reader!();
    let mut desk = Desk::with_owner(Firmware::V5_7, "");
    let mut other = desk.reader.plug_in(Card::new(OTHER, Firmware::V5_4));
    // Which, for a new owner? Both are named.
    let which = desk.with_pin(PIN, "keyrack init --for painter --via yubikey");
    assert_ne!(which.code, 0, "{which}");
    let said = which.errors();
    assert!(said.contains(&SERIAL.to_string()) && said.contains(&OTHER.to_string()), "{said}");
    let painter = format!("keyrack init --for painter --via yubikey --serial {OTHER}");
    desk.with_pin(PIN, &painter).ok();
    assert_eq!((desk.key.count(Act::Generate), other.count(Act::Generate)), (1, 1));
    desk.set(PIN, "painter", "COLOUR", "blue");
    let before = (desk.key.count(Act::Ecdh), other.count(Act::Ecdh));
    desk.unlock().ok();
    assert!(desk.key.count(Act::Ecdh) > before.0);
    assert_eq!(other.count(Act::Ecdh), before.1);
    let paint = "keyrack unlock --for painter && keyrack get --for painter --key COLOUR";
    let done = desk.with_pin(PIN, paint);
    assert!(done.ok().text().ends_with("blue"), "{done}");
    // Only the wrong one: it is named, and the right one, too.
    other.pull_out();
    let done = desk.with_pin(PIN, "keyrack relock --for painter; keyrack unlock --for painter");
    done.code(6);
    let said = done.errors();
    assert!(said.contains(&SERIAL.to_string()) && said.contains(&OTHER.to_string()), "{said}");
}

#[test]
fn a_yubikey_is_the_backup_of_an_ssh_owner() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let listed = desk.rack.sh("keyrack yubikey list").ok().text();
    let recipient = listed.split_whitespace().find(|word| word.starts_with("age1yubikey1"));
    let recipient = recipient.expect("a recipient");
    let key = desk.rack.key("bot");
    desk.rack.sh("keyrack init --for bot && printf value | keyrack set --for bot --key TOKEN").ok();
    desk.rack.sh(&format!("keyrack recipient add --for bot {recipient}")).ok();
    desk.rack.sh("keyrack relock --for bot").ok();
    std::fs::remove_file(&key).expect("the SSH key");
    let get = "keyrack unlock --for bot && keyrack get --for bot --key TOKEN";
    let done = desk.with_pin(PIN, get);
    assert!(done.ok().text().ends_with("value"), "{done}");
}

#[test]
fn an_ssh_key_is_the_backup_of_a_yubikey_owner() {
    need_virtual_reader!();
    let mut desk = Desk::with_owner(Firmware::V5_7, "");
    desk.rack.make_key("backup", KeyType::Ed25519, "");
    desk.with_pin(PIN, "keyrack recipient add --for mechanic \"$(cat ~/.ssh/backup.pub)\"").ok();
    desk.key.pull_out();
    let get =
        "keyrack relock --for mechanic; keyrack unlock --for mechanic --identity ~/.ssh/backup &&
               keyrack get --for mechanic --key TOKEN";
    let done = desk.rack.sh(get);
    assert!(done.ok().text().ends_with("value"), "{done}");
}
