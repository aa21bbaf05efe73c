//! The way out of a team's vault: a reader of Python's own library, stock age and stock
//! OpenSSH, written from docs/VAULTS.md alone.

use jiff::Timestamp;
use keyrack_manifest::{Card, Class, Identity, SignedCard, SigningKey, VaultName};
use keyrack_names::{Secret, Slug};
use keyrack_tests::rack::KeyType;
use keyrack_tests::{Rack, need};
use keyrack_vault::{
    Actor, FileStore, NewRecord, Policy, RecordMeta, Role, Vault, Visibility, names,
};

/// A member with an SSH key of the rack's.
fn member(rack: &Rack, name: &str) -> (SignedCard, Actor) {
    let path = rack.make_key(name, KeyType::Ed25519, "");
    let text = Secret::new(std::fs::read(path).expect("a key file"));
    let identity = Identity::from_text(&text).expect("a key");
    let key = SigningKey::generate().expect("random numbers");
    let handle = name.parse().expect("a handle");
    let card = Card::issue(&handle, &key, identity.publics(), now()).expect("a card");
    (card, Actor { key, identity: Some(identity) })
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

#[test]
fn a_vault_is_verified_and_read_from_the_description_alone() {
    need!("age");
    let rack = Rack::new();
    for (name, text) in [("vault.py", VAULT), ("unseal.py", UNSEAL)] {
        rack.write(&format!("work/{name}"), text);
    }
    let (ann, bob, eve) = (member(&rack, "ann"), member(&rack, "bob"), member(&rack, "eve"));
    let dir = rack.data().join("vaults/team");
    let store = FileStore::at(&dir);
    let name: VaultName = "team".parse().expect("a name");
    let mut vault =
        Vault::create(&store, name, Policy::default(), &ann.0, ann.1, now()).expect("a vault");
    for (card, actor) in [&bob, &eve] {
        let invited = vault.invite(card, Role::Member, false, now()).expect("an invitation");
        Vault::accept(&store, &invited, actor.clone(), now()).expect("a member");
    }
    let put = |vault: &mut Vault<'_>, key: &str, class, value: &str| {
        let name: Slug = format!("acme.prod.{key}").parse().expect("a slug");
        let value = Secret::from(value.as_bytes());
        let (about, visibility) = (RecordMeta::of(class), Some(Visibility::Shared));
        let new = NewRecord { cred: None, name: &name, about, value: &value, visibility };
        vault.put(&[new], now()).expect("written")[0]
    };
    put(&mut vault, "LOGIN", Class::Password, "p\u{e4}ss");
    put(&mut vault, "TOKEN", Class::LongLivedToken, "value");
    vault.remove(&eve.0.member_id(), now()).expect("removed");
    let gone = put(&mut vault, "GONE", Class::Session, "gone");
    vault.delete(&gone, now()).expect("deleted");

    let id = *vault.id();
    let read = |who: &str| {
        rack.sh(&format!("python3 vault.py {} {id} ~/.ssh/{who} | sort", dir.display()))
    };
    let links = "links: 7 members: 2\n";
    let token = "acme.prod.TOKEN: value needs a new value\n";
    // Whom it was not readable to it is not exposed to.
    read("ann").ok().stdout(&format!("acme.prod.LOGIN: p\u{e4}ss\n{token}{links}"));
    read("bob").ok().stdout(&format!("{token}{links}"));
    let stranger = rack.sh(&format!("python3 vault.py {} {id} ~/.ssh/eve", dir.display()));
    stranger.code(1);
    // A link whose state says something else than was signed.
    let link = dir.join(names::link(6));
    let text = std::fs::read_to_string(&link).expect("a link").replace("\"removed\"", "\"active\"");
    std::fs::write(&link, text).expect("written");
    rack.sh(&format!("python3 vault.py {} {id} ~/.ssh/ann", dir.display())).code(1);
}

const VAULT: &str = include_str!("../support/vault.py");
const UNSEAL: &str = include_str!("../support/unseal.py");
