//! Which records are believed. Of every credential the newest that its author may write at
//! the head, on our chain, not older than what was seen here. What does not hold is set
//! aside and named, and hides nothing else.

mod lost;

use std::collections::{BTreeMap, BTreeSet};

use keyrack_manifest::{CredId, Digest, MemberId};
use keyrack_names::Slug;

use lost::Lost;

use super::TRIES;
use super::place::Place;
use crate::chain::{Chain, Member, SeenRecord, State, Status};
use crate::engine::VaultStore;
use crate::error::VaultError;
use crate::names;
use crate::record::{LARGEST, Record, Unverified, Visibility, comes_from};
use crate::roll::Roll;

/// A record that is believed.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) record: Record,
    pub(super) digest: Digest,
}

/// A record that lies there and is not believed.
#[derive(Debug)]
pub struct Quarantined {
    /// Which credential it says it is.
    pub cred: CredId,
    /// Which version.
    pub version: u64,
    /// The object.
    pub name: String,
    /// SHA-256 of it.
    pub digest: Option<Digest>,
    /// Why not.
    pub why: VaultError,
}

/// Every record there is, as far as it is believed.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    known: BTreeMap<CredId, Known>,
    lost: BTreeMap<CredId, Lost>,
    /// What was seen and is not there: still remembered.
    floors: BTreeMap<CredId, SeenRecord>,
    /// The highest version there is a file of, believed or not, or was.
    highest: BTreeMap<CredId, u64>,
    pub(super) quarantined: Vec<Quarantined>,
    /// Whether a file was gone that had been listed.
    vanished: bool,
}

/// A file that may be a record.
struct Candidate {
    version: u64,
    place: Place,
}

/// What everything is held against.
pub(super) struct Reader<'a> {
    pub(super) store: &'a dyn VaultStore,
    pub(super) chain: &'a Chain,
    pub(super) me: &'a MemberId,
    pub(super) seen: &'a BTreeMap<CredId, SeenRecord>,
    pub(super) roll: Roll,
}

impl Loaded {
    /// Reads what is there.
    ///
    /// # Errors
    /// The vault cannot be read, or the roll of its epoch is not the one the chain names.
    pub(super) fn read(
        store: &dyn VaultStore,
        chain: &Chain,
        me: &MemberId,
        seen: &BTreeMap<CredId, SeenRecord>,
        abandoned: &BTreeSet<CredId>,
    ) -> Result<Self, VaultError> {
        let mut roll = match &chain.state().epoch {
            Some(epoch) => Roll::read(store, &epoch.id, &epoch.creds_root)?,
            None => Roll::default(),
        };
        roll.0.retain(|cred, _| !abandoned.contains(cred));
        let reader = Reader { store, chain, me, seen, roll };
        for _ in 1..TRIES {
            let loaded = Self::read_once(&reader)?;
            // A version that was replaced after it was listed: it is the next one that counts.
            if !loaded.vanished {
                return Ok(loaded);
            }
        }
        Self::read_once(&reader)
    }

    fn read_once(reader: &Reader<'_>) -> Result<Self, VaultError> {
        let mut found = reader.candidates()?;
        for cred in reader.roll.0.keys().chain(reader.seen.keys()) {
            found.entry(*cred).or_default();
        }
        let mut loaded = Self::default();
        for (cred, candidates) in found {
            loaded.settle(reader, cred, candidates)?;
        }
        Ok(loaded)
    }

