//! New keys: everything that is shared is written anew under them, in a place of its own,
//! looked through, and put in force by one link. Before that link nothing changed; after
//! it the old keys open nothing that is in force.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_manifest::{CredId, Digest, EpochId, Identity, MemberId};

use super::Vault;
use super::commit::Plan;
use super::load::Known;
use crate::chain::{Detail, EpochState, LinkKind, Member, State};
use crate::error::VaultError;
use crate::keys::Keys;
use crate::names;
use crate::record::{Draft, Keyring, Record, Visibility, Written};
use crate::roll::{Listed, Roll};
use crate::wrap;

/// An epoch that is written, and not in force.
pub(super) struct Staged {
    /// What it was made of: still fits while this is the same.
    base: Base,
    epoch: EpochState,
    keys: Keys,
    records: Vec<Known>,
}

#[derive(PartialEq, Eq)]
struct Base {
    epoch: Option<EpochId>,
    members: Vec<Member>,
    records: BTreeMap<CredId, Digest>,
}

impl Staged {
    pub(super) fn id(&self) -> &EpochId {
        &self.epoch.id
    }
}

impl Vault<'_> {
    /// Replaces the vault's keys.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when it is not this member's to do; [`VaultError::Lost`] when
    /// a shared record is gone: it would be gone for good.
    pub fn rotate(&mut self, now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.rotate_alone(now)
    }

    /// As [`Vault::rotate`], for who holds the lock and looked.
    pub(super) fn rotate_alone(&mut self, now: Timestamp) -> Result<(), VaultError> {
        self.commit(now, |vault, staged| {
            let state = vault.state().clone();
            vault.renewing(staged, LinkKind::Rotate, state, Detail::default())
        })
    }

    /// Replaces the keys first, where that is due and this member may.
    pub(super) fn rotate_if_due(&mut self, now: Timestamp) -> Result<(), VaultError> {
        if self.state().rotation_due() && self.role().writes_shared() {
            self.rotate_alone(now)?;
        }
        Ok(())
    }

    /// A plan that puts new keys in force for the members of `state`, and says what those
    /// that go, and those that went before, could read.
    pub(super) fn renewing(
        &mut self,
        staged: &mut Option<Staged>,
        kind: LinkKind,
        mut state: State,
        mut detail: Detail,
    ) -> Result<Plan, VaultError> {
        let gone: Vec<MemberId> =
            detail.member.into_iter().chain(state.pending.iter().map(|due| due.member)).collect();
        for id in gone {
            let known_to_others = detail.compromised && detail.member == Some(id);
            let exposed = self.exposed_by(&id, &state, known_to_others);
            if !exposed.is_empty() {
                detail.exposed_to.insert(id);
                detail.exposed.extend(exposed);
            }
        }
        state.pending.clear();
        state.epoch = Some(self.stage(staged, &state.members)?);
        Ok(Plan { kind, state, detail })
    }

    /// What `id` can read now and will not be able to read in `after`; all of it if somebody
    /// else may have its keys.
    fn exposed_by(&self, id: &MemberId, after: &State, known: bool) -> BTreeMap<CredId, u64> {
        let Some(member) = self.state().member(id) else { return BTreeMap::new() };
        let due = known || self.state().pending.iter().any(|due| due.member == *id);
        let kept: BTreeSet<_> = match after.active(id) {
            Some(after) if !due => after.compartments.clone(),
            _ => BTreeSet::new(),
        };
        self.records()
            .filter(|record| !kept.contains(&record.compartment))
            .filter(|record| match record.visibility {
                Visibility::Shared => member.compartments.contains(&record.compartment),
                Visibility::Private => record.grantees.contains(id),
            })
            .map(|record| (record.cred_id, record.version))
            .collect()
    }

    /// What a member can read of what others have, and of what it shares.
    pub fn readable_by(&self, id: &MemberId) -> BTreeSet<CredId> {
        let Some(member) = self.state().active(id) else { return BTreeSet::new() };
        let readable = self.records().filter(|record| {
            let is_for = record.visibility == Visibility::Shared || record.grantees.contains(id);
            is_for && member.compartments.contains(&record.compartment)
        });
        readable.map(|record| record.cred_id).collect()
    }

    /// Writes an epoch for `members`, unless `staged` is one that still fits.
    fn stage(
        &mut self,
        staged: &mut Option<Staged>,
        members: &[Member],
    ) -> Result<EpochState, VaultError> {
        let base = self.base(members);
        if let Some(staged) = staged.as_ref().filter(|staged| staged.base == base) {
            return Ok(staged.epoch.clone());
        }
        if let Some(old) = staged.take() {
            self.remove_epoch(old.id())?;
        }
        Ok(staged.insert(self.write_epoch(base)?).epoch.clone())
    }

    fn base(&self, members: &[Member]) -> Base {
        let entitled = members.iter().filter(|member| member.status.has_wrap());
        Base {
            epoch: self.state().epoch.as_ref().map(|epoch| epoch.id),
            members: entitled.cloned().collect(),
            records: self.shared().map(|known| (known.record.cred_id, known.digest)).collect(),
        }
    }

    fn shared(&self) -> impl Iterator<Item = &Known> {
        self.loaded.all().filter(|known| known.record.visibility == Visibility::Shared)
    }

    fn write_epoch(&self, base: Base) -> Result<Staged, VaultError> {
        self.loaded.nothing_shared_is_lost()?;
        let (vault, id) = (
            *self.chain.id(),
            match base.epoch {
                Some(epoch) => epoch.next()?,
                None => self.after.map_or_else(EpochId::first, |epoch| epoch.next())?,
            },
        );
        let keys = Keys::random(vault, id)?;
        let commitments = keys.commitments().ok_or(VaultError::OtherKeys)?;
        let mut objects = Vec::with_capacity(base.members.len() + base.records.len() + 1);
        let mut wraps = BTreeMap::new();
        for member in &base.members {
            let Member { member_id, compartments, recipients, .. } = member;
            let wrap = wrap::wrap(&keys, vault, *member_id, compartments, recipients)?;
            wraps.insert(*member_id, wrap.digest);
            objects.push((names::wrap(&id, &wrap.digest), wrap.bytes));
        }
        let ring = Keyring { epoch: Some(keys.clone()), ..self.ring.clone() };
        let mut roll = Roll::default();
        let mut records = Vec::with_capacity(base.records.len());
        for known in self.shared() {
            let Written { record, bytes, digest } = self.write_anew(&known.record, id, &ring)?;
            let Record { cred_id, version, owner, .. } = record;
            roll.0.insert(cred_id, Listed { version, owner, digest });
            objects.push((
                format!("{}/{}", names::shared(&id), names::record(&cred_id, version)),
                bytes,
            ));
            records.push(Known { record, digest });
        }
        let bytes = roll.to_bytes();
        let creds_root = Digest::of(&bytes);
        if !bytes.is_empty() {
            objects.push((names::roll(&id, &creds_root), bytes));
        }
        self.store.stage(&objects)?;
        let epoch = EpochState { id, commitments, wraps, creds_root };
        let staged = Staged { base, epoch, keys, records };
        self.look_through(&staged, &objects, &ring)?;
        Ok(staged)
    }

    /// The same version of a record, under other keys.
    fn write_anew(
        &self,
        old: &Record,
        epoch: EpochId,
        ring: &Keyring,
    ) -> Result<Written, VaultError> {
        let value = if old.deleted { None } else { Some(old.open(&self.ring)?) };
        let record = Record {
            epoch: Some(epoch),
            author: self.me,
            link_seq: self.chain.seq(),
            link: self.chain.head(),
            ..old.clone()
        };
        let draft = Draft { record, value: value.as_ref(), grantees: BTreeMap::new() };
        draft.write(ring, &self.actor.key)
    }

    /// Reads back what was staged, and opens all of it.
    fn look_through(
        &self,
        staged: &Staged,
        objects: &[(String, Vec<u8>)],
        ring: &Keyring,
    ) -> Result<(), VaultError> {
        for (name, bytes) in objects {
            let there = self.store.get(name, bytes.len() as u64)?;
            if there.as_ref() != Some(bytes) {
                return Err(VaultError::Altered { path: name.as_str().into() });
            }
        }
        let old = staged.records.iter().filter(|known| !known.record.deleted);
        for Known { record, .. } in old {
            if record.open(ring)? != self.get(&record.cred_id)? {
                return Err(VaultError::sealed(record));
            }
        }
        let mine = staged.base.members.iter().find(|member| member.member_id == self.me);
        let opens_it = |identity: &&Identity| {
            let is_mine = |key| mine.is_some_and(|member| member.recipients.contains(key));
            !identity.asks_again() && identity.publics().iter().any(is_mine)
        };
        let identity = self.actor.identity.as_ref().filter(opens_it);
        let wrap = staged.epoch.wraps.get(&self.me).map(|wrap| names::wrap(&staged.epoch.id, wrap));
        if let (Some(identity), Some(name)) = (identity, wrap) {
            let sealed = objects.iter().find(|(other, _)| *other == name);
            let sealed = sealed.map(|(_, bytes)| bytes.as_slice()).unwrap_or_default();
            let (epoch, vault) = (&staged.epoch, *self.chain.id());
            wrap::open(sealed, identity, vault, self.me, &epoch.id, &epoch.commitments)?;
        }
        Ok(())
    }

    /// Goes on with an epoch that was put in force, and removes the one before. Who wrote into
    /// that one meanwhile sees another epoch, and writes again.
    pub(super) fn move_to(&mut self, staged: Staged) -> Result<(), VaultError> {
        let old = staged.base.epoch;
        self.ring.epoch = Some(staged.keys);
        for known in staged.records {
            self.loaded.put(known);
        }
        match old {
            // What is left there is ciphertext out of force: the next sweep's.
            Some(old) => self.remove_epoch(&old).or(Ok(())),
            None => Ok(()),
        }
    }

    /// Removes all of an epoch.
    pub(super) fn remove_epoch(&self, epoch: &EpochId) -> Result<(), VaultError> {
        let root = format!("{}/{epoch}", names::EPOCHS);
        for folder in [names::shared(epoch), names::wraps(epoch), root] {
            for name in self.store.list(&folder)? {
                if !name.ends_with('/') {
                    self.store.remove(&format!("{folder}/{name}"))?;
                }
            }
        }
        Ok(())
    }
}
