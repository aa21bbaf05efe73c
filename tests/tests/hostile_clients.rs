//! What speaks to a daemon and is no keyrack, and what speaks to keyrack and is no daemon.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use keyrack_protocol::client::bare;
use keyrack_protocol::frame::MAX_FRAME;
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::message::{BareRequest, lead};
use keyrack_protocol::{CapabilityId, RackId};
use keyrack_tests::Rack;
use keyrack_tests::fake::{FakeDaemon, connect, framed, say};

fn rack() -> Rack {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf value | keyrack set --for bot --key TOKEN").ok();
    rack.sh("keyrack unlock --for bot").ok();
    rack
}

#[track_caller]
fn still_serves(rack: &Rack) {
    rack.sh("keyrack get --for bot --key TOKEN").ok().bytes(b"value");
}

/// The rack's id as the daemon itself states it.
fn rack_id(rack: &Rack) -> RackId {
    bare(&rack.socket("bot"), BareRequest::Status).expect("a daemon listens").rack
}

/// A first frame: a hello, and `noise` in place of the first Noise message.
fn opening(owner: &str, rack: RackId, key: KeyKind, noise: &[u8]) -> Vec<u8> {
    let hello = Hello::new(owner.parse().expect("an owner"), rack, key).encode();
    let mut first = vec![lead::CHANNEL];
    first.extend_from_slice(&(hello.len() as u16).to_be_bytes());
    first.extend_from_slice(&hello);
    first.extend_from_slice(noise);
    framed(&first)
}

/// The clear refusal in an answer, whole.
#[track_caller]
fn refusal(answer: &[u8]) -> String {
    let payload = answer.get(4..).unwrap_or_else(|| panic!("no frame in {answer:?}"));
    assert_eq!(payload[0], lead::REFUSED, "{}", String::from_utf8_lossy(payload));
    String::from_utf8(payload[1..].to_vec()).expect("JSON")
}

#[test]
fn garbage_is_refused_in_words() {
    let rack = rack();
    let socket = rack.socket("bot");
    let malformed = r#"{"code":"malformed","message":"not the keyrack protocol"}"#;
    for bytes in [
        framed(b"GET / HTTP/1.1\r\n"),
        framed(&[0]),
        framed(&[9; 1000]),
        framed(&[lead::CHANNEL]),
        framed(&[lead::CHANNEL, 0, 200, 1, 2]),
        framed(&[&[lead::CHANNEL, 0, 7][..], b"keyrack"].concat()),
        framed(&[&[lead::BARE][..], b"{}"].concat()),
        framed(&[&[lead::BARE][..], b"\"steal\""].concat()),
        framed(&[lead::REFUSED]),
        vec![0, 0, 0, 0],
        ((MAX_FRAME + 1) as u32).to_be_bytes().to_vec(),
        vec![0xff; 70_000],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        assert_eq!(
            refusal(&say(&socket, &bytes)),
            malformed,
            "{:?}",
            &bytes[..bytes.len().min(20)]
        );
    }
    still_serves(&rack);
}

#[test]
fn a_channel_without_the_key_learns_nothing() {
    let rack = rack();
    let socket = rack.socket("bot");
    let id = rack_id(&rack);
    let other = RackId::from_bytes([7; 16]);
    let unknown = KeyKind::Capability(CapabilityId::from_bytes([1; 16]));
    for (first, said) in [
        (opening("bot", id, KeyKind::Attach, &[7; 100]), REFUSED_KEY),
        (opening("bot", id, KeyKind::SelfProof, &[7; 100]), REFUSED_KEY),
        (opening("bot", id, unknown, &[7; 100]), REFUSED_KEY),
        (opening("bot", id, KeyKind::Attach, b""), REFUSED_KEY),
        (opening("other", id, KeyKind::Attach, &[7; 100]), REFUSED_OWNER),
        (opening("bot", other, KeyKind::Attach, &[7; 100]), REFUSED_RACK),
    ] {
        assert_eq!(refusal(&say(&socket, &first)), said);
    }
    still_serves(&rack);
}

const REFUSED_KEY: &str = r#"{"code":"key","message":"the caller does not hold the key it names"}"#;
const REFUSED_OWNER: &str = r#"{"code":"owner","message":"this daemon serves bot"}"#;
const REFUSED_RACK: &str = r#"{"code":"rack","message":"this daemon serves another rack of bot"}"#;