    /// Settles which record of one credential is believed.
    fn settle(
        &mut self,
        reader: &Reader<'_>,
        cred: CredId,
        mut candidates: Vec<Candidate>,
    ) -> Result<(), VaultError> {
        // The newest first; of the same version, the shared one.
        candidates
            .sort_by_key(|c| (std::cmp::Reverse(c.version), matches!(c.place, Place::Private(_))));
        let highest = candidates.first().map_or(0, |candidate| candidate.version);
        let mut believed: Option<Known> = None;
        let (floor, owner) = (reader.floor(&cred), reader.owner(&cred, &candidates));
        self.highest.insert(cred, highest.max(floor));
        for candidate in candidates {
            let is_old = believed.as_ref().is_some_and(|b| b.record.version > candidate.version);
            if is_old || candidate.version < floor {
                break;
            }
            let name = candidate.place.name(&cred, candidate.version);
            let Some(bytes) = reader.store.get(&name, LARGEST)? else {
                self.vanished = true;
                continue;
            };
            let digest = Digest::of(&bytes);
            let judged = reader.judge(&bytes, digest, cred, &candidate).and_then(|record| {
                match reader.is_its_owners(&record, owner) {
                    true => Ok(record),
                    false => Err(not_entitled(&record.name)),
                }
            });
            let judged = match (judged, &believed) {
                (Ok(_), Some(other)) => Err(VaultError::Conflict {
                    slug: other.record.name.clone(),
                    version: candidate.version,
                }),
                (judged, _) => judged,
            };
            match judged {
                Ok(record) => believed = Some(Known { record, digest }),
                Err(why) => self.quarantined.push(Quarantined {
                    cred,
                    version: candidate.version,
                    name,
                    digest: Some(digest),
                    why,
                }),
            }
        }
        match believed {
            Some(known) => {
                self.known.insert(cred, known);
            }
            None if floor > 0 => {
                let found = if highest < floor { highest } else { 0 };
                let seen = reader.seen.get(&cred);
                let shared = seen.is_none_or(|seen| seen.epoch.is_some());
                let name = seen.and_then(|seen| seen.name.clone());
                self.lost.insert(cred, Lost { name, shared, expected: floor, found });
                self.floors.extend(seen.map(|seen| (cred, seen.clone())));
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.known.values().map(|known| &known.record)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    pub(super) fn known(&self, cred: &CredId) -> Result<&Known, VaultError> {
        self.known.get(cred).ok_or_else(|| match self.lost.get(cred) {
            Some(lost) => lost.why(cred),
            None => VaultError::Unknown { what: "credential" },
        })
    }

    pub(super) fn put(&mut self, known: Known) {
        let (cred, version) = (known.record.cred_id, known.record.version);
        let highest = self.highest.entry(cred).or_default();
        *highest = version.max(*highest);
        self.known.insert(cred, known);
    }

    /// The first version of a credential that no file has or had.
    pub(super) fn next_version(&self, cred: &CredId) -> u64 {
        self.highest.get(cred).copied().unwrap_or(0) + 1
    }

    /// What is to be remembered.
    pub(super) fn seen(&self) -> BTreeMap<CredId, SeenRecord> {
        let known = self.known.iter().map(|(cred, known)| {
            let Record { owner, epoch, version, .. } = known.record;
            let name = Some(known.record.name.clone());
            (*cred, SeenRecord { owner, epoch, version, sha256: known.digest, name })
        });
        self.floors.iter().map(|(cred, floor)| (*cred, floor.clone())).chain(known).collect()
    }
}

impl Reader<'_> {
    /// The version below which nothing is believed.
    fn floor(&self, cred: &CredId) -> u64 {
        let seen = self.seen.get(cred).map_or(0, |seen| seen.version);
        self.roll.0.get(cred).map_or(0, |listed| listed.version).max(seen)
    }

    fn candidates(&self) -> Result<BTreeMap<CredId, Vec<Candidate>>, VaultError> {
        let mut places: Vec<Place> =
            self.chain.state().epoch.iter().map(|epoch| Place::Shared(epoch.id)).collect();
        for folder in self.store.list(names::PRIVATE)? {
            let owner = folder.strip_suffix('/').and_then(|name| name.parse().ok());
            places.extend(owner.map(Place::Private));
        }
        let mut found: BTreeMap<CredId, Vec<Candidate>> = BTreeMap::new();
        for place in places {
            for name in self.store.list(&place.folder())? {
                if let Some((cred, version)) = names::parse_record(&name) {
                    found.entry(cred).or_default().push(Candidate { version, place });
                }
            }
        }
        Ok(found)
    }

    /// Whether a file is a record to be believed.
    fn judge(
        &self,
        bytes: &[u8],
        digest: Digest,
        cred: CredId,
        at: &Candidate,
    ) -> Result<Record, VaultError> {
        let name = || at.place.name(&cred, at.version).into();
        let damaged = |source| VaultError::Signed { path: name(), source };
        let read = Unverified::read(bytes).map_err(damaged)?;
        let record = &read.record;
        let moved = |what| Err(VaultError::Moved { path: name(), what });
        match record {
            r if r.vault_id != *self.chain.id() => return moved("vault"),
            r if r.cred_id != cred => return moved("credential"),
            r if r.version != at.version => return moved("version"),
            r if Place::of(r) != at.place => return moved("place"),
            _ => {}
        }
        let on_chain = self.chain.digests().get(record.link_seq as usize) == Some(&record.link);
        if !on_chain {
            return Err(VaultError::OffChain { slug: record.name.clone() });
        }
        self.is_the_same(record, digest)?;
        let state = self.chain.state();
        let author = match record.visibility {
            Visibility::Shared => state.member(&record.author).filter(|a| writes_shared(a, state)),
            Visibility::Private => state.member(&record.author),
        };
        let author = author.ok_or_else(|| not_entitled(&record.name))?;
        if !self.is_vouched_for(record, digest) {
            read.verify(&author.sig_key).map_err(damaged)?;
        }
        Ok(read.record)
    }

    /// A version that was seen, or that the chain names, is that file and no other.
    fn is_the_same(&self, record: &Record, digest: Digest) -> Result<(), VaultError> {
        let conflict =
            || VaultError::Conflict { slug: record.name.clone(), version: record.version };
        let seen = self
            .seen
            .get(&record.cred_id)
            .filter(|seen| seen.version == record.version && seen.epoch == record.epoch);
        if seen.is_some_and(|seen| seen.sha256 != digest) {
            return Err(conflict());
        }
        let shared = record.visibility == Visibility::Shared;
        let listed = self.roll.0.get(&record.cred_id).filter(|_| shared);
        if listed.is_some_and(|it| it.version == record.version && it.digest != digest) {
            return Err(conflict());
        }
        Ok(())
    }

    /// Nobody takes a credential by writing under its id: it belongs to whom it belonged,
    /// or to whom that one gave it since.
    fn is_its_owners(&self, record: &Record, owner: Option<(MemberId, u64)>) -> bool {
        owner.is_none_or(|(owner, at)| comes_from(record, self.chain.state(), &owner, at))
    }

    /// Whose a credential was, and at which version: as it was seen, or as the chain lists it;
    /// else, where several folders have it, by the shared one, by one's own, by the member
    /// that came first.
    fn owner(&self, cred: &CredId, candidates: &[Candidate]) -> Option<(MemberId, u64)> {
        let seen = self.seen.get(cred).map(|seen| (seen.owner, seen.version));
        let listed = self.roll.0.get(cred).map(|listed| (listed.owner, listed.version));
        if let Some(owner) = seen.or(listed) {
            return Some(owner);
        }
        let first = candidates.first()?.place;
        if candidates.iter().all(|candidate| candidate.place == first) {
            return None;
        }
        let shared = candidates.iter().filter(|c| matches!(c.place, Place::Shared(_)));
        let by_admin = shared.filter_map(|at| {
            let bytes = self.store.get(&at.place.name(cred, at.version), LARGEST).ok()??;
            self.judge(&bytes, Digest::of(&bytes), *cred, at).ok()
        });
        let by_admin = by_admin.map(|record| record.owner).next();
        let has = |owner: &MemberId| candidates.iter().any(|c| c.place == Place::Private(*owner));
        let members = self.chain.state().members.iter().map(|member| member.member_id);
        let owner = by_admin.or_else(|| std::iter::once(*self.me).chain(members).find(has));
        owner.map(|owner| (owner, 0))
    }

    /// Whether the file's digest is known from before, or from the chain: then its
    /// signature was, and a thousand are read in a tenth of the time.
    fn is_vouched_for(&self, record: &Record, digest: Digest) -> bool {
        let seen = self.seen.get(&record.cred_id);
        seen.is_some_and(|seen| seen.sha256 == digest)
            || self.roll.0.get(&record.cred_id).is_some_and(|listed| listed.digest == digest)
    }
}

/// Whether what `author` shared is believed at the head. Of who left by itself it still is
/// until there are new keys, which are due: nobody else signed it.
fn writes_shared(author: &Member, state: &State) -> bool {
    let is_there = author.status == Status::Active
        || state.pending.iter().any(|due| due.member == author.member_id);
    is_there && author.role.writes_shared()
}

fn not_entitled(slug: &Slug) -> VaultError {
    VaultError::NotEntitled { slug: slug.clone() }
}
