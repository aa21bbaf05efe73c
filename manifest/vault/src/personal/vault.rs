//! An open personal vault: its records, read and written with the keys a manifest carries.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use keyrack_manifest::{
    CredId, Digest, FileError, MemberId, PublicKey, RecordRef, SignedCard, SigningKey, VaultId,
    VaultRef,
};
use keyrack_names::{Secret, Slug};

use super::old;
use super::renew::own_file;
use crate::chain::Chain;
use crate::engine::VaultStore as _;
use crate::error::VaultError;
use crate::file::FileStore;
use crate::keys::Keys;
use crate::names;
use crate::own_key::OwnKey;
use crate::record::{self, Draft, Keyring, Record, RecordMeta, Unverified, Visibility, Written};
use crate::vault::{Actor, Vault};

/// A value to be written.
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    /// The credential's name.
    pub name: &'a Slug,
    /// What the record says besides.
    pub about: RecordMeta,
    /// The value.
    pub value: &'a Secret,
    /// When the credential was first set.
    pub created_at: Timestamp,
    /// The record that the manifest names until now.
    pub previous: Option<RecordRef>,
}

/// A personal vault whose keys are at hand and are those it commits to.
///
/// Whoever writes holds the lock of the manifest that names the vault.
pub struct Personal {
    pub(super) store: FileStore,
    pub(super) id: VaultId,
    pub(super) carried: VaultRef,
    pub(super) keys: Keys,
    pub(super) own: Option<OwnKey>,
    signer: PublicKey,
    pub(super) member: MemberId,
    /// The newest version there is of each credential: listed once, and only when a record
    /// is not where the manifest says.
    newest: OnceLock<HashMap<CredId, u64>>,
}

