//! The management key: Triple-DES or AES, by the firmware, in both forms of the proof.

use keyrack_virtual_yubikey::{Firmware, Status, Tlv, tlv};

use crate::talk::{FACTORY, R1, Talk, cipher};

#[test]
fn its_algorithm_depends_on_the_firmware_and_the_other_one_is_refused() {
    let cases = [
        (Firmware(5, 2, 7), 0x03, 0x0a),
        (Firmware::V5_4, 0x03, 0x0a),
        (Firmware(5, 7, 0), 0x0a, 0x03),
        (Firmware::V5_7, 0x0a, 0x03),
    ];
    for (firmware, right, wrong) in cases {
        let mut talk = Talk::with(firmware);
        assert_eq!(talk.prove(wrong, &FACTORY), Err(Status::WRONG_DATA), "{firmware}");
        assert_eq!(talk.prove(right, &FACTORY), Ok(()), "{firmware}");
        assert_eq!(talk.ok(0xfd, 0, 0, &[]), [firmware.0, firmware.1, firmware.2]);
    }
}

#[test]
fn a_wrong_key_proves_nothing_and_takes_away_what_was_proven() {
    let mut talk = Talk::managed();
    assert_eq!(talk.prove(0x03, &[7; 24]), Err(Status::SECURITY));
    assert_eq!(talk.generate(R1, &[]), Err(Status::SECURITY));
}

#[test]
fn the_one_sided_proof_is_taken_too() {
    let mut talk = Talk::with(Firmware::V5_7);
    let answer = talk.ok(0x87, 0x0a, 0x9b, &tlv(0x7c, &tlv(0x81, &[])));
    let challenge = Tlv::find(&answer, 0x7c).and_then(|a| Tlv::find(a, 0x81)).expect("one");
    let proof = cipher(0x0a, &FACTORY, challenge, true);
    talk.ok(0x87, 0x0a, 0x9b, &tlv(0x7c, &tlv(0x82, &proof)));
    talk.generate(R1, &[]).expect("it is proven");
}

#[test]
fn an_answer_without_a_question_proves_nothing() {
    let mut talk = Talk::new();
    let both = [tlv(0x80, &[0; 8]), tlv(0x81, &[0; 8])].concat();
    for parts in [both, tlv(0x82, &[0; 8]), tlv(0x99, &[]), vec![0x80]] {
        assert_eq!(talk.say(0x87, 3, 0x9b, &tlv(0x7c, &parts)), Err(Status::WRONG_DATA));
    }
    assert_eq!(talk.generate(R1, &[]), Err(Status::SECURITY));
}

#[test]
fn a_new_key_of_any_kind_is_set_by_who_proved_the_old() {
    let set = |algorithm: u8, key: &[u8]| [&[algorithm, 0x9b, key.len() as u8], key].concat();
    let mut talk = Talk::new();
    assert_eq!(talk.say(0xff, 0xff, 0xff, &set(3, &[9; 24])), Err(Status::SECURITY));
    let mut talk = Talk::managed();
    assert_eq!(talk.metadata(0x9b, 5), Ok(vec![1]));
    for (algorithm, length) in [(0x0a, 16), (0x08, 24), (0x0c, 24), (0x03, 8), (0x11, 24)] {
        let odd = set(algorithm, &vec![9; length]);
        assert_eq!(talk.say(0xff, 0xff, 0xff, &odd), Err(Status::WRONG_DATA));
    }
    for (algorithm, length) in [(0x08, 16), (0x0a, 24), (0x0c, 32), (0x03, 24)] {
        let key: Vec<u8> = (0..length).collect();
        talk.ok(0xff, 0xff, 0xff, &set(algorithm, &key));
        assert_eq!(talk.prove(algorithm, &key), Ok(()), "{algorithm}");
        assert_eq!(talk.metadata(0x9b, 1), Ok(vec![algorithm]));
        assert_eq!(talk.metadata(0x9b, 5), Ok(vec![0]));
    }
}
