//! Everything that can be wrong between a person and a YubiKey, provoked through the real
//! pcscd: each has words of its own, an exit code, and leaves tries and other programs alone.

use std::time::Duration;

use keyrack_tests::desk::{Desk, OTHER, PIN, SERIAL};
use keyrack_tests::{Rack, need_virtual_reader};
use keyrack_virtual_yubikey::{Act, Card, Firmware, Habit, Reader};

/// A home whose owner's YubiKey is elsewhere.
fn without_a_reader() -> Rack {
    let Desk { rack, key, reader } = Desk::with_owner(Firmware::V5_7, "");
    drop((key, reader));
    rack
}

const UNLOCK: &str = "keyrack unlock --for mechanic";

#[test]
fn no_pcscd() {
    need_virtual_reader!();
    let rack = without_a_reader();
    rack.sh(UNLOCK).fails(6, "[..]no smart card service: pcscd does not run[..]\n[..]\n");
}

#[test]
fn no_library() {
    need_virtual_reader!();
    let rack = without_a_reader();
    // Here, in this mount namespace, it is nothing.
    rack.sh("find /usr/lib /lib -name 'libpcsclite.so.1*' | xargs -n 1 mount --bind /dev/null")
        .ok();
    rack.sh(UNLOCK).fails(6, "[..]libpcsclite.so.1 is not installed[..]\n[..]\n");
    rack.sh("keyrack yubikey list").fails(6, "[..]libpcsclite.so.1 is not installed[..]\n[..]\n");
    // Whoever has no YubiKey does not notice.
    rack.key("bot");
    rack.sh("keyrack init --for bot && printf x | keyrack set --for bot --key TOKEN && keyrack unlock --for bot").ok();
}

#[test]
fn no_reader() {
    need_virtual_reader!();
    let rack = without_a_reader();
    let _reader = Reader::start_as(None);
    rack.sh(UNLOCK).fails(6, "[..]no YubiKey is plugged in[..]\n[..]\n");
}

#[test]
fn a_reader_of_something_else() {
    need_virtual_reader!();
    let rack = without_a_reader();
    let mut reader = Reader::start_as(Some("Gemalto PC Twin Reader"));
    let card = Card::new(SERIAL, Firmware::V5_7).of_another_maker();
    let key = reader.plug_in(card);
    rack.sh(UNLOCK).fails(6, "[..]no YubiKey is plugged in[..]Gemalto[..]\n[..]\n");
    assert_eq!(key.seen(), [], "other cards are left alone");
}

#[test]
fn no_card() {
    need_virtual_reader!();
    let mut desk = Desk::with_owner(Firmware::V5_7, "");
    desk.key.pull_out();
    desk.rack.sh(UNLOCK).fails(6, "[..]no card is in it[..]\n[..]\n");
}

#[test]
fn another_serial() {
    need_virtual_reader!();
    let mut desk = Desk::with_owner(Firmware::V5_7, "");
    desk.key.pull_out();
    let _other = desk.reader.plug_in(Card::new(OTHER, Firmware::V5_4));
    let words =
        format!("[..]YubiKey {SERIAL} is not plugged in; what is plugged in: {OTHER}[..]\n[..]\n");
    desk.rack.sh(UNLOCK).fails(6, &words);
}

#[test]
fn a_slot_that_was_emptied() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    // Somebody put another certificate, or none, over that of the first retired slot.
    desk.key.alter(|card| card.store(&[0x5f, 0xc1, 0x0d], &[]));
    let words =
        format!("[..]no key that opens it is on what is plugged in: YubiKey {SERIAL}[..]\n[..]\n");
    desk.rack.sh(UNLOCK).fails(6, &words);
}

#[test]
fn held_by_another_program_that_is_named_and_lives_on() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let other = desk.hold("hold");
    let done = desk.rack.sh(UNLOCK);
    done.code(11);
    let named = format!("python3 (pid {})", other.pid());
    assert!(
        done.errors().contains("is held by another program") && done.errors().contains(&named),
        "{done}"
    );
    // It was not harmed.
    other.let_go();
    desk.unlock().ok();
}

#[test]
fn reset_by_another_program_while_the_person_types() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("PIN of");
    desk.rack.sh(&desk.another_program("reset")).ok();
    terminal.type_hidden(PIN);
    // Opened anew, it wants the PIN again; and again it is reset.
    terminal.expect("PIN of");
    desk.rack.sh(&desk.another_program("reset")).ok();
    terminal.type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 11, "{screen}");
    assert!(screen.contains("was reset by another program meanwhile"), "{screen}");
    assert_eq!(desk.key.card().pin_tries(), 3);
    desk.unlock().ok();
}

#[test]
fn another_application_chosen_meanwhile_does_not_matter() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("PIN of");
    desk.rack.sh(&desk.another_program("otp")).ok();
    terminal.type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(desk.key.card().pin_tries(), 3);
}

#[test]
fn a_wrong_pin_tells_what_is_left_until_it_is_blocked() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    for left in ["2 tries are left", "1 try is left"] {
        let done = desk.with_pin("999999", UNLOCK);
        done.code(6);
        assert!(
            done.errors().contains(&format!("wrong PIN for YubiKey {SERIAL}: {left}")),
            "{done}"
        );
    }
    let blocked = format!("the PIN of YubiKey {SERIAL} is blocked");
    for _ in 0..2 {
        let done = desk.with_pin("999999", UNLOCK);
        done.code(6);
        assert!(done.errors().contains(&blocked), "{done}");
    }
    assert_eq!(desk.key.card().pin_tries(), 0);
}

