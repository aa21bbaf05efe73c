//! What speaks to a daemon and is no keyrack, and what speaks to keyrack and is no daemon.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use keyrack_protocol::client::bare;
use keyrack_protocol::frame::MAX_FRAME;
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::message::{BareRequest, lead};
use keyrack_protocol::{CapabilityId, RackId};
use keyrack_tests::fake::{FakeDaemon, connect, framed, say};
use keyrack_tests::{Rack, need};

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
    let malformed = |why: &str| format!(r#"{{"code":"malformed","message":"{why}"}}"#);
    let no_hello = [
        framed(b"GET / HTTP/1.1\r\n"),
        framed(&[0]),
        framed(&[9; 1000]),
        framed(&[lead::CHANNEL]),
        framed(&[lead::CHANNEL, 0, 200, 1, 2]),
        framed(&[&[lead::CHANNEL, 0, 7][..], b"keyrack"].concat()),
        framed(&[&[lead::BARE][..], b"{}"].concat()),
        framed(&[&[lead::BARE][..], b"\"steal\""].concat()),
        framed(&[lead::REFUSED]),
    ];
    for bytes in no_hello {
        let said = refusal(&say(&socket, &bytes));
        assert_eq!(said, malformed("not a keyrack connection"), "{bytes:?}");
    }
    let no_frame = [
        vec![0, 0, 0, 0],
        ((MAX_FRAME + 1) as u32).to_be_bytes().to_vec(),
        vec![0xff; 70_000],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    for bytes in no_frame {
        let said = refusal(&say(&socket, &bytes));
        assert_eq!(
            said,
            malformed("the bytes are not what the protocol says"),
            "{:?}",
            &bytes[..4]
        );
    }
    still_serves(&rack);
}

#[test]
fn a_channel_without_the_key_learns_nothing() {
    let rack = rack();
    let socket = rack.socket("bot");
    let id = rack_id(&rack);
    let stranger = RackId::from_bytes([7; 16]);
    let unknown = KeyKind::Capability(CapabilityId::from_bytes([1; 16]));
    let another = format!("this is another rack of that owner: {}", id.short());
    for (owner, rack, kind, noise, code, message) in [
        ("bot", id, KeyKind::Attach, &[7; 100][..], "key", "the key is another"),
        ("bot", id, KeyKind::Attach, &[], "key", "the key is another"),
        (
            "bot",
            id,
            KeyKind::SelfProof,
            &[7; 100],
            "key",
            "self-proof is off, or the key is another",
        ),
        ("bot", id, unknown, &[7; 100], "key", "no such capability: it was revoked"),
        ("other", id, KeyKind::Attach, &[7; 100], "owner", "this is the daemon of bot"),
        ("bot", stranger, KeyKind::Attach, &[7; 100], "rack", &another),
    ] {
        let said = refusal(&say(&socket, &opening(owner, rack, kind, noise)));
        assert_eq!(said, format!(r#"{{"code":"{code}","message":"{message}"}}"#));
    }
    still_serves(&rack);
}

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
        r#"{"code":"version","message":"this daemon speaks no protocol version that was offered"}"#
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
    let waits = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
    let left =
        open.iter_mut().map(|s| s.read_to_end(&mut rest)).filter(|r| r.as_ref().is_err_and(waits));
    assert_eq!(left.count(), 0, "connections that said nothing are still open");
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

/// What each command says when something false listens, and that it told it nothing. The
/// false one knows the rack's id, which is no secret, and answers what it is told.
#[track_caller]
fn told_nothing(
    why: &str,
    next: &str,
    answer: impl Fn(&str, &[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
) {
    let rack = Rack::new();
    rack.key("bot");
    rack.sh("keyrack init --for bot; printf canary | keyrack set --for bot --key TOKEN").ok();
    let manifest = rack.manifest("bot").display().to_string();
    let id =
        format!("age -d -i ~/.ssh/id_ed25519_bot {manifest} | sed -n '/^rack:/,$s/^  id: //p'");
    let id = rack.sh(&format!("{id} | head -1 | tr -d \"'\"")).text();
    let fake = FakeDaemon::listen(&rack.socket("bot"), move |said| answer(&id, said));
    let error = format!(
        "keyrack: error: bot: /sandbox/run/keyrack-daemon.bot.sock does not answer{why}\nkeyrack: hint: keyrack {next} --for bot\n"
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
    told_nothing(": nothing came within 2 s", "relock", |_, _| None);
}

#[test]
fn a_fake_that_answers_garbage() {
    told_nothing(" as your daemon would: a malformed message", "doctor", |_, _| {
        Some(framed(&[77; 40]))
    });
}

#[test]
fn a_fake_that_hangs_up() {
    told_nothing(" as your daemon would: it closed the connection", "doctor", |_, _| {
        Some(Vec::new())
    });
}

#[test]
fn a_fake_that_announces_four_gigabytes() {
    let why =
        " as your daemon would: a frame of 4294967295 bytes was announced; 1 to 65791 are allowed";
    told_nothing(why, "doctor", |_, _| Some(vec![0xff; 8]));
}

/// In the clear: that everything is unlocked.
fn claim(id: &str) -> Vec<u8> {
    let claim = format!(
        r#"{{"owner":"bot","rack":"{id}","pid":1,"version":"9","versions":[1],"locked":false,"generation":1,"protections":[]}}"#
    );
    framed(&[&[lead::BARE][..], claim.as_bytes()].concat())
}

/// It claims the same whatever it is asked.
#[test]
fn a_fake_that_claims_all_is_well() {
    told_nothing(" as your daemon would: a malformed message", "doctor", |id, _| Some(claim(id)));
}

/// The clear questions it answers as the daemon would.
#[test]
fn a_fake_that_answers_the_handshake_with_noise() {
    told_nothing(
        " as your daemon would: the other side could not prove that it holds the same key",
        "doctor",
        |id, said| {
            let (&kind, rest) = said.get(4..)?.split_first()?;
            if kind == lead::BARE {
                return Some(claim(id));
            }
            assert!(rest.windows(7).any(|w| w == b"keyrack"), "a hello is expected");
            Some(framed(&[&[lead::CHANNEL][..], &[5; 200]].concat()))
        },
    );
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

/// The same, where command, daemon and attacker are an ordinary user's.
#[test]
fn all_of_it_as_an_ordinary_user() {
    need!(root);
    keyrack_tests::user::all_again("all_of_it_as_an_ordinary_user");
}
