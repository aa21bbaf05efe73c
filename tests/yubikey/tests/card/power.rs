//! What lasts while there is power, and what another application takes away.

use keyrack_virtual_yubikey::{Card, Firmware, PinPolicy, Status, TouchPolicy, tlv};

use crate::talk::{PIN, R1, Talk};

const OTP: &[u8] = &[0xa0, 0, 0, 5, 0x27, 0x20, 1];

#[test]
fn nothing_works_before_an_application_is_chosen() {
    let mut talk = Talk::new();
    talk.card = Card::new(1, Firmware::V5_7);
    assert_eq!(talk.say(0xfd, 0, 0, &[]), Err(Status::UNKNOWN));
    assert_eq!(talk.say(0xa4, 4, 0, &[1, 2, 3]), Err(Status::NOT_FOUND));
    talk.select();
    assert_eq!(talk.ok(0xfd, 0, 0, &[]), [5, 7, 1]);
    assert_eq!(talk.ok(0xf8, 0, 0, &[]), [0, 0, 0, 1]);
    assert_eq!(talk.say(0x01, 0, 0, &[]), Err(Status::UNKNOWN));
}

#[test]
fn choosing_again_keeps_the_pin_and_choosing_another_forgets_it() {
    let mut talk = Talk::managed();
    talk.verify(PIN).expect("the factory's PIN");
    talk.select();
    assert!(talk.card.is_verified());
    talk.generate(R1, &[]).expect("still managed");
    talk.ok(0xa4, 4, 0, OTP);
    talk.select();
    assert!(!talk.card.is_verified());
    assert_eq!(talk.generate(R1, &[]), Err(Status::SECURITY));
}

#[test]
fn power_gone_forgets_pin_management_touch_and_half_commands() {
    let mut talk = Talk::managed();
    let policies =
        [tlv(0xaa, &[PinPolicy::Once as u8]), tlv(0xab, &[TouchPolicy::Cached as u8])].concat();
    let point = talk.generate(R1, &policies).expect("a key");
    talk.verify(PIN).expect("the factory's PIN");
    talk.agree(R1, &point).expect("PIN and touch");
    talk.raw(&[0x10, 0xdb, 0x3f, 0xff, 2, 0x5c, 0x03]);
    talk.card.reset();
    assert_eq!(talk.say(0xfd, 0, 0, &[]), Err(Status::UNKNOWN));
    talk.select();
    assert_eq!(talk.ok(0xfd, 0, 0, &[]), [5, 4, 3], "nothing is left of the half command");
    assert_eq!(talk.agree(R1, &point), Err(Status::SECURITY), "the PIN");
    talk.verify(PIN).expect("the factory's PIN");
    talk.touches = false;
    assert_eq!(talk.agree(R1, &point), Err(Status::SECURITY), "the touch");
    assert_eq!(talk.generate(R1, &[]), Err(Status::SECURITY));
}

#[test]
fn malformed_commands_are_refused() {
    let mut talk = Talk::new();
    for bytes in [&[][..], &[0], &[0, 0x20, 0], &[0, 0x20, 0, 0x80, 9, 1]] {
        assert_eq!(talk.raw(bytes), (vec![], Status::WRONG_LENGTH), "{bytes:02x?}");
    }
    assert_eq!(talk.card.pin_tries(), 3);
}

#[test]
fn series_4_has_its_number_elsewhere_and_forgets_the_pin_when_chosen_again() {
    let mut talk = Talk::with(Firmware::V4_3);
    assert_eq!(talk.say(0xf8, 0, 0, &[]), Err(Status::UNKNOWN));
    talk.verify(PIN).expect("the factory's PIN");
    talk.select();
    assert!(!talk.card.is_verified());
    talk.ok(0xa4, 4, 0, OTP);
    assert_eq!(talk.ok(0x01, 0x10, 0, &[]), 11_223_344_u32.to_be_bytes());
    assert_eq!(talk.say(0xfd, 0, 0, &[]), Err(Status::UNKNOWN));
}
