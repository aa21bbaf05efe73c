//! Where a vault lies and what it is called by one owner; and the vault there, opened.

use std::path::PathBuf;

use keyrack_manifest::{Manifest, VaultId, VaultName, VaultRef};
use keyrack_names::Owner;
use keyrack_vault::{Actor, FileStore, Location, Seen, Vault};

use super::{rekey, words};
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::settings::Settings;

/// A vault that an owner is a member of.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose manifest names it.
    pub owner: Owner,
    /// Which vault.
    pub id: VaultId,
    /// What the owner calls it.
    pub name: VaultName,
    /// Its directory.
    pub dir: PathBuf,
    /// The directory as the manifest says it; `None` at the usual place.
    pub location: Option<String>,
}

/// A place and what lies there, for whoever opens it.
#[derive(Debug)]
pub struct Shelf {
    /// Where.
    pub place: Place,
    /// The files.
    pub store: FileStore,
}

impl Place {
    /// The vault called `name` at the directory `dir`.
    pub fn new(
        owner: &Owner,
        id: VaultId,
        name: VaultName,
        dir: PathBuf,
        settings: &Settings,
    ) -> Self {
        let usual = settings.places.vault(&name);
        let location = (dir != usual).then(|| dir.display().to_string());
        Self { owner: owner.clone(), id, name, dir, location }
    }

    /// As the manifest names it. A location that is none leads nowhere.
    fn at(owner: &Owner, id: &VaultId, carried: &VaultRef, settings: &Settings) -> Self {
        let name = carried.name.clone();
        let dir = match carried.location.as_deref().map(str::parse) {
            Some(Ok(Location::Directory(dir))) => dir,
            _ => settings.places.vault(&name),
        };
        Self { owner: owner.clone(), id: *id, name, dir, location: carried.location.clone() }
    }

    /// Every vault of a manifest but the personal one, by name.
    pub fn all(manifest: &Manifest, settings: &Settings) -> Vec<Self> {
        let owner = &manifest.owner.name;
        let mut all: Vec<Self> = manifest
            .vaults
            .iter()
            .filter(|(_, carried)| !carried.name.is_personal())
            .map(|(id, carried)| Self::at(owner, id, carried, settings))
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// The vault that a manifest calls `name`, if that is a vault with several members.
    pub fn named(name: &VaultName, manifest: &Manifest, settings: &Settings) -> Option<Self> {
        Self::all(manifest, settings).into_iter().find(|place| place.name == *name)
    }

    /// The vault that a command is about: the one named, the only one, or the machine's
    /// default.
    ///
    /// # Errors
    /// [`Code::Absent`] when there is none such; [`Code::Conflict`] when there are several.
    pub fn meant(flag: Option<&str>, manifest: &Manifest, settings: &Settings) -> Outcome<Self> {
        let owner = &manifest.owner.name;
        let mut all = Self::all(manifest, settings);
        if let Some(name) = flag {
            return all.into_iter().find(|place| place.name.as_str() == name).ok_or_else(|| {
                Failure::new(Code::Absent, format!("{owner} is in no vault called {name}"))
                    .hint(format!("keyrack vault list --for {owner}"))
            });
        }
        if let Some(default) = crate::team::default_vault::read(settings)?
            && let Some(at) = all.iter().position(|place| place.id == default.vault_id)
        {
            return Ok(all.swap_remove(at));
        }
        match (all.pop(), all.as_slice()) {
            (Some(place), []) => Ok(place),
            (Some(last), others) => {
                let names = others.iter().chain([&last]).map(|place| place.name.to_string());
                let names: Vec<String> = names.collect();
                let message = format!("{owner} is in several vaults: {}", names.join(", "));
                let failure = Failure::new(Code::Conflict, message);
                Err(names
                    .iter()
                    .fold(failure, |failure, name| failure.hint(format!("add --vault {name}"))))
            }
            (None, _) => Err(Failure::new(Code::Absent, format!("{owner} is in no vault"))
                .hint(format!("keyrack vault create NAME --for {owner}"))),
        }
    }

    /// The same at its usual place, if it was cloned for this: its directory is renamed.
    ///
    /// # Errors
    /// [`Code::Conflict`] when something is there.
    pub fn settled(self, moves: bool, settings: &Settings) -> Outcome<Self> {
        let usual = settings.places.vault(&self.name);
        if !moves || self.dir == usual {
            return Ok(self);
        }
        if usual.exists() {
            let message = format!("{} is there already", usual.display());
            return Err(Failure::new(Code::Conflict, message).hint("add --name NAME"));
        }
        std::fs::rename(&self.dir, &usual).context(|| usual.display().to_string())?;
        Ok(Self { dir: usual, location: None, ..self })
    }

    /// With the files that lie there.
    pub fn shelf(self) -> Shelf {
        let store = FileStore::at(&self.dir);
        Shelf { place: self, store }
    }

    /// What this device has seen of it.
    ///
    /// # Errors
    /// [`Code::Tampered`] when that does not read.
    pub fn seen(&self, settings: &Settings) -> Outcome<Option<Seen>> {
        Seen::read(&settings.places.seen(&self.owner, &self.id), &self.id)
            .map_err(|error| Failure::new(Code::Tampered, format!("{}: {error}", self.owner)))
    }

    /// Where this device keeps what it last exchanged with a remote.
    pub fn pushed(&self, settings: &Settings) -> PathBuf {
        settings.places.seen(&self.owner, &self.id).with_extension("pushed.json")
    }

    /// What this device last exchanged with a remote.
    ///
    /// # Errors
    /// [`Code::Tampered`] when that does not read.
    pub fn pushed_seen(&self, settings: &Settings) -> Outcome<Option<Seen>> {
        Seen::read(&self.pushed(settings), &self.id)
            .map_err(|error| Failure::new(Code::Tampered, format!("{}: {error}", self.owner)))
    }

    /// A command about this vault, with its flags.
    pub fn command(&self, words: &str) -> String {
        format!("keyrack vault {words} --for {} --vault {}", self.owner, self.name)
    }
}

impl Shelf {
    /// Every vault of a manifest but the personal one.
    pub fn all(manifest: &Manifest, settings: &Settings) -> Vec<Self> {
        Place::all(manifest, settings).into_iter().map(Place::shelf).collect()
    }

