//! Members with cheap keys, and a vault in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyrack_manifest::{
    Card, Class, CredId, Identity, MemberId, SignedCard, SigningKey, VaultId, generate,
};
use keyrack_names::{Secret, Slug};
use keyrack_vault::{
    Actor, Memory, NewRecord, Policy, RecordMeta, Role, Seen, Vault, VaultError, Visibility,
};

pub struct Person {
    pub key: SigningKey,
    pub identity: Identity,
    pub card: SignedCard,
}

impl Person {
    pub fn new(handle: &str) -> Self {
        let (text, recipient) = generate::age_text().unwrap();
        let identity = Identity::from_text(&text).unwrap();
        let key = SigningKey::generate().unwrap();
        let recipients = std::slice::from_ref(&recipient);
        let card = Card::issue(&handle.parse().unwrap(), &key, recipients, now()).unwrap();
        Self { key, identity, card }
    }

    pub fn id(&self) -> MemberId {
        self.card.member_id()
    }

    pub fn actor(&self) -> Actor {
        Actor { key: self.key.clone(), identity: Some(self.identity.clone()) }
    }

    /// The vault as somebody sees it for the first time.
    pub fn open<'s>(&self, store: &'s Memory, id: &VaultId) -> Result<Vault<'s>, VaultError> {
        Vault::open(store, id, None, None, self.actor())
    }

    /// The vault as a device sees it that has seen it before.
    pub fn reopen<'s>(
        &self,
        store: &'s Memory,
        id: &VaultId,
        seen: &Seen,
    ) -> Result<Vault<'s>, VaultError> {
        Vault::open(store, id, Some(seen), None, self.actor())
    }
}

/// A vault in memory with an owner.
pub struct Team {
    pub store: Memory,
    pub id: VaultId,
    pub ann: Person,
}

impl Team {
    pub fn new() -> Self {
        Self::with(Policy::default())
    }

    pub fn with(policy: Policy) -> Self {
        let (store, ann) = (Memory::default(), Person::new("ann"));
        let name = "team".parse().unwrap();
        let id = *Vault::create(&store, name, policy, &ann.card, ann.actor(), now()).unwrap().id();
        Self { store, id, ann }
    }

    pub fn owner(&self) -> Vault<'_> {
        self.ann.open(&self.store, &self.id).unwrap()
    }

    /// Somebody new, who has accepted.
    pub fn join(&self, handle: &str, role: Role) -> Person {
        self.join_with(handle, role, false)
    }

    pub fn join_with(&self, handle: &str, role: Role, password: bool) -> Person {
        let person = Person::new(handle);
        let invitation = self.owner().invite(&person.card, role, password, now()).unwrap();
        Vault::accept(&self.store, &invitation, person.actor(), now()).unwrap();
        person
    }

    pub fn open(&self, person: &Person) -> Vault<'_> {
        person.open(&self.store, &self.id).unwrap()
    }

    pub fn open_error(&self, person: &Person) -> VaultError {
        person.open(&self.store, &self.id).unwrap_err()
    }

    /// Ann shares a value.
    pub fn share(&self, name: &str, value: &str) -> CredId {
        put(&mut self.owner(), name, value, Visibility::Shared).unwrap()
    }

    /// Changes what is stored as whoever holds the disk may.
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        let mut objects = self.store.objects();
        change(&mut objects);
        self.store.restore(objects);
    }
}

pub fn put(
    vault: &mut Vault<'_>,
    name: &str,
    value: &str,
    visibility: Visibility,
) -> Result<CredId, VaultError> {
    put_as(vault, Class::LongLivedToken, None, name, value, visibility)
}

pub fn set(vault: &mut Vault<'_>, cred: CredId, value: &str) -> Result<(), VaultError> {
    let (name, about) = {
        let record = vault.record(&cred)?;
        (record.name.clone(), record.about.clone())
    };
    let value = Secret::from(value.as_bytes());
    let new = NewRecord { cred: Some(cred), name: &name, about, value: &value, visibility: None };
    vault.put(&[new], now()).map(drop)
}

pub fn put_as(
    vault: &mut Vault<'_>,
    class: Class,
    cred: Option<CredId>,
    name: &str,
    value: &str,
    visibility: Visibility,
) -> Result<CredId, VaultError> {
    let new = NewRecord {
        cred,
        name: &slug(name),
        about: RecordMeta::of(class),
        value: &Secret::from(value.as_bytes()),
        visibility: Some(visibility),
    };
    Ok(vault.put(&[new], now())?[0])
}

pub fn get(vault: &Vault<'_>, cred: &CredId) -> Result<String, VaultError> {
    Ok(String::from_utf8(vault.get(cred)?.expose().to_vec()).unwrap())
}

pub fn slug(name: &str) -> Slug {
    format!("@all.all.{name}").parse().unwrap()
}

pub fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}
