//! `keyrack vault accept`: joins the vault that an invitation names, wherever it lies. The
//! vault's id comes from the invitation; the whole chain is verified before anything counts.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_names::Owner;
use keyrack_vault::git::Repository;
use keyrack_vault::{Chain, FileStore, Invitation, Location, Vault};

use super::{create, moved};
use crate::args::VaultAccept;
use crate::bounded;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::typed::path;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::system::streams::Stdin;
use crate::team::{Place, acts, card, gits, newcomer, place, words};

/// Longest invitation read from stdin.
pub const LONGEST: u64 = 16 << 10;

/// Runs `keyrack vault accept`.
pub fn run(args: &VaultAccept, settings: &Settings, ui: &Ui) -> Outcome {
    accept(settings.owner()?, args, settings, ui)
}

/// Lets `owner` join.
///
/// # Errors
/// When the vault is not what the invitation says, or the owner's manifest does not open.
pub fn accept(owner: &Owner, args: &VaultAccept, settings: &Settings, ui: &Ui) -> Outcome {
    let invitation = invitation(&args.invitation)?;
    let mut opened = opened::open(settings, ui, owner)?;
    if let Some(dir) = moved_to(args, &invitation, &opened, settings)? {
        return moved::to(&dir, &invitation.vault_id, &mut opened, settings, ui);
    }
    let carried = Place::all(&opened.manifest, settings);
    if let Some(place) = carried.into_iter().find(|place| place.id == invitation.vault_id) {
        let (shelf, name) = (place.clone().shelf(), &place.name);
        // What the manifest carries says no more than that it was one.
        if let Err(failure) = shelf.open(&mut opened, settings)
            && failure.code == Code::Denied
        {
            return Err(failure);
        }
        let object = serde_json::json!({ "owner": owner, "vault": name, "member": true });
        return ui.done(format!("{owner} is a member of {name} already"), object);
    }
    let location = location(args, &invitation)?;
    if settings.dry_run {
        let object =
            serde_json::json!({ "owner": owner, "location": location.to_string(), "member": true });
        return ui.would(format!("{owner}: the vault at {location} would be joined"), object);
    }
    let found = Found::look(&location, args, &invitation, settings, ui)?;
    let joined = join(&found, args, &invitation, &mut opened, settings, ui);
    if joined.is_err() {
        found.undo();
    }
    joined
}

/// Where a vault is said to lie that this owner is in, if it is another directory than before.
fn moved_to(
    args: &VaultAccept,
    invitation: &Invitation,
    opened: &Opened,
    settings: &Settings,
) -> Outcome<Option<PathBuf>> {
    let all = Place::all(&opened.manifest, settings);
    let place = all.into_iter().find(|place| place.id == invitation.vault_id);
    let (Some(place), Some(_)) = (place, &args.at) else { return Ok(None) };
    match location(args, invitation)? {
        Location::Directory(dir) if dir != place.dir => Ok(Some(dir)),
        _ => Ok(None),
    }
}

/// The invitation, from the command line or from stdin.
fn invitation(text: &str) -> Outcome<Invitation> {
    let bad = |error: &dyn std::fmt::Display| Failure::new(Code::Usage, error.to_string());
    if text != "-" {
        return text.parse().map_err(|error| bad(&error));
    }
    bounded::text(Stdin, LONGEST, "stdin")?.parse().map_err(|error| bad(&error))
}

fn location(args: &VaultAccept, invitation: &Invitation) -> Outcome<Location> {
    let (text, from) = match (&args.at, &invitation.location) {
        (Some(at), _) => (at, "--at"),
        (None, Some(location)) => (location, "the invitation"),
        (None, None) => {
            let message = "the invitation does not say where the vault is";
            return Err(Failure::new(Code::Usage, message).hint("add --at LOCATION"));
        }
    };
    match text.parse() {
        Ok(Location::Directory(dir)) => Ok(Location::Directory(create::absolute(&dir)?)),
        Ok(remote) => Ok(remote),
        Err(error) => Err(Failure::new(Code::Usage, format!("{from}: {error}"))),
    }
}

/// Where the vault was found; a clone that was made for it is taken away again if nothing
/// comes of it.
struct Found {
    dir: PathBuf,
    cloned: bool,
}

impl Found {
    fn look(
        location: &Location,
        args: &VaultAccept,
        invitation: &Invitation,
        settings: &Settings,
        ui: &Ui,
    ) -> Outcome<Self> {
        if let Some(dir) = here(args, invitation, settings) {
            catch_up(&dir, ui)?;
            return Ok(Self { dir, cloned: false });
        }
        let clone = |url: &str, dir: PathBuf| {
            create::clone(url, &dir, ui)?;
            let found = Self { dir, cloned: true };
            let checked = found.has_a_vault(&url);
            checked.inspect_err(|_| found.undo()).map(|()| found)
        };
        if let Some(url) = create::remote(location)? {
            let name = format!(".{}~new.tmp", invitation.vault_id.short());
            return clone(&url, settings.places.home.join("vaults").join(name));
        }
        let Location::Directory(dir) = location else { return Err(nothing_at(&location)) };
        if !dir.exists() {
            // A clone is to be made there of what the invitation names.
            let from = args.at.as_ref().and(invitation.location.as_deref());
            let from = from.and_then(|from| from.parse().ok());
            return match from.as_ref().map(create::remote).transpose()?.flatten() {
                Some(url) => clone(&url, dir.clone()),
                None => Err(nothing_at(&location)),
            };
        }
        catch_up(dir, ui)?;
        let found = Self { dir: dir.clone(), cloned: false };
        found.has_a_vault(&location)?;
        Ok(found)
    }

