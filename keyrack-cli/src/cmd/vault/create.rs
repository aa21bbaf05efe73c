//! `keyrack vault create`: makes a vault whose first member, and owner, is this owner.

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
    let at = args.at.as_deref().map(str::parse::<Location>).transpose();
    let at = at.map_err(|error| Failure::new(Code::Usage, format!("--at: {error}")))?;
    let remote = at.as_ref().map(remote).transpose()?.flatten();
    let dir = match &at {
        Some(Location::Directory(dir)) if remote.is_none() => absolute(dir)?,
        _ => settings.places.vault(&name),
    };
    if settings.dry_run {
        let object = serde_json::json!({ "owner": owner, "vault": name, "location": dir });
        return ui.would(format!("{owner}: {name} would be made at {}", dir.display()), object);
    }
    if let Some(url) = &remote {
        clone(url, &dir, ui)?;
    }
    let policy = Policy {
        max_ttl: args.max_ttl,
        private_by_default: args.default || args.instead,
        ..Policy::default()
    };
    let made = shelf(&opened, name.clone(), dir.clone(), policy, settings);
    // A clone that was made for it is in nobody's way afterwards.
    let shelf = made.inspect_err(|_| {
        if remote.is_some() {
            let _ = std::fs::remove_dir_all(&dir);
        }
    })?;
    let vault = shelf.open(&mut opened, settings)?;
    let key = &opened.manifest.signing.key;
    acts::note(&shelf.place, *vault.me(), key, vec![acts::act("create")], settings, ui);
    if args.default || args.instead {
        default_vault::write(&shelf.place, args.instead, settings)?;
    }
    let object = serde_json::json!({
        "owner": owner, "vault": name, "id": shelf.place.id, "location": shelf.place.dir,
    });
    ui.done(format!("{owner}: {name} is made at {}", shelf.place.dir.display()), object)?;
    ui.hint(shelf.place.command("invite HANDLE --card FILE"));
    if args.default || args.instead {
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

/// Makes the vault; or takes the one up that a killed try of this owner made.
fn shelf(
    opened: &Opened,
    name: VaultName,
    dir: PathBuf,
    policy: Policy,
    settings: &Settings,
) -> Outcome<Shelf> {
    let owner = &opened.owner;
    let store = FileStore::at(&dir);
    let there = |id| Place::new(owner, id, name.clone(), dir.clone(), settings);
    let failed = |error| words::vault(error, &there(VaultId::from_bytes([0; 32])));
    if let Some(id) = first_link(&store).map_err(|e| failed(e.into()))? {
        let own = Vault::open(&store, &id, None, None, place::actor(opened));
        if !own.is_ok_and(|own| own.state().members.len() == 1) {
            let message = format!("there is a vault at {} already", dir.display());
            return Err(Failure::new(Code::Conflict, message).hint(format!(
                "keyrack vault accept INVITATION --for {owner} --at {}",
                dir.display()
            )));
        }
        return Ok(there(id).shelf());
    }
    let card = card::own(opened, settings)?;
    let made =
        Vault::create(&store, name.clone(), policy, &card, place::actor(opened), Timestamp::now())
            .map_err(failed)?;
    let id = *made.id();
    drop(made);
    Ok(there(id).shelf())
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
