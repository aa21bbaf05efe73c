//! Members with cheap keys, and a vault in memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyrack_manifest::signed::{self, Signed};
use keyrack_manifest::{
    Card, Class, CredId, Identity, MemberId, Namespace, SignedCard, SigningKey, VaultId, generate,
};
use keyrack_names::{Secret, Slug};
use keyrack_vault::{
    Actor, Chain, ChainError, Detail, Link, LinkKind, Memory, NewRecord, Policy, RecordMeta,
    Refusal, Role, Seen, Vault, VaultError, VaultStore as _, Visibility, names,
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

    pub fn join_by(&self, inviter: &Person, handle: &str, role: Role) -> Person {
        self.admit(inviter, handle, role, false)
    }

    pub fn join_with(&self, handle: &str, role: Role, password: bool) -> Person {
        self.admit(&self.ann, handle, role, password)
    }

    fn admit(&self, inviter: &Person, handle: &str, role: Role, password: bool) -> Person {
        let person = Person::new(handle);
        let invitation = self.open(inviter).invite(&person.card, role, password, now()).unwrap();
        Vault::accept(&self.store, &invitation, person.actor(), now()).unwrap();
        person
    }

    pub fn open(&self, person: &Person) -> Vault<'_> {
        person.open(&self.store, &self.id).unwrap()
    }

    /// The link this would be, signed by `author` after `change`, put in place.
    pub fn forge(&self, kind: LinkKind, author: &Person, change: impl FnOnce(&mut Link)) {
        let chain = Chain::verify(&self.store, &self.id, None).unwrap();
        let last = self.store.get(&names::link(chain.seq()), 1 << 20).unwrap().unwrap();
        let mut link: Link = Signed::split(&last).unwrap().read().unwrap();
        link.kind = kind;
        link.vault_id = Some(self.id);
        link.seq += 1;
        link.prev = Some(chain.head());
        link.author = author.id();
        link.detail = Detail::default();
        change(&mut link);
        link.epoch = link.state.epoch.as_ref().map(|epoch| epoch.id);
        let (bytes, _) = link.sign(&author.key);
        self.tamper(|all| drop(all.insert(names::link(chain.seq() + 1), bytes)));
    }

    /// Why the forged link is refused.
    pub fn refusal(&self) -> Refusal {
        match self.open_error(&self.ann) {
            VaultError::Chain(ChainError::Refused { why, .. }) => why,
            other => panic!("{other}"),
        }
    }

    /// A record's payload changed by `change`, signed by `author`, at the place of `name`.
    pub fn forge_record(
        &self,
        from: &str,
        to: &str,
        author: &Person,
        change: impl FnOnce(&mut serde_json::Value),
    ) {
        self.tamper(|all| {
            let signed = Signed::split(&all[from]).unwrap();
            let mut payload: serde_json::Value = signed.read().unwrap();
            change(&mut payload);
            let bytes = serde_json::to_vec(&payload).unwrap();
            let bytes = signed::sign(&bytes, Namespace::Cred, &author.key).to_vec();
            all.insert(to.to_owned(), bytes);
        });
    }

    /// Where the believed record of a credential lies.
    pub fn place(&self, cred: &CredId) -> String {
        let vault = self.owner();
        let version = vault.record(cred).unwrap().version;
        let file = format!("/{cred}.{version}.cred");
        self.store.objects().into_keys().find(|name| name.ends_with(&file)).unwrap()
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
    slug_of("@all.all", name)
}

pub fn slug_of(place: &str, name: &str) -> Slug {
    format!("{place}.{name}").parse().unwrap()
}

pub fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}
