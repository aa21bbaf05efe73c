//! A throwaway home with one owner, for the tests of the store.

use std::convert::Infallible;
use std::fs;

use jiff::Timestamp;
use keyrack_manifest::{
    Created, Entry, Identity, Manifest, NewOwner, Pin, Places, Recipient, Store, StoreError,
    UpdateError, VaultName, generate,
};
use keyrack_names::Owner;

/// Two directories that are removed at the end, and the owner's key.
pub struct Home {
    _dir: tempfile::TempDir,
    pub places: Places,
    pub owner: Owner,
    pub identity: Identity,
    pub recipient: Recipient,
}

/// An identity and its public half.
pub fn key() -> (Identity, Recipient) {
    let (text, recipient) = generate::age_text().unwrap();
    (Identity::from_text(&text).unwrap(), recipient)
}

impl Home {
    /// A home where `bot` has a manifest.
    pub fn new() -> Self {
        let home = Self::empty();
        assert_eq!(home.create(&home.owner).unwrap(), Created::New);
        home
    }

    /// A home without any.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { home: dir.path().join("home"), state: dir.path().join("state") };
        let (identity, recipient) = key();
        Self { _dir: dir, places, owner: "bot".parse().unwrap(), identity, recipient }
    }

    /// Another home, whose `bot` has a manifest sealed to the same key by somebody who has
    /// only the public half.
    pub fn forged(&self) -> Self {
        let (identity, _) = key();
        let forger = Self { recipient: self.recipient.clone(), identity, ..Self::empty() };
        let new = NewOwner { identity: None, ..forger.new_owner(&forger.owner) };
        forger.store().create(&new, |_| Ok::<_, Infallible>(())).unwrap();
        forger
    }

    pub fn store(&self) -> Store<'_> {
        Store::new(&self.places)
    }

    pub fn new_owner(&self, owner: &Owner) -> NewOwner<'_> {
        NewOwner {
            owner: owner.clone(),
            handle: owner.clone(),
            recipient: self.recipient.clone(),
            backups: Vec::new(),
            provisional: false,
            provisioner: None,
            identity: Some(&self.identity),
            identity_path: None,
            on_yubikey: None,
            kept_by: None,
            now: now(),
        }
    }

    pub fn create(&self, owner: &Owner) -> Result<Created, UpdateError<Infallible>> {
        self.store().create(&self.new_owner(owner), |_| Ok(()))
    }

    pub fn open(&self) -> Result<Manifest, StoreError> {
        self.store().open(&self.owner, &self.identity).map(|opened| opened.manifest)
    }

    pub fn update(
        &self,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), UpdateError<Infallible>> {
        let change = |manifest: &mut Manifest| {
            change(manifest);
            Ok(())
        };
        self.store().update(&self.owner, &self.identity, now(), change).map(drop)
    }

    /// Adds an entry called `name`.
    pub fn set(&self, name: &str) {
        let slug: keyrack_names::Slug = format!("@all.all.{name}").parse().unwrap();
        let entry = Entry::new(slug.clone(), VaultName::personal(), now());
        self.update(|manifest| _ = manifest.keys.insert(slug, entry)).unwrap();
    }

    pub fn sealed(&self) -> Vec<u8> {
        fs::read(self.places.manifest(&self.owner)).unwrap()
    }

    pub fn put_back(&self, sealed: &[u8]) {
        fs::write(self.places.manifest(&self.owner), sealed).unwrap();
    }

    pub fn pin(&self) -> Pin {
        Pin::read(&self.places, &self.owner).unwrap().unwrap()
    }
}

pub fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}
