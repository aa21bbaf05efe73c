//! What a copy of a vault from elsewhere lost of what was in it before. Whoever may write to
//! the storage can delete, cut or swap any file of it: who has the files whole puts them back.

use std::collections::{BTreeMap, BTreeSet};

use keyrack_manifest::signed::Signed;
use keyrack_manifest::{CredId, Digest, MemberId, VaultId};

use super::load::Loaded;
use super::place::Place;
use crate::chain::{Chain, EpochState, Seen, SeenRecord, State};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::memory::Memory;
use crate::names;
use crate::record::Unverified;
use crate::roll::Roll;

/// What a copy of a vault has not, or not as it was.
#[derive(Debug, Default)]
pub struct Harm {
    /// What mends it: the files, by name.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// What those are, for people.
    pub mended: Vec<String>,
    /// Credentials that were whole here and that no file here mends: there are new keys.
    pub gone: Vec<String>,
}

/// Holds a copy of the vault `id` against what was `seen` of it, and finds in `whole`, files
/// of the same vault, what mends it.
///
/// # Errors
/// The copy is no vault to believe, even so.
pub fn harm(
    copy: &Memory,
    whole: &BTreeMap<String, Vec<u8>>,
    id: &VaultId,
    seen: &Seen,
) -> Result<Harm, VaultError> {
    let mut mending = Mending { copy: copy.objects(), whole, harm: Harm::default() };
    mending.links(seen);
    let chain = Chain::verify(&mending.mended(), id, Some(seen))?;
    if let Some(epoch) = &chain.state().epoch {
        mending.keys(epoch, chain.state());
        mending.records(epoch, &chain, seen)?;
    }
    Ok(mending.harm)
}

/// What there is to remember of a vault, by whoever is no member of it yet.
///
/// # Errors
/// It is no vault to believe.
pub fn seen_of(store: &dyn VaultStore, id: &VaultId) -> Result<Seen, VaultError> {
    let chain = Chain::verify(store, id, None)?;
    let loaded = read(store, &chain, &BTreeMap::new())?;
    Ok(Seen::of(&chain, loaded.seen()))
}

fn read(
    store: &dyn VaultStore,
    chain: &Chain,
    seen: &BTreeMap<CredId, SeenRecord>,
) -> Result<Loaded, VaultError> {
    Loaded::read(store, chain, &MemberId::from_bytes([0; 16]), seen, &BTreeSet::new())
}

struct Mending<'a> {
    copy: BTreeMap<String, Vec<u8>>,
    whole: &'a BTreeMap<String, Vec<u8>>,
    harm: Harm,
}

impl Mending<'_> {
    /// Another link in the place of one is another chain: nothing to mend.
    fn links(&mut self, seen: &Seen) {
        for (seq, digest) in (0..).zip(&seen.links) {
            let name = names::link(seq);
            let is_it =
                |bytes: &[u8]| Signed::split(bytes).is_ok_and(|link| link.digest() == *digest);
            if !self.copy.contains_key(&name) && self.put(&name, is_it) {
                self.harm.mended.push(format!("link {seq}"));
            }
        }
    }

    fn keys(&mut self, epoch: &EpochState, state: &State) {
        for (member, digest) in &epoch.wraps {
            if self.put(&names::wrap(&epoch.id, digest), |bytes| Digest::of(bytes) == *digest) {
                let handle = state.member(member).map(|member| member.handle.to_string());
                let handle = handle.unwrap_or_else(|| member.short());
                self.harm.mended.push(format!("the keys of {handle}"));
            }
        }
        let root = epoch.creds_root;
        if self.put(&names::roll(&epoch.id, &root), |bytes| Digest::of(bytes) == root) {
            self.harm.mended.push("the list of what is shared".to_owned());
        }
    }

    fn records(
        &mut self,
        epoch: &EpochState,
        chain: &Chain,
        seen: &Seen,
    ) -> Result<(), VaultError> {
        let roll = Roll::read(&self.mended(), &epoch.id, &epoch.creds_root)?;
        let lost = read(&self.mended(), chain, &seen.records)?;
        let mut put = Vec::new();
        for (cred, _) in lost.lost() {
            let was = seen.records.get(cred);
            let listed = roll.0.get(cred).map(|listed| SeenRecord {
                owner: listed.owner,
                epoch: Some(epoch.id),
                version: listed.version,
                sha256: listed.digest,
                name: None,
            });
            // What new keys leave behind was given up by whoever made them.
            let is_in_force = |was: &&SeenRecord| was.epoch.is_none_or(|of| of == epoch.id);
            let wanted = [was.filter(is_in_force), listed.as_ref()].into_iter().flatten();
            let Some(wanted) = wanted.max_by_key(|wanted| wanted.version) else { continue };
            let (file, called) = (place(cred, wanted), self.called(cred, was.unwrap_or(wanted)));
            if self.put(&file, |bytes| Digest::of(bytes) == wanted.sha256) {
                put.push((*cred, file, called));
            } else if was.is_some_and(|was| self.whole.contains_key(&place(cred, was))) {
                self.harm.gone.push(called);
            }
        }
        let still = read(&self.mended(), chain, &seen.records)?;
        for (cred, file, called) in put {
            // What is not believed with its file there is not missing.
            if still.known(&cred).is_ok() {
                self.harm.mended.push(called);
            } else {
                self.harm.objects.remove(&file);
            }
        }
        Ok(())
    }

    /// Takes a file over from what is whole, where the copy has it not.
    fn put(&mut self, name: &str, is_it: impl Fn(&[u8]) -> bool) -> bool {
        let has = |all: &BTreeMap<String, Vec<u8>>| all.get(name).filter(|b| is_it(b)).cloned();
        let Some(bytes) = has(self.whole).filter(|_| has(&self.copy).is_none()) else {
            return false;
        };
        self.harm.objects.insert(name.to_owned(), bytes);
        true
    }

    /// The copy, as far as it is mended.
    fn mended(&self) -> Memory {
        let mended = Memory::default();
        let mut all = self.copy.clone();
        all.extend(self.harm.objects.clone());
        mended.restore(all);
        mended
    }

    /// What a credential is called, for people.
    fn called(&self, cred: &CredId, was: &SeenRecord) -> String {
        let bytes = self.whole.get(&place(cred, was));
        let read = || Some(Unverified::read(bytes?).ok()?.record.name);
        let name = was.name.clone().or_else(read);
        name.map_or_else(|| format!("credential {cred}"), |name| name.to_string())
    }
}

/// Where a record lies that was seen.
fn place(cred: &CredId, was: &SeenRecord) -> String {
    was.epoch.map_or(Place::Private(was.owner), Place::Shared).name(cred, was.version)
}
