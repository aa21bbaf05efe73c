//! An open vault: its records, read and written with the keys a manifest carries.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use keyrack_manifest::atomic::{self, Staged};
use keyrack_manifest::{
    Batch, CredId, Digest, FileError, MemberId, PublicKey, Recipient, RecordRef, SigningKey,
    VaultId, VaultRef,
};
use keyrack_names::{Secret, Slug};

use super::compartments;
use super::layout::Layout;
use super::record::{self, OldMeta, Opened, Place};
use crate::error::VaultError;
use crate::keys::Keys;
use crate::wrap;

/// A value to be written.
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    /// The credential's name.
    pub name: &'a Slug,
    /// What the record says besides.
    pub meta: OldMeta,
    /// The value.
    pub value: &'a Secret,
    /// The record that the manifest names until now.
    pub previous: Option<RecordRef>,
}

/// A vault whose keys are at hand and are those it commits to.
///
/// Whoever writes holds the lock of the manifest that names the vault.
pub struct Personal {
    pub(crate) layout: Layout,
    pub(crate) id: VaultId,
    pub(crate) carried: VaultRef,
    pub(crate) keys: Keys,
    signer: PublicKey,
    member: MemberId,
    /// The newest version there is of each credential: listed once, and only when a record
    /// is not where the manifest says.
    newest: OnceLock<HashMap<CredId, u64>>,
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
        Ok(Self {
            layout: Layout::at(dir),
            id: *id,
            carried: carried.clone(),
            keys: Keys::of(*id, carried)?,
            signer,
            member,
            newest: OnceLock::new(),
        })
    }

    /// Writes a new version of a credential each: after `previous`, or the first of a new
    /// one. The version before stays until [`Personal::discard`]; what a killed writer left in
    /// the place of the new one is replaced.
    ///
    /// # Errors
    /// [`VaultError::TooLong`], [`VaultError::File`]; then some may be written, and no
    /// manifest names them.
    pub fn put(
        &self,
        author: &SigningKey,
        records: &[NewRecord<'_>],
        now: Timestamp,
    ) -> Result<Vec<RecordRef>, VaultError> {
        let mut batch = Batch::new(&self.layout.records(self.keys.epoch()))?;
        let mut written = Vec::with_capacity(records.len());
        for new in records {
            let (id, version) = match new.previous {
                Some(previous) => (previous.id, previous.version + 1),
                None => (CredId::random()?, 1),
            };
            let place = self.place(id, version, new.name);
            let bytes = record::write(place, &self.keys, &new.meta, new.value, author, now)?;
            batch.write(&self.layout.record(self.keys.epoch(), &id, version), &bytes)?;
            written.push(RecordRef { id, version, sha256: Digest::of(&bytes) });
        }
        batch.sync()?;
        Ok(written)
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

    /// Wraps the vault's keys for the recipients as they are now. Returns what the manifest
    /// is to carry.
    ///
    /// # Errors
    /// [`VaultError::Seal`], [`VaultError::File`].
    pub fn rewrap(&self, recipients: &[Recipient]) -> Result<VaultRef, VaultError> {
        let digest = self.write_wrap(&self.keys, recipients)?;
        Ok(VaultRef { wrap: digest, ..self.carried.clone() })
    }

    /// A new epoch: new keys, each of `records` written anew under them by `author`. The
    /// old epoch stays until [`Personal::tidy`]. Returns what the manifest is to carry, and
    /// each record's new place.
    ///
    /// # Errors
    /// As [`Personal::get`] and [`Personal::put`]; then the old epoch is still whole, and nothing
    /// is left of the new one.
    pub fn rotate(
        &self,
        recipients: &[Recipient],
        author: &SigningKey,
        records: &[(Slug, RecordRef)],
        now: Timestamp,
    ) -> Result<(VaultRef, Vec<(Slug, RecordRef)>), VaultError> {
        let keys = Keys::random(self.id, self.keys.epoch().next()?)?;
        let rotated = self.write_epoch(&keys, recipients, author, records, now);
        if rotated.is_err() {
            // What failed is what is told. A directory that stays is swept later.
            let _ = fs::remove_dir_all(self.layout.epoch(keys.epoch()));
        }
        rotated
    }

    fn write_epoch(
        &self,
        keys: &Keys,
        recipients: &[Recipient],
        author: &SigningKey,
        records: &[(Slug, RecordRef)],
        now: Timestamp,
    ) -> Result<(VaultRef, Vec<(Slug, RecordRef)>), VaultError> {
        let wrap = self.write_wrap(keys, recipients)?;
        let mut batch = Batch::new(&self.layout.records(keys.epoch()))?;
        let mut moved = Vec::with_capacity(records.len());
        for (name, record) in records {
            let Opened { value, meta, version } = self.read(record, name)?;
            let version = version + 1;
            let place = self.place(record.id, version, name);
            let bytes = record::write(place, keys, &meta, &value, author, now)?;
            batch.write(&self.layout.record(keys.epoch(), &record.id, version), &bytes)?;
            moved.push((
                name.clone(),
                RecordRef { id: record.id, version, sha256: Digest::of(&bytes) },
            ));
        }
        batch.sync()?;
        let carried = VaultRef {
            epoch: *keys.epoch(),
            wrap,
            keys: keys.expose(&compartments()),
            commitments: keys.commitments().ok_or(VaultError::OtherKeys)?,
            ..self.carried.clone()
        };
        Ok((carried, moved))
    }

    fn write_wrap(&self, keys: &Keys, recipients: &[Recipient]) -> Result<Digest, VaultError> {
        let wrap = wrap::wrap(keys, self.id, self.member, &compartments(), recipients)?;
        let path = self.layout.wrap(keys.epoch(), &wrap.digest);
        Staged::alone_in_directory(&path, &wrap.bytes)?.commit()?;
        Ok(wrap.digest)
    }

    pub(crate) fn read(&self, record: &RecordRef, name: &Slug) -> Result<Opened, VaultError> {
        let (path, bytes) = self.bytes(&record.id, record.version)?;
        if let Some(bytes) = bytes {
            // The manifest is signed by the same hand: what it names by its digest needs no
            // other signature, and 10,000 are read in a tenth of the time.
            if Digest::of(&bytes) != record.sha256 {
                return Err(VaultError::Altered { path });
            }
            let place = self.place(record.id, record.version, name);
            return record::open(&bytes, place, &self.keys, None, &path);
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
        let place = self.place(record.id, newest, name);
        record::open(&bytes, place, &self.keys, Some(&self.signer), &path)
    }

    fn bytes(&self, id: &CredId, version: u64) -> Result<(PathBuf, Option<Vec<u8>>), FileError> {
        let path = self.layout.record(self.keys.epoch(), id, version);
        let bytes = atomic::read_shared(&path, record::LARGEST)?;
        Ok((path, bytes))
    }

    /// The newest version there is of a credential, or 0.
    fn newest(&self, id: &CredId) -> Result<u64, FileError> {
        let newest = match self.newest.get() {
            Some(newest) => newest,
            None => {
                let mut newest = HashMap::new();
                for (id, version) in self.layout.list(self.keys.epoch())? {
                    let seen = newest.entry(id).or_insert(version);
                    *seen = version.max(*seen);
                }
                self.newest.get_or_init(|| newest)
            }
        };
        Ok(newest.get(id).copied().unwrap_or(0))
    }

    fn place<'a>(&self, cred: CredId, version: u64, name: &'a Slug) -> Place<'a> {
        Place { vault: self.id, cred, version, name, member: self.member }
    }
}
