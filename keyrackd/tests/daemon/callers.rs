//! Callers that say the wrong thing, too much, too slowly or nothing.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use keyrack_protocol::channel::Handshake;
use keyrack_protocol::client::{self, ClientError, Session};
use keyrack_protocol::frame;
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::message::{
    Answer, ClearRefusal, Forget, Push, Refusal, Reply, Request, Rights, decode, encode, lead,
};
use keyrack_protocol::{CapabilityId, RackId};

use crate::rig::{HOUR, Rig, grant, registration};

fn rig() -> (Rig, crate::rig::Daemon) {
    let rig = Rig::new();
    let daemon = rig.start();
    rig.grant(&[("o.all.A", b"apple"), ("o.all.B", b"bread")], HOUR);
    (rig, daemon)
}

fn connect(rig: &Rig) -> UnixStream {
    let stream = UnixStream::connect(rig.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// The refusal in the clear that answers these bytes.
fn refusal(rig: &Rig, bytes: &[u8]) -> ClearRefusal {
    let mut stream = connect(rig);
    stream.write_all(bytes).unwrap();
    let answer = frame::read(&mut stream).unwrap();
    assert_eq!(answer[0], lead::REFUSED);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "nothing follows a refusal");
    decode(&answer[1..]).unwrap()
}

/// A first frame as the client makes it.
pub fn first(hello: &Hello, key: &keyrack_protocol::keys::Key, request: &[u8]) -> Vec<u8> {
    let prologue = hello.encode();
    let mut handshake = Handshake::initiator(key, &prologue).unwrap();
    let message = handshake.write(request).unwrap();
    let length = (prologue.len() as u16).to_be_bytes();
    frame::encode(&[&[lead::CHANNEL][..], &length, &prologue, &message].concat())
}

#[test]
fn garbage_is_refused_in_the_clear() {
    let (rig, _daemon) = rig();
    let mut oversize = (frame::MAX_FRAME as u32 + 1).to_be_bytes().to_vec();
    oversize.extend_from_slice(&[1; 100]);
    let cases: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &oversize,
        &u32::MAX.to_be_bytes(),
        &[0; 4],
        &frame::encode(b"\x09what"),
        &frame::encode(b"\x02\"unlock\""),
        &frame::encode(b"\x01\xff\xffkeyrack"),
    ];
    for case in cases {
        assert_eq!(refusal(&rig, case).code, Refusal::Malformed, "{case:?}");
    }
    assert_eq!(rig.value("o.all.A"), b"apple");
}

#[test]
fn what_does_not_prove_itself_is_refused_and_learns_nothing() {
    let (rig, _daemon) = rig();
    let (key, owner) = (rig.secret.attach_key(), rig.owner.clone());
    let good = Hello::new(owner, rig.rack, KeyKind::Attach);
    let status = encode(&Request::Status);
    let stranger = CapabilityId::from_bytes([9; 16]);
    for (code, hello, key) in [
        (Refusal::Version, Hello { versions: vec![900], ..good.clone() }, &key),
        (Refusal::Owner, Hello { owner: "mechanic".parse().unwrap(), ..good.clone() }, &key),
        (Refusal::Rack, Hello { rack: RackId::from_bytes([1; 16]), ..good.clone() }, &key),
        (Refusal::Key, good.clone(), &rig.secret.self_proof_key()),
        (Refusal::Key, Hello { key: KeyKind::SelfProof, ..good.clone() }, &key),
        (Refusal::Key, Hello { key: KeyKind::Capability(stranger), ..good.clone() }, &key),
    ] {
        let refused = refusal(&rig, &first(&hello, key, &status));
        assert_eq!(refused.code, code, "{hello:?}");
        assert!(!refused.message.contains("o.all"), "{refused:?}");
    }
    // Cut, and changed on the way: a downgraded offer, another kind, a flipped bit.
    let whole = first(&good, &key, &status);
    let body = &whole[4..];
    assert_eq!(refusal(&rig, &frame::encode(&body[..body.len() - 1])).code, Refusal::Key);
    let mut flipped = body.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&rig, &frame::encode(&flipped)).code, Refusal::Key);
    let offers_two = Hello { versions: vec![7, 1], ..good };
    let mut downgraded = first(&offers_two, &key, &status)[4..].to_vec();
    downgraded[3 + 7 + 2] = 6;
    assert_eq!(refusal(&rig, &frame::encode(&downgraded)).code, Refusal::Key);
}

