//! Where a member's keys come from: what its manifest carries, else the files in the vault
//! that are sealed to it.

use keyrack_manifest::{Digest, MemberId, VaultRef};

use super::{Actor, Vault};
use crate::chain::{Chain, EpochState, Member};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::keys::Keys;
use crate::names;
use crate::own_key::{self, OwnKey};
use crate::record::{Keyring, Record, Visibility};
use crate::wrap;

/// The keys that `member` holds. Without an identity and with nothing carried, none.
///
/// # Errors
/// What is there is not what the chain, or the manifest, commits to.
pub(super) fn of(
    store: &dyn VaultStore,
    chain: &Chain,
    member: &MemberId,
    actor: &Actor,
    carried: Option<&VaultRef>,
) -> Result<Keyring, VaultError> {
    let state = chain.state();
    let member = state.member(member).ok_or(VaultError::NotMember { status: None })?;
    let epoch = match &state.epoch {
        Some(epoch) => epoch_keys(store, chain, member, epoch, actor, carried)?,
        None => None,
    };
    let own = match carried.and_then(|carried| carried.private_key.as_ref()) {
        Some(carried) => Some(OwnKey::of(member.member_id, carried)?),
        None => own_key(store, chain, member, actor)?,
    };
    Ok(Keyring { member: member.member_id, epoch, own })
}

fn epoch_keys(
    store: &dyn VaultStore,
    chain: &Chain,
    member: &Member,
    epoch: &EpochState,
    actor: &Actor,
    carried: Option<&VaultRef>,
) -> Result<Option<Keys>, VaultError> {
    let vault = *chain.id();
    let digest = epoch.wraps.get(&member.member_id).ok_or(VaultError::OtherKeys)?;
    let carries_it = |carried: &&VaultRef| carried.epoch == epoch.id && carried.wrap == *digest;
    if let Some(carried) = carried.filter(carries_it) {
        return Keys::held(vault, epoch.id, &carried.keys, &epoch.commitments).map(Some);
    }
    let Some(identity) = &actor.identity else { return Ok(None) };
    let sealed = sealed_wrap(store, epoch, digest)?;
    let id = member.member_id;
    wrap::open(&sealed, identity, vault, id, &epoch.id, &epoch.commitments).map(Some)
}

/// The file of a wrap, as the chain names it.
fn sealed_wrap(
    store: &dyn VaultStore,
    epoch: &EpochState,
    digest: &Digest,
) -> Result<Vec<u8>, VaultError> {
    let name = names::wrap(&epoch.id, digest);
    let sealed = store.get(&name, wrap::LARGEST)?;
    let sealed = sealed.ok_or_else(|| VaultError::Missing { path: name.as_str().into() })?;
    if Digest::of(&sealed) == *digest {
        Ok(sealed)
    } else {
        Err(VaultError::Altered { path: name.into() })
    }
}

/// The member's own key of the newest generation that is its own and opens.
fn own_key(
    store: &dyn VaultStore,
    chain: &Chain,
    member: &Member,
    actor: &Actor,
) -> Result<Option<OwnKey>, VaultError> {
    let Some(identity) = &actor.identity else { return Ok(None) };
    let id = member.member_id;
    let mut generations: Vec<u64> =
        store.list(&names::private(&id))?.iter().filter_map(|n| names::parse_key(n)).collect();
    generations.sort_unstable_by(|a, b| b.cmp(a));
    for generation in generations {
        let sealed = store.get(&names::private_key(&id, generation), own_key::LARGEST)?;
        let opened =
            sealed.map(|sealed| OwnKey::open(&sealed, identity, *chain.id(), id, &member.sig_key));
        // One that somebody else put there, or that was never put in use, is passed over.
        let is_in_use = |own: &OwnKey| {
            own.generation == generation
                && (member.grant_key.is_none() || own.recipient().ok() == member.grant_key)
        };
        if let Some(own) = opened.and_then(Result::ok).filter(is_in_use) {
            return Ok(Some(own));
        }
    }
    Ok(None)
}

impl Keyring {
    /// Whether a record's value is for whoever holds this.
    pub(super) fn fits(&self, record: &Record) -> bool {
        let keys = self.epoch.as_ref().filter(|keys| keys.wrapping(record.compartment).is_some());
        let generation = self.own.as_ref().map(|own| own.generation);
        match record.visibility {
            Visibility::Shared => keys.is_some_and(|keys| Some(*keys.epoch()) == record.epoch),
            Visibility::Private if record.owner == self.member => {
                generation.is_some() && record.generation == generation
            }
            Visibility::Private => keys.is_some() && record.grantees.contains(&self.member),
        }
    }
}

impl Vault<'_> {
    /// What the member's manifest is to carry of this vault: its keys as they are now, so
    /// that the next opening asks nobody. `None` without keys.
    pub fn carried(&self, location: Option<String>) -> Option<VaultRef> {
        let (epoch, keys) = (self.state().epoch.as_ref()?, self.ring.epoch.as_ref()?);
        let me = self.state().member(&self.me)?;
        Some(VaultRef {
            name: self.state().name.clone(),
            location,
            epoch: epoch.id,
            wrap: *epoch.wraps.get(&self.me)?,
            keys: keys.expose(&me.compartments),
            commitments: epoch.commitments.clone(),
            private_key: self.ring.own.as_ref().map(OwnKey::carried),
        })
    }
}
