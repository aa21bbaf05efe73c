//! What a team's vault costs with a thousand credentials and fifty members, in a directory:
//! `cargo bench -p keyrack-vault`. Prints; asserts nothing.

#![allow(clippy::unwrap_used, reason = "a measurement")]

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use keyrack_manifest::{Card, Class, Identity, SignedCard, SigningKey, generate};
use keyrack_names::Secret;
use keyrack_vault::{
    Actor, FileStore, NewRecord, Policy, RecordMeta, Role, Seen, Vault, Visibility,
};

const MEMBERS: usize = 50;
const CREDENTIALS: usize = 1000;

struct Person {
    actor: Actor,
    card: SignedCard,
}

fn person(handle: &str) -> Person {
    let (text, recipient) = generate::age_text().unwrap();
    let identity = Identity::from_text(&text).unwrap();
    let key = SigningKey::generate().unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let card = Card::issue(&handle.parse().unwrap(), &key, &[recipient], now).unwrap();
    Person { actor: Actor { key, identity: Some(identity) }, card }
}

/// The median of several runs.
fn median(runs: usize, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[runs / 2]
}

fn size(dir: &Path) -> (usize, u64) {
    let mut all = (0, 0);
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let (files, bytes) = match entry.file_type().unwrap().is_dir() {
            true => size(&entry.path()),
            false => (1, entry.metadata().unwrap().len()),
        };
        all = (all.0 + files, all.1 + bytes);
    }
    all
}

fn main() {
    let now = Timestamp::UNIX_EPOCH;
    let dir = tempfile::tempdir_in(std::env::var_os("KEYRACK_BENCH_DIR").unwrap_or(".".into()));
    let dir = dir.unwrap();
    let store = FileStore::at(dir.path());
    let ann = person("ann");
    let name = "team".parse().unwrap();
    let policy = Policy::default();
    let mut vault = Vault::create(&store, name, policy, &ann.card, ann.actor.clone(), now).unwrap();
    let id = *vault.id();
    let members: Vec<Person> = (1..MEMBERS).map(|n| person(&format!("member-{n}"))).collect();
    let mut adding = Vec::new();
    for member in &members {
        let begun = Instant::now();
        let invitation = vault.invite(&member.card, Role::Member, false, now).unwrap();
        Vault::accept(&store, &invitation, member.actor.clone(), now).unwrap();
        adding.push(begun.elapsed());
    }
    let slugs: Vec<_> =
        (0..CREDENTIALS).map(|n| format!("@all.all.K{n}").parse().unwrap()).collect();
    let value = Secret::from(&b"ghp_0123456789abcdef0123456789abcdef0123"[..]);
    let new: Vec<NewRecord<'_>> = slugs
        .iter()
        .map(|name| NewRecord {
            cred: None,
            name,
            about: RecordMeta::of(Class::LongLivedToken),
            value: &value,
            visibility: Some(Visibility::Shared),
        })
        .collect();
    let begun = Instant::now();
    let creds = vault.put(&new, now).unwrap();
    println!("set {CREDENTIALS} credentials          {:>9.1?}", begun.elapsed());

    let bob = &members[0];
    let open = |seen: Option<&Seen>, carried| {
        Vault::open(&store, &id, seen, carried, bob.actor.clone()).unwrap()
    };
    println!("open and verify, cold           {:>9.1?}", median(5, || drop(open(None, None))));
    let known = open(None, None);
    let (seen, carried) = (known.seen(), known.carried(None).unwrap());
    let cached = median(9, || drop(open(Some(&seen), Some(&carried))));
    println!("open and verify, cached         {cached:>9.1?}");
    let path = dir.path().join("seen.json");
    seen.write(&path).unwrap();
    let reading = median(9, || drop(Seen::read(&path, &id).unwrap()));
    println!("  and reading what was seen     {reading:>9.1?}");
    let values = median(5, || creds.iter().for_each(|cred| drop(known.get(cred).unwrap())));
    println!("decrypt {CREDENTIALS} values            {values:>9.1?}");
    adding.sort();
    println!("add a member (invite, accept)   {:>9.1?}", adding[adding.len() / 2]);
    let (files, bytes) = size(dir.path());
    println!("on disk                         {files} files, {} KiB", bytes / 1024);
    let begun = Instant::now();
    vault.remove(&members[1].card.member_id(), now).unwrap();
    println!("remove a member (rotate all)    {:>9.1?}", begun.elapsed());
    println!("open and verify, cold, after it {:>9.1?}", median(5, || drop(open(None, None))));
    let (files, bytes) = size(dir.path());
    println!("on disk                         {files} files, {} KiB", bytes / 1024);
}