#[test]
fn a_replayed_first_message_is_refused() {
    let (rig, _daemon) = rig();
    let hello = Hello::new(rig.owner.clone(), rig.rack, KeyKind::Attach);
    let message = first(&hello, &rig.secret.attach_key(), &encode(&Request::Status));
    let mut stream = connect(&rig);
    stream.write_all(&message).unwrap();
    assert_eq!(frame::read(&mut stream).unwrap()[0], lead::CHANNEL);
    let refused = refusal(&rig, &message);
    assert_eq!(refused.code, Refusal::Key);
    assert_eq!(refused.message, "this first message was seen before");
}

#[test]
fn a_first_message_changes_nothing() {
    let (rig, _daemon) = rig();
    let hello = Hello::new(rig.owner.clone(), rig.rack, KeyKind::Attach);
    let forget =
        Request::Forget(Forget { envs: vec!["all".parse().unwrap()], ..Forget::default() });
    let prologue = hello.encode();
    let mut handshake = Handshake::initiator(&rig.secret.attach_key(), &prologue).unwrap();
    let message = handshake.write(&encode(&forget)).unwrap();
    let length = (prologue.len() as u16).to_be_bytes();
    let mut stream = connect(&rig);
    frame::write(&mut stream, &[&[lead::CHANNEL][..], &length, &prologue, &message].concat())
        .unwrap();
    let answer = frame::read(&mut stream).unwrap();
    let payload = handshake.read(&answer[1..]).unwrap();
    let reply: Reply = decode(&payload[2..]).unwrap();
    assert!(matches!(reply, Reply::Refused { code: Refusal::Malformed, .. }), "{reply:?}");
    assert_eq!(rig.value("o.all.A"), b"apple");
}

#[test]
fn a_capability_gets_its_own_and_no_more() {
    let (rig, _daemon) = rig();
    let (_, read) = rig.capability(&["o.all.A"], Rights::READ);
    assert!(matches!(rig.get(&read, "o.all.A"), Answer::Granted { .. }));
    assert!(matches!(rig.get(&read, "o.all.B"), Answer::Denied { .. }));
    let mut session = Session::open(&rig.socket(), &read).unwrap();
    let push =
        Push { grants: vec![grant("o.all.A", b"x", HOUR)], replace: true, ..Push::default() };
    let about = registration(CapabilityId::from_bytes([1; 16]), None, Rights::READ);
    let slugs = Some(vec!["o.all.B".parse().unwrap()]);
    for request in [
        Request::Push(push),
        Request::Mint { capability: about, slugs },
        Request::Forget(Forget { slugs: vec!["o.all.A".parse().unwrap()], ..Forget::default() }),
        Request::Revoke { capability: CapabilityId::from_bytes([1; 16]) },
        Request::SealDrop { digest: "0".repeat(64) },
    ] {
        let reply = session.call(&request).unwrap();
        assert!(matches!(reply, Reply::Refused { code: Refusal::Right, .. }), "{reply:?}");
    }
    assert_eq!(rig.value("o.all.A"), b"apple");
}

#[test]
fn an_unlocked_tree_replaces_its_values_and_has_drops_sealed() {
    let (rig, _daemon) = rig();
    let (_, tree) = rig.capability(&["o.all.A"], Rights::TREE);
    let mut session = Session::open(&rig.socket(), &tree).unwrap();
    let push =
        Push { grants: vec![grant("o.all.A", b"new", HOUR)], replace: true, ..Push::default() };
    assert!(matches!(session.call(&Request::Push(push)).unwrap(), Reply::Done { count: 1 }));
    assert_eq!(rig.value("o.all.A"), b"new");
    let digest = "08".repeat(32);
    let Reply::Sealed { mac } = session.call(&Request::SealDrop { digest }).unwrap() else {
        panic!("not sealed")
    };
    let expected = keyrack_protocol::keys::drop_mac(&rig.secret.drop_key(), &[8; 32]);
    let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(mac, expected);
    for digest in ["", "08", "zz"] {
        let reply = session.call(&Request::SealDrop { digest: digest.repeat(33) }).unwrap();
        assert!(matches!(reply, Reply::Refused { code: Refusal::Malformed, .. }), "{reply:?}");
    }
}

#[test]
fn a_slow_caller_is_hung_up_on() {
    let (rig, _daemon) = rig();
    for said in [&b""[..], b"\0\0", b"\0\0\0\x09\x02\"sta"] {
        let mut stream = connect(&rig);
        stream.write_all(said).unwrap();
        let begun = Instant::now();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        let waited = begun.elapsed();
        assert!(
            waited > Duration::from_millis(1_500) && waited < Duration::from_secs(10),
            "{waited:?}"
        );
    }
}

