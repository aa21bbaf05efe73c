//! A new vault: its first link, which names it, and the second, which gives it keys.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use keyrack_manifest::{Digest, EpochId, MemberId, SignedCard, VaultId, VaultName};

use super::{Actor, Vault};
use crate::chain::{Chain, Detail, Link, LinkKind, Member, Policy, Role, State, Status};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::keys::Compartment;
use crate::names;
use crate::own_key::OwnKey;
use crate::record::Keyring;

/// What a new vault is to be.
pub(crate) struct Founding<'a> {
    pub(crate) name: VaultName,
    pub(crate) policy: Policy,
    /// What the founder shows to others.
    pub(crate) card: &'a SignedCard,
    /// The name it is known by in vaults.
    pub(crate) member: MemberId,
    /// Which generation its own key begins with.
    pub(crate) generation: u64,
    /// The last epoch of the vault that this one replaces.
    pub(crate) after: Option<EpochId>,
}

impl<'s> Vault<'s> {
    /// Makes a vault whose only member and owner is whoever the card is of. What a killed
    /// writer left, a first link without a second, is replaced.
    ///
    /// # Errors
    /// [`VaultError::Exists`] when there is a vault; [`VaultError::OtherKeys`] when the card
    /// is not the actor's.
    pub fn create(
        store: &'s dyn VaultStore,
        name: VaultName,
        policy: Policy,
        card: &SignedCard,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Self, VaultError> {
        let (member, generation, after) = (card.member_id(), 1, None);
        let founding = Founding { name, policy, card, member, generation, after };
        Self::found(store, founding, actor, now)
    }

    pub(crate) fn found(
        store: &'s dyn VaultStore,
        founding: Founding<'_>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Self, VaultError> {
        let Founding { name, policy, card, member: me, generation, after } = founding;
        if card.card.sig_key != actor.key.public() {
            return Err(VaultError::OtherKeys);
        }
        let _guard = store.lock()?;
        match store.list(names::CHAIN)?.len() {
            0 => {}
            1 => store.remove(&names::link(0))?,
            _ => return Err(VaultError::Exists),
        }
        let own = OwnKey::random(me, generation)?;
        let founder = Member {
            member_id: me,
            handle: card.card.handle.clone(),
            role: Role::Owner,
            status: Status::Active,
            sig_key: card.card.sig_key,
            recipients: card.card.recipients.clone(),
            card_fp: card.digest(),
            compartments: BTreeSet::from([Compartment::Std, Compartment::Password]),
            grant_key: Some(own.recipient()?),
            since_seq: 0,
        };
        let (bytes, digest) = first_link(name, policy, founder, now)?.sign(&actor.key);
        let id = VaultId::from_bytes(*digest.as_bytes());
        let key = own.seal(id, &actor.key, &card.card.recipients)?;
        store.stage(&[
            (names::MARKER.to_owned(), format!("keyrack vault, format 1\n{id}\n").into_bytes()),
            (names::ATTRIBUTES.to_owned(), b"* -text -merge\n".to_vec()),
            (names::private_key(&me, generation), key),
        ])?;
        if !store.create(&names::link(0), &bytes)? {
            return Err(VaultError::Exists);
        }
        let chain = Chain::verify(store, &id, None)?;
        let ring = Keyring { member: me, epoch: None, own: Some(own) };
        let mut vault = Self { after, ..Self::with(store, actor, chain, ring) };
        vault.rotate_alone(now)?;
        Ok(vault)
    }
}

fn first_link(
    name: VaultName,
    policy: Policy,
    founder: Member,
    now: Timestamp,
) -> Result<Link, getrandom::Error> {
    Ok(Link {
        v: 1,
        kind: LinkKind::Genesis,
        vault_id: None,
        seq: 0,
        prev: None,
        epoch: None,
        ts: now,
        author: founder.member_id,
        state: State {
            name,
            policy,
            members: vec![founder],
            epoch: None,
            invites: BTreeMap::new(),
            pending: Vec::new(),
            checkpoints: BTreeMap::new(),
            audit_heads: BTreeMap::new(),
        },
        detail: Detail { nonce: Some(Digest::random()?), ..Detail::default() },
    })
}
