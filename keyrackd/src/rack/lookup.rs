//! Look-up: which slug answers an ask, and whether this asker may have it. Pure.
//!
//! The best candidate that the *owner has* decides, held or not. So the same ask always
//! means the same credential: an `org.prod.KEY` that has run out is told as expired, and
//! never quietly answered with `org.all.KEY`.

use keyrack_protocol::hello::KeyKind;
use keyrack_protocol::names::{Ask, AskError, Env, KeyName, Slug};

use super::Rack;

/// What an ask comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Held, and the asker may read it.
    Granted(Slug),
    /// The owner has it, and it is not held.
    Locked(Slug),
    /// It was held for this asker and has run out.
    Expired(Slug),
    /// The owner has nothing that fits.
    Absent,
    /// Held, but not for this asker.
    Denied(Slug),
    /// Several fit that the asker may read.
    Ambiguous(Vec<Slug>),
}

impl Verdict {
    /// The one slug it is about.
    pub(crate) fn slug(&self) -> Option<&Slug> {
        match self {
            Self::Granted(slug) | Self::Locked(slug) | Self::Expired(slug) | Self::Denied(slug) => {
                Some(slug)
            }
            Self::Absent | Self::Ambiguous(_) => None,
        }
    }
}

impl<V> Rack<V> {
    /// Answers `ask` for `asker` at `now`.
    pub(crate) fn look_up(&self, asker: KeyKind, ask: &Ask, now: u64) -> Verdict {
        if let Some(slug) = ask.candidates().into_iter().find(|slug| self.has(slug)) {
            return self.verdict(asker, slug, now);
        }
        if ask.env.is_some() {
            return Verdict::Absent;
        }
        // No env was named and ORG.all is not there: the only one that the asker may read.
        match ask.find(|slug| self.may_read(asker, slug, now), self.grants.keys()) {
            Ok(slug) => Verdict::Granted(slug),
            Err(AskError::Ambiguous(slugs)) => Verdict::Ambiguous(slugs),
            Err(AskError::Absent) => self.explain(asker, &ask.key, now),
        }
    }

    /// Every slug the asker may read: of every env but `sudo`, or of `env` and what it
    /// falls back to, one for each org and key. Sorted.
    pub(crate) fn readable(&self, asker: KeyKind, env: Option<&Env>, now: u64) -> Vec<Slug> {
        let may_read = |slug: &&Slug| self.may_read(asker, slug, now);
        let Some(env) = env else {
            return self
                .grants
                .keys()
                .filter(|s| !s.env.is_sudo())
                .filter(may_read)
                .cloned()
                .collect();
        };
        // What falls back gives way to what the owner has there, readable or not.
        let is_there =
            |slug: &Slug| self.has(&Slug::new(slug.org.clone(), env.clone(), slug.key.clone()));
        let is_best = |slug: &&Slug| {
            slug.env == *env || (slug.env.is_all() && !env.is_sudo() && !is_there(slug))
        };
        self.grants.keys().filter(is_best).filter(may_read).cloned().collect()
    }

    /// Whether the owner has `slug`, as far as the daemon was told.
    fn has(&self, slug: &Slug) -> bool {
        self.grants.contains_key(slug)
            || self.expired.contains_key(slug)
            || self.known.contains(slug)
    }

    fn verdict(&self, asker: KeyKind, slug: Slug, now: u64) -> Verdict {
        if let Some(held) = self.grants.get(&slug) {
            let allowed = self.may(asker, &slug, held.self_proof);
            return match (held.expires_at > now, allowed) {
                (true, true) => Verdict::Granted(slug),
                (true, false) => Verdict::Denied(slug),
                (false, true) => Verdict::Expired(slug),
                (false, false) => Verdict::Locked(slug),
            };
        }
        match self.expired.get(&slug) {
            Some(past) if self.may(asker, &slug, past.self_proof) => Verdict::Expired(slug),
            _ => Verdict::Locked(slug),
        }
    }

    /// Why an ask without an env came to nothing, by the most telling slug with that key.
    fn explain(&self, asker: KeyKind, key: &KeyName, now: u64) -> Verdict {
        let held = self.grants.keys().chain(self.expired.keys());
        let named = held.filter(|slug| slug.key == *key).cloned().chain(self.known.of_key(key));
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Denied(_) => 0,
            Verdict::Expired(_) => 1,
            _ => 2,
        };
        named
            .filter(|slug| !slug.env.is_sudo())
            .map(|slug| self.verdict(asker, slug, now))
            .min_by_key(rank)
            .unwrap_or(Verdict::Absent)
    }

    pub(super) fn may_read(&self, asker: KeyKind, slug: &Slug, now: u64) -> bool {
        self.grants
            .get(slug)
            .is_some_and(|held| held.expires_at > now && self.may(asker, slug, held.self_proof))
    }

    fn may(&self, asker: KeyKind, slug: &Slug, self_proof: bool) -> bool {
        match asker {
            KeyKind::Attach => true,
            KeyKind::SelfProof => self_proof,
            KeyKind::Capability(id) => {
                self.capabilities.get(&id).is_some_and(|c| c.rights.get && c.slugs.contains(slug))
            }
        }
    }
}