#[test]
fn a_client_that_does_not_read_is_dropped() {
    let (rig, daemon) = rig();
    // More than the kernel buffers for a reader that sleeps.
    rig.grant(&[("o.all.BIG", &vec![7; 1 << 18])], HOUR);
    let hello = Hello::new(rig.owner.clone(), rig.rack, KeyKind::Attach);
    let request = encode(&Request::GetAll { env: None, caller: String::new() });
    let descriptors = || std::fs::read_dir(daemon.proc("fd")).map(Iterator::count).unwrap_or(0);
    let before = descriptors();
    let mut deaf: Vec<UnixStream> = (0..4)
        .map(|_| {
            let mut stream = connect(&rig);
            stream.write_all(&first(&hello, &rig.secret.attach_key(), &request)).unwrap();
            stream
        })
        .collect();
    assert_eq!(rig.value("o.all.A"), b"apple", "others are served meanwhile");
    // Each ends before its reply does.
    std::thread::sleep(Duration::from_millis(3_500));
    assert!(descriptors() <= before);
    for stream in &mut deaf {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 1 << 18, "{}", rest.len());
    }
}

/// Room for the connections of a flood.
fn make_room() {
    let limit = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, hard) = nix::sys::resource::getrlimit(limit).unwrap();
    nix::sys::resource::setrlimit(limit, hard.min(8_192), hard).unwrap();
}

/// Whoever is slow to begin is not sent away for a thousand that never do; and whoever has
/// begun, for no number of them.
#[test]
fn a_flood_of_silent_connections_sends_nobody_away() {
    let (rig, _daemon) = rig();
    make_room();
    let hello = Hello::new(rig.owner.clone(), rig.rack, KeyKind::Attach);
    for (count, said_before) in [(1_000, 0), (2_300, 1)] {
        let question = first(&hello, &rig.secret.attach_key(), &encode(&Request::Status));
        let (before, after) = question.split_at(said_before);
        let mut caller = connect(&rig);
        caller.write_all(before).unwrap();
        let flood: Vec<UnixStream> = (0..count).map(|_| connect(&rig)).collect();
        // The last one has its seat when a caller behind it was answered.
        assert_eq!(rig.value("o.all.A"), b"apple");
        caller.write_all(after).unwrap();
        assert_eq!(frame::read(&mut caller).unwrap()[0], lead::CHANNEL, "beside {count}");
        drop(flood);
    }
}

#[test]
fn a_thousand_half_open_connections_delay_nobody() {
    let (rig, _daemon) = rig();
    make_room();
    let slow = || -> Duration {
        let times = (0..50).map(|_| {
            let begun = Instant::now();
            assert_eq!(rig.value("o.all.A"), b"apple");
            begun.elapsed()
        });
        let mut times: Vec<Duration> = times.collect();
        times.sort();
        times[45]
    };
    let alone = slow();
    let mut flood = Vec::new();
    for n in 0..1_000 {
        let mut stream = UnixStream::connect(rig.socket()).unwrap();
        if n % 2 == 0 {
            stream.write_all(b"\0\0\0\x50\x01").unwrap();
        }
        flood.push(stream);
    }
    let flooded = slow();
    drop(flood);
    // Far from the two seconds that one deadline would cost.
    assert!(flooded < Duration::from_millis(200), "{flooded:?}, alone {alone:?}");
}

#[test]
fn requests_that_are_no_requests_end_the_connection() {
    let (rig, _daemon) = rig();
    let mut session = rig.session();
    // Every reply is right until then.
    assert!(matches!(session.call(&Request::Status).unwrap(), Reply::Status(_)));
    let hello = Hello::new(rig.owner.clone(), rig.rack, KeyKind::Attach);
    let mut stream = connect(&rig);
    stream.write_all(&first(&hello, &rig.secret.attach_key(), b"{\"do\":\"dance\"}")).unwrap();
    assert_eq!(frame::read(&mut stream).unwrap()[0], lead::CHANNEL);
    // A chunk that is noise.
    stream.write_all(&frame::encode(&[0; 64])).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    assert!(matches!(
        client::ask(&rig.socket(), &rig.attach(), &Request::Status),
        Ok(_) | Err(ClientError::Broken { .. })
    ));
}
