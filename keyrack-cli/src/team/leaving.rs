//! Leaving a vault. Where it is a clone, the others are told before the vault is forgotten:
//! who is no member any more exchanges nothing.

use jiff::Timestamp;
use keyrack_vault::git::{Pushed, Repository};
use keyrack_vault::{Chain, LinkKind, Status, Vault, VaultError, names};

use super::exchange::{self, Exchange, TRIES};
use super::{Place, Shelf, acts, gits, redo, words};
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::Opened;
use crate::person::typed::path;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// The vault, to be left. A leave that was killed before the others were told is not so here
/// either.
///
/// # Errors
/// As [`Shelf::open`].
pub fn open<'a>(
    shelf: &'a Shelf,
    opened: &mut Opened,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<Vault<'a>> {
    let found = shelf.open(opened, settings);
    let is_out = matches!(&found, Err(failure) if failure.code == Code::Denied);
    if is_out && is_taken_back(shelf, opened, settings, ui)? {
        return shelf.open(opened, settings);
    }
    found
}

/// Takes the owner's leave back, if nothing but that is here and not with the others.
fn is_taken_back(shelf: &Shelf, opened: &Opened, settings: &Settings, ui: &Ui) -> Outcome<bool> {
    let place = &shelf.place;
    let failed = |error| gits::failed(error, place);
    let key = opened.manifest.signing.key.public();
    let chain = Chain::verify(&shelf.store, &place.id, None);
    let chain = chain.map_err(|error| words::vault(error, place))?;
    let me = chain.state().members.iter().find(|member| member.sig_key == key);
    let Some(me) = me.filter(|me| me.status == Status::Left) else { return Ok(false) };
    let repository = Repository::of(&place.dir, ui.asker.has_person()).map_err(failed)?;
    let Some(repository) = repository.filter(|repository| repository.origin().is_some()) else {
        return Ok(false);
    };
    let who = &opened.manifest.owner.handle;
    repository.commit_all("keyrack vault", who.as_str()).map_err(failed)?;
    let branch = repository.branch().map_err(failed)?;
    let news = repository.fetch(&branch).map_err(|error| or_alone(failed(error), place))?;
    let (Some(head), Some(news)) = (repository.head(), news) else { return Ok(false) };
    let ours = repository.snapshot(&head).map_err(failed)?;
    let theirs = repository.snapshot(&news).map_err(failed)?;
    let unsaid = redo::lost(&ours, &theirs, &place.id);
    let is_own = matches!(&unsaid[..], [link] if link.kind == LinkKind::Leave && link.author == me.member_id);
    // Who shares the clone may have written since: that is not taken back, and whoever syncs
    // it tells of the leave, too.
    let theirs = theirs.objects();
    let is_new = |(name, bytes): &(String, Vec<u8>)| theirs.get(name) != Some(bytes);
    let mut new = ours.objects().into_iter().filter(is_new);
    let is_alone = is_own && new.all(|(name, _)| name.starts_with(names::CHAIN));
    if is_alone {
        repository.become_of(&news).map_err(failed)?;
        exchange::forget_unpushed(place, settings)?;
    }
    Ok(is_alone)
}

/// Has the owner leave a vault. What it wrote there is exchanged first. Who turns out to be
/// removed is out already.
///
/// # Errors
/// When the vault does not hold, or its remote cannot be told: then the owner is a member
/// still. Within, why the vault refuses.
pub fn leave(
    shelf: &Shelf,
    opened: &mut Opened,
    settings: &Settings,
    ui: &Ui,
) -> Outcome<Result<(), VaultError>> {
    let place = &shelf.place;
    let failed = |error| gits::failed(error, place);
    let repository = Repository::of(&place.dir, ui.asker.has_person()).map_err(failed)?;
    let Some(repository) = repository.filter(|repository| repository.origin().is_some()) else {
        return go(shelf, opened, settings, ui, || Ok(true)).map(|gone| gone.map(drop));
    };
    let who = opened.manifest.owner.handle.clone();
    for _ in 0..TRIES {
        let repository = &repository;
        let exchange =
            Exchange { shelf, opened: &mut *opened, repository: repository.clone(), settings, ui };
        match exchange.run() {
            Ok(done) => done.is_whole(place)?,
            Err(failure) if failure.code == Code::Denied => return Ok(Ok(())),
            Err(failure) => return Err(or_alone(failure, place)),
        }
        let before = repository.head();
        let gone = go(shelf, opened, settings, ui, || {
            let pushed = exchange::push(repository, &who, place);
            if !matches!(pushed, Ok(Pushed::Done))
                && let Some(before) = &before
            {
                // What the others do not know is not so here either.
                repository.become_of(before).map_err(failed)?;
                exchange::forget_unpushed(place, settings)?;
            }
            Ok(pushed? == Pushed::Done)
        })?;
        match gone {
            Ok(false) => {}
            gone => return Ok(gone.map(drop)),
        }
    }
    Err(exchange::others_push(place, "leave"))
}

/// With how to go where the others cannot be told.
fn or_alone(failure: Failure, place: &Place) -> Failure {
    failure
        .hint("or, to go without telling the others:")
        .hint(format!("git -C {} remote remove origin", path(&place.dir)))
}

/// Leaves, and notes it if the others could be told.
fn go(
    shelf: &Shelf,
    opened: &mut Opened,
    settings: &Settings,
    ui: &Ui,
    tell: impl FnOnce() -> Outcome<bool>,
) -> Outcome<Result<bool, VaultError>> {
    let mut vault = shelf.open(opened, settings)?;
    if let Err(why) = vault.leave(Timestamp::now()) {
        return Ok(Err(why));
    }
    let told = tell()?;
    if told {
        let key = &opened.manifest.signing.key;
        acts::note(&shelf.place, *vault.me(), key, vec![acts::act("leave")], settings, ui);
    }
    Ok(Ok(told))
}
