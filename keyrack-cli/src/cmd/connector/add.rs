//! `keyrack connector add`: checks a declaration and keeps a copy of it in the home, for
//! connectors that belong to no repository.

use keyrack_manifest::atomic;

use crate::args::ConnectorAdd;
use crate::connector::found;
use crate::error::{Context, Outcome};
use crate::person::counted::counted;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// Runs `keyrack connector add`.
pub fn run(args: &ConnectorAdd, settings: &Settings, ui: &Ui) -> Outcome {
    let (declaration, text) = found::at(&args.file)?;
    let id = &declaration.connector;
    let path = settings.places.connector(id);
    let found = found::Found::of_home(declaration.clone(), &args.file);
    for (_, program) in declaration.programs() {
        found.exec(program)?;
    }
    let needs = counted(declaration.credentials.len(), "credential");
    let object = serde_json::json!({ "connector": id, "path": path });
    if settings.dry_run {
        return ui.would(format!("{id} would be added; it declares {needs}"), object);
    }
    let doing = || path.display().to_string();
    atomic::replace(&path, text.as_bytes()).context(doing)?;
    ui.done(format!("{id} is added; it declares {needs}"), object)?;
    ui.hint(format!("keyrack connector disclose {id}"));
    Ok(())
}
