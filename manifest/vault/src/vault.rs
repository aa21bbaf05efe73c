//! An open vault: its records, read and written with the keys a manifest carries.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::{
    CredId, FileError, MemberId, PublicKey, Recipient, RecordRef, SigningKey, VaultId, VaultRef,
    atomic,
};
use keyrack_names::{Secret, Slug};

use crate::error::VaultError;
use crate::keys::Keys;
use crate::layout::Layout;
use crate::record::{self, Opened, Place, RecordMeta};
use crate::wrap;

/// A vault whose keys are at hand and are those it commits to.
pub struct Vault {
    layout: Layout,
    id: VaultId,
    carried: VaultRef,
    keys: Keys,
    signer: PublicKey,
    member: MemberId,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Vault {
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
        let keys = Keys::of(*id, carried)?;
        Ok(Self {
            layout: Layout::at(dir),
            id: *id,
            carried: carried.clone(),
            keys,
            signer,
            member,
        })
    }

    /// Writes a new version of a credential: after `previous`, or the first of a new one.
    /// The version before stays until [`Vault::discard`].
    ///
    /// # Errors
    /// [`VaultError::TooLong`], [`VaultError::File`].
    pub fn put(
        &self,
        author: &SigningKey,
        name: &Slug,
        meta: &RecordMeta,
        value: &Secret,
        previous: Option<&RecordRef>,
        now: Timestamp,
    ) -> Result<RecordRef, VaultError> {
        let record = match previous {
            // A killed writer may have left a version that no manifest names.
            Some(previous) => {
                RecordRef { id: previous.id, version: self.newest(previous)?.version + 1 }
            }
            None => RecordRef { id: CredId::random()?, version: 1 },
        };
        let bytes = record::write(self.place(record, name), &self.keys, meta, value, author, now)?;
        atomic::replace(&self.layout.record(self.keys.epoch(), &record), &bytes)?;
        Ok(record)
    }

    /// The value of a credential: the version named, or a later one that a killed writer
    /// left behind.
    ///
    /// # Errors
    /// In which way it is not what was written; [`VaultError::RolledBack`] when only older
    /// versions are there.
    pub fn get(&self, record: &RecordRef, name: &Slug) -> Result<Secret, VaultError> {
        Ok(self.read(record, name)?.value)
    }

    /// Removes what a manifest that was committed no longer needs: `dropped` records, and
    /// the epoch and wrap that `successor` replaced. Only files that the manifest before
    /// named: what another writer is about to name is not touched.
    ///
    /// # Errors
    /// [`VaultError::File`]; then ciphertext is left that nobody names.
    pub fn discard(
        &self,
        successor: &VaultRef,
        dropped: impl IntoIterator<Item = RecordRef>,
    ) -> Result<(), VaultError> {
        let epoch = self.keys.epoch();
        if successor.epoch != *epoch {
            let old = self.layout.epoch(epoch);
            return fs::remove_dir_all(&old)
                .map_err(|error| FileError::new("remove", &old, error).into());
        }
        if successor.wrap != self.carried.wrap {
            atomic::remove(&self.layout.wrap(epoch, &self.carried.wrap))?;
        }
        for record in dropped {
            atomic::remove(&self.layout.record(epoch, &record))?;
        }
        Ok(())
    }

    /// Wraps the vault's keys for the recipients as they are now. Returns what the manifest
    /// is to carry.
    ///
    /// # Errors
    /// [`VaultError::Seal`], [`VaultError::File`].
    pub fn rewrap(&self, recipients: &[Recipient]) -> Result<VaultRef, VaultError> {
        let wrap = wrap::wrap(&self.keys, self.id, self.member, recipients)?;
        atomic::replace(&self.layout.wrap(self.keys.epoch(), &wrap.digest), &wrap.bytes)?;
        Ok(VaultRef { wrap: wrap.digest, ..self.carried.clone() })
    }

    /// A new epoch: new keys, each of `records` written anew under them by `author`. The
    /// old epoch stays until [`Vault::discard`]. Returns what the
    /// manifest is to carry, and each record's new place.
    ///
    /// # Errors
    /// As [`Vault::get`] and [`Vault::put`]; then the old epoch is still whole.
    pub fn rotate(
        &self,
        recipients: &[Recipient],
        author: &SigningKey,
        records: &[(Slug, RecordRef)],
        now: Timestamp,
    ) -> Result<(VaultRef, Vec<(Slug, RecordRef)>), VaultError> {
        let keys = Keys::random(self.id, self.keys.epoch().next()?)?;
        // All is read before anything is written: a damaged record leaves no half epoch.
        let opened = records
            .iter()
            .map(|(name, record)| self.read(record, name))
            .collect::<Result<Vec<Opened>, _>>()?;
        let wrap = wrap::wrap(&keys, self.id, self.member, recipients)?;
        atomic::replace(&self.layout.wrap(keys.epoch(), &wrap.digest), &wrap.bytes)?;
        let mut moved = Vec::with_capacity(records.len());
        for ((name, record), Opened { value, meta }) in records.iter().zip(opened) {
            let record = RecordRef { id: record.id, version: self.newest(record)?.version + 1 };
            let bytes = record::write(self.place(record, name), &keys, &meta, &value, author, now)?;
            atomic::replace(&self.layout.record(keys.epoch(), &record), &bytes)?;
            moved.push((name.clone(), record));
        }
        let carried = VaultRef {
            epoch: *keys.epoch(),
            wrap: wrap.digest,
            keys: keys.expose(),
            commitments: keys.commitments(),
            ..self.carried.clone()
        };
        Ok((carried, moved))
    }

    fn read(&self, record: &RecordRef, name: &Slug) -> Result<Opened, VaultError> {
        let open = |record: RecordRef| {
            let path = self.layout.record(self.keys.epoch(), &record);
            let bytes = atomic::read_limited(&path, record::LARGEST)?;
            bytes
                .map(|bytes| {
                    record::open(&bytes, self.place(record, name), &self.keys, &self.signer, &path)
                })
                .transpose()
        };
        match open(*record)? {
            Some(opened) => Ok(opened),
            // Not where the manifest says: a later version, or none.
            None => {
                let newest = self.newest(record)?;
                if newest.version < record.version {
                    return Err(VaultError::RolledBack {
                        slug: name.clone(),
                        expected: record.version,
                        found: newest.version,
                    });
                }
                let path = self.layout.record(self.keys.epoch(), &newest);
                open(newest)?.ok_or(VaultError::Missing { path })
            }
        }
    }

    /// The newest version there is of a credential, or version 0.
    fn newest(&self, record: &RecordRef) -> Result<RecordRef, FileError> {
        let versions =
            self.layout.list(self.keys.epoch())?.into_iter().filter(|there| there.id == record.id);
        let version = versions.map(|there| there.version).max().unwrap_or(0);
        Ok(RecordRef { id: record.id, version })
    }

    fn place<'a>(&self, record: RecordRef, name: &'a Slug) -> Place<'a> {
        Place { vault: self.id, record, name, member: self.member }
    }
}
