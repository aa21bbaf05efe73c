//! Writing records: one's own private ones, and what is shared by those who may.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_manifest::{CredId, Digest, MemberId, Recipient, SigningKey};
use keyrack_names::{Secret, Slug};

use super::load::Known;
use super::place::Place;
use super::{TRIES, Vault};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::keys::Compartment;
use crate::record::{
    Draft, Keyring, Record, RecordMeta, Visibility, Written, offered_to, statement,
};

/// A value to be written.
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    /// The credential, if it is there already.
    pub cred: Option<CredId>,
    /// Its name.
    pub name: &'a Slug,
    /// What else there is to say of it.
    pub about: RecordMeta,
    /// Its value.
    pub value: &'a Secret,
    /// Whom a new one is for; by the vault's policy if it does not say. One that is there
    /// stays as it is.
    pub visibility: Option<Visibility>,
}

impl Vault<'_> {
    /// Writes values: new credentials of this member's own, or new versions. Returns which
    /// they are, in order.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`]; [`VaultError::NameTaken`]; [`VaultError::Forbidden`] by
    /// the policy; [`VaultError::TooLong`].
    pub fn put(
        &mut self,
        new: &[NewRecord<'_>],
        now: Timestamp,
    ) -> Result<Vec<CredId>, VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.rotate_if_due(now)?;
        let ids = new.iter().map(|new| new.cred.map_or_else(CredId::random, Ok));
        let ids = ids.collect::<Result<Vec<CredId>, _>>()?;
        self.publish(|vault| {
            let mut names = BTreeSet::new();
            let drafts = new.iter().zip(&ids).map(|(new, cred)| {
                let record = vault.draft(new, *cred, now)?;
                let is_taken = vault.is_taken(&record)
                    || !names.insert((
                        record.about.provider.clone(),
                        record.name.clone(),
                        record.owner,
                    ));
                if is_taken {
                    return Err(VaultError::NameTaken { slug: record.name });
                }
                vault.seal(record, Some(new.value))
            });
            drafts.collect()
        })?;
        Ok(ids)
    }

    /// Deletes a credential: the deletion is a version that stays.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`], [`VaultError::Unknown`].
    pub fn delete(&mut self, cred: &CredId, now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.rotate_if_due(now)?;
        self.publish(|vault| {
            let mut record = vault.next(cred, now)?;
            record.deleted = true;
            record.grantees.clear();
            Ok(vec![vault.seal(record, None)?])
        })
    }

    /// The record that a value makes.
    fn draft(
        &self,
        new: &NewRecord<'_>,
        cred: CredId,
        now: Timestamp,
    ) -> Result<Record, VaultError> {
        let state = self.state();
        if state.policy.forbid.contains(&new.about.class) {
            return Err(VaultError::Forbidden { class: new.about.class });
        }
        let mut record = match new.cred {
            Some(cred) => self.next(&cred, now)?,
            None => self.first(cred, new, now),
        };
        let is_same =
            new.cred.is_some_and(|cred| self.get(&cred).is_ok_and(|old| old == *new.value));
        if !is_same {
            record.value_version = record.version;
            record.needs_rotation = None;
        }
        record.name = new.name.clone();
        record.about = new.about.clone();
        record.compartment = Compartment::of(new.about.class);
        self.may_write(&record)?;
        Ok(record)
    }

    fn first(&self, cred: CredId, new: &NewRecord<'_>, now: Timestamp) -> Record {
        let by_policy = match self.state().policy.private_by_default {
            true => Visibility::Private,
            false => Visibility::Shared,
        };
        let to = (self.me, new.visibility.unwrap_or(by_policy));
        let mut record = Record::first(&self.chain, (cred, new.name), to, &new.about, now);
        self.stamp(&mut record);
        record
    }

    /// The next version of a record, by this member, if it may.
    pub(super) fn next(&self, cred: &CredId, now: Timestamp) -> Result<Record, VaultError> {
        let mut record = self.record(cred)?.clone();
        record.prev = self.digest(cred);
        record.updated_at = now;
        self.stamp(&mut record);
        self.may_write(&record)?;
        Ok(record)
    }

    /// Says who writes it, when in the chain, and under which keys.
    pub(super) fn stamp(&self, record: &mut Record) {
        let state = self.state();
        let shared = record.visibility == Visibility::Shared;
        let offered = offered_to(record, state);
        record.version = self.loaded.next_version(&record.cred_id);
        record.author = self.me;
        record.link_seq = self.chain.seq();
        record.link = self.chain.head();
        record.epoch = state.epoch.as_ref().filter(|_| shared).map(|epoch| epoch.id);
        record.generation = match &self.ring.own {
            Some(own) if !shared => Some(own.generation),
            _ => None,
        };
        // Who went is not given what comes.
        let compartment = record.compartment;
        record.grantees.retain(|id| {
            state.active(id).is_some_and(|member| member.compartments.contains(&compartment))
        });
        if shared {
            record.grantees.clear();
        }
        if let Some(to) = offered {
            record.transfers.pop();
            // It stands while whoever it was made to can read what it would take.
            if record.grantees.contains(&to) {
                self.offer(record, to);
            }
        }
    }

    /// Says that a private record is another's from the version on which that one writes.
    pub(super) fn offer(&self, record: &mut Record, to: MemberId) {
        let taken = self.loaded.next_version(&record.cred_id) + 1;
        record.transfers.push(statement(record, taken, to, &self.actor.key));
    }

    pub(super) fn may_write(&self, record: &Record) -> Result<(), VaultError> {
        let may = match record.visibility {
            Visibility::Shared => self.role().writes_shared(),
            Visibility::Private => record.owner == self.me,
        };
        if may { Ok(()) } else { Err(VaultError::NotEntitled { slug: record.name.clone() }) }
    }

    /// Whether another credential of the same owner has the name.
    pub(super) fn is_taken(&self, record: &Record) -> bool {
        self.records()
            .any(|other| other.cred_id != record.cred_id && other.identity() == record.identity())
    }

    /// Seals a value with the keys at hand, for its grantees too.
    pub(super) fn seal(
        &self,
        record: Record,
        value: Option<&Secret>,
    ) -> Result<Written, VaultError> {
        self.seal_with(record, value, &self.ring, &self.actor.key)
    }

    fn seal_with(
        &self,
        mut record: Record,
        value: Option<&Secret>,
        ring: &Keyring,
        key: &SigningKey,
    ) -> Result<Written, VaultError> {
        let grant_key = |id: &MemberId| Some((*id, self.state().active(id)?.grant_key.clone()?));
        let grantees: BTreeMap<MemberId, Recipient> =
            record.grantees.iter().filter_map(grant_key).collect();
        record.grantees = grantees.keys().copied().collect();
        Draft { record, value, grantees }.write(ring, key)
    }

    /// Everything that is private to this member as a new version, under other keys.
    pub(super) fn private_anew(
        &self,
        ring: &Keyring,
        key: &SigningKey,
        now: Timestamp,
    ) -> Result<Vec<Written>, VaultError> {
        let mine = self.loaded.all().filter(|known| self.is_mine(&known.record));
        let anew = mine.map(|known| {
            let mut record = known.record.clone();
            let value = if record.deleted { None } else { Some(record.open(&self.ring)?) };
            record.prev = Some(known.digest);
            record.updated_at = now;
            self.stamp(&mut record);
            record.generation = ring.own.as_ref().map(|own| own.generation);
            self.seal_with(record, value.as_ref(), ring, key)
        });
        anew.collect()
    }

    /// Puts records in place that `make` makes of the vault as it is; again if somebody was
    /// faster, or replaced the keys meanwhile.
    pub(super) fn publish(
        &mut self,
        make: impl Fn(&Self) -> Result<Vec<Written>, VaultError>,
    ) -> Result<(), VaultError> {
        for _ in 0..TRIES {
            let written = make(self)?;
            let epochs: Vec<_> =
                written.iter().filter_map(|written| written.record.epoch).collect();
            let placed = match Self::write_all(self.store, written) {
                Err(VaultError::Busy) => {
                    self.refresh()?;
                    continue;
                }
                placed => placed?,
            };
            // Whoever replaced the keys before these were there did not take them along.
            if self.is_behind()? {
                self.refresh()?;
                let head = self.state().epoch.as_ref().map(|epoch| epoch.id);
                if epochs.iter().any(|epoch| Some(*epoch) != head) {
                    continue;
                }
            }
            return self.take_over(placed);
        }
        Err(VaultError::Busy)
    }

    /// Writes records where none are. Each is there whole or not at all: others read them
    /// without asking anybody.
    ///
    /// # Errors
    /// [`VaultError::Busy`] when one is there.
    pub(super) fn write_all(
        store: &dyn VaultStore,
        written: Vec<Written>,
    ) -> Result<Vec<Known>, VaultError> {
        let mut placed = Vec::with_capacity(written.len());
        for Written { record, bytes, digest } in written {
            let name = Place::of(&record).name(&record.cred_id, record.version);
            if !store.create(&name, &bytes)? {
                return Err(VaultError::Busy);
            }
            placed.push(Known { record, digest });
        }
        Ok(placed)
    }

    /// Goes on with records that are in place, and removes the versions before.
    pub(super) fn take_over(&mut self, placed: Vec<Known>) -> Result<(), VaultError> {
        for new in placed {
            let cred = new.record.cred_id;
            let old = self.loaded.known(&cred).map(|old| &old.record);
            let old = old.ok().filter(|old| old.version < new.record.version);
            let old = old.map(|old| Place::of(old).name(&cred, old.version));
            self.loaded.put(new);
            if let Some(old) = old {
                self.store.remove(&old)?;
            }
        }
        Ok(())
    }

    /// The digest of the file that is believed of a credential.
    pub fn file_digest(&self, cred: &CredId) -> Option<Digest> {
        self.digest(cred)
    }
}
