//! Capabilities: who, besides the owner, may ask for what. Pure: no clock, no channel.
//!
//! A capability is a channel key with a set of slugs and rights. It sleeps when nothing
//! of its set is held, and ends only when it, or the one it was made from, is revoked.

use std::collections::{BTreeMap, BTreeSet};

use keyrack_protocol::CapabilityId;
use keyrack_protocol::message::{Registration, Rights, Scope};
use keyrack_protocol::names::Slug;

/// How many capabilities one daemon keeps: a tree or a running program each.
pub(crate) const MAX: usize = 4096;

/// One capability. `V` is how a key is kept.
#[derive(Debug)]
pub(crate) struct Capability<V> {
    pub(crate) key: V,
    pub(crate) slugs: BTreeSet<Slug>,
    pub(crate) rights: Rights,
    pub(crate) label: String,
    pub(crate) scope: Scope,
    parent: Option<CapabilityId>,
}

/// Every capability of a daemon.
#[derive(Debug)]
pub(crate) struct Capabilities<V>(BTreeMap<CapabilityId, Capability<V>>);

/// What is registered: the wire's words with the key as it is kept.
pub(crate) struct New<V> {
    pub(crate) about: Registration,
    pub(crate) key: Option<V>,
    pub(crate) slugs: BTreeSet<Slug>,
}

impl<V> Default for Capabilities<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> Capabilities<V> {
    pub(crate) fn get(&self, id: &CapabilityId) -> Option<&Capability<V>> {
        self.0.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&CapabilityId, &Capability<V>)> {
        self.0.iter()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX
    }

    /// Makes a capability or extends the one of that id. Whether the asker may has been
    /// decided. Extending without a key what is not there does nothing and says `false`.
    pub(crate) fn register(&mut self, new: New<V>, parent: Option<CapabilityId>) -> bool {
        let New { about, key, slugs } = new;
        let Registration { id, key: _, rights, label, scope } = about;
        if let Some(known) = self.0.get_mut(&id) {
            known.slugs.extend(slugs);
            known.rights = rights;
            known.label = label;
            known.scope = scope;
            if let Some(key) = key {
                known.key = key;
            }
            return true;
        }
        let Some(key) = key else { return false };
        self.0.insert(id, Capability { key, slugs, rights, label, scope, parent });
        true
    }

    /// Whether `child` was made from `id`.
    pub(crate) fn is_child(&self, child: &CapabilityId, id: &CapabilityId) -> bool {
        self.0.get(child).is_some_and(|c| c.parent == Some(*id))
    }

    /// Ends `id` and everything made from it. Returns what ended.
    pub(crate) fn revoke(&mut self, id: &CapabilityId) -> Vec<CapabilityId> {
        let mut ended = Vec::new();
        let mut next = vec![*id];
        while let Some(id) = next.pop() {
            if self.0.remove(&id).is_some() {
                ended.push(id);
                next.extend(self.0.iter().filter(|(_, c)| c.parent == Some(id)).map(|(c, _)| *c));
            }
        }
        ended
    }

    /// Takes slugs out of every capability.
    pub(crate) fn drop_slugs(&mut self, gone: impl Fn(&Slug) -> bool) {
        for capability in self.0.values_mut() {
            capability.slugs.retain(|slug| !gone(slug));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Whether `inner` gives no right that `outer` does not.
pub(crate) fn within(inner: Rights, outer: Rights) -> bool {
    (!inner.get || outer.get) && (!inner.push || outer.push) && (!inner.mint || outer.mint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(id: u8, key: Option<u8>, slug: &str) -> New<u8> {
        New {
            about: Registration {
                id: CapabilityId::from_bytes([id; 16]),
                key: None,
                rights: Rights::READ,
                label: format!("tree {id}"),
                scope: Scope::Tree,
            },
            key,
            slugs: [slug.parse().unwrap()].into(),
        }
    }

    fn id(id: u8) -> CapabilityId {
        CapabilityId::from_bytes([id; 16])
    }

    #[test]
    fn a_second_registration_extends() {
        let mut all = Capabilities::default();
        assert!(!all.register(new(1, None, "a.all.K"), None));
        assert!(all.register(new(1, Some(7), "a.all.K"), None));
        assert!(all.register(new(1, None, "b.all.K"), None));
        let one = all.get(&id(1)).unwrap();
        assert_eq!((one.key, one.slugs.len()), (7, 2));
    }

    #[test]
    fn revoking_ends_what_was_made_from_it() {
        let mut all = Capabilities::default();
        all.register(new(1, Some(1), "a.all.K"), None);
        all.register(new(2, Some(2), "a.all.K"), Some(id(1)));
        all.register(new(3, Some(3), "a.all.K"), Some(id(2)));
        all.register(new(4, Some(4), "a.all.K"), None);
        assert!(all.is_child(&id(3), &id(2)) && !all.is_child(&id(3), &id(1)));
        assert_eq!(all.revoke(&id(1)), [id(1), id(2), id(3)]);
        assert!(all.get(&id(4)).is_some());
        assert!(all.revoke(&id(1)).is_empty());
    }

    #[test]
    fn rights_never_widen() {
        for bits in 0..8u8 {
            let [get, push, mint] = [1, 2, 4].map(|bit| bits & bit != 0);
            let rights = Rights { get, push, mint };
            assert!(within(rights, Rights::TREE) && within(Rights::default(), rights));
            assert_eq!(within(Rights::TREE, rights), get && push && mint);
        }
    }
}
