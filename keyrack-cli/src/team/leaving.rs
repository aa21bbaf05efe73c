//! Leaving a vault. Where it is a clone, the others are told before the vault is forgotten:
//! who is no member any more exchanges nothing.

use jiff::Timestamp;
use keyrack_vault::VaultError;
use keyrack_vault::git::{Pushed, Repository};

use super::exchange::{self, Exchange, TRIES};
use super::{Shelf, acts};
use crate::error::{Code, Outcome};
use crate::owner::opened::Opened;
use crate::person::ui::Ui;
use crate::settings::Settings;

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
    let failed = |error| exchange::failed(error, place);
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
            Err(failure) => {
                let dir = place.dir.display();
                return Err(failure
                    .hint("or, to go without telling the others:")
                    .hint(format!("git -C {dir} remote remove origin")));
            }
        }
        let before = repository.head();
        let gone = go(shelf, opened, settings, ui, || {
            let pushed = exchange::push(repository, &who, place);
            if !matches!(pushed, Ok(Pushed::Done))
                && let Some(before) = &before
            {
                // What the others do not know is not so here either.
                repository.take_back(before).map_err(failed)?;
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
