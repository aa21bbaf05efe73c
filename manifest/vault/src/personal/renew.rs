//! A personal vault that is made anew: for a new owner; in place of one from before there
//! were chains; or because a key was taken away that could read it. Everything new lies
//! beside what is old until the manifest names it.

use std::path::Path;

use jiff::Timestamp;
use keyrack_manifest::{
    Digest, EpochId, MemberId, RecordRef, SignedCard, SigningKey, VaultId, VaultName, VaultRef,
};
use keyrack_names::Slug;

use super::settle;
use super::vault::{NewRecord, Opened, Personal, Writer, object, record_ref};
use crate::chain::{Chain, Policy};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::file::FileStore;
use crate::memory::Memory;
use crate::names;
use crate::own_key::{LARGEST as LARGEST_KEY, OwnKey};
use crate::vault::{Actor, Founding, Vault};

/// Whose vault it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Founder<'a> {
    /// What the owner shows to others: its handle, its signing key, its recipients.
    pub card: &'a SignedCard,
    /// The signing key.
    pub key: &'a SigningKey,
    /// The owner's name in vaults.
    pub member: MemberId,
}

/// A vault that was written in place of another, and is in force once the manifest names it.
#[derive(Debug)]
pub struct Renewed {
    /// Which vault.
    pub id: VaultId,
    /// What the manifest is to carry.
    pub carried: VaultRef,
    /// Each record's new place.
    pub moved: Vec<(Slug, RecordRef)>,
}

/// Makes a vault at `dir` for one owner, with new random keys. Returns its id and what the
/// manifest is to carry. What a killed `init` left there, which no manifest names, is
/// written over; where it may be more, see [`set_aside`](super::set_aside).
///
/// # Errors
/// [`VaultError::Seal`], [`VaultError::File`].
pub fn create(
    dir: &Path,
    founder: Founder<'_>,
    now: Timestamp,
) -> Result<(VaultId, VaultRef), VaultError> {
    let memory = Memory::default();
    let (_, carried, chain) = found(&memory, founder, 1, None, now)?;
    let store = FileStore::at(dir);
    for name in store.list(names::CHAIN)? {
        store.remove(&format!("{}/{name}", names::CHAIN))?;
    }
    store.stage(&memory.objects().into_iter().collect::<Vec<_>>())?;
    Ok((*chain.id(), carried))
}

/// A vault of one owner in memory: its own key, what is to be carried, its chain.
fn found(
    memory: &Memory,
    founder: Founder<'_>,
    generation: u64,
    after: Option<EpochId>,
    now: Timestamp,
) -> Result<(OwnKey, VaultRef, Chain), VaultError> {
    let Founder { card, key, member } = founder;
    // When others join, what was there before stays its owner's.
    let policy = Policy { private_by_default: true, ..Policy::default() };
    let name = VaultName::personal();
    let founding = Founding { name, policy, card, member, generation, after };
    let actor = Actor { key: key.clone(), identity: None };
    let vault = Vault::found(memory, founding, actor, now)?;
    let mut carried = vault.carried(None).ok_or(VaultError::OtherKeys)?;
    let own = carried.private_key.as_mut().ok_or(VaultError::OtherKeys)?;
    own.file = own_file(memory, &member, generation)?;
    Ok((OwnKey::of(member, own)?, carried, vault.chain().clone()))
}

/// SHA-256 of the file that holds a member's own key.
pub(super) fn own_file(
    store: &dyn VaultStore,
    member: &MemberId,
    generation: u64,
) -> Result<Option<Digest>, VaultError> {
    let file = store.get(&names::private_key(member, generation), LARGEST_KEY)?;
    Ok(file.map(|file| Digest::of(&file)))
}

impl Personal {
    /// A new vault in place of this one: other id, other keys, every one of `records`
    /// written anew as its next version. Nothing of the old one is touched before
    /// [`Personal::tidy`], by who opened the new one.
    ///
    /// # Errors
    /// As [`Personal::get`] and [`Personal::put`]; then the old vault is whole, and nothing
    /// is left of the new one.
    pub fn renew(
        &self,
        founder: Founder<'_>,
        records: &[(Slug, RecordRef)],
        now: Timestamp,
    ) -> Result<Renewed, VaultError> {
        let generation = self.own.as_ref().map_or(0, |own| own.generation) + 1;
        let memory = Memory::default();
        let after = Some(*self.keys.epoch());
        let (own, carried, chain) = found(&memory, founder, generation, after, now)?;
        let writer = Writer { chain: &chain, member: founder.member, own: Some(&own) };
        let mut objects: Vec<(String, Vec<u8>)> = memory.objects().into_iter().collect();
        for (name, _) in &mut objects {
            if let Some(link) = name.strip_prefix("chain/") {
                *name = settle::waiting(chain.id(), link);
            }
        }
        let mut moved = Vec::with_capacity(records.len());
        for (name, record) in records {
            let Opened { value, about, created_at, version } = self.read(record, name)?;
            let previous = Some(RecordRef { version, ..*record });
            let new = NewRecord { name, about, value: &value, created_at, previous };
            let written = writer.write(&new, founder.key, now)?;
            moved.push((name.clone(), record_ref(&written)));
            objects.push(object(written));
        }
        if let Err(error) = self.store.stage(&objects) {
            // What failed is what is told. What stays of it is swept later.
            for (name, _) in objects.iter().filter(|(name, _)| name.contains('/')) {
                let _ = self.store.remove(name);
            }
            return Err(error.into());
        }
        let carried = VaultRef { location: self.carried.location.clone(), ..carried };
        Ok(Renewed { id: *chain.id(), carried, moved })
    }
}
