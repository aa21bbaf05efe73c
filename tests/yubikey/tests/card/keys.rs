//! Keys: made or brought, and what each asks of a person before it does anything.

use std::time::Duration;

use keyrack_virtual_yubikey::{Firmware, PinPolicy, Status, TouchPolicy, tlv};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::{PublicKey, SecretKey, ecdh};

use crate::talk::{PIN, R1, Talk};

fn mine() -> (SecretKey, Vec<u8>) {
    let secret = SecretKey::from_slice(&[3; 32]).expect("a scalar");
    let point = secret.public_key().to_encoded_point(false).as_bytes().to_vec();
    (secret, point)
}

fn policies(pin: PinPolicy, touch: TouchPolicy) -> Vec<u8> {
    [tlv(0xaa, &[pin as u8]), tlv(0xab, &[touch as u8])].concat()
}

#[test]
fn both_sides_agree_on_one_secret() {
    let mut talk = Talk::managed();
    let public = talk.generate(R1, &policies(PinPolicy::Never, TouchPolicy::Never)).expect("it");
    let (secret, point) = mine();
    let public = PublicKey::from_sec1_bytes(&public).expect("a point");
    let shared = ecdh::diffie_hellman(secret.to_nonzero_scalar(), public.as_affine());
    assert_eq!(talk.agree(R1, &point), Ok(shared.raw_secret_bytes().to_vec()));
    assert_eq!(talk.agree(R1, &[4; 65]), Err(Status::WRONG_DATA), "not on the curve");
    assert_eq!(talk.agree(R1, &point[..64]), Err(Status::WRONG_DATA));
}

#[test]
fn what_is_signed_verifies_and_what_is_brought_is_used() {
    let mut talk = Talk::managed();
    let (secret, _) = mine();
    let never = policies(PinPolicy::Never, TouchPolicy::Never);
    let brought = [tlv(6, &secret.to_bytes()), never].concat();
    assert_eq!(talk.say(0xfe, 0x11, 0x9a, &brought), Ok(vec![]));
    let signature = talk.sign(0x9a, &[5; 32]).expect("it signs");
    let signature = Signature::from_der(&signature).expect("DER");
    let public = VerifyingKey::from(secret.public_key());
    public.verify_prehash(&[5; 32], &signature).expect("it verifies");
    assert_eq!(talk.metadata(0x9a, 3), Ok(vec![2]));
    assert_eq!(talk.say(0xf9, 0x9a, 0, &[]), Err(Status::WRONG_DATA), "not made here");
}

#[test]
fn making_and_bringing_is_refused_for_good_reasons() {
    let mut talk = Talk::new();
    assert_eq!(talk.generate(R1, &[]), Err(Status::SECURITY));
    assert_eq!(talk.say(0xfe, 0x11, R1, &tlv(6, &[3; 32])), Err(Status::SECURITY));
    let mut talk = Talk::managed();
    assert_eq!(talk.generate(0x96, &[]), Err(Status::WRONG_PARAMETERS));
    assert_eq!(talk.generate(R1, &tlv(0xaa, &[9])), Err(Status::WRONG_DATA));
    assert_eq!(talk.generate(R1, &tlv(0xab, &[9])), Err(Status::WRONG_DATA));
    assert_eq!(talk.say(0x47, 0, R1, &tlv(0xac, &tlv(0x80, &[7]))), Err(Status::WRONG_DATA));
    assert_eq!(talk.say(0xfe, 0x11, R1, &tlv(6, &[0; 32])), Err(Status::WRONG_DATA));
    assert_eq!(talk.say(0xfe, 0x07, R1, &tlv(6, &[3; 32])), Err(Status::WRONG_DATA));
}

#[test]
fn an_empty_slot_does_nothing() {
    let mut talk = Talk::new();
    assert_eq!(talk.agree(R1, &mine().1), Err(Status::WRONG_DATA));
    assert_eq!(talk.metadata(R1, 1), Err(Status::NO_REFERENCE));
    assert_eq!(talk.say(0xf9, R1, 0, &[]), Err(Status::NO_REFERENCE));
}

