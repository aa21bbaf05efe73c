//! A daemon that speaks version 1 of the protocol and no other, as one does that an upgrade
//! left running. Written from that version's documents and golden messages, not from
//! today's types; it notes whatever that version does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use keyrack_protocol::channel::{Channel, Drawn, Handshake, MAX_MESSAGE, Partial};
use keyrack_protocol::frame;
use keyrack_protocol::hello::{Hello, KeyKind};
use keyrack_protocol::keys::{Key, RackSecret};
use keyrack_protocol::message::lead;
use nix::sys::socket::{Shutdown, shutdown};
use serde_json::{Value, json};

const REQUESTS: &str = include_str!("../../keyrackd/protocol/src/golden/v1/requests.json");

/// An old daemon. Dropped, it ends.
#[derive(Debug)]
pub struct OldDaemon {
    held: Arc<Mutex<Held>>,
    listener: UnixListener,
}

/// What it remembers.
#[derive(Debug, Default)]
struct Held {
    owner: String,
    rack: String,
    secret: Option<RackSecret>,
    /// Each slug's value, in base64 as it came.
    grants: BTreeMap<String, Value>,
    capabilities: BTreeMap<String, Key>,
    strange: BTreeSet<String>,
    ended: bool,
}

impl OldDaemon {
    /// Listens on `socket` for the rack that `manifest`, decrypted, names; it holds these.
    pub fn listen(socket: &Path, owner: &str, manifest: &str, grants: &[(&str, &str)]) -> Self {
        let field = |name: &str| {
            let line = manifest.lines().find_map(|line| line.strip_prefix(name));
            json!(line.expect("every manifest has it"))
        };
        let secret = serde_json::from_value(field("  secret: ")).expect("a key");
        let grants = grants.iter().map(|(slug, value)| (slug.to_string(), json!(value))).collect();
        let held = Held {
            owner: owner.to_owned(),
            rack: field("  id: ").as_str().unwrap_or_default().to_owned(),
            secret: Some(RackSecret::new(secret)),
            grants,
            ..Held::default()
        };
        let listener = UnixListener::bind(socket).expect("a free path");
        let daemon = Self { held: Arc::new(Mutex::new(held)), listener };
        let (held, accepting) = (Arc::clone(&daemon.held), daemon.listener.try_clone());
        let accepting = accepting.expect("a descriptor");
        thread::spawn(move || {
            for stream in accepting.incoming() {
                let Ok(stream) = stream else { break };
                let held = Arc::clone(&held);
                // One that hangs up early has been served.
                thread::spawn(move || drop(serve(stream, &held)));
            }
        });
        daemon
    }

    /// What was said to it that version 1 does not know.
    pub fn strange(&self) -> Vec<String> {
        self.held.lock().expect("no panic while held").strange.iter().cloned().collect()
    }

    /// The slugs it holds.
    pub fn holds(&self) -> Vec<String> {
        self.held.lock().expect("no panic while held").grants.keys().cloned().collect()
    }

    /// Whether it was told to end.
    pub fn was_ended(&self) -> bool {
        self.held.lock().expect("no panic while held").ended
    }
}

impl Drop for OldDaemon {
    fn drop(&mut self) {
        // Who waits in accept is told.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
    }
}

