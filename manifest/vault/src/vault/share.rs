//! For whom a credential is: shared with all, granted to one, taken back, given away. Each
//! is a new version with a new key; the value stays, and says since which version it is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use keyrack_manifest::{CredId, Digest, MemberId};
use keyrack_names::Slug;

use super::Vault;
use crate::error::VaultError;
use crate::record::{LARGEST, Mark, Record, Unverified, Visibility, offered_to, statement};

/// A credential that needs a new value: somebody could read it who no longer is meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsRotation {
    /// Which.
    pub cred: CredId,
    /// Its name.
    pub name: Slug,
    /// Since when.
    pub since: Timestamp,
    /// Why: `remove`, `leave`, `rotate`, …: what the link did, or `unshare`.
    pub reason: &'static str,
    /// Who could read it.
    pub exposed_to: BTreeSet<MemberId>,
}

impl Vault<'_> {
    /// What needs a new value, until it has one.
    pub fn needs_rotation(&self) -> Vec<NeedsRotation> {
        let exposures = self.chain.exposures();
        let mut found = Vec::new();
        for record in self.records() {
            let exposure = exposures
                .get(&record.cred_id)
                .filter(|exposure| record.value_version <= exposure.version);
            let mark = record.needs_rotation.as_ref();
            let (since, reason) = match (exposure, mark) {
                (Some(exposure), _) => (exposure.since, exposure.reason.as_str()),
                (None, Some(mark)) => (mark.since, "unshare"),
                (None, None) => continue,
            };
            let by_link = exposure.iter().flat_map(|exposure| &exposure.exposed_to);
            let exposed_to = by_link.chain(mark.iter().flat_map(|mark| &mark.exposed_to)).copied();
            found.push(NeedsRotation {
                cred: record.cred_id,
                name: record.name.clone(),
                since,
                reason,
                exposed_to: exposed_to.collect(),
            });
        }
        found
    }

    /// Shares a private credential of one's own with every member that has its compartment.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`] for who may not write what is shared.
    pub fn share(&mut self, cred: &CredId, now: Timestamp) -> Result<(), VaultError> {
        self.rewrite(cred, now, |vault, record| {
            vault.is_owner(record)?;
            record.visibility = Visibility::Shared;
            Ok(())
        })
    }

    /// Makes a credential its owner's own again, whomever it was shared with or granted to. Who
    /// could read it still knows the value, so it is marked.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`] for who does not own it.
    pub fn unshare(&mut self, cred: &CredId, now: Timestamp) -> Result<(), VaultError> {
        self.rewrite(cred, now, |vault, record| {
            vault.is_owner(record)?;
            if record.visibility == Visibility::Shared {
                let readers = vault.state().members.iter().filter(|member| {
                    member.status.has_wrap()
                        && member.member_id != record.owner
                        && member.compartments.contains(&record.compartment)
                });
                mark(record, readers.map(|member| member.member_id).collect(), now);
            }
            let granted = std::mem::take(&mut record.grantees);
            mark(record, granted, now);
            record.visibility = Visibility::Private;
            Ok(())
        })
    }

    /// Lets one other member read a private credential of one's own.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`]; [`VaultError::CannotHold`] when that member has not the
    /// compartment, or has published no key; [`VaultError::IsOwner`].
    pub fn grant(
        &mut self,
        cred: &CredId,
        to: &MemberId,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        self.rewrite(cred, now, |vault, record| {
            vault.is_owner(record)?;
            vault.can_be_granted(record, to)?;
            record.grantees.insert(*to);
            Ok(())
        })
    }

    /// Takes a grant back. Who had it still knows the value, so it is marked.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`].
    pub fn take_back(
        &mut self,
        cred: &CredId,
        from: &MemberId,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        self.rewrite(cred, now, |vault, record| {
            vault.is_owner(record)?;
            if record.grantees.remove(from) {
                mark(record, BTreeSet::from([*from]), now);
            }
            Ok(())
        })
    }

    /// Gives a credential to another member. A shared one is its at once; a private one is
    /// offered, and the other takes it with [`Vault::claim`]. The last offer is the one that
    /// stands, until it is taken or the grant that came with it is taken back.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`] for who does not own it; [`VaultError::NameTaken`]; as
    /// [`Vault::grant`].
    pub fn transfer(
        &mut self,
        cred: &CredId,
        to: &MemberId,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        self.rewrite(cred, now, |vault, record| {
            vault.may_transfer(record, to)?;
            match record.visibility {
                Visibility::Shared => {
                    let now = vault.loaded.next_version(&record.cred_id);
                    record.transfers.push(statement(record, now, *to, &vault.actor.key));
                    record.owner = *to;
                }
                Visibility::Private => {
                    record.grantees.insert(*to);
                    if offered_to(record, vault.state()).is_some() {
                        record.transfers.pop();
                    }
                    vault.offer(record, *to);
                }
            }
            Ok(())
        })
    }

    /// Whether a credential can be given to another member, which has none of that name.
    ///
    /// # Errors
    /// As [`Vault::transfer`], of which nothing is done.
    pub fn may_transfer(&self, record: &Record, to: &MemberId) -> Result<(), VaultError> {
        self.is_owner(record)?;
        self.state().active(to).ok_or(VaultError::Unknown { what: "member" })?;
        is_anothers(record, to)?;
        if record.visibility == Visibility::Private {
            self.can_be_granted(record, to)?;
        }
        if self.is_taken(&Record { owner: *to, ..record.clone() }) {
            return Err(VaultError::NameTaken { slug: record.name.clone() });
        }
        Ok(())
    }

    /// The credentials that were offered to this member, and not taken yet.
    pub fn offered(&self) -> impl Iterator<Item = &Record> {
        self.records().filter(|record| self.is_offered(record))
    }

    /// Takes a private credential that was offered.
    ///
    /// # Errors
    /// [`VaultError::NotEntitled`] when it was not.
    pub fn claim(&mut self, cred: &CredId, now: Timestamp) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.publish(|vault| {
            let offered = vault.record(cred)?;
            if !vault.is_offered(offered) {
                return Err(VaultError::NotEntitled { slug: offered.name.clone() });
            }
            let value = offered.open(&vault.ring)?;
            let mut record = offered.clone();
            record.prev = vault.digest(cred);
            record.owner = vault.me;
            record.updated_at = now;
            record.grantees.clear();
            mark(&mut record, BTreeSet::from([offered.owner]), now);
            vault.stamp(&mut record);
            if vault.is_taken(&record) {
                return Err(VaultError::NameTaken { slug: record.name });
            }
            Ok(vec![vault.seal(record, Some(&value))?])
        })
    }

    /// Settles which of several records of a credential holds: the one with that digest,
    /// written anew as the newest.
    ///
    /// # Errors
    /// [`VaultError::Unknown`] when there is none; [`VaultError::Signed`] when it is not what
    /// its author signed; as [`Vault::put`].
    pub fn resolve(
        &mut self,
        cred: &CredId,
        chosen: &Digest,
        now: Timestamp,
    ) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        let aside = self.quarantined().iter().find(|aside| aside.digest.as_ref() == Some(chosen));
        let chosen = match aside {
            Some(aside) if aside.cred == *cred => {
                let unknown = || VaultError::Unknown { what: "record" };
                let bytes = self.store.get(&aside.name, LARGEST)?.ok_or_else(unknown)?;
                let read = Unverified::read(&bytes).map_err(|_| unknown())?;
                // Whatever it says is signed anew: only if its author said it.
                let author = self.state().member(&read.record.author).ok_or_else(unknown)?;
                let path = || (&aside.name).into();
                read.verify(&author.sig_key)
                    .map_err(|source| VaultError::Signed { path: path(), source })?;
                if (read.record.vault_id, read.record.cred_id) != (*self.id(), *cred) {
                    return Err(VaultError::Moved { path: path(), what: "record" });
                }
                read.record
            }
            _ if self.digest(cred).as_ref() == Some(chosen) => self.record(cred)?.clone(),
            _ => return Err(VaultError::Unknown { what: "record" }),
        };
        let value = if chosen.deleted { None } else { Some(chosen.open(&self.ring)?) };
        self.publish(|vault| {
            let mut record = chosen.clone();
            if let Ok(known) = vault.record(cred) {
                record.owner = known.owner;
                record.transfers.clone_from(&known.transfers);
            }
            record.updated_at = now;
            vault.stamp(&mut record);
            record.value_version = record.version;
            vault.may_write(&record)?;
            Ok(vec![vault.seal(record, value.as_ref())?])
        })?;
        self.refresh()
    }

    /// A new version with the same value, changed by `change`.
    fn rewrite(
        &mut self,
        cred: &CredId,
        now: Timestamp,
        change: impl Fn(&Self, &mut Record) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        self.rotate_if_due(now)?;
        self.publish(|vault| {
            let value = vault.get(cred)?;
            let mut record = vault.record(cred)?.clone();
            record.prev = vault.digest(cred);
            record.updated_at = now;
            change(vault, &mut record)?;
            vault.stamp(&mut record);
            vault.may_write(&record)?;
            Ok(vec![vault.seal(record, Some(&value))?])
        })
    }

    fn is_owner(&self, record: &Record) -> Result<(), VaultError> {
        if record.owner == self.me {
            Ok(())
        } else {
            Err(VaultError::NotEntitled { slug: record.name.clone() })
        }
    }

    fn is_offered(&self, record: &Record) -> bool {
        offered_to(record, self.state()) == Some(self.me)
    }

    fn can_be_granted(&self, record: &Record, to: &MemberId) -> Result<(), VaultError> {
        is_anothers(record, to)?;
        let can = self.state().active(to).is_some_and(|member| {
            member.grant_key.is_some() && member.compartments.contains(&record.compartment)
        });
        if can && record.visibility == Visibility::Private {
            Ok(())
        } else {
            Err(VaultError::CannotHold { slug: record.name.clone() })
        }
    }
}

/// Nothing is given to whom it belongs to.
fn is_anothers(record: &Record, to: &MemberId) -> Result<(), VaultError> {
    if record.owner == *to {
        return Err(VaultError::IsOwner { slug: record.name.clone() });
    }
    Ok(())
}

/// Marks a record: these could read its value.
fn mark(record: &mut Record, readers: BTreeSet<MemberId>, now: Timestamp) {
    let old = record.needs_rotation.take();
    let since = old.as_ref().map_or(now, |old| old.since);
    let exposed_to: BTreeSet<_> =
        old.into_iter().flat_map(|old| old.exposed_to).chain(readers).collect();
    record.needs_rotation = (!exposed_to.is_empty()).then_some(Mark { since, exposed_to });
}
