//! What an owner can read in the vaults it shares with others, for `unlock` and for whatever
//! says what there is. What the manifest has an entry for, the entry decides.

use std::collections::BTreeMap;
use std::time::Duration;

use keyrack_manifest::{Class, CredId, Entry, Manifest, VaultName};
use keyrack_names::{Secret, Slug};
use keyrack_vault::audit::Act;
use keyrack_vault::{Record, Vault};

use super::{Place, Shelf, acts, credential, words};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::settings::Settings;

/// The vaults of an owner, opened; one that does not open hides no other.
pub struct Offered<'s> {
    vaults: Vec<(&'s Shelf, Vault<'s>)>,
    /// Those that did not open, and why.
    pub closed: Vec<(Place, Failure)>,
}

/// One credential of a vault.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'v> {
    /// What the vault says of it.
    pub record: &'v Record,
    at: usize,
}

impl<'s> Offered<'s> {
    /// Opens every vault.
    pub fn open(shelves: &'s [Shelf], opened: &mut Opened, settings: &Settings) -> Self {
        let mut offered = Self { vaults: Vec::new(), closed: Vec::new() };
        for shelf in shelves {
            match shelf.open(opened, settings) {
                Ok(vault) => offered.vaults.push((shelf, vault)),
                Err(failure) => offered.closed.push((shelf.place.clone(), failure)),
            }
        }
        offered
    }

    /// Every credential that is decided on: by name, what is offered or why that cannot be
    /// told. What the manifest keeps elsewhere is not among them.
    pub fn all(&self, manifest: &Manifest) -> BTreeMap<Slug, Outcome<Offer<'_>>> {
        let mut by_slug: BTreeMap<Slug, Vec<Offer<'_>>> = BTreeMap::new();
        for (at, (_, vault)) in self.vaults.iter().enumerate() {
            for record in vault.records().filter(|record| vault.can_read(record)) {
                by_slug.entry(record.name.clone()).or_default().push(Offer { record, at });
            }
        }
        let mut all = BTreeMap::new();
        for (slug, offers) in by_slug {
            match manifest.keys.get(&slug) {
                Some(entry) if self.name_is_ours(&entry.vault, manifest) => {}
                Some(_) => continue,
                None => {
                    let chosen = self.only(&slug, offers);
                    all.insert(slug, chosen);
                }
            }
        }
        // What is lost is told, and is no credential that was never there.
        for (shelf, vault) in &self.vaults {
            for (slug, why) in vault.missed().filter(|(slug, _)| !manifest.keys.contains_key(slug))
            {
                all.entry(slug.clone()).or_insert_with(|| Err(words::vault(why, &shelf.place)));
            }
        }
        for entry in manifest.keys.values().filter(|entry| self.is_ours(entry, manifest)) {
            all.insert(entry.slug.clone(), self.decided(entry));
        }
        all
    }

    /// Whether an entry's value lives in one of these vaults, open or not.
    pub fn is_ours(&self, entry: &Entry, manifest: &Manifest) -> bool {
        self.name_is_ours(&entry.vault, manifest)
    }

    fn name_is_ours(&self, name: &VaultName, manifest: &Manifest) -> bool {
        !name.is_personal() && manifest.vaults.values().any(|carried| carried.name == *name)
    }

    /// The one that an entry names: by its id, else by its name.
    fn decided(&self, entry: &Entry) -> Outcome<Offer<'_>> {
        let found = self.vaults.iter().position(|(shelf, _)| shelf.place.name == entry.vault);
        let Some(at) = found else {
            let closed = self.closed.iter().find(|(place, _)| place.name == entry.vault);
            return Err(closed.map(|(_, failure)| failure.clone()).unwrap_or_else(|| {
                let message = format!("{} lives in {}, which is not here", entry.slug, entry.vault);
                Failure::new(Code::Absent, message)
            }));
        };
        let (shelf, vault) = &self.vaults[at];
        let id = entry.exid.as_ref().and_then(|exid| exid.as_str().parse::<CredId>().ok());
        let record = match id {
            Some(id) => vault.record(&id).map_err(|error| words::vault(error, &shelf.place))?,
            None => credential::readable(vault, &entry.slug, &shelf.place)?,
        };
        Ok(Offer { record, at })
    }

    /// The only one of a name; an owner's own before others' in the same vault.
    fn only<'v>(&'v self, slug: &Slug, offers: Vec<Offer<'v>>) -> Outcome<Offer<'v>> {
        let mut one_each: Vec<Offer<'v>> = Vec::new();
        for offer in &offers {
            let (shelf, vault) = &self.vaults[offer.at];
            if one_each.iter().any(|have| have.at == offer.at) {
                continue;
            }
            let record = credential::readable(vault, slug, &shelf.place)?;
            one_each.push(Offer { record, at: offer.at });
        }
        match one_each[..] {
            [one] => Ok(one),
            _ => {
                let place = |offer: &Offer<'_>| &self.vaults[offer.at].0.place;
                let names: Vec<String> =
                    one_each.iter().map(|offer| place(offer).name.to_string()).collect();
                let message = format!("{slug} is in several vaults: {}", names.join(", "));
                let failure = Failure::new(Code::Conflict, message);
                Err(one_each.iter().fold(failure, |failure, offer| {
                    failure.hint(credential::choose(place(offer), slug, &offer.record.cred_id))
                }))
            }
        }
    }

    /// Where it lies.
    pub fn place(&self, offer: Offer<'_>) -> &Place {
        &self.vaults[offer.at].0.place
    }

    /// Whether no vault opened.
    pub fn is_empty(&self) -> bool {
        self.vaults.is_empty()
    }

    /// Whether a vault opened and has nothing of that name that its member can read.
    pub fn is_gone(&self, vault: &str, slug: &Slug) -> bool {
        let mut opened = self.vaults.iter();
        let found = opened.find(|(shelf, _)| shelf.place.name.as_str() == vault);
        found.is_some_and(|(_, vault)| vault.find(slug).all(|record| !vault.can_read(record)))
    }

    /// What it is called by its owner's manifest.
    pub fn vault(&self, offer: Offer<'_>) -> &VaultName {
        &self.place(offer).name
    }

    /// Its class.
    pub fn class(&self, offer: Offer<'_>) -> Class {
        offer.record.about.class
    }

    /// The longest that its vault lets an unlock hold it.
    pub fn longest(&self, offer: Offer<'_>) -> Option<Duration> {
        self.vaults[offer.at].1.state().policy.max_ttl.map(|span| span.duration())
    }

    /// Its value.
    ///
    /// # Errors
    /// [`Code::Tampered`] when it does not open.
    pub fn value(&self, offer: Offer<'_>) -> Outcome<Secret> {
        let (shelf, vault) = &self.vaults[offer.at];
        vault.get(&offer.record.cred_id).map_err(|error| words::vault(error, &shelf.place))
    }

    /// As an entry of the manifest says it.
    pub fn entry(&self, offer: Offer<'_>) -> Entry {
        let record = offer.record;
        let mut entry =
            Entry::new(record.name.clone(), self.vault(offer).clone(), record.created_at);
        entry.class = record.about.class;
        entry.obtained_via = record.about.obtained_via.clone();
        entry.expires_at = record.about.expires_at;
        entry.max_duration = record.about.max_duration;
        entry.updated_at = record.updated_at;
        entry
    }

    /// Writes down that values are about to be released. Those whose line is not on disk must
    /// not be: says for each offer why, in their order.
    pub fn log(&self, offers: &[Offer<'_>], opened: &Opened, settings: &Settings) -> Vec<Outcome> {
        let mut results = vec![Ok(()); offers.len()];
        for (at, (shelf, vault)) in self.vaults.iter().enumerate() {
            let ours: Vec<usize> = (0..offers.len()).filter(|n| offers[*n].at == at).collect();
            let lines: Vec<Act> = ours.iter().map(|n| line(vault, offers[*n].record)).collect();
            let key = &opened.manifest.signing.key;
            if let Err(failure) = acts::write(&shelf.place, *vault.me(), key, lines, settings) {
                for n in ours {
                    results[n] = Err(failure.clone());
                }
            }
        }
        results
    }

    /// Whether it is a credential of somebody else.
    pub fn is_cross(&self, offer: Offer<'_>) -> bool {
        offer.record.owner != *self.vaults[offer.at].1.me()
    }
}

