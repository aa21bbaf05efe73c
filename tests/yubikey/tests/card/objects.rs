//! Objects: written with the management key, in pieces, and read by anyone but one.

use keyrack_virtual_yubikey::{Status, Tlv, tlv};

use crate::talk::{PIN, Talk};

const CERTIFICATE: &[u8] = &[0x5f, 0xc1, 0x0d];
const PRINTED: &[u8] = &[0x5f, 0xc1, 0x09];

fn put(talk: &mut Talk, tag: &[u8], value: &[u8]) -> Result<(), Status> {
    let data = [tlv(0x5c, tag), tlv(0x53, value)].concat();
    talk.say(0xdb, 0x3f, 0xff, &data).map(|_| ())
}

fn get(talk: &mut Talk, tag: &[u8]) -> Result<Vec<u8>, Status> {
    let answer = talk.say(0xcb, 0x3f, 0xff, &tlv(0x5c, tag))?;
    Ok(Tlv::find(&answer, 0x53).expect("an object").to_vec())
}

#[test]
fn what_is_written_is_read_whatever_its_length() {
    let mut talk = Talk::managed();
    for length in [1, 127, 128, 247, 248, 255, 256, 257, 1000, 3052] {
        let value: Vec<u8> = (0..length).map(|n| n as u8).collect();
        assert_eq!(put(&mut talk, CERTIFICATE, &value), Ok(()), "{length}");
        assert_eq!(get(&mut talk, CERTIFICATE), Ok(value), "{length}");
    }
    assert_eq!(put(&mut talk, CERTIFICATE, &[0; 3053]), Err(Status::WRONG_LENGTH));
}

#[test]
fn nothing_takes_an_object_away_but_the_card_may_hold_an_empty_one() {
    let mut talk = Talk::managed();
    put(&mut talk, CERTIFICATE, &[1]).expect("it is managed");
    put(&mut talk, CERTIFICATE, &[]).expect("it is managed");
    assert_eq!(get(&mut talk, CERTIFICATE), Err(Status::NOT_FOUND));
    talk.card.store(CERTIFICATE, &[]);
    assert_eq!(get(&mut talk, CERTIFICATE), Ok(vec![]));
}

#[test]
fn writing_takes_the_management_key_and_one_object_the_pin() {
    let mut talk = Talk::new();
    assert_eq!(put(&mut talk, CERTIFICATE, &[1]), Err(Status::SECURITY));
    let mut talk = Talk::managed();
    put(&mut talk, PRINTED, &[1]).expect("it is managed");
    assert_eq!(get(&mut talk, PRINTED), Err(Status::SECURITY));
    talk.verify(PIN).expect("the factory's PIN");
    assert_eq!(get(&mut talk, PRINTED), Ok(vec![1]));
}

#[test]
fn a_long_answer_comes_in_pieces_or_at_once() {
    let mut talk = Talk::managed();
    put(&mut talk, CERTIFICATE, &[7; 700]).expect("it is managed");
    let ask = [&[0, 0xcb, 0x3f, 0xff, 5][..], &tlv(0x5c, CERTIFICATE)].concat();
    let pieces = [(ask, 256, 0x6100), (vec![0, 0xc0, 0, 0, 0], 256, 0x61c0)];
    for (bytes, length, status) in pieces {
        let (data, ended) = talk.raw(&bytes);
        assert_eq!((data.len(), ended), (length, Status(status)));
    }
    let (data, ended) = talk.raw(&[0, 0xc0, 0, 0, 0]);
    assert_eq!((data.len(), ended), (704 - 512, Status::OK));
    let extended = [&[0, 0xcb, 0x3f, 0xff, 0, 0, 5][..], &tlv(0x5c, CERTIFICATE)].concat();
    let (data, ended) = talk.raw(&extended);
    assert_eq!((data.len(), ended), (704, Status::OK));
}

#[test]
fn what_is_not_there_is_not_found_and_what_is_no_tag_is_refused() {
    let mut talk = Talk::new();
    assert_eq!(get(&mut talk, CERTIFICATE), Err(Status::NOT_FOUND));
    assert_eq!(talk.say(0xcb, 0x3f, 0xff, &[1, 2, 3]), Err(Status::WRONG_DATA));
    assert_eq!(talk.ok(0xcb, 0x3f, 0xff, &tlv(0x5c, &[0x7e]))[0], 0x7e);
}
