//! What changes a rack, and who may: push, mint, forget, revoke. Pure. Each is refused as
//! a whole before anything is changed.

use std::collections::BTreeSet;

use keyrack_protocol::CapabilityId;
use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::message::{Forget, Registration};
use keyrack_protocol::names::Slug;

use super::known::Known;
use super::{Denial, Held, MAX_SUDO_TTL_MS, MAX_TTL_MS, Rack};
use crate::capability::{self, New, within};

/// A value to hold.
pub(crate) struct NewGrant<V> {
    pub(crate) slug: Slug,
    pub(crate) value: V,
    pub(crate) ttl_ms: u64,
    pub(crate) self_proof: bool,
    pub(crate) vault: String,
    pub(crate) class: String,
}

/// A push, its values and keys as they are kept.
pub(crate) struct Pushed<V> {
    pub(crate) generation: Option<u64>,
    pub(crate) grants: Vec<NewGrant<V>>,
    pub(crate) replace: bool,
    pub(crate) known: Option<Vec<Slug>>,
    pub(crate) capability: Option<(Registration, Option<V>)>,
}

/// A set made by insertion: collecting would sort first, which costs more code than time.
pub(crate) fn set<T: Ord>(slugs: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(slugs);
    set
}

impl<V> Rack<V> {
    /// Takes values in. Returns how many are held because of it.
    ///
    /// # Errors
    /// - [`Denial::Relocked`] when something was forgotten since the generation was read.
    /// - [`Denial::Right`] when the asker may not: self-proof never, a capability only
    ///   replace values of its own slugs, so that nobody prolongs their own grants.
    pub(crate) fn push(
        &mut self,
        asker: KeyKind,
        push: Pushed<V>,
        now: u64,
    ) -> Result<usize, Denial> {
        self.check_generation(&push)?;
        if asker != KeyKind::Attach {
            self.check_pusher(asker, &push)?;
        }
        if let Some((about, key)) = push.capability {
            let slugs = set(push.grants.iter().map(|grant| grant.slug.clone()));
            self.mint(asker, about, key, Some(slugs), now)?;
        }
        if let Some(known) = push.known {
            self.known = Known::new(known);
        }
        let mut count = 0;
        for mut grant in push.grants {
            if asker != KeyKind::Attach {
                // Where a value is from decides who may take it back: the owner says that.
                grant.vault.clear();
                grant.class.clear();
            }
            count += usize::from(self.hold(grant, push.replace, now).is_some());
        }
        self.find_first_end();
        Ok(count)
    }

    /// Makes a capability, or extends one. `slugs` of `None` is all the asker may read.
    /// Returns how many slugs it was given.
    ///
    /// # Errors
    /// - [`Denial::Right`] when the asker is not the owner and what is asked is wider than
    ///   its own rights and slugs, or would change a capability that is there.
    /// - [`Denial::Revoked`] when one is to be extended that is not there.
    /// - [`Denial::Full`] when there are [`capability::MAX`] already.
    pub(crate) fn mint(
        &mut self,
        asker: KeyKind,
        about: Registration,
        key: Option<V>,
        slugs: Option<BTreeSet<Slug>>,
        now: u64,
    ) -> Result<usize, Denial> {
        let slugs = match slugs {
            Some(slugs) => slugs,
            None => set(self.grants.keys().filter(|s| self.may_read(asker, s, now)).cloned()),
        };
        let parent = match asker {
            KeyKind::Attach => None,
            KeyKind::SelfProof => return Err(Denial::Right("self-proof may only read")),
            KeyKind::Capability(id) => {
                self.check_minter(&id, &about, &slugs)?;
                Some(id)
            }
        };
        let is_new = self.capabilities.get(&about.id).is_none();
        if is_new && self.capabilities.is_full() {
            return Err(Denial::Full(capability::MAX));
        }
        let count = slugs.len();
        if self.capabilities.register(New { about, key, slugs }, parent) {
            Ok(count)
        } else {
            Err(Denial::Revoked)
        }
    }

