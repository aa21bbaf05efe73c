//! PIN and PUK: what costs a try, what blocks, and what gets out of it again.

use keyrack_virtual_yubikey::Status;

use crate::talk::{PIN, PUK, Talk};

const WRONG: &[u8] = b"654321\xff\xff";

#[test]
fn a_question_costs_no_try() {
    let mut talk = Talk::new();
    for _ in 0..5 {
        assert_eq!(talk.verify(&[]), Err(Status::tries(3)));
    }
    talk.verify(PIN).expect("the factory's PIN");
    assert_eq!(talk.verify(&[]), Ok(()));
}

#[test]
fn only_eight_bytes_are_a_try_and_five_digits_with_filling_are_eight() {
    let mut talk = Talk::new();
    for malformed in [&b"12345"[..], b"123456", b"123456789"] {
        assert_eq!(talk.verify(malformed), Err(Status::WRONG_LENGTH));
        assert_eq!(talk.card.pin_tries(), 3);
    }
    assert_eq!(talk.verify(b"12345\xff\xff\xff"), Err(Status::tries(2)));
}

#[test]
fn three_wrong_pins_block_and_a_right_one_renews() {
    let mut talk = Talk::new();
    assert_eq!(talk.verify(WRONG), Err(Status::tries(2)));
    assert_eq!(talk.verify(WRONG), Err(Status::tries(1)));
    talk.verify(PIN).expect("one try is left");
    assert_eq!(talk.card.pin_tries(), 3);
    for left in [Status::tries(2), Status::tries(1), Status::BLOCKED, Status::BLOCKED] {
        assert_eq!(talk.verify(WRONG), Err(left));
    }
    assert_eq!(talk.verify(PIN), Err(Status::BLOCKED));
    assert_eq!(talk.verify(&[]), Err(Status::BLOCKED));
}

#[test]
fn a_wrong_pin_takes_away_what_a_right_one_gave() {
    let mut talk = Talk::new();
    talk.verify(PIN).expect("the factory's PIN");
    talk.verify(WRONG).expect_err("wrong");
    assert!(!talk.card.is_verified());
    talk.verify(PIN).expect("the factory's PIN");
    talk.ok(0x20, 0xff, 0x80, &[]);
    assert!(!talk.card.is_verified());
}

#[test]
fn a_pin_is_changed_with_the_old_one_and_a_puk_too() {
    let mut talk = Talk::new();
    let pair = |old: &[u8], new: &[u8]| [old, new].concat();
    let cases: &[(u8, Vec<u8>, Result<(), Status>)] = &[
        (0x80, pair(WRONG, b"222222\xff\xff"), Err(Status::tries(2))),
        (0x80, pair(PIN, b"22222\xff\xff\xff"), Err(Status::WRONG_DATA)),
        (0x80, pair(PIN, b"222222\xff\xff"), Ok(())),
        (0x81, pair(b"87654321", b"99999999"), Err(Status::tries(2))),
        (0x81, pair(PUK, b"99999999"), Ok(())),
        (0x82, pair(PIN, PIN), Err(Status::NO_REFERENCE)),
        (0x80, PIN[..7].to_vec(), Err(Status::WRONG_LENGTH)),
    ];
    for (which, data, expected) in cases {
        assert_eq!(talk.say(0x24, 0, *which, data).map(|_| ()), *expected, "{data:02x?}");
    }
    talk.verify(b"222222\xff\xff").expect("the new PIN");
    assert_eq!((talk.card.pin_tries(), talk.card.puk_tries()), (3, 3));
}

#[test]
fn the_puk_unblocks_until_it_is_blocked_itself() {
    let mut talk = Talk::new();
    for _ in 0..3 {
        talk.verify(WRONG).expect_err("wrong");
    }
    let unblock = |talk: &mut Talk, puk: &[u8]| {
        talk.say(0x2c, 0, 0x80, &[puk, b"222222\xff\xff"].concat()).map(|_| ())
    };
    assert_eq!(unblock(&mut talk, b"00000000"), Err(Status::tries(2)));
    assert_eq!(unblock(&mut talk, PUK), Ok(()));
    talk.verify(b"222222\xff\xff").expect("the new PIN");
    for left in [Status::tries(2), Status::tries(1), Status::BLOCKED] {
        assert_eq!(unblock(&mut talk, b"00000000"), Err(left));
    }
    assert_eq!(unblock(&mut talk, PUK), Err(Status::BLOCKED));
}

#[test]
fn metadata_tells_defaults_and_tries() {
    let mut talk = Talk::new();
    for which in [0x80, 0x81] {
        assert_eq!(talk.metadata(which, 5), Ok(vec![1]));
        assert_eq!(talk.metadata(which, 6), Ok(vec![3, 3]));
    }
    talk.verify(WRONG).expect_err("wrong");
    talk.ok(0x24, 0, 0x81, &[PUK, b"99999999"].concat());
    assert_eq!(talk.metadata(0x80, 6), Ok(vec![3, 2]));
    assert_eq!(talk.metadata(0x81, 5), Ok(vec![0]));
    // Blocked and verified look alike to a question, and not in here.
    for _ in 0..2 {
        talk.verify(WRONG).expect_err("wrong");
    }
    assert_eq!(talk.metadata(0x80, 6), Ok(vec![3, 0]));
}

#[test]
fn how_many_tries_there_are_is_set_with_pin_and_management_key() {
    let mut talk = Talk::new();
    assert_eq!(talk.say(0xfa, 5, 6, &[]), Err(Status::SECURITY));
    talk.verify(PIN).expect("the factory's PIN");
    assert_eq!(talk.say(0xfa, 5, 6, &[]), Err(Status::SECURITY));
    let mut talk = Talk::managed();
    assert_eq!(talk.say(0xfa, 5, 6, &[]), Err(Status::SECURITY));
    talk.verify(PIN).expect("the factory's PIN");
    assert_eq!(talk.say(0xfa, 0, 6, &[]), Err(Status::WRONG_PARAMETERS));
    talk.ok(0xfa, 5, 6, &[]);
    assert_eq!((talk.card.pin_tries(), talk.card.puk_tries()), (5, 6));
}

#[test]
fn the_factory_state_is_for_whoever_has_neither() {
    let mut talk = Talk::managed();
    talk.generate(crate::talk::R1, &[]).expect("a key");
    assert_eq!(talk.say(0xfb, 0, 0, &[]), Err(Status::CONDITIONS));
    for _ in 0..3 {
        talk.verify(WRONG).expect_err("wrong");
    }
    assert_eq!(talk.say(0xfb, 0, 0, &[]), Err(Status::CONDITIONS));
    for _ in 0..3 {
        talk.say(0x2c, 0, 0x80, b"00000000222222\xff\xff").expect_err("wrong");
    }
    talk.ok(0xfb, 0, 0, &[]);
    talk.verify(PIN).expect("the factory's PIN");
    assert_eq!(talk.metadata(crate::talk::R1, 1), Err(Status::NO_REFERENCE));
    assert_eq!(talk.ok(0xf8, 0, 0, &[]), 11_223_344_u32.to_be_bytes());
}
