//! `keyrack vault sync`: exchanges a vault with its git remote.

use keyrack_names::Owner;
use keyrack_vault::git::{Pushed, Repository};

use crate::args::WhichVault;
use crate::error::{Code, Failure, Outcome};
use crate::person::typed::path;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::exchange::{Exchange, push};
use crate::team::gits::failed;
use crate::team::{Place, place};

/// Runs `keyrack vault sync`.
pub fn run(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    let (mut opened, shelf) = place::meant(args.vault.as_deref(), settings, ui)?;
    let place = shelf.place.clone();
    let dir = place.dir.display();
    if !place.dir.exists() {
        shelf.open(&mut opened, settings)?;
    }
    let repository = Repository::of(&place.dir, ui.asker.has_person())
        .map_err(|error| failed(error, &place))?
        .ok_or_else(|| {
            let message = format!("{}: {dir} is no git work tree", place.name);
            Failure::new(Code::Absent, message).hint(format!("git -C {} init", path(&place.dir)))
        })?;
    if repository.origin().is_none() {
        let message = format!("{}: {dir} has no remote called origin", place.name);
        return Err(Failure::new(Code::Absent, message)
            .hint(format!("git -C {} remote add origin URL", path(&place.dir))));
    }
    if settings.dry_run {
        let object = serde_json::json!({ "owner": place.owner, "vault": place.name });
        return ui.would(format!("{} would be exchanged with its remote", place.name), object);
    }
    let exchange = Exchange { shelf: &shelf, opened: &mut opened, repository, settings, ui };
    let done = exchange.run()?;
    let object = serde_json::json!({
        "owner": place.owner, "vault": place.name, "pushed": done.pushed, "pulled": done.pulled,
        "setAside": done.aside, "keptAs": done.kept_as, "mended": done.mended,
    });
    let words = match (done.pulled, done.pushed) {
        (false, false) => "is as its remote has it",
        (true, false) => "has what others pushed",
        (false, true) => "is pushed",
        (true, true) => "has what others pushed, and is pushed",
    };
    ui.done(format!("{} {words}", place.name), object)?;
    done.is_whole(&place)
}

/// Commits what is here and pushes it, as an addition to what the remote has.
///
/// # Errors
/// [`Code::Conflict`] when somebody pushed before.
pub fn offer(repository: &Repository, who: &Owner, place: &Place) -> Outcome {
    match push(repository, who, place)? {
        Pushed::Done => Ok(()),
        Pushed::Behind => {
            let message = format!("{}: somebody pushed before", place.name);
            Err(Failure::new(Code::Conflict, message).hint("accept the same invitation again"))
        }
    }
}
