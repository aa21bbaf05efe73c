//! Callers of an older version: each is answered in its own, with what it knows.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::net::UnixStream;

use keyrack_protocol::channel::{Channel, Handshake, MAX_REPLY, Partial};
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::{frame, message};
use serde_json::Value;

use crate::rig::{HOUR, Rig};

const REQUESTS: &str = include_str!("../../protocol/src/golden/v1/requests.json");
const REPLIES: &str = include_str!("../../protocol/src/golden/v1/replies.json");
const STATUSES: &str = include_str!("../../protocol/src/golden/v1/bare-status.json");

/// A caller that speaks these versions, and only says what it is told to.
struct Caller {
    stream: UnixStream,
    channel: Channel,
    version: u16,
}

impl Caller {
    /// `None` where the daemon refuses them all.
    fn offering(versions: &[u16], rig: &Rig) -> Option<Self> {
        let mut hello = Hello::new(rig.owner.clone(), rig.rack, KeyKind::Attach);
        hello.versions = versions.to_vec();
        let hello = hello.encode();
        let mut handshake = Handshake::initiator(&rig.secret.attach_key(), &hello).unwrap();
        let mut first = vec![message::lead::CHANNEL, 0, hello.len() as u8];
        first.extend_from_slice(&hello);
        first.extend_from_slice(&handshake.write(&[]).unwrap());
        let mut stream = UnixStream::connect(rig.socket()).unwrap();
        frame::write(&mut stream, &first).unwrap();
        let second = frame::read(&mut stream).unwrap();
        if second[0] != message::lead::CHANNEL {
            return None;
        }
        let payload = handshake.read(&second[1..]).unwrap();
        let version = u16::from_be_bytes(*payload.first_chunk().unwrap());
        Some(Self { stream, channel: handshake.finish().unwrap(), version })
    }

    fn say(&mut self, request: &Value) -> Value {
        for frame in self.channel.seal(&serde_json::to_vec(request).unwrap()).unwrap() {
            self.stream.write_all(&frame).unwrap();
        }
        let mut partial = Partial::default();
        loop {
            let chunk = frame::read(&mut self.stream).unwrap();
            if let Some(reply) = self.channel.open(&chunk, &mut partial, MAX_REPLY).unwrap() {
                return serde_json::from_slice(&reply).unwrap();
            }
        }
    }
}

/// Every field's name in what was said once, however deep.
fn fields(of: &Value) -> BTreeSet<String> {
    match of {
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, value)| fields(value).into_iter().chain([name.clone()]))
            .collect(),
        Value::Array(list) => list.iter().flat_map(fields).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn each_caller_is_answered_in_the_best_version_it_speaks() {
    let rig = Rig::new();
    let _daemon = rig.start();
    assert_eq!(rig.session().version(), keyrack_protocol::VERSIONS[0]);
    let agreed = |offered: &[u16]| Caller::offering(offered, &rig).map(|caller| caller.version);
    assert_eq!(agreed(&[1]), Some(1));
    assert_eq!(agreed(&[1, 2]), Some(2));
    assert_eq!(agreed(&[9, 2, 1]), Some(2));
    assert_eq!(agreed(&[9, 8]), None);
}

#[test]
fn an_older_caller_says_all_it_ever_said_and_hears_nothing_else() {
    let rig = Rig::new();
    let _daemon = rig.start();
    rig.grant(&[("ehmpathy.sudo.GITHUB_TOKEN", b"before"), ("@all.all.NPM_TOKEN", b"n")], HOUR);
    let mut caller = Caller::offering(&[1], &rig).unwrap();
    let said: Vec<Value> = serde_json::from_str(REQUESTS).unwrap();
    let known: Vec<Value> = serde_json::from_str(REPLIES).unwrap();
    let tags: BTreeSet<&str> = known.iter().filter_map(|reply| reply["is"].as_str()).collect();
    let statuses: Value = serde_json::from_str(STATUSES).unwrap();
    let known = &fields(&Value::Array(known.clone())) | &fields(&statuses);
    for request in &said {
        let mut request = request.clone();
        // That of its first daemon; this one has another.
        if let Some(push) = request.as_object_mut().filter(|push| push.contains_key("generation")) {
            push.insert("generation".to_owned(), rig.status().generation.into());
        }
        let reply = caller.say(&request);
        assert!(tags.contains(reply["is"].as_str().unwrap()), "{reply}");
        assert!(fields(&reply).is_subset(&known), "{reply}");
    }
    assert_eq!(caller.say(&serde_json::json!({"do": "status"}))["is"], "status");
    // What was granted before it came, and what it granted itself, serve on.
    let asks = serde_json::json!([{"org": "@all", "env": "all", "key": "NPM_TOKEN"}]);
    let reply = caller.say(&serde_json::json!({"do": "get", "asks": asks}));
    assert_eq!(reply["is"], "values");
}
