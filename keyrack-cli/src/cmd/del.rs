//! `keyrack del`: takes a credential out of the manifest, its record out of the vault and
//! its value out of the running daemon.

use keyrack_names::Slug;

use crate::args::Del;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::project::wanted;
use crate::rack::push;
use crate::settings::Settings;
use crate::team::{Place, offered};

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
    if let Some(entry) = opened.manifest.keys.get(&slug)
        && let Some(place) = Place::named(&entry.vault, &opened.manifest, settings)
    {
        return undecide(&place, &slug, opened, settings, ui);
    }
    let object = serde_json::json!({ "owner": owner, "slug": slug, "deleted": true });
    if settings.dry_run {
        opened.manifest.keys.get(&slug).ok_or_else(absent)?;
        return ui.would(format!("{owner}: {slug} would be deleted"), object);
    }
    opened.update(settings, |manifest| manifest.keys.remove(&slug).map(drop).ok_or_else(absent))?;
    push::forget(&mut opened, &slug, settings);
    ui.done(format!("{owner}: {slug} is deleted"), object)
}

/// Takes out the manifest's word on which vault answers for a name. The vaults keep what they
/// have: that is said, and how it is deleted.
fn undecide(
    place: &Place,
    slug: &Slug,
    mut opened: Opened,
    settings: &Settings,
    ui: &Ui,
) -> Outcome {
    let (owner, name) = (&place.owner, &place.name);
    let object = serde_json::json!({
        "owner": owner, "slug": slug, "deleted": false, "staysIn": name,
    });
    let words =
        format!("{owner}: {slug} is not looked for in {name} alone any more; it stays there");
    if settings.dry_run {
        return ui.would(format!("{words} (nothing was done)"), object);
    }
    opened.update(settings, |manifest| {
        manifest.keys.remove(slug);
        Ok(())
    })?;
    push::forget(&mut opened, slug, settings);
    ui.done(words, object)?;
    ui.hint(format!("keyrack del --for {owner} --vault {name} --key {slug}"));
    Ok(())
}
