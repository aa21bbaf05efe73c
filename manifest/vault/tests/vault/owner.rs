//! An owner with a personal vault, without a manifest: what a manifest would carry is held
//! in memory.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_manifest::{
    Class, MemberId, Recipient, RecordRef, SigningKey, VaultId, VaultRef, Word, generate,
};
use keyrack_names::{Secret, Slug};
use keyrack_vault::VaultError;
use keyrack_vault::personal::{self, NewRecord, OldMeta, Personal};

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
        let member = MemberId::random().unwrap();
        let (_, recipient) = generate::age_text().unwrap();
        let recipients = std::slice::from_ref(&recipient);
        let (id, carried) = personal::create(&dir, recipients, &key, member, now()).unwrap();
        Self { _dir: temp, dir, key, member, recipient, id, carried }
    }

    pub fn vault(&self) -> Personal {
        self.vault_with(&self.carried)
    }

    pub fn vault_with(&self, carried: &VaultRef) -> Personal {
        Personal::open(&self.dir, &self.id, carried, self.key.public(), self.member).unwrap()
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
        let meta = OldMeta { class, obtained_via: Word::user(), expires_at: None };
        let new = NewRecord { name: &slug(name), meta, value: &Secret::from(value), previous };
        Ok(self.vault().put(&self.key, &[new], now())?[0])
    }

    pub fn get(&self, name: &str, record: &RecordRef) -> Result<String, VaultError> {
        let value = self.vault().get(record, &slug(name))?;
        Ok(String::from_utf8(value.expose().to_vec()).unwrap())
    }

    /// New keys, with the same signing key.
    pub fn rotate(&mut self, records: &[(Slug, RecordRef)]) -> Vec<(Slug, RecordRef)> {
        let recipients = std::slice::from_ref(&self.recipient);
        let (carried, moved) = self.vault().rotate(recipients, &self.key, records, now()).unwrap();
        self.carried = carried;
        moved
    }

    /// Where a version of a record lies.
    pub fn path(&self, id: &keyrack_manifest::CredId, version: u64) -> PathBuf {
        self.epoch().join("creds").join(format!("{id}.{version}.cred"))
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
