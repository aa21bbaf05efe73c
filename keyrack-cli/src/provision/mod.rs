//! One owner of a roster: its manifest is made, and it is given what it is to have, whole
//! or not at all. Asked again for the same, nothing is written.

mod crew;
mod given;
mod having;
mod left;
pub mod ready;
pub mod roster;
mod sealed;

use std::path::PathBuf;

use jiff::Timestamp;
use keyrack_manifest::{Created, DropId, IdentityFile, NewOwner, OnOff, Recipient, atomic, drop};
use keyrack_names::Owner;
use serde::Serialize;

use crate::args::{Init, VaultAccept};
use crate::cmd::set::{self, Way};
use crate::cmd::vault::accept;
use crate::error::{Code, Context, Failure, Outcome};
use crate::owner::keysource::{self, Key};
use crate::owner::opened::Opened;
use crate::owner::{drops, keeper, level, opened, ownkey, provisioner, renew, unlocking};
use crate::person::ui::Ui;
use crate::provision::roster::Member;
use crate::rack::push;
use crate::settings::{Settings, login_name};
use crate::words;
use crate::yubikey::make::Made;
use crate::yubikey::record;

pub use crew::make_all;
pub use given::Given;
pub use having::{Became, KeyRow};
use having::{Having, write};
use left::Left;
use ready::Ready;

/// What became of one owner.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Whose.
    pub owner: Owner,
    /// Whether its manifest was not there before.
    pub created: bool,
    /// Where it is.
    pub path: PathBuf,
    recipient: String,
    /// The same in short, for people.
    #[serde(skip)]
    pub fingerprint: String,
    /// Whether it waits for its owner.
    pub provisional: bool,
    /// The isolation level.
    pub level: level::Level,
    /// What it was to have.
    pub keys: Vec<KeyRow>,
    /// The files that were made for its key: one, or two where it is an SSH key.
    #[serde(skip)]
    pub generated: Vec<PathBuf>,
    /// The key that was made on a YubiKey for a new manifest.
    #[serde(skip)]
    pub on_yubikey: Option<Made>,
}

/// The key that opens a manifest, and what is known of it where it is on a YubiKey that is
/// plugged in.
struct Opening<'a> {
    key: &'a Key,
    on_yubikey: Option<&'a Made>,
}

impl Opening<'_> {
    /// Whether this host knows the public half alone.
    fn is_out_of_reach(&self, file: Option<&IdentityFile>, member: &Member) -> bool {
        file.is_none() && member.kept_by.is_none() && self.on_yubikey.is_none()
    }
}

/// What all owners have in common.
#[derive(Debug)]
pub struct Provision<'a> {
    /// The flags.
    pub args: &'a Init,
    /// The values on standard input.
    pub given: &'a Given,
    /// Where everything is.
    pub settings: &'a Settings,
    /// Whom to tell.
    pub ui: &'a Ui,
}

