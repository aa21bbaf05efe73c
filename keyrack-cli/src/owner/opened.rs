//! An owner's manifest, opened with the owner's key: with a person where one is needed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use keyrack_manifest::{
    Header, Identity, IdentityFile, Manifest, Pin, Recipient, Store, StoreError, Tampered, Updated,
    Via,
};
use keyrack_names::Owner;
use keyrack_protocol::RackId;
use keyrack_protocol::keys::{Key, RackSecret};
use keyrack_protocol::message::{Reply, Request, Status};

use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::{keeper, renew, unlocking, values};
use crate::person::ui::Ui;
use crate::rack::daemon::Rack;
use crate::settings::Settings;
use crate::words;

/// An opened manifest and the identity that opened it.
#[derive(Debug)]
pub struct Opened {
    /// Whose it is.
    pub owner: Owner,
    /// What it says.
    pub manifest: Manifest,
    /// What opened it, ready to open it again.
    pub identity: Identity,
}

impl Opened {
    /// What it says about the owner's daemon.
    pub fn rack(&self) -> Rack {
        rack(&self.owner, &self.manifest)
    }

    /// Opens the manifest again if somebody wrote it meanwhile: what it named may have been
    /// replaced and removed since. Says whether it was.
    ///
    /// # Errors
    /// As [`open`].
    pub fn refresh(&mut self, settings: &Settings) -> Outcome<bool> {
        let is_newer = |pin: Pin| pin.counter > self.manifest.counter;
        if !pin(settings, &self.owner)?.is_some_and(is_newer) {
            return Ok(false);
        }
        let opened = store(settings).open(&self.owner, &self.identity);
        self.manifest = opened.map_err(|e| words::store(e, &self.owner))?.manifest;
        Ok(true)
    }

    /// Changes the manifest on disk: reads it again under the lock, so that no other
    /// writer's change is lost.
    ///
    /// # Errors
    /// What `change` fails with; or why the manifest could not be written.
    pub fn update<T>(
        &mut self,
        settings: &Settings,
        change: impl FnOnce(&mut Manifest) -> Outcome<T>,
    ) -> Outcome<T> {
        // By itself, so that the backup of what follows names what is there then.
        let due = renew::is_due(&self.manifest);
        let renewed =
            due.then(|| self.write(settings, |manifest| renew::if_due(manifest, settings)));
        let updated = match (self.write(settings, change), renewed) {
            (Ok(updated), _) => updated,
            // What can do without was not held up by it.
            (Err(_), Some(Err(why))) => return Err(why),
            (Err(failure), _) => return Err(failure),
        };
        values::discard(&updated.before, &updated.after, settings);
        Ok(updated.result)
    }

    fn write<T>(
        &mut self,
        settings: &Settings,
        change: impl FnOnce(&mut Manifest) -> Outcome<T>,
    ) -> Outcome<Updated<T>> {
        let updated = store(settings).update(&self.owner, &self.identity, Timestamp::now(), change);
        let updated = updated.map_err(|e| words::update(e, &self.owner))?;
        self.manifest.clone_from(&updated.after);
        Ok(updated)
    }
}

/// The store of manifests.
pub fn store(settings: &Settings) -> Store<'_> {
    Store::new(&settings.places)
}

/// Opens `owner`'s manifest, asking a person where that is needed. What a provisioner made
/// up is replaced by the owner's own on the way.
///
/// # Errors
/// [`Code::Absent`], [`Code::NoIdentity`], [`Code::NeedsPerson`] or [`Code::Tampered`].
pub fn open(settings: &Settings, ui: &Ui, owner: &Owner) -> Outcome<Opened> {
    let identity = identity(settings, ui, owner)?;
    open_with(settings, ui, owner, identity)
}

/// As [`open`], with an identity that is unlocked already.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    settings: &Settings,
    ui: &Ui,
    owner: &Owner,
    identity: Identity,
) -> Outcome<Opened> {
    let opened = store(settings).open(owner, &identity).map_err(|e| unopened(e, owner, ui))?;
    if opened.first_sight {
        ui.say(format!(
            "{owner}: first sight of this manifest on this device; it is remembered from now on"
        ));
    }
    let mut opened = Opened { owner: owner.clone(), manifest: opened.manifest, identity };
    if opened.manifest.signing.provisional {
        crate::owner::provisional::replace(&mut opened, settings, ui)?;
    }
    Ok(opened)
}