#[test]
fn a_wrong_pin_is_asked_for_again_on_a_terminal() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("(3 tries left)").type_hidden("12345");
    terminal.expect("6 to 8 characters; nothing was sent").expect("(3 tries left)");
    terminal.type_hidden("999999").expect("wrong PIN").expect("(2 tries left)").type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(desk.key.card().pin_tries(), 3);
}

#[test]
fn the_last_try_is_used_only_if_the_person_says_so() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("PIN of").type_hidden("999999");
    terminal.expect("(2 tries left)").type_hidden("999999");
    terminal.expect("only its PUK helps. Try it?").type_line("n");
    let (code, screen) = terminal.finish();
    assert_eq!((code, desk.key.card().pin_tries()), (8, 1), "{screen}");
    // It is the last one for the next command as well.
    let mut terminal = desk.unlock_on_terminal();
    terminal.expect("Try it?").type_line("y");
    terminal.expect("(1 try left)").type_hidden(PIN);
    let (code, screen) = terminal.finish();
    assert_eq!((code, desk.key.card().pin_tries()), (0, 3), "{screen}");
}

#[test]
fn no_try_is_burnt_by_a_malformed_entry() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    let typed_by_it = "cccccclnfbectghkbjrlcdvvcdlrnurbrjgkttbnjgrv";
    let before = desk.key.seen().len();
    for malformed in ["", "1", "12345", "123456789", "1234567890123456", typed_by_it] {
        let done = desk.with_pin(malformed, UNLOCK);
        assert_ne!(done.code, 0, "{malformed}: {done}");
        assert_eq!(desk.key.card().pin_tries(), 3, "{malformed}");
    }
    let tried = desk.key.seen()[before..].iter().any(|seen| seen.status.0 == 0x63c2);
    assert!(!tried);
}

#[test]
fn nobody_to_ask() {
    need_virtual_reader!();
    let desk = Desk::with_owner(Firmware::V5_7, "");
    desk.rack.sh("keyrack unlock --for mechanic --no-input").code(8);
    let done = desk.rack.sh(UNLOCK);
    done.code(8);
    assert!(done.errors().contains("needs its PIN, and nobody is there to ask"), "{done}");
    assert_eq!(desk.key.card().pin_tries(), 3);
}

#[test]
fn no_touch_in_time() {
    need_virtual_reader!();
    for policies in [
        "",
        "--pin-policy never --touch-policy always",
        "--pin-policy always --touch-policy always",
    ] {
        let desk = Desk::with_owner(Firmware::V5_7, policies);
        desk.key.touched(Habit::Never);
        desk.key.blinks_for(Duration::from_millis(400));
        // Whatever was touched before is forgotten.
        desk.key.alter(Card::reset);
        let done = desk.with_pin(PIN, UNLOCK);
        done.code(9);
        let said = done.errors();
        assert!(said.contains(&format!("touch YubiKey {SERIAL} now")), "{policies}: {said}");
        assert!(
            said.contains(&format!("YubiKey {SERIAL} was not touched in time")),
            "{policies}: {said}"
        );
        assert_eq!(desk.key.card().pin_tries(), 3);
        return_the_reader(desk);
    }
}

/// The next needs its ports.
fn return_the_reader(desk: Desk) {
    let Desk { rack, key, reader } = desk;
    drop((rack, key, reader));
}

#[test]
fn pulled_out_while_it_blinks_and_at_the_operation() {
    need_virtual_reader!();
    let mut desk = Desk::with_owner(Firmware::V5_7, "--pin-policy never --touch-policy always");
    let pulled = format!("YubiKey {SERIAL} was pulled out");
    desk.key.pull_out_at(Act::Ecdh);
    let done = desk.rack.sh(UNLOCK);
    done.code(6);
    assert!(done.errors().contains(&pulled), "{done}");
    desk.key.plug_in();
    desk.key.touched(Habit::WhenTold);
    let unlock = desk.rack.script(UNLOCK).start();
    desk.key.wait_until_blinking();
    desk.key.pull_out();
    let done = unlock.finish();
    done.code(6);
    assert!(done.errors().contains(&pulled), "{done}");
    desk.key.plug_in();
    desk.key.touched(Habit::After(Duration::ZERO));
    desk.rack.sh(UNLOCK).ok();
}

#[test]
fn no_slot_is_empty() {
    need_virtual_reader!();
    let desk = Desk::new(Firmware::V5_7);
    for object in 0x0d..=0x20 {
        desk.key.alter(|card| card.store(&[0x5f, 0xc1, object], &[1, 2, 3]));
    }
    let done = desk.init("");
    done.code(11);
    assert!(done.errors().contains("has no empty slot"), "{done}");
    assert_eq!(desk.key.count(Act::Generate), 0);
}

#[test]
fn objects_that_are_no_certificates_are_passed_over() {
    need_virtual_reader!();
    let desk = Desk::new(Firmware::V5_7);
    let junk: [&[u8]; 6] =
        [&[], &[0x70, 0], &[0x70, 0x82, 0xff, 0xff, 1], &[0x53], &[0x70, 1, 0x30], &[0xff; 64]];
    for (object, value) in (0x0d..).zip(junk) {
        desk.key.alter(|card| card.store(&[0x5f, 0xc1, object], value));
    }
    desk.rack.sh("keyrack yubikey list").ok();
    desk.init("").ok();
}