    /// Forgets values, and takes their slugs from every capability. Returns how many
    /// values went.
    ///
    /// # Errors
    /// [`Denial::Right`] when the asker is not the owner and has no right to push, or
    /// names a slug that is not its own.
    pub(crate) fn forget(&mut self, asker: KeyKind, forget: &Forget) -> Result<usize, Denial> {
        let own = match asker {
            KeyKind::Attach => None,
            KeyKind::SelfProof => return Err(Denial::Right("self-proof may only read")),
            KeyKind::Capability(id) => {
                let own = self.capabilities.get(&id).ok_or(Denial::Revoked)?;
                if !own.rights.push || !forget.slugs.iter().all(|slug| own.slugs.contains(slug)) {
                    return Err(Denial::Right("this capability may forget only slugs of its own"));
                }
                Some(own.slugs.clone())
            }
        };
        // A relock may name thousands.
        let named = set(forget.slugs.iter());
        let meant = |slug: &Slug, vault: Option<&String>| {
            own.as_ref().is_none_or(|own| own.contains(slug))
                && (named.contains(slug)
                    || forget.envs.contains(&slug.env)
                    || vault.is_some_and(|vault| forget.vaults.contains(vault)))
        };
        let held = self.grants.iter().map(|(slug, held)| (slug, &held.vault));
        let past = self.expired.iter().map(|(slug, past)| (slug, &past.vault));
        let meant_of =
            |(slug, vault): (&Slug, &String)| meant(slug, Some(vault)).then(|| slug.clone());
        let gone: BTreeSet<Slug> = held.chain(past).filter_map(meant_of).collect();
        let before = self.grants.len();
        self.grants.retain(|slug, _| !gone.contains(slug));
        self.expired.retain(|slug, _| !gone.contains(slug));
        self.capabilities.drop_slugs(|slug| gone.contains(slug) || meant(slug, None));
        self.generation += 1;
        self.find_first_end();
        Ok(before - self.grants.len())
    }

    /// Ends a capability and all that was made from it. Returns what ended.
    ///
    /// # Errors
    /// [`Denial::Right`] when the asker is neither the owner, nor it, nor its maker.
    pub(crate) fn revoke(
        &mut self,
        asker: KeyKind,
        id: &CapabilityId,
    ) -> Result<Vec<CapabilityId>, Denial> {
        let may = match asker {
            KeyKind::Attach => true,
            KeyKind::SelfProof => false,
            KeyKind::Capability(own) => own == *id || self.capabilities.is_child(id, &own),
        };
        if !may {
            return Err(Denial::Right("this channel may not revoke that capability"));
        }
        Ok(self.capabilities.revoke(id))
    }

    /// An unlock that started this daemon names no generation; that is as good as the
    /// first. What only replaces adds nothing that a relock took away.
    fn check_generation(&self, push: &Pushed<V>) -> Result<(), Denial> {
        let read = match push.generation {
            Some(read) => read,
            None if push.replace => return Ok(()),
            None => self.first_generation,
        };
        if read == self.generation { Ok(()) } else { Err(Denial::Relocked) }
    }

    fn check_pusher(&self, asker: KeyKind, push: &Pushed<V>) -> Result<(), Denial> {
        let KeyKind::Capability(id) = asker else {
            return Err(Denial::Right("self-proof may only read"));
        };
        let own = self.capabilities.get(&id).ok_or(Denial::Revoked)?;
        if !own.rights.push {
            return Err(Denial::Right("this capability may not push"));
        }
        if !push.replace || push.known.is_some() {
            return Err(Denial::Right("this capability may only replace values"));
        }
        if !push.grants.iter().all(|grant| own.slugs.contains(&grant.slug)) {
            return Err(Denial::Right("this capability may push only slugs of its own"));
        }
        Ok(())
    }

    fn check_minter(
        &self,
        id: &CapabilityId,
        about: &Registration,
        slugs: &BTreeSet<Slug>,
    ) -> Result<(), Denial> {
        let own = self.capabilities.get(id).ok_or(Denial::Revoked)?;
        if !own.rights.mint {
            return Err(Denial::Right("this capability may not make others"));
        }
        if !within(about.rights, own.rights) || !slugs.is_subset(&own.slugs) {
            return Err(Denial::Right("a capability may only make narrower ones"));
        }
        if self.capabilities.get(&about.id).is_some() {
            return Err(Denial::Right("only the owner may change a capability"));
        }
        Ok(())
    }

    /// Holds one value; or replaces the one held and keeps its expiry, and its vault and class
    /// where no other is said.
    fn hold(&mut self, new: NewGrant<V>, replace: bool, now: u64) -> Option<()> {
        let NewGrant { slug, value, ttl_ms, self_proof, vault, class } = new;
        if replace {
            let held = self.grants.get_mut(&slug).filter(|held| held.expires_at > now)?;
            held.value = value;
            if !vault.is_empty() {
                held.vault = vault;
            }
            if !class.is_empty() {
                held.class = class;
            }
            return Some(());
        }
        let cap = if slug.env.is_sudo() { MAX_SUDO_TTL_MS } else { MAX_TTL_MS };
        let expires_at = now + ttl_ms.min(cap);
        if expires_at <= now {
            return None;
        }
        self.expired.remove(&slug);
        let last_reader = None;
        self.grants.insert(slug, Held { value, expires_at, self_proof, vault, class, last_reader });
        Some(())
    }
}