/// A plugin that was not answered fails as if it were broken: nobody was there.
fn unopened(error: StoreError, owner: &Owner, ui: &Ui) -> Failure {
    let is_plugin = matches!(error, StoreError::Plugin { .. });
    let failure = words::store(error, owner);
    match is_plugin && ui.asker.unanswered.load(Ordering::Relaxed) {
        true => Failure { code: Code::NeedsPerson, ..failure }
            .hint("run it in a terminal, without --no-input"),
        false => failure,
    }
}

/// What the manifest says about the daemon, if it can be opened without a person. Asks
/// nobody, says nothing.
pub fn without_person(settings: &Settings, owner: &Owner) -> Option<Rack> {
    manifest_without_person(settings, owner).map(|manifest| rack(owner, &manifest))
}

/// The manifest, if it can be opened without a person. Asks nobody, says nothing.
pub fn manifest_without_person(settings: &Settings, owner: &Owner) -> Option<Manifest> {
    opened_without_person(settings, owner).map(|opened| opened.manifest)
}

/// As [`manifest_without_person`], with what opened it.
pub fn opened_without_person(settings: &Settings, owner: &Owner) -> Option<Opened> {
    let sealed = store(settings).sealed(owner).ok()?;
    let identity = unlocking::silently(settings, owner, Some(&sealed)).ok()?;
    let manifest = store(settings).open(owner, &identity).ok()?.manifest;
    let is_own = !manifest.signing.provisional;
    is_own.then(|| Opened { owner: owner.clone(), manifest, identity })
}

/// Why there is no manifest, and what to do about it.
pub fn missing(settings: &Settings, owner: &Owner) -> Failure {
    let places = &settings.places;
    let (path, backup) = (places.manifest(owner), places.backup(owner));
    let vault = places.personal_vault(owner);
    if backup.exists() {
        words::backup_only(owner, &path, &backup)
    } else if vault.exists() && pin(settings, owner).is_ok_and(|pin| pin.is_some()) {
        words::vault_only(owner, &path, &vault)
    } else {
        words::absent(owner, &path)
    }
}

/// The identity that opens `owner`'s manifest.
///
/// # Errors
/// [`Code::Absent`], [`Code::NoIdentity`] or [`Code::NeedsPerson`].
pub fn identity(settings: &Settings, ui: &Ui, owner: &Owner) -> Outcome<Identity> {
    let path = settings.places.manifest(owner);
    // What may not be looked at is not absent.
    if !path.try_exists().context(|| path.display().to_string())? {
        return Err(missing(settings, owner));
    }
    let sealed = store(settings).sealed(owner).ok();
    key(settings, ui, owner, sealed.as_deref()).map_err(|failure| {
        match failure.code == Code::NoIdentity && is_for_others(settings, owner, sealed.as_deref())
        {
            true => {
                let kind = Tampered::ForOthers { expected: owner.clone() };
                words::store(StoreError::Tampered { path, kind }, owner)
            }
            false => failure,
        }
    })
}

/// Whether what lies in the place of `owner`'s manifest is sealed to none of the keys that
/// this device knows, or does not open with the owner's own.
fn is_for_others(settings: &Settings, owner: &Owner, sealed: Option<&[u8]>) -> bool {
    let recipients = pinned_recipients(settings, owner);
    let (Some(header), Some(own)) = (sealed.and_then(Header::read), recipients.first()) else {
        return false;
    };
    let is_own = |file: &IdentityFile| file.publics().iter().any(|public| public.same_key(own));
    match header.sealed_to(own) {
        // A key that was not tried, as for a wrong passphrase, says nothing about the file.
        None => key_files(settings, owner).iter().any(|file| is_own(file) && !file.needs_person()),
        Some(_) => recipients.iter().all(|one| header.sealed_to(one) == Some(false)),
    }
}

/// The identity that opens the backup of `owner`'s manifest.
///
/// # Errors
/// As [`identity`].
pub fn backup_key(settings: &Settings, ui: &Ui, owner: &Owner) -> Outcome<Identity> {
    let sealed = store(settings).sealed_backup(owner).ok();
    key(settings, ui, owner, sealed.as_deref())
}

fn key(settings: &Settings, ui: &Ui, owner: &Owner, sealed: Option<&[u8]>) -> Outcome<Identity> {
    if let Some(keeper) = pin(settings, owner)?.and_then(|pin| pin.kept_by)
        && settings.search.flag.is_none()
    {
        return keeper::identity(settings, ui, owner, &keeper);
    }
    match unlocking::silently(settings, owner, sealed) {
        Err(failure) if failure.code == Code::NeedsPerson => {
            unlocking::asking(settings, ui, owner, sealed)
        }
        other => other,
    }
}

