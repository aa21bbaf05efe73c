//! What a member wrote before it knew what others wrote: once more, on top of that. Of two that
//! wrote the same, the first one's stays.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keyrack_manifest::CredId;
use keyrack_names::Slug;

use super::Vault;
use crate::chain::SeenRecord;
use crate::error::VaultError;
use crate::record::{Record, Visibility};

/// What a member wrote that could not be written anew.
#[derive(Debug)]
pub struct Uncarried {
    /// The credential's name.
    pub name: Slug,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Why not.
    pub why: Why,
}

/// Why something is not written anew.
#[derive(Debug)]
pub enum Why {
    /// Others wrote it first.
    Later,
    /// It is not this member's to write any more.
    Refused(VaultError),
}

impl Vault<'_> {
    /// Writes anew what this member wrote in `older`, the same vault as it was opened before,
    /// since it was as in `base`. Returns what could not be: this member may not write it any
    /// more, or somebody else wrote it meanwhile, or another credential of its name.
    ///
    /// # Errors
    /// The vault cannot be read or written.
    pub fn carry_over(
        &mut self,
        older: &Vault<'_>,
        base: &BTreeMap<CredId, SeenRecord>,
        now: Timestamp,
    ) -> Result<Vec<Uncarried>, VaultError> {
        let _guard = self.store.lock()?;
        self.refresh()?;
        let mut left = Vec::new();
        let mine = older.loaded.all().filter(|known| known.record.author == older.me);
        for known in mine {
            let cred = known.record.cred_id;
            let before = base.get(&cred).map_or(0, |before| before.version);
            let is_here = self.loaded.known(&cred).is_ok_and(|here| here.digest == known.digest);
            // New keys write every version anew, and say nothing new.
            if known.record.version <= before || is_here {
                continue;
            }
            let leave = |why| {
                let deleted = known.record.deleted;
                Uncarried { name: known.record.name.clone(), deleted, why }
            };
            if self.is_later(&known.record, before, base) {
                left.push(leave(Why::Later));
                continue;
            }
            let value = match known.record.deleted {
                true => None,
                false => Some(known.record.open(&older.ring)?),
            };
            let again = self.publish(|vault| {
                let mut record = known.record.clone();
                record.updated_at = now;
                vault.stamp(&mut record);
                record.value_version = record.value_version.min(record.version);
                vault.may_write(&record)?;
                Ok(vec![vault.seal(record, value.as_ref())?])
            });
            match again {
                Err(why @ (VaultError::NotEntitled { .. } | VaultError::NotHeld { .. })) => {
                    left.push(leave(Why::Refused(why)));
                }
                again => again?,
            }
        }
        Ok(left)
    }

    /// Whether others wrote, since it was as in `base`, what `record` writes.
    fn is_later(&self, record: &Record, before: u64, base: &BTreeMap<CredId, SeenRecord>) -> bool {
        let shared = |record: &Record| record.visibility == Visibility::Shared;
        let is_it = |here: &&Record| here.cred_id == record.cred_id && here.version > before;
        let is_namesake = |here: &&Record| {
            let named = |record: &Record| (record.name.clone(), record.about.provider.clone());
            let is_new = here.cred_id != record.cred_id && !base.contains_key(&here.cred_id);
            let clashes = here.owner == record.owner || (shared(here) && shared(record));
            is_new && before == 0 && !here.deleted && clashes && named(here) == named(record)
        };
        self.loaded.records().any(|here| is_it(&here) || is_namesake(&here))
    }
}
