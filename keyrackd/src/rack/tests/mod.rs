//! Every rule of the rack, with a faked clock and values that are numbers.

mod change;
mod lookup;
mod properties;

use keyrack_protocol::message::{Registration, Scope};
use keyrack_protocol::names::Ask;

use super::*;

const MINUTE: u64 = 60_000;
const NOW: u64 = 1_000_000;
const GENERATION: u64 = 7;

fn slug(text: &str) -> Slug {
    text.parse().unwrap()
}

fn slugs(texts: &[&str]) -> Vec<Slug> {
    texts.iter().map(|text| slug(text)).collect()
}

fn id(n: u8) -> CapabilityId {
    CapabilityId::from_bytes([n; 16])
}

fn capability(n: u8) -> KeyKind {
    KeyKind::Capability(id(n))
}

fn ask(org: &str, env: Option<&str>, key: &str) -> Ask {
    let env = env.map(|env| env.parse().unwrap());
    Ask { org: org.parse().unwrap(), env, key: key.parse().unwrap(), exact: false }
}

fn grant(text: &str, value: u32, minutes: u64) -> NewGrant<u32> {
    NewGrant {
        slug: slug(text),
        value,
        ttl_ms: minutes * MINUTE,
        self_proof: false,
        vault: "personal".to_owned(),
        class: "config".to_owned(),
    }
}

fn pushed(grants: Vec<NewGrant<u32>>) -> Pushed<u32> {
    Pushed { generation: None, grants, replace: false, known: None, capability: None }
}

fn registration(n: u8, rights: Rights) -> Registration {
    Registration { id: id(n), key: None, rights, label: format!("tree {n}"), scope: Scope::Tree }
}

/// A rack in which the owner put each slug for an hour, its value its place in the list.
fn rack(held: &[&str]) -> Rack<u32> {
    let mut rack = Rack::new(GENERATION);
    let grants = held.iter().zip(0..).map(|(text, value)| grant(text, value, 60)).collect();
    rack.push(KeyKind::Attach, pushed(grants), NOW).unwrap();
    rack
}

/// The same, with capability `n` for `own`.
fn rack_with(held: &[&str], n: u8, rights: Rights, own: &[&str]) -> Rack<u32> {
    let mut rack = rack(held);
    let own = slugs(own).into_iter().collect();
    rack.mint(KeyKind::Attach, registration(n, rights), Some(0), Some(own), NOW).unwrap();
    rack
}

fn granted(text: &str) -> Verdict {
    Verdict::Granted(slug(text))
}
