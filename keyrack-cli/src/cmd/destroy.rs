//! `keyrack destroy`: removes an owner and all that is its own. Its private SSH key and
//! its audit log stay: the one is not ours, the other tells what happened.

use crate::error::{Code, Failure, Outcome};
use crate::settings::Settings;
use crate::ui::Ui;
use crate::{access, opened, whereabouts, words};

/// Runs `keyrack destroy`.
pub fn run(settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let manifest = settings.places.manifest(owner);
    if !manifest.exists() && opened::pin(settings, owner).is_ok_and(|pin| pin.is_none()) {
        return Err(words::absent(owner, &manifest));
    }
    if settings.dry_run {
        let words =
            format!("{owner}: {} and all that belongs to it would be removed", manifest.display());
        return ui.would(words, serde_json::json!({ "owner": owner, "removed": [manifest] }));
    }
    if !ui.asker.agrees(&format!("remove {owner} and every credential it has?"))? {
        return Err(Failure::new(Code::NeedsPerson, "nothing was removed"));
    }
    if access::bare_status(settings, owner).is_ok() {
        ui.say(super::relock::in_silence(owner, settings)?.words(owner));
    }
    whereabouts::forget(settings, owner);
    let removed = opened::store(settings).destroy(owner).map_err(|e| words::store(e, owner))?;
    for path in &removed {
        ui.say(format!("{owner}: removed {}", path.display()));
    }
    let log = settings.places.audit(owner);
    if log.exists() {
        ui.say(format!("{owner}: {} is kept", log.display()));
    }
    let object = serde_json::json!({ "owner": owner, "removed": removed });
    ui.done(format!("{owner} is gone"), object)
}
