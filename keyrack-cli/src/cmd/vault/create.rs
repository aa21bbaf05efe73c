//! `keyrack vault create`: makes a vault whose first member, and owner, is this owner.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_manifest::signed::Signed;
use keyrack_manifest::{VaultId, VaultName};
use keyrack_vault::git::Repository;
use keyrack_vault::{FileStore, Location, Policy, Vault, VaultStore, names};

use crate::args::VaultCreate;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::typed::word;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::to_share;
use crate::team::{Place, Shelf, acts, card, default_vault, gits, joining, place, words};

/// Names that `--vault` means something else by.
pub const BACKENDS: &[&str] = &[
    "personal",
    "1password",
    "openbao",
    "aws.secrets",
    "aws.params",
    "os.keyring",
    "os.envvar",
    "os.secure",
    "memory",
];

/// Runs `keyrack vault create`.
pub fn run(args: &VaultCreate, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let name: VaultName =
        args.name.parse().map_err(|e| Failure::new(Code::Usage, format!("{e}")))?;
    if BACKENDS.contains(&name.as_str()) {
        return Err(Failure::new(Code::Usage, format!("{name} is what another vault is called")));
    }
    let mut opened = opened::open(settings, ui, owner)?;
    free(&name, &opened, settings)?;
    let is_default = args.default || args.instead;
    let at = args.at.as_deref().map(str::parse::<Location>).transpose();
    let at = at.map_err(|error| Failure::new(Code::Usage, format!("--at: {error}")))?;
    let remote = at.as_ref().map(remote).transpose()?.flatten();
    let dir = match &at {
        Some(Location::Directory(dir)) if remote.is_none() => absolute(dir)?,
        _ => settings.places.vault(&name),
    };
    if is_default {
        default_vault::free(&dir, settings)?;
    }
    if settings.dry_run {
        let object = serde_json::json!({ "owner": owner, "vault": name, "location": dir });
        return ui.would(format!("{owner}: {name} would be made at {}", dir.display()), object);
    }
    let policy =
        Policy { max_ttl: args.max_ttl, private_by_default: is_default, ..Policy::default() };
    let new = New { name: &name, dir: &dir, remote: remote.as_deref() };
    let shelf = new.shelf(&opened, policy, settings, ui)?;
    let vault = shelf.open(&mut opened, settings)?;
    let key = &opened.manifest.signing.key;
    acts::note(&shelf.place, *vault.me(), key, vec![acts::act("create")], settings, ui);
    if is_default {
        default_vault::write(&shelf.place, args.instead, settings)?;
    }
    let object = serde_json::json!({
        "owner": owner, "vault": name, "id": shelf.place.id, "location": shelf.place.dir,
    });
    ui.done(format!("{owner}: {name} is made at {}", shelf.place.dir.display()), object)?;
    ui.hint(shelf.place.command("invite HANDLE --card FILE"));
    if is_default {
        joining::others_join(owner, settings, ui)?;
    }
    prepare_git(&shelf.place, ui)
}

/// Two vaults of one owner never have one name.
pub fn free(name: &VaultName, opened: &Opened, settings: &Settings) -> Outcome {
    let taken = Place::all(&opened.manifest, settings).into_iter().any(|at| at.name == *name);
    if taken {
        let owner = &opened.owner;
        return Err(Failure::new(Code::Conflict, format!("{owner} has a vault called {name}"))
            .hint(format!("keyrack vault list --for {owner}")));
    }
    Ok(())
}

/// A path that means the same from everywhere.
pub fn absolute(dir: &Path) -> Outcome<PathBuf> {
    std::path::absolute(dir).context(|| dir.display().to_string())
}

