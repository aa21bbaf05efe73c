//! `keyrack del`: takes a credential out of the manifest, its record out of the vault and
//! its value out of the running daemon.

use crate::args::Del;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::push;
use crate::settings::Settings;
use crate::team::offered;

/// Runs `keyrack del`.
pub fn run(args: &Del, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let slug = wanted::slug(&args.at)?;
    let mut opened = opened::open(settings, ui, owner)?;
    let here = opened.manifest.keys.contains_key(&slug);
    if let Some(name) = args.vault.as_deref().filter(|name| *name != "personal") {
        return super::vault::delete(Some(name), &slug, settings, ui);
    }
    if !here && args.vault.is_none() && offered::names(&mut opened, settings).contains_key(&slug) {
        let vault = offered::vault_of(&mut opened, &slug, settings)?;
        return super::vault::delete(Some(vault.as_str()), &slug, settings, ui);
    }
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
    push::forget(&mut opened, &slug, settings);
    ui.done(format!("{owner}: {slug} is deleted"), object)
}
