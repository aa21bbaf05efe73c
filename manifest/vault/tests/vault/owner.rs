//! An owner with a personal vault, without a manifest: what a manifest would carry is held
//! in memory.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_manifest::{
    Card, Class, MemberId, Recipient, RecordRef, SignedCard, SigningKey, VaultId, VaultRef,
    generate,
};
use keyrack_names::{Secret, Slug};
use keyrack_vault::personal::{self, Founder, NewRecord, Personal, Renewed};
use keyrack_vault::{RecordMeta, VaultError};

pub struct Owner {
    _dir: tempfile::TempDir,
    pub dir: PathBuf,
    pub key: SigningKey,
    pub member: MemberId,
    pub recipient: Recipient,
    pub id: VaultId,
    pub carried: VaultRef,
}

impl Owner {
    pub fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("vault");
        let key = SigningKey::generate().unwrap();
        let (_, recipient) = generate::age_text().unwrap();
        let card = card(&key, std::slice::from_ref(&recipient));
        let member = card.member_id();
        let founder = Founder { card: &card, key: &key, member };
        let (id, carried) = personal::create(&dir, founder, now()).unwrap();
        Self { _dir: temp, dir, key, member, recipient, id, carried }
    }

    pub fn vault(&self) -> Personal {
        self.vault_with(&self.id, &self.carried)
    }

    pub fn vault_with(&self, id: &VaultId, carried: &VaultRef) -> Personal {
        Personal::open(&self.dir, id, carried, self.key.public(), self.member).unwrap()
    }

    pub fn put(&self, name: &str, value: &str, previous: Option<&RecordRef>) -> RecordRef {
        self.put_as(Class::LongLivedToken, name, value.as_bytes(), previous.copied()).unwrap()
    }

    pub fn put_as(
        &self,
        class: Class,
        name: &str,
        value: &[u8],
        previous: Option<RecordRef>,
    ) -> Result<RecordRef, VaultError> {
        let about = RecordMeta::of(class);
        let (value, created_at) = (&Secret::from(value), now());
        let new = NewRecord { name: &slug(name), about, value, created_at, previous };
        Ok(self.vault().put(&self.key, &[new], now())?[0])
    }

    pub fn get(&self, name: &str, record: &RecordRef) -> Result<String, VaultError> {
        let value = self.vault().get(record, &slug(name))?;
        Ok(String::from_utf8(value.expose().to_vec()).unwrap())
    }

    /// A new vault in place of the old one, with the same signing key.
    pub fn renew(&mut self, records: &[(Slug, RecordRef)]) -> Vec<(Slug, RecordRef)> {
        let Renewed { id, carried, moved } = self.try_renew(records).unwrap();
        (self.id, self.carried) = (id, carried);
        moved
    }

    pub fn try_renew(&self, records: &[(Slug, RecordRef)]) -> Result<Renewed, VaultError> {
        let card = self.card(std::slice::from_ref(&self.recipient));
        let founder = Founder { card: &card, key: &self.key, member: self.member };
        self.vault().renew(founder, records, now())
    }

    /// What the owner shows to others.
    pub fn card(&self, recipients: &[Recipient]) -> SignedCard {
        card(&self.key, recipients)
    }

    /// Where a version of a record lies.
    pub fn path(&self, id: &keyrack_manifest::CredId, version: u64) -> PathBuf {
        self.records().join(format!("{id}.{version}.cred"))
    }

    pub fn records(&self) -> PathBuf {
        self.dir.join("private").join(self.member.to_string())
    }

    pub fn epoch(&self) -> PathBuf {
        self.dir.join("epochs").join(self.carried.epoch.to_string())
    }

    /// Every file below the vault's directory.
    pub fn files(&self) -> Vec<PathBuf> {
        files(&self.dir)
    }
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub fn slug(name: &str) -> Slug {
    format!("@all.all.{name}").parse().unwrap()
}

pub fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn card(key: &SigningKey, recipients: &[Recipient]) -> SignedCard {
    Card::issue(&"owner".parse().unwrap(), key, recipients, now()).unwrap()
}
