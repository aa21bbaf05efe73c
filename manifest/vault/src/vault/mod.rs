//! A vault as one member sees it: the chain it believes, the keys it holds, the records
//! that are to be believed. What it does to the vault is in the files beside this one.

mod admit;
mod carry;
mod changes;
mod commit;
mod create;
mod give_up;
mod harm;
mod load;
mod members;
mod place;
mod put;
mod ring;
mod rotate;
mod share;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};

use keyrack_manifest::{
    CredId, Digest, EpochId, Identity, MemberId, PublicKey, SigningKey, VaultId, VaultRef,
};
use keyrack_names::{Owner, Secret, Slug};

use crate::chain::{self, Chain, Member, Role, Seen, SeenRecord, State};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::record::{Keyring, Record};

pub use carry::{Uncarried, Why};
pub(crate) use create::Founding;
pub use harm::{Harm, harm, seen_of};
use load::Loaded;
pub use load::Quarantined;
pub use put::NewRecord;
pub use share::NeedsRotation;
pub use sweep::GRACE;

/// How often a reader or writer looks again, when others are faster, before it gives up.
const TRIES: u32 = 64;

/// Who acts. A vault knows its members by the keys they sign with.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The signing key, from the manifest.
    pub key: SigningKey,
    /// What opens a wrap, when the vault's keys are not those the manifest carries.
    pub identity: Option<Identity>,
}

/// An open vault.
pub struct Vault<'s> {
    store: &'s dyn VaultStore,
    actor: Actor,
    chain: Chain,
    me: MemberId,
    ring: Keyring,
    loaded: Loaded,
    /// What was given up by name: new keys may leave it behind.
    abandoned: BTreeSet<CredId>,
    /// The last epoch of the vault that this one replaces: its own follow.
    after: Option<EpochId>,
}

impl std::fmt::Debug for Vault<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("id", self.chain.id()).finish_non_exhaustive()
    }
}

impl<'s> Vault<'s> {
    /// Opens a vault: verifies its chain, or what is new of it since `seen`; finds the keys,
    /// in what the manifest carries or in the wrap; reads what every record says.
    ///
    /// # Errors
    /// [`VaultError::Chain`]; [`VaultError::NotMember`]; [`VaultError::OtherKeys`] or
    /// [`VaultError::Unopened`] when the wrap is not what the chain says. What is wrong with
    /// one record does not hide the others: see [`Vault::quarantined`].
    pub fn open(
        store: &'s dyn VaultStore,
        id: &VaultId,
        seen: Option<&Seen>,
        carried: Option<&VaultRef>,
        actor: Actor,
    ) -> Result<Self, VaultError> {
        // Whoever replaces the keys meanwhile removes the old ones under a reader's hands.
        for _ in 1..TRIES {
            let last = chain::last_link(store)?;
            let opened = Self::open_once(store, id, seen, carried, &actor);
            if opened.is_ok() || chain::last_link(store)? == last {
                return opened;
            }
        }
        Self::open_once(store, id, seen, carried, &actor)
    }

    fn open_once(
        store: &'s dyn VaultStore,
        id: &VaultId,
        seen: Option<&Seen>,
        carried: Option<&VaultRef>,
        actor: &Actor,
    ) -> Result<Self, VaultError> {
        let chain = Chain::verify(store, id, seen)?;
        let me = member_of(chain.state(), &actor.key.public())?.member_id;
        let ring = ring::of(store, &chain, &me, actor, carried)?;
        let records = seen.map(|seen| seen.records.clone()).unwrap_or_default();
        let mut vault = Self::with(store, actor.clone(), chain, ring);
        vault.load(&records)?;
        // Of what was listed while somebody replaced the keys, anything may be missing.
        if vault.is_behind()? { Err(VaultError::Busy) } else { Ok(vault) }
    }

    /// A vault whose records are not read yet.
    pub(crate) fn with(
        store: &'s dyn VaultStore,
        actor: Actor,
        chain: Chain,
        ring: Keyring,
    ) -> Self {
        let (me, loaded) = (ring.member, Loaded::default());
        Self { store, actor, chain, me, ring, loaded, abandoned: BTreeSet::new(), after: None }
    }

    fn load(&mut self, seen: &BTreeMap<CredId, SeenRecord>) -> Result<(), VaultError> {
        self.loaded = Loaded::read(self.store, &self.chain, &self.me, seen, &self.abandoned)?;
        Ok(())
    }

    /// Which vault.
    pub fn id(&self) -> &VaultId {
        self.chain.id()
    }

    /// The chain that is believed.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What the vault is now.
    pub fn state(&self) -> &State {
        self.chain.state()
    }

    /// The member that opened it.
    pub fn me(&self) -> &MemberId {
        &self.me
    }

    /// What that member may do.
    pub fn role(&self) -> Role {
        self.state().active(&self.me).map_or(Role::Member, |member| member.role)
    }

    /// What this device is to remember. To be written after every success, once the
    /// manifest is.
    pub fn seen(&self) -> Seen {
        Seen::of(&self.chain, self.loaded.seen())
    }

    /// The newest believed version of every credential, deletions left out: one's own,
    /// what is shared, and what others say of what is private to them.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.loaded.records().filter(|record| !record.deleted)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`VaultError::Unknown`]; why it is lost, if it is.
    pub fn record(&self, cred: &CredId) -> Result<&Record, VaultError> {
        let known = self.loaded.known(cred)?;
        if known.record.deleted {
            return Err(VaultError::Deleted { slug: known.record.name.clone() });
        }
        Ok(&known.record)
    }

    /// Those of a name, whoever's they are.
    pub fn find(&self, name: &Slug) -> impl Iterator<Item = &Record> {
        self.records().filter(move |record| record.name == *name)
    }

    /// Whether this member's keys open it.
    pub fn can_read(&self, record: &Record) -> bool {
        self.ring.fits(record)
    }

    /// A value.
    ///
    /// # Errors
    /// [`VaultError::NotHeld`] when it is not for this member; [`VaultError::Sealed`] when
    /// it does not open.
    pub fn get(&self, cred: &CredId) -> Result<Secret, VaultError> {
        self.record(cred)?.open(&self.ring)
    }

    /// What lies in the vault and is not believed.
    pub fn quarantined(&self) -> &[Quarantined] {
        &self.loaded.quarantined
    }

    /// Credentials that were here and are not, or not as they were: each with why.
    pub fn lost(&self) -> impl Iterator<Item = (&CredId, VaultError)> {
        self.loaded.lost()
    }

    /// Those of them that this member had: its own, and what is shared under the keys in force.
    pub fn missed(&self) -> impl Iterator<Item = (&Slug, VaultError)> {
        let epoch = self.state().epoch.as_ref().map(|epoch| epoch.id);
        self.loaded.missed(self.me, epoch)
    }

    /// The handle of a member, for people.
    pub fn handle(&self, member: &MemberId) -> Option<&Owner> {
        self.state().member(member).map(|member| &member.handle)
    }

    fn digest(&self, cred: &CredId) -> Option<Digest> {
        self.loaded.known(cred).ok().map(|known| known.digest)
    }
}

/// The active member that signs with `key`.
fn member_of<'a>(state: &'a State, key: &PublicKey) -> Result<&'a Member, VaultError> {
    let found = state.members.iter().find(|member| member.sig_key == *key);
    match found {
        Some(member) if state.active(&member.member_id).is_some() => Ok(member),
        Some(member) => Err(VaultError::NotMember { status: Some(member.status) }),
        None => Err(VaultError::NotMember { status: None }),
    }
}