impl Provision<'_> {
    /// Makes `member`, or gives it what it lacks.
    ///
    /// # Errors
    /// Then nothing of it is there that was not before.
    pub fn make(&self, member: &Member) -> Outcome<Row> {
        // Whatever may be wrong with it is found before anything is written.
        let ready = Ready::read(member, self.given)?;
        let (key, on_yubikey) = ownkey::choose(member, &self.args.yubikey, self.settings, self.ui)?;
        let opening = Opening { key: &key, on_yubikey: on_yubikey.as_ref() };
        let row = self.make_with(member, &opening, &ready);
        if row.is_err() {
            key.take_back();
        }
        row.map(|row| Row {
            on_yubikey: on_yubikey.filter(|_| row.created),
            generated: key.made,
            ..row
        })
    }

    fn make_with(&self, member: &Member, opening: &Opening<'_>, ready: &Ready<'_>) -> Outcome<Row> {
        let (owner, key, having) = (&member.owner, opening.key, &ready.having[..]);
        let file = private(key, owner, self.settings);
        let provisional = opening.is_out_of_reach(file.as_ref(), member);
        let created = self.create(member, opening, file, having)? == Created::New;
        let attestation = opening.on_yubikey.and_then(|made| made.attestation.as_ref());
        let attested = attestation.map_or(Ok(()), |attestation| {
            record::attestation(attestation, &handle(member), self.settings)
        });
        let given = attested.and_then(|()| match (created, provisional) {
            (true, false) => Ok(having.iter().map(|h| h.became(Became::Set)).collect()),
            (true, true) => {
                self.leave(owner, &opened::pinned_recipients(self.settings, owner), having)
            }
            (false, _) => self.complete(member, having),
        });
        let given = given.and_then(|given| {
            self.place(owner, &ready.sealed)?;
            // Last, for what others see of it cannot be taken back.
            self.join(owner, &ready.invitations).map(|()| given)
        });
        if given.is_err() && created {
            // Best effort: what went wrong is said, and it may go wrong here as well.
            let _ = opened::store(self.settings).destroy(owner);
        }
        Ok(Row {
            keys: given?,
            owner: owner.clone(),
            created,
            path: self.settings.places.manifest(owner),
            recipient: key.recipient.as_str().to_owned(),
            fingerprint: key.recipient.fingerprint(),
            provisional: opened::is_provisional(self.settings, owner),
            level: level::of(self.settings, owner),
            on_yubikey: None,
            generated: Vec::new(),
        })
    }

    /// A manifest with all of it from the start, where this host can open it.
    fn create(
        &self,
        member: &Member,
        opening: &Opening<'_>,
        file: Option<IdentityFile>,
        having: &[Having<'_>],
    ) -> Outcome<Created> {
        let (owner, settings, now) = (&member.owner, self.settings, Timestamp::now());
        let backups = member
            .backup
            .iter()
            .map(|text| Ok(keysource::read(text)?.recipient))
            .collect::<Outcome<Vec<_>>>()?;
        let silent = unlocking::no_means();
        let identity = match &member.kept_by {
            Some(_) => None,
            None => file
                .as_ref()
                .filter(|file| !file.needs_person())
                .and_then(|file| file.unlock(&silent).ok()),
        };
        let provisional = opening.is_out_of_reach(file.as_ref(), member);
        let new = NewOwner {
            owner: owner.clone(),
            handle: handle(member),
            recipient: opening.key.recipient.clone(),
            backups,
            provisional,
            provisioner: (member.provisioner || self.args.provisioner)
                .then(|| provisioner::pinned(settings))
                .transpose()?,
            identity: identity.as_ref(),
            identity_path: file.as_ref().map(|file| file.path().to_owned()),
            on_yubikey: opening.on_yubikey.map(|made| made.on),
            kept_by: member.kept_by.clone(),
            now,
        };
        opened::store(settings)
            .create(&new, |manifest| {
                manifest.self_proof = self.self_proof(member).unwrap_or(OnOff::On);
                if provisional {
                    return Ok(());
                }
                renew::found(manifest, settings, self.ui, now)?;
                write(manifest, settings, having.iter(), now)
            })
            .map_err(|e| words::update(e, owner))
    }

    fn self_proof(&self, member: &Member) -> Option<OnOff> {
        member.self_proof.or(self.args.self_proof)
    }

    /// Gives an owner that was there what it lacks, in one write.
    fn complete(&self, member: &Member, having: &[Having<'_>]) -> Outcome<Vec<KeyRow>> {
        let (owner, settings) = (&member.owner, self.settings);
        if let Some(keeper) = &member.kept_by {
            self.remember_keeper(owner, keeper)?;
        }
        let self_proof = self.self_proof(member);
        if having.is_empty() && self_proof.is_none() {
            return Ok(Vec::new());
        }
        // What a flag says is done or refused; what a roster says, as far as can be seen here.
        let way = match self.args.self_proof {
            Some(_) => Way::Manifest(Box::new(opened::open(settings, self.ui, owner)?)),
            None => Way::to(owner, settings, self.ui)?,
        };
        match way {
            Way::Manifest(mut opened) => self.update(&mut opened, self_proof, having),
            Way::Drop(owner, recipients) => self.leave(&owner, &recipients, having),
        }
    }

    fn update(
        &self,
        opened: &mut Opened,
        self_proof: Option<OnOff>,
        having: &[Having<'_>],
    ) -> Outcome<Vec<KeyRow>> {
        let (settings, now) = (self.settings, Timestamp::now());
        let mut changed = Vec::new();
        let mut given = Vec::new();
        for having in having {
            let is_same = having.is_in(opened, settings)?;
            given.push(having.became(if is_same { Became::Unchanged } else { Became::Set }));
            if !is_same {
                changed.push(having);
            }
        }
        let turned = self_proof.filter(|to| *to != opened.manifest.self_proof);
        if changed.is_empty() && turned.is_none() {
            return Ok(given);
        }
        opened.update(settings, |manifest| {
            manifest.self_proof = self_proof.unwrap_or(manifest.self_proof);
            write(manifest, settings, changed.iter().copied(), now)
        })?;
        if turned.is_some() {
            let owner = &opened.owner;
            self.ui.say(format!(
                "{owner}: self-proof is changed, from the next start of its daemon on"
            ));
        }
        for (slug, value) in changed.iter().filter_map(|having| having.valued()) {
            if let Some(entry) = opened.manifest.keys.get(slug).cloned() {
                push::replace(opened, &entry, value, settings, self.ui);
            }
        }
        Ok(given)
    }

    /// A drop for each that was not left before; or none of them.
    fn leave(
        &self,
        owner: &Owner,
        recipients: &[Recipient],
        having: &[Having<'_>],
    ) -> Outcome<Vec<KeyRow>> {
        if having.is_empty() {
            return Ok(Vec::new());
        }
        let settings = self.settings;
        if let Some(slug) = having.iter().find_map(Having::unfit_for_a_drop) {
            return Err(Failure::new(
                Code::NoIdentity,
                format!(
                    "{owner} cannot be opened here, and a drop for {slug} holds a value alone: no vault and no maxDuration"
                ),
            ));
        }
        let mut left = Left::read(settings, owner)?;
        let mut ids = Vec::new();
        let done = having.iter().map(|having| {
            let Some((_, value)) = having.valued() else {
                return Ok(having.became(Became::Pending));
            };
            let entry = having.wanted.entry.clone();
            let payload = set::payload(owner, entry, value, None, settings)?;
            if left.is_last(&payload) {
                return Ok(having.became(Became::Unchanged));
            }
            ids.push(payload.id);
            drops::leave(&payload, recipients, settings)?;
            left.note(&payload);
            push::replace_by_capability(settings, owner, &payload.slug, value);
            Ok(having.became(Became::Pending))
        });
        let done: Outcome<Vec<KeyRow>> = done.collect();
        let done = done.and_then(|done| left.write().map(|()| done));
        if done.is_err() {
            for id in &ids {
                let _ = drop::consume(&settings.places, owner, id);
            }
        }
        done
    }

    /// Puts drops that somebody else sealed where the owner's next unlock finds them.
    fn place(&self, owner: &Owner, sealed: &[(DropId, Vec<u8>)]) -> Outcome {
        for (id, bytes) in sealed {
            let path = self.settings.places.drop(owner, id);
            if !path.exists() {
                atomic::replace(&path, bytes).context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Joins vaults that others have; a member of one already stays one.
    fn join(&self, owner: &Owner, invitations: &[VaultAccept]) -> Outcome {
        // stdout has one object for all.
        let ui = Ui { quiet: self.ui.quiet || self.ui.json, json: false, ..self.ui.clone() };
        invitations.iter().try_for_each(|args| accept::accept(owner, args, self.settings, &ui))
    }

    /// A device that lost its state no longer knows whose vault keeps the identity.
    fn remember_keeper(&self, owner: &Owner, keeper: &Owner) -> Outcome {
        if opened::pin(self.settings, owner)?.is_some_and(|pin| pin.kept_by.is_some()) {
            return Ok(());
        }
        let identity = keeper::identity(self.settings, self.ui, owner, keeper)?;
        opened::store(self.settings)
            .remember_keeper(owner, &identity, keeper)
            .map_err(|e| words::store(e, owner))
    }
}

/// `--handle`, else the owner; for `human` the login name, where that can be one.
pub fn handle(member: &Member) -> Owner {
    let login = || login_name().filter(|_| member.owner.is_human())?.parse().ok();
    member.handle.clone().or_else(login).unwrap_or_else(|| member.owner.clone())
}

/// The private key file that belongs to `key`, if it is at hand.
fn private(key: &Key, owner: &Owner, settings: &Settings) -> Option<IdentityFile> {
    let places = key.private.iter().cloned().chain(settings.search.candidates(
        owner,
        None,
        &settings.places,
    ));
    places
        .filter_map(|path| IdentityFile::read(&path).ok())
        .find(|file| file.publics().iter().any(|public| public.same_key(&key.recipient)))
}
