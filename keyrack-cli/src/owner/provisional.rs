//! The owner's first opening of a manifest that somebody else made for it: everything
//! that host knew is replaced.

use jiff::Timestamp;

use crate::error::Outcome;
use crate::owner::opened::{self, Opened};
use crate::owner::renew;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::words;

/// Replaces rack, signing key and name in teams, and makes the personal vault.
///
/// # Errors
/// When the manifest cannot be written.
pub fn replace(opened: &mut Opened, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = opened.owner.clone();
    let now = Timestamp::now();
    opened.manifest = opened::store(settings)
        .replace_provisional(&owner, &opened.identity, now, |manifest| {
            // Its maker's drops are believed once: the manifest they were left for is gone
            // after this.
            crate::owner::drops::merge_provisional(
                manifest,
                settings,
                &opened.identity,
                ui,
                now,
                |manifest| renew::found(manifest, settings, ui, now),
            )
        })
        .map_err(|e| words::update(e, &owner))?;
    ui.say(format!("{owner}: first opened by its owner; what the provisioner made up is replaced"));
    crate::owner::drops::consume(&opened.manifest, settings);
    Ok(())
}
