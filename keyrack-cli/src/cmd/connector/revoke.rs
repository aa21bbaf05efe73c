//! `keyrack connector revoke`: takes a grant back. What runs keeps what it was handed.

use crate::args::ConnectorRevoke;
use crate::connector::granted;
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;

/// Runs `keyrack connector revoke`.
pub fn run(args: &ConnectorRevoke, settings: &Settings, ui: &Ui) -> Outcome {
    let (owner, id, name) = (settings.owner()?, &args.which.id, args.which.name());
    let object =
        serde_json::json!({ "owner": owner, "connector": id, "grant": name, "revoked": true });
    let called = granted::called(&name);
    let is_there = settings.places.grant(owner, id, &name).symlink_metadata().is_ok();
    if settings.dry_run && is_there {
        return ui
            .would(format!("{id} would be granted nothing of {owner}{called} any more"), object);
    }
    if !is_there || !granted::remove(owner, id, &name, settings)? {
        let message = format!("{owner} granted {id} nothing{called}");
        return Err(Failure::new(Code::Absent, message)
            .hint(format!("keyrack connector list --for {owner}")));
    }
    ui.done(format!("{id} is granted nothing of {owner}{called} any more"), object)?;
    ui.hint(format!("what runs keeps what it was handed; to end what it may still ask for: keyrack relock --for {owner}"));
    Ok(())
}