    /// Opens the vault, and remembers what is new of it.
    ///
    /// # Errors
    /// [`Code::Tampered`], [`Code::Denied`]; see [`words::vault`].
    pub fn open(&self, opened: &mut Opened, settings: &Settings) -> Outcome<Vault<'_>> {
        let place = &self.place;
        rekey::finish(opened, settings, None)?;
        let seen = place.seen(settings)?;
        let carried = opened.manifest.vaults.get(&place.id);
        let vault = Vault::open(&self.store, &place.id, seen.as_ref(), carried, actor(opened));
        let vault = vault.map_err(|error| words::vault(error, place))?;
        self.keep_seen(&vault, seen.as_ref(), opened, settings)?;
        Ok(vault)
    }

    /// Remembers what became of the vault: in the manifest its keys, then on this device how
    /// far it was seen.
    ///
    /// # Errors
    /// When the manifest or the device's state cannot be written.
    pub fn keep(&self, vault: &Vault<'_>, opened: &mut Opened, settings: &Settings) -> Outcome {
        let seen = self.place.seen(settings)?;
        self.keep_seen(vault, seen.as_ref(), opened, settings)
    }

    fn keep_seen(
        &self,
        vault: &Vault<'_>,
        seen: Option<&Seen>,
        opened: &mut Opened,
        settings: &Settings,
    ) -> Outcome {
        let place = &self.place;
        let carried = vault.carried(place.location.clone());
        let carried = carried.map(|carried| VaultRef { name: place.name.clone(), ..carried });
        if let Some(carried) = carried
            && opened.manifest.vaults.get(&place.id) != Some(&carried)
        {
            opened.update(settings, |manifest| {
                let newer = manifest
                    .vaults
                    .get(&place.id)
                    .is_some_and(|there| there.epoch.number() > carried.epoch.number());
                if !newer {
                    manifest.vaults.insert(place.id, carried);
                }
                Ok(())
            })?;
        }
        let now = vault.seen();
        let is_older = seen.is_some_and(|seen| seen.links.len() > now.links.len());
        if is_older || seen == Some(&now) {
            return Ok(());
        }
        now.write(&settings.places.seen(&place.owner, &place.id))
            .map_err(|error| Failure::new(Code::Unexpected, format!("{}: {error}", place.owner)))
    }
}

/// Who acts in a vault: the owner, with what opens its wraps.
pub fn actor(opened: &Opened) -> Actor {
    Actor { key: opened.manifest.signing.key.clone(), identity: Some(opened.identity.clone()) }
}

/// The owner's manifest and the vault meant.
///
/// # Errors
/// As [`opened::open`] and [`Place::meant`].
pub fn meant(flag: Option<&str>, settings: &Settings, ui: &Ui) -> Outcome<(Opened, Shelf)> {
    let owner = settings.owner()?;
    let opened = opened::open(settings, ui, owner)?;
    let place = Place::meant(flag, &opened.manifest, settings)?;
    Ok((opened, place.shelf()))
}