    fn has_a_vault(&self, place: &dyn std::fmt::Display) -> Outcome {
        let there = create::first_link(&FileStore::at(&self.dir));
        match there.map_err(|e| words::at(&e.into(), &self.dir))? {
            Some(_) => Ok(()),
            None => Err(nothing_at(place)),
        }
    }

    fn undo(&self) {
        if self.cloned {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// The same vault as another owner of this home has it: robots of one home share one clone.
fn here(args: &VaultAccept, invitation: &Invitation, settings: &Settings) -> Option<PathBuf> {
    if args.at.is_some() || args.name.is_some() {
        return None;
    }
    let all = std::fs::read_dir(settings.places.home.join("vaults")).ok()?;
    all.flatten().map(|entry| entry.path()).find(|dir| {
        let hidden = dir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let first = create::first_link(&FileStore::at(dir)).ok().flatten();
        !hidden && first == Some(invitation.vault_id)
    })
}

fn nothing_at(place: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::Absent, format!("there is no vault at {place}"))
        .hint("add --at LOCATION, where this owner can reach it")
}

/// A clone that was made before the invitation lacks it: it is brought up to date, if that
/// loses nothing.
fn catch_up(dir: &Path, ui: &Ui) -> Outcome {
    let failed = |error| gits::at(&error, &dir.display(), dir);
    let repository = Repository::of(dir, ui.asker.has_person()).map_err(failed)?;
    let Some(repository) = repository.filter(|repository| repository.origin().is_some()) else {
        return Ok(());
    };
    let branch = repository.branch().map_err(failed)?;
    if let Some(news) = repository.fetch(&branch).map_err(failed)?
        && repository.head().is_none_or(|head| repository.is_ancestor(&head, &news))
    {
        repository
            .fast_forward(&news)
            .map_err(|error| failed(error).hint(format!("git -C {} status", path(dir))))?;
    }
    Ok(())
}

fn join(
    found: &Found,
    args: &VaultAccept,
    invitation: &Invitation,
    opened: &mut Opened,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let owner = &opened.owner.clone();
    let store = FileStore::at(&found.dir);
    // Verified whole before its name, or anything else it says, is used.
    let chain = Chain::verify(&store, &invitation.vault_id, None)
        .map_err(|error| words::at(&error, &found.dir))?;
    let name = match &args.name {
        Some(name) => {
            name.parse().map_err(|e| Failure::new(Code::Usage, format!("--name: {e}")))?
        }
        None => chain.state().name.clone(),
    };
    create::free(&name, opened, settings)
        .map_err(|failure| failure.hint("add --name NAME, what this owner is to call it"))?;
    let key = opened.manifest.signing.key.public();
    let known = chain.state().members.iter().find(|member| member.sig_key == key);
    let at = Place::new(owner, invitation.vault_id, name, found.dir.clone(), settings);
    if let Some(gone) = known.filter(|known| !known.status.has_wrap()) {
        let why = newcomer::failure(gone, &gone.handle, chain.state(), &at);
        return Err(Failure { code: Code::Denied, ..why });
    }
    if invitation.one_time.is_some() && known.is_none() {
        return ask(&store, invitation, opened, &at, found, settings, ui);
    }
    let joined = Vault::accept(&store, invitation, place::actor(opened), Timestamp::now());
    let vault = joined.map_err(|error| words::vault(error, &at))?;
    // Where it was cloned to before it had a name, it moves to its usual place.
    let shelf = at.settled(found.cloned && args.at.is_none(), settings)?.shelf();
    shelf.keep(&vault, opened, settings)?;
    let key = &opened.manifest.signing.key;
    acts::note(&shelf.place, *vault.me(), key, vec![acts::act("accept")], settings, ui);
    let (name, role) = (&shelf.place.name, vault.role());
    let object = serde_json::json!({
        "owner": owner, "vault": name, "member": true, "role": role.as_str(),
        "location": shelf.place.dir,
    });
    ui.done(
        format!("{owner} is {} of {name}, at {}", words::a(role), shelf.place.dir.display()),
        object,
    )?;
    create::prepare_git(&shelf.place, ui)?;
    ui.hint(format!("keyrack unlock --for {owner}"));
    Ok(())
}

/// Leaves a request to join. It is answered by somebody who compares fingerprints.
fn ask(
    store: &FileStore,
    invitation: &Invitation,
    opened: &Opened,
    at: &Place,
    found: &Found,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let owner = &opened.owner;
    let own = card::own(opened, settings)?;
    Vault::request(store, invitation, &own, &place::actor(opened))
        .map_err(|error| words::vault(error, at))?;
    if let Some(repository) = Repository::of(&found.dir, ui.asker.has_person()).ok().flatten()
        && repository.origin().is_some()
    {
        super::sync::offer(&repository, &opened.manifest.owner.handle, at)?;
    }
    found.undo();
    let object = serde_json::json!({
        "owner": owner, "vault": at.name, "member": false, "fingerprint": own.fingerprint(),
    });
    ui.done(format!("{owner} asked to join {}; read this to who invited you:", at.name), object)?;
    ui.say(own.fingerprint());
    ui.say(own.spoken());
    ui.hint("once it is confirmed, accept the same invitation again");
    Ok(())
}