#[test]
fn no_version_in_common_is_refused() {
    let rack = rack();
    let mut hello = Hello::new("bot".parse().expect("an owner"), rack_id(&rack), KeyKind::Attach);
    hello.versions = vec![0, 60_000];
    let hello = hello.encode();
    let length = (hello.len() as u16).to_be_bytes();
    let first = [&[lead::CHANNEL][..], &length, &hello, &[7; 64]].concat();
    assert_eq!(
        refusal(&say(&rack.socket("bot"), &framed(&first))),
        r#"{"code":"version","message":"no protocol version in common; this daemon speaks 1"}"#
    );
}

#[test]
fn slow_and_half_open_clients_hold_nobody_up() {
    let rack = rack();
    let socket = rack.socket("bot");
    let mut open: Vec<UnixStream> = (0..300).map(|_| connect(&socket)).collect();
    for (n, stream) in open.iter_mut().enumerate() {
        let _ = stream.write_all(&[0, 0, 1, 0, 1, 0][..n % 6]);
    }
    still_serves(&rack);
    // Each is closed in its time, and the daemon is the same.
    let mut rest = Vec::new();
    let closed = open.iter_mut().filter_map(|s| s.read_to_end(&mut rest).ok()).count();
    assert_eq!(closed, 300);
    still_serves(&rack);
    assert_eq!(rack.daemons().len(), 1);
}

#[test]
fn what_a_killed_client_left_is_forgotten() {
    let rack = rack();
    for _ in 0..50 {
        let mut stream = connect(&rack.socket("bot"));
        let _ = stream.write_all(&framed(&[lead::CHANNEL, 0, 200]));
        drop(stream);
    }
    still_serves(&rack);
}

/// What each command says when something false listens, and that it told it nothing.
#[track_caller]
fn told_nothing(answer: Option<Vec<u8>>, why: &str) {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf canary | keyrack set --for bot --key TOKEN").ok();
    let fake = FakeDaemon::listen(&rack.socket("bot"), answer);
    let error = format!(
        "keyrack: error: /sandbox/run/keyrack-daemon.bot.sock does not answer as your daemon would: {why}\n\
         keyrack: hint: keyrack doctor --for bot\n"
    );
    for command in ["get --for bot --key TOKEN", "unlock --for bot"] {
        rack.sh(&format!("keyrack {command}")).fails(7, &error);
    }
    assert!(!fake.heard().is_empty());
    let heard = String::from_utf8_lossy(&fake.heard()).into_owned();
    assert!(!heard.contains("canary") && !heard.contains("TOKEN"), "{heard}");
}

#[test]
fn a_silent_fake() {
    told_nothing(None, "no answer within 3 s");
}

#[test]
fn a_fake_that_answers_garbage() {
    told_nothing(Some(framed(&[77; 40])), "a malformed message");
}

#[test]
fn a_fake_that_hangs_up() {
    told_nothing(Some(Vec::new()), "it closed the connection");
}

#[test]
fn a_fake_that_announces_four_gigabytes() {
    told_nothing(
        Some(vec![0xff; 8]),
        "a frame of 4294967295 bytes was announced; 1 to 65791 are allowed",
    );
}

#[test]
fn a_fake_that_answers_the_handshake_with_noise() {
    let mut reply = vec![lead::CHANNEL];
    reply.extend_from_slice(&[5; 200]);
    told_nothing(Some(framed(&reply)), "the other side could not prove that it holds the same key");
}

#[test]
fn a_fake_that_claims_all_is_well() {
    let claim = br#"{"owner":"bot","rack":"00000000000000000000000000000000","pid":1,"version":"9","versions":[1],"locked":false,"generation":1,"protections":[]}"#;
    told_nothing(Some(framed(&[&[lead::BARE][..], claim].concat())), "a malformed message");
}

#[test]
fn a_dead_socket_and_a_plain_file_are_no_daemon() {
    let rack = rack();
    rack.sh("keyrack relock --for bot").ok();
    rack.no_daemon();
    drop(std::os::unix::net::UnixListener::bind(rack.socket("bot")).expect("a free path"));
    rack.sh("keyrack get --for bot --key TOKEN").code(3).bytes(b"");
    std::fs::remove_file(rack.socket("bot")).expect("ours");
    rack.write("run/keyrack-daemon.bot.sock", "a file");
    rack.sh("keyrack get --for bot --key TOKEN").code(3).bytes(b"");
    assert_eq!(std::fs::read(rack.socket("bot")).expect("untouched"), b"a file");
}