#[test]
fn a_pin_is_wanted_never_once_or_always() {
    let no = Err(Status::SECURITY);
    // Before the PIN, right after it, again, and after another key was used.
    let cases = [
        (PinPolicy::Never, [Ok(()), Ok(()), Ok(()), Ok(())]),
        (PinPolicy::Once, [no, Ok(()), Ok(()), Ok(())]),
        (PinPolicy::Always, [no, Ok(()), no, no]),
    ];
    for (policy, expected) in cases {
        let mut talk = Talk::managed();
        let (_, point) = mine();
        talk.generate(R1, &policies(policy, TouchPolicy::Never)).expect("a key");
        talk.generate(0x83, &policies(PinPolicy::Once, TouchPolicy::Never)).expect("a key");
        let mut done = vec![talk.agree(R1, &point)];
        talk.verify(PIN).expect("the factory's PIN");
        done.push(talk.agree(R1, &point));
        done.push(talk.agree(R1, &point));
        talk.verify(PIN).expect("the factory's PIN");
        talk.agree(0x83, &point).expect("the PIN was right");
        done.push(talk.agree(R1, &point));
        let done: Vec<_> = done.into_iter().map(|r| r.map(|_| ())).collect();
        assert_eq!(done, expected, "{policy:?}");
    }
}

#[test]
fn a_touch_is_wanted_never_always_or_after_a_while() {
    let no = Err(Status::SECURITY);
    // Without a finger, with one, right after it without, and 15 seconds later.
    let cases = [
        (TouchPolicy::Never, [Ok(()), Ok(()), Ok(()), Ok(())]),
        (TouchPolicy::Always, [no, Ok(()), no, no]),
        (TouchPolicy::Cached, [no, Ok(()), Ok(()), no]),
    ];
    for (policy, expected) in cases {
        let mut talk = Talk::managed();
        let (_, point) = mine();
        talk.generate(R1, &policies(PinPolicy::Never, policy)).expect("a key");
        let mut done = Vec::new();
        for (touches, later) in [(false, 0), (true, 0), (false, 10), (false, 6)] {
            talk.touches = touches;
            talk.later(Duration::from_secs(later));
            done.push(talk.agree(R1, &point).map(|_| ()));
        }
        assert_eq!(done, expected, "{policy:?}");
    }
}

#[test]
fn without_a_pin_nobody_is_asked_to_touch() {
    let mut talk = Talk::managed();
    talk.generate(R1, &policies(PinPolicy::Once, TouchPolicy::Cached)).expect("a key");
    talk.agree(R1, &mine().1).expect_err("no PIN");
    talk.verify(PIN).expect("the factory's PIN");
    talk.touches = false;
    assert_eq!(talk.agree(R1, &mine().1), Err(Status::SECURITY), "it was not touched before");
}

#[test]
fn metadata_tells_policies_origin_and_key() {
    let mut talk = Talk::managed();
    let public =
        talk.generate(R1, &policies(PinPolicy::Always, TouchPolicy::Cached)).expect("a key");
    let fields = [(1, vec![0x11]), (2, vec![3, 3]), (3, vec![1]), (4, tlv(0x86, &public))];
    for (tag, value) in fields {
        assert_eq!(talk.metadata(R1, tag), Ok(value), "{tag}");
    }
    // What a slot asks where nothing was said.
    for (slot, asks) in [(0x9a, 2), (0x9c, 3), (0x9d, 2), (0x9e, 1), (0x95, 2)] {
        talk.generate(slot, &[]).expect("a key");
        assert_eq!(talk.metadata(slot, 2), Ok(vec![asks, 1]), "{slot:02x}");
    }
    let mut old = Talk::with(Firmware(5, 2, 7));
    assert_eq!(old.metadata(R1, 1), Err(Status::UNKNOWN));
}
