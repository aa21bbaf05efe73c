//! `keyrack list`: what the owner has, without values.

use std::collections::BTreeMap;

use keyrack_manifest::Entry;
use keyrack_names::Slug;
use serde::Serialize;

use crate::args::List;
use crate::error::Outcome;
use crate::owner::opened::Opened;
use crate::owner::{drops, opened};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::Shelf;
use crate::team::offered::Offered;

/// Runs `keyrack list`.
pub fn run(args: &List, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let mut opened = opened::open(settings, ui, owner)?;
    let entries = entries(&mut opened, settings, ui);
    let meant = |slug: &Slug| {
        args.env.as_ref().is_none_or(|env| slug.env == *env)
            && args.org.as_ref().is_none_or(|org| slug.org == *org)
    };
    let entries: Vec<&Entry> = entries.iter().filter(|entry| meant(&entry.slug)).collect();
    let pending: Vec<Slug> = drops::waiting(settings, owner, &opened.identity, ui)?
        .into_iter()
        .map(|drop| drop.payload.slug)
        .filter(meant)
        .collect();
    if ui.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Row<'a> {
            slug: &'a Slug,
            vault: &'a str,
            exid: Option<&'a str>,
            class: &'a str,
            max_duration: Option<String>,
            expires_at: Option<String>,
            created_at: String,
            updated_at: String,
            obtained_via: &'a str,
        }
        let rows: Vec<Row> = entries
            .iter()
            .map(|entry| Row {
                slug: &entry.slug,
                vault: entry.vault.as_str(),
                exid: entry.exid.as_ref().map(|exid| exid.as_str()),
                class: entry.class.as_str(),
                max_duration: entry.max_duration.map(|span| span.to_string()),
                expires_at: entry.expires_at.map(|at| at.to_string()),
                created_at: entry.created_at.to_string(),
                updated_at: entry.updated_at.to_string(),
                obtained_via: entry.obtained_via.as_str(),
            })
            .collect();
        return ui.object(&serde_json::json!({ "owner": owner, "keys": rows, "pending": pending }));
    }
    let row = |slug: &Slug, vault: &str, class: &str, exid: &str| {
        [slug.to_string(), vault.to_owned(), class.to_owned(), exid.to_owned()]
    };
    let held = entries.iter().map(|entry| {
        let exid = entry.exid.as_ref().map_or("-", |exid| exid.as_str());
        row(&entry.slug, entry.vault.as_str(), entry.class.as_str(), exid)
    });
    let waiting = pending.iter().map(|slug| row(slug, "pending", "-", "-"));
    ui.table(["KEY", "VAULT", "CLASS", "ITEM"], &held.chain(waiting).collect::<Vec<_>>())
}

/// All that the owner has, its own and what it can read of others', by name.
pub fn entries(opened: &mut Opened, settings: &Settings, ui: &Ui) -> Vec<Entry> {
    let shared = shared(opened, settings, ui);
    let own = opened.manifest.keys.values().filter(|entry| !shared.contains_key(&entry.slug));
    let mut entries: Vec<Entry> = own.cloned().collect();
    entries.extend(shared.into_values());
    entries.sort_by(|one, other| one.slug.cmp(&other.slug));
    entries
}

/// What the owner can read in vaults with several members. What cannot be told is said.
fn shared(opened: &mut Opened, settings: &Settings, ui: &Ui) -> BTreeMap<Slug, Entry> {
    let shelves = Shelf::all(&opened.manifest, settings);
    let offered = Offered::open(&shelves, opened, settings);
    for (_, failure) in &offered.closed {
        ui.warn(&failure.message);
    }
    let mut entries = BTreeMap::new();
    for (slug, offer) in offered.all(&opened.manifest) {
        match offer {
            Ok(offer) => drop(entries.insert(slug, offered.entry(offer))),
            Err(failure) => ui.warn(&failure.message),
        }
    }
    entries
}