/// All that `owner`'s daemon holds, where the manifest opens without a person; a
/// passphrase handed over by descriptor counts as none.
pub fn full_status(settings: &Settings, ui: &Ui, owner: &Owner) -> Option<Status> {
    // Somebody else may be waiting for a finger on the same YubiKey; a status does not.
    if pin(settings, owner).ok()?.is_some_and(|pin| pin.via == Via::Yubikey) {
        return None;
    }
    let identity = silent_identity(settings, ui, owner).ok()?;
    let opened = store(settings).open(owner, &identity).ok()?;
    let mut session = rack(owner, &opened.manifest).attach(settings).ok()?;
    match session.call(&Request::Status).ok()? {
        Reply::Status(status) => Some(*status),
        _ => None,
    }
}

/// Why no identity could be had without a person.
#[derive(Debug)]
pub enum Silent {
    /// There is a key, and it needs a passphrase, PIN or touch.
    NeedsPerson(Failure),
    /// There is no key at hand that opens the manifest.
    NoKey(Failure),
    /// There is a key, and it was refused: never a reason to go another way in silence.
    Failed(Failure),
}

/// The identity that opens `owner`'s manifest, where that needs no person; a passphrase
/// handed over by descriptor counts as none.
///
/// # Errors
/// [`Silent`].
pub fn silent_identity(settings: &Settings, ui: &Ui, owner: &Owner) -> Result<Identity, Silent> {
    let asker = Arc::new(ui.asker.without_person());
    let quiet = Ui { asker: asker.clone(), ..ui.clone() };
    let found = identity(settings, &quiet, owner);
    if let (Ok(mut told), Ok(read)) = (ui.asker.told.lock(), asker.told.lock()) {
        told.clone_from(&read);
    }
    found.map_err(|failure| match failure.code {
        Code::NeedsPerson => Silent::NeedsPerson(failure),
        Code::NoIdentity if key_files(settings, owner).is_empty() => Silent::NoKey(failure),
        _ => Silent::Failed(failure),
    })
}

/// What this device remembers of `owner`'s manifest.
///
/// # Errors
/// [`Code::Tampered`] when it does not parse.
pub fn pin(settings: &Settings, owner: &Owner) -> Outcome<Option<Pin>> {
    Pin::read(&settings.places, owner).map_err(|e| {
        Failure::new(Code::Tampered, e.to_string())
            .hint(format!("keyrack doctor --for {owner} --fix"))
    })
}

/// Which rack this device remembers for `owner`.
pub fn pinned_rack(settings: &Settings, owner: &Owner) -> Option<RackId> {
    Some(pin(settings, owner).ok()??.rack_id)
}

/// Whom a value for `owner` is sealed to when the manifest cannot be opened.
pub fn pinned_recipients(settings: &Settings, owner: &Owner) -> Vec<Recipient> {
    pin(settings, owner).ok().flatten().map(|pin| pin.recipients).unwrap_or_default()
}

/// Whether this device made the manifest and has not seen the owner since.
pub fn is_provisional(settings: &Settings, owner: &Owner) -> bool {
    pin(settings, owner).ok().flatten().is_some_and(|pin| pin.provisional)
}

/// Whether an age plugin holds the owner's key.
pub fn is_by_plugin(settings: &Settings, owner: &Owner) -> bool {
    pin(settings, owner).ok().flatten().is_some_and(|pin| pin.via == Via::Plugin)
}

/// The private key files at hand whose public half is one of the owner's recipients.
pub fn key_files(settings: &Settings, owner: &Owner) -> Vec<IdentityFile> {
    let pin = pin(settings, owner).ok().flatten();
    let candidates: Vec<PathBuf> =
        settings.search.candidates(owner, pin.as_ref(), &settings.places);
    let recipients = pin.map(|pin| pin.recipients).unwrap_or_default();
    candidates
        .iter()
        .filter_map(|path| IdentityFile::read(path).ok())
        .filter(|file| {
            file.publics().iter().any(|public| recipients.iter().any(|r| r.same_key(public)))
        })
        .collect()
}

/// What `manifest` says about the daemon of `owner`.
pub fn rack(owner: &Owner, manifest: &Manifest) -> Rack {
    let mut secret = [0; 32];
    secret.copy_from_slice(manifest.rack.secret.expose());
    Rack {
        owner: owner.clone(),
        id: manifest.rack.id,
        secret: RackSecret::new(Key::new(secret)),
        self_proof: manifest.self_proof == keyrack_manifest::OnOff::On,
    }
}
