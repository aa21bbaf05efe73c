//! `keyrack del`: takes a credential out of the manifest, its record out of the vault and
//! its value out of the running daemon.

use crate::args::Del;
use crate::error::{Code, Failure, Outcome};
use crate::settings::Settings;
use crate::ui::Ui;
use crate::{opened, push, wanted};

/// Runs `keyrack del`.
pub fn run(args: &Del, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let slug = wanted::slug(&args.at)?;
    let mut opened = opened::open(settings, ui, owner)?;
    let absent = || {
        Failure::new(Code::Absent, format!("{owner} has no {slug}"))
            .hint(format!("keyrack list --for {owner}"))
    };
    let object = serde_json::json!({ "owner": owner, "slug": slug, "deleted": true });
    if settings.dry_run {
        opened.manifest.keys.get(&slug).ok_or_else(absent)?;
        return ui.would(format!("{owner}: {slug} would be deleted"), object);
    }
    opened.update(settings, |manifest| manifest.keys.remove(&slug).map(drop).ok_or_else(absent))?;
    push::forget(&opened, &slug, settings);
    ui.done(format!("{owner}: {slug} is deleted"), object)
}