/// What a record holds.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) value: Secret,
    pub(super) about: RecordMeta,
    pub(super) created_at: Timestamp,
    pub(super) version: u64,
}

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Personal").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Personal {
    /// Opens the vault at `dir` with what a manifest carries of it. Records are read one by
    /// one, when they are asked for.
    ///
    /// # Errors
    /// [`VaultError::OtherKeys`].
    pub fn open(
        dir: &Path,
        id: &VaultId,
        carried: &VaultRef,
        signer: PublicKey,
        member: MemberId,
    ) -> Result<Self, VaultError> {
        let own = carried.private_key.as_ref().map(|own| OwnKey::of(member, own)).transpose()?;
        Ok(Self {
            store: FileStore::at(dir),
            id: *id,
            carried: carried.clone(),
            keys: Keys::of(*id, carried)?,
            own,
            signer,
            member,
            newest: OnceLock::new(),
        })
    }

    /// Whether it is from before vaults had chains: it is read, and renewed before anything
    /// is written.
    pub fn is_old(&self) -> bool {
        self.own.is_none()
    }

    /// Writes a new version of a credential each: after `previous`, or the first of a new
    /// one. The version before stays until [`Personal::discard`]; what a killed writer left
    /// in the place of the new one is replaced.
    ///
    /// # Errors
    /// [`VaultError::TooLong`], [`VaultError::File`]; then some may be written, and no
    /// manifest names them. [`VaultError::Chain`] when there is none to write for.
    pub fn put(
        &self,
        author: &SigningKey,
        records: &[NewRecord<'_>],
        now: Timestamp,
    ) -> Result<Vec<RecordRef>, VaultError> {
        self.settle()?;
        let chain = Chain::verify(&self.store, &self.id, None)?;
        let writer = Writer { chain: &chain, member: self.member, own: self.own.as_ref() };
        let written = records.iter().map(|new| writer.write(new, author, now));
        let written = written.collect::<Result<Vec<Written>, VaultError>>()?;
        let refs = written.iter().map(record_ref).collect();
        self.store.stage(&written.into_iter().map(object).collect::<Vec<_>>())?;
        Ok(refs)
    }

    /// The value of a credential: of exactly the record the manifest names. If that one is
    /// gone and the owner signed a later one, of that: an older manifest was restored, and
    /// what it names was discarded since.
    ///
    /// # Errors
    /// In which way it is not what was written; [`VaultError::Missing`] or
    /// [`VaultError::RolledBack`] when no such version is there.
    pub fn get(&self, record: &RecordRef, name: &Slug) -> Result<Secret, VaultError> {
        Ok(self.read(record, name)?.value)
    }

    /// Wraps the vault's keys for the recipients as the card has them now. Returns what the
    /// manifest is to carry.
    ///
    /// # Errors
    /// [`VaultError::Seal`], [`VaultError::File`]; [`VaultError::Chain`].
    pub fn rewrap(
        &self,
        card: &SignedCard,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<VaultRef, VaultError> {
        self.settle()?;
        let actor = Actor { key: key.clone(), identity: None };
        let chain = Chain::verify(&self.store, &self.id, None)?;
        let mut vault = Vault::with(&self.store, actor, chain, self.ring());
        vault.recipients_alone(card, false, now)?;
        let carried = vault.carried(self.carried.location.clone());
        let mut carried = carried.ok_or(VaultError::OtherKeys)?;
        if let Some(own) = &mut carried.private_key {
            own.file = own_file(&self.store, &self.member, own.generation)?;
        }
        Ok(carried)
    }

    pub(super) fn ring(&self) -> Keyring {
        Keyring { member: self.member, epoch: Some(self.keys.clone()), own: self.own.clone() }
    }

    pub(super) fn read(&self, record: &RecordRef, name: &Slug) -> Result<Opened, VaultError> {
        let (path, bytes) = self.bytes(&record.id, record.version)?;
        if let Some(bytes) = bytes {
            // The manifest is signed by the same hand: what it names by its digest needs no
            // other signature, and 10,000 are read in a tenth of the time.
            if Digest::of(&bytes) != record.sha256 {
                return Err(VaultError::Altered { path });
            }
            return self.unseal(&bytes, (record.id, record.version), name, None, &path);
        }
        let newest = self.newest(&record.id)?;
        if newest < record.version {
            return Err(match newest {
                0 => VaultError::Missing { path },
                found => {
                    VaultError::RolledBack { slug: name.clone(), expected: record.version, found }
                }
            });
        }
        let (path, bytes) = self.bytes(&record.id, newest)?;
        let bytes = bytes.ok_or_else(|| VaultError::Missing { path: path.clone() })?;
        self.unseal(&bytes, (record.id, newest), name, Some(&self.signer), &path)
    }

    /// Opens a record that is where it belongs: signed by `author`, or vouched for by the
    /// manifest where there is `None`.
    fn unseal(
        &self,
        bytes: &[u8],
        (cred, version): (CredId, u64),
        name: &Slug,
        author: Option<&PublicKey>,
        path: &Path,
    ) -> Result<Opened, VaultError> {
        if self.is_old() {
            let place = old::Place { vault: self.id, cred, version, name, member: self.member };
            return old::open(bytes, place, &self.keys, author, path);
        }
        let damaged = |source| VaultError::Signed { path: path.to_owned(), source };
        let read = Unverified::read(bytes).map_err(damaged)?;
        // Nothing is believed before the signature holds.
        if let Some(author) = author {
            read.verify(author).map_err(damaged)?;
        }
        let record = read.record;
        let moved = |what| Err(VaultError::Moved { path: path.to_owned(), what });
        match &record {
            r if r.vault_id != self.id => return moved("vault"),
            r if r.cred_id != cred => return moved("credential"),
            r if r.version != version => return moved("version"),
            r if r.name != *name => return moved("name"),
            r if r.owner != self.member => return moved("owner"),
            _ => {}
        }
        let value = record.open(&self.ring())?;
        Ok(Opened { value, about: record.about, created_at: record.created_at, version })
    }

    /// The folder of the records.
    pub(super) fn folder(&self) -> String {
        if self.is_old() { names::shared(self.keys.epoch()) } else { names::private(&self.member) }
    }

    fn bytes(&self, id: &CredId, version: u64) -> Result<(PathBuf, Option<Vec<u8>>), FileError> {
        let name = format!("{}/{}", self.folder(), names::record(id, version));
        let bytes = self.store.get(&name, record::LARGEST)?;
        Ok((self.store.dir().join(name), bytes))
    }

    /// What is there of the records, in no order.
    pub(super) fn list(&self) -> Result<Vec<(CredId, u64)>, FileError> {
        let files = self.store.list(&self.folder())?;
        Ok(files.iter().filter_map(|name| names::parse_record(name)).collect())
    }

    /// The newest version there is of a credential, or 0.
    fn newest(&self, id: &CredId) -> Result<u64, FileError> {
        let newest = match self.newest.get() {
            Some(newest) => newest,
            None => {
                let mut newest = HashMap::new();
                for (id, version) in self.list()? {
                    let seen = newest.entry(id).or_insert(version);
                    *seen = version.max(*seen);
                }
                self.newest.get_or_init(|| newest)
            }
        };
        Ok(newest.get(id).copied().unwrap_or(0))
    }
}

/// What a record that is written needs besides its value.
pub(super) struct Writer<'a> {
    pub(super) chain: &'a Chain,
    pub(super) member: MemberId,
    pub(super) own: Option<&'a OwnKey>,
}

impl Writer<'_> {
    pub(super) fn write(
        &self,
        new: &NewRecord<'_>,
        author: &SigningKey,
        now: Timestamp,
    ) -> Result<Written, VaultError> {
        let own = self.own.ok_or(VaultError::OtherKeys)?;
        let (cred_id, version) = match new.previous {
            Some(previous) => (previous.id, previous.version + 1),
            None => (CredId::random()?, 1),
        };
        let to = (self.member, Visibility::Private);
        let first = Record::first(self.chain, (cred_id, new.name), to, &new.about, now);
        let record = Record {
            generation: Some(own.generation),
            version,
            value_version: version,
            prev: new.previous.map(|previous| previous.sha256),
            created_at: new.created_at,
            ..first
        };
        let ring = Keyring { member: self.member, epoch: None, own: Some(own.clone()) };
        let draft = Draft { record, value: Some(new.value), grantees: Default::default() };
        draft.write(&ring, author)
    }
}

/// What a manifest says of a record that was written.
pub(super) fn record_ref(written: &Written) -> RecordRef {
    let Record { cred_id: id, version, .. } = written.record;
    RecordRef { id, version, sha256: written.digest }
}

/// Where it goes.
pub(super) fn object(written: Written) -> (String, Vec<u8>) {
    let Record { owner, cred_id, version, .. } = &written.record;
    (format!("{}/{}", names::private(owner), names::record(cred_id, *version)), written.bytes)
}