fn serve(mut stream: UnixStream, held: &Mutex<Held>) -> std::io::Result<()> {
    let first = frame::read(&mut stream)?;
    let say = |stream: &mut UnixStream, lead: u8, body: &[u8]| {
        frame::write(stream, &[&[lead], body].concat())
    };
    let refuse = |stream: &mut UnixStream, code: &str| {
        say(stream, lead::REFUSED, json!({"code": code, "message": code}).to_string().as_bytes())
    };
    let (lead, rest) = first.split_first().expect("no frame is empty");
    if *lead == lead::BARE {
        let mut held = held.lock().expect("no panic while held");
        let status = held.bare().to_string();
        if rest == b"\"lock\"" {
            (held.grants, held.ended) = (BTreeMap::new(), true);
        }
        return say(&mut stream, lead::BARE, status.as_bytes());
    }
    let length = usize::from(rest[0]) << 8 | usize::from(rest[1]);
    let (prologue, message) = rest[2..].split_at(length);
    let Ok((hello, _)) = Hello::decode(prologue) else { return refuse(&mut stream, "malformed") };
    if !hello.versions.contains(&1) {
        return refuse(&mut stream, "version");
    }
    let key = held.lock().expect("no panic while held").key(hello.key);
    let handshake =
        key.and_then(|key| Handshake::responder(&key, prologue, Drawn::now().ok()?).ok());
    let Some(mut handshake) = handshake else { return refuse(&mut stream, "key") };
    let Ok(request) = handshake.read(message) else { return refuse(&mut stream, "key") };
    let answer = |request: &[u8]| {
        let request = serde_json::from_slice(request).expect("JSON");
        held.lock().expect("no panic while held").answer(&request).to_string()
    };
    let early = if request.is_empty() { String::new() } else { answer(&request) };
    let second = handshake.write(&[&[0, 1], early.as_bytes()].concat()).expect("it fits");
    say(&mut stream, lead::CHANNEL, &second)?;
    let mut channel: Channel = handshake.finish().expect("both messages were said");
    let mut partial = Partial::default();
    loop {
        let chunk = frame::read(&mut stream)?;
        let Ok(whole) = channel.open(&chunk, &mut partial, MAX_MESSAGE) else { return Ok(()) };
        let Some(request) = whole else { continue };
        for frame in channel.seal(answer(&request).as_bytes()).expect("it fits") {
            stream.write_all(&frame)?;
        }
    }
}

impl Held {
    fn key(&self, kind: KeyKind) -> Option<Key> {
        match kind {
            KeyKind::Attach => Some(self.secret.as_ref()?.attach_key()),
            KeyKind::SelfProof => Some(self.secret.as_ref()?.self_proof_key()),
            KeyKind::Capability(id) => self.capabilities.get(&id.to_string()).cloned(),
        }
    }

    fn bare(&self) -> Value {
        json!({"owner": self.owner, "rack": self.rack, "pid": std::process::id(), "version": "0.0.9",
            "versions": [1], "locked": self.grants.is_empty(), "next_expiry_ms": 60_000,
            "generation": 7, "protections": []})
    }

    fn answer(&mut self, request: &Value) -> Value {
        self.note_what_is_strange(request);
        match request["do"].as_str().unwrap_or_default() {
            "get" => {
                let asks = request["asks"].as_array().cloned().unwrap_or_default();
                json!({"is": "values", "answers": asks.iter().map(|ask| self.get(ask)).collect::<Vec<_>>()})
            }
            "status" => {
                let grant = |slug: &String| json!({"slug": slug, "vault": "personal", "class": "config", "expires_in_ms": 60_000});
                json!({"is": "status", "bare": self.bare(), "generation": 7, "capabilities": [],
                    "grants": self.grants.keys().map(grant).collect::<Vec<_>>(),
                    "audit_head": {"seq": 0, "mac": ""}})
            }
            "push" => {
                let grants = request["grants"].as_array().cloned().unwrap_or_default();
                for grant in &grants {
                    let slug = grant["slug"].as_str().unwrap_or_default().to_owned();
                    self.grants.insert(slug, grant["value"].clone());
                }
                let about = &request["capability"];
                if let (Some(id), Ok(key)) =
                    (about["id"].as_str(), serde_json::from_value(about["key"].clone()))
                {
                    self.capabilities.insert(id.to_owned(), key);
                }
                json!({"is": "done", "count": grants.len()})
            }
            _ => json!({"is": "refused", "code": "right", "message": "not by this one"}),
        }
    }

    fn get(&self, ask: &Value) -> Value {
        let text = |name: &str| ask[name].as_str().unwrap_or("all").to_owned();
        let slug = [text("org"), text("env"), text("key")].join(".");
        match self.grants.get(&slug) {
            Some(value) => {
                json!({"status": "granted", "slug": slug, "value": value, "expires_in_ms": 60_000})
            }
            None => json!({"status": "absent"}),
        }
    }

    /// A request's name, and the name of each of its fields.
    fn note_what_is_strange(&mut self, request: &Value) {
        let golden: Vec<Value> = serde_json::from_str(REQUESTS).expect("golden");
        let known: Vec<&Value> =
            golden.iter().filter(|known| known["do"] == request["do"]).collect();
        let fields = request.as_object().into_iter().flatten().map(|(name, _)| name);
        let strange = fields.filter(|name| known.iter().all(|known| known.get(name).is_none()));
        let strange: Vec<String> =
            strange.map(|name| format!("{}.{name}", request["do"])).collect();
        self.strange.extend(strange);
    }
}