fn line(vault: &Vault<'_>, record: &Record) -> Act {
    acts::to("read", record.cred_id, &record.name, record.owner, vault.me())
}

/// Everything that an owner has, in its manifest and in the vaults it shares: each name with
/// its class.
pub fn names(opened: &mut Opened, settings: &Settings) -> BTreeMap<Slug, Class> {
    let entries = |manifest: &Manifest| -> BTreeMap<Slug, Class> {
        manifest.keys.values().map(|entry| (entry.slug.clone(), entry.class)).collect()
    };
    let shelves = Shelf::all(&opened.manifest, settings);
    if shelves.is_empty() {
        return entries(&opened.manifest);
    }
    let offered = Offered::open(&shelves, opened, settings);
    let shared = offered.all(&opened.manifest).into_iter();
    let shared = shared.map(|(slug, offer)| {
        (slug, offer.map_or_else(|_| Class::default(), |offer| offered.class(offer)))
    });
    entries(&opened.manifest).into_iter().chain(shared).collect()
}

/// The one vault that has `slug` to offer.
///
/// # Errors
/// [`Code::Absent`]; [`Code::Conflict`] when there are several.
pub fn vault_of(opened: &mut Opened, slug: &Slug, settings: &Settings) -> Outcome<VaultName> {
    let shelves = Shelf::all(&opened.manifest, settings);
    let offered = Offered::open(&shelves, opened, settings);
    let owner = &opened.owner;
    let absent = || Failure::new(Code::Absent, format!("{owner} has no {slug}"));
    let offer = offered.all(&opened.manifest).remove(slug).ok_or_else(absent)??;
    Ok(offered.vault(offer).clone())
}

/// The names alone: what a daemon is told, so that it can explain a miss.
pub fn known(opened: &mut Opened, settings: &Settings) -> Vec<Slug> {
    names(opened, settings).into_keys().collect()
}