/// What is to be cloned, if that is what lies there: a git remote, or a repository without a
/// work tree, where nobody looks for files.
///
/// # Errors
/// When the working directory, which a path may begin from, is gone.
pub fn remote(at: &Location) -> Outcome<Option<String>> {
    let dir = match at {
        Location::Remote(url) => return Ok(Some(url.clone())),
        Location::Directory(dir) => absolute(dir)?,
    };
    let is_bare =
        dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir();
    Ok(is_bare.then(|| dir.display().to_string()))
}

/// Clones a remote to where the vault is to lie.
pub fn clone(url: &str, dir: &Path, ui: &Ui) -> Outcome<Repository> {
    if dir.exists() {
        let message = format!("{} is there already", dir.display());
        return Err(Failure::new(Code::Conflict, message).hint("add --at DIRECTORY"));
    }
    if let Some(above) = dir.parent() {
        keyrack_manifest::atomic::make_dir(above).context(|| above.display().to_string())?;
    }
    let cloned = Repository::clone(url, dir, ui.asker.has_person());
    cloned.map_err(|error| {
        let failure = gits::at(&error, &dir.display(), dir);
        failure.hint(format!("git ls-remote {}", word(url)))
    })
}

/// Has git call us for this vault's files, if it lies in a work tree.
pub fn prepare_git(place: &Place, ui: &Ui) -> Outcome {
    let failed = |error| gits::failed(error, place);
    if let Some(repository) = Repository::of(&place.dir, false).map_err(failed)? {
        repository.configure("keyrack").map_err(failed)?;
        to_share(place, ui);
    }
    Ok(())
}

/// A vault that is to be made.
struct New<'a> {
    name: &'a VaultName,
    dir: &'a Path,
    /// What is to be cloned to `dir` first.
    remote: Option<&'a str>,
}

impl New<'_> {
    /// Makes the vault. A clone that it cannot be made in does not stay: it would be in the
    /// way of the next try.
    fn shelf(
        &self,
        opened: &Opened,
        policy: Policy,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Shelf> {
        let Some(url) = self.remote else { return self.shelf_in(opened, policy, settings) };
        clone(url, self.dir, ui)?;
        self.shelf_in(opened, policy, settings).inspect_err(|_| {
            let _ = fs::remove_dir_all(self.dir);
        })
    }

    /// The same where it is to lie; or takes the one up that a killed try of this owner made.
    fn shelf_in(&self, opened: &Opened, policy: Policy, settings: &Settings) -> Outcome<Shelf> {
        let (owner, dir) = (&opened.owner, self.dir);
        let store = FileStore::at(dir);
        let there = |id| Place::new(owner, id, self.name.clone(), dir.to_owned(), settings);
        let failed = |error| words::vault(error, &there(VaultId::from_bytes([0; 32])));
        if let Some(id) = first_link(&store).map_err(|e| failed(e.into()))? {
            let own = Vault::open(&store, &id, None, None, place::actor(opened));
            if !own.is_ok_and(|own| own.state().members.len() == 1) {
                let at = self.remote.map_or_else(|| dir.display().to_string(), str::to_owned);
                let message = format!("there is a vault at {at} already");
                return Err(Failure::new(Code::Conflict, message)
                    .hint(format!("keyrack vault accept INVITATION --for {owner} --at {at}")));
            }
            return Ok(there(id).shelf());
        }
        let (card, now) = (card::own(opened, settings)?, Timestamp::now());
        let actor = place::actor(opened);
        let made = Vault::create(&store, self.name.clone(), policy, &card, actor, now);
        let id = *made.map_err(failed)?.id();
        Ok(there(id).shelf())
    }
}

/// The id of the vault that lies there, if one does.
pub fn first_link(store: &FileStore) -> Result<Option<VaultId>, keyrack_manifest::FileError> {
    let bytes = store.get(&names::link(0), 1 << 20)?;
    let id = |bytes: Vec<u8>| {
        let digest = Signed::split(&bytes).ok()?.digest();
        Some(VaultId::from_bytes(*digest.as_bytes()))
    };
    Ok(bytes.and_then(id))
}
