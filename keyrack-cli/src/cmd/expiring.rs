//! `keyrack expiring`: which credentials end soon, and which are due for a new value. For a
//! timer as well as for a person.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use keyrack_names::Slug;
use serde::Serialize;

use crate::args::Expiring;
use crate::args::when::short;
use crate::cmd::list;
use crate::connector::due::due;
use crate::connector::{found, granted};
use crate::error::Outcome;
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// What is looked ahead where nothing is said.
const AHEAD: Duration = Duration::from_secs(14 * 86_400);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    slug: Slug,
    class: &'static str,
    expires_at: Option<Timestamp>,
    /// From when on a connector declares it to be due for a new value.
    due_at: Option<Timestamp>,
}

/// Runs `keyrack expiring`.
pub fn run(args: &Expiring, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let now = Timestamp::now();
    let usual = || now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let until = args.within.map_or_else(usual, |within| within.at(now));
    let mut opened = opened::open(settings, ui, owner)?;
    let entries = list::entries(&mut opened, settings, ui);
    let mut due_at: BTreeMap<Slug, Timestamp> = BTreeMap::new();
    for grant in granted::all(owner, settings)? {
        let found = grant.and_then(|grant| Ok((found::granted(&grant, settings)?, grant)));
        let (found, grant) = match found {
            Ok((_, grant)) if grant.is_over(now) => continue,
            Ok(found) => found,
            // When it is due cannot be told; when it ends can.
            Err(failure) => {
                ui.warn(failure.message);
                continue;
            }
        };
        for (name, slug) in &grant.credentials {
            let hint = found.declaration.credentials.get(name).map(|one| one.rotation_hint);
            let entry = entries.iter().find(|entry| entry.slug == *slug);
            if let Some(at) = hint.zip(entry).and_then(|(hint, entry)| due(hint, entry)) {
                due_at
                    .entry(slug.clone())
                    .and_modify(|other| *other = at.min(*other))
                    .or_insert(at);
            }
        }
    }
    let soon = |at: Option<Timestamp>| at.filter(|at| *at <= until);
    let rows: Vec<Row> = entries
        .iter()
        .map(|entry| Row {
            slug: entry.slug.clone(),
            class: entry.class.as_str(),
            expires_at: soon(entry.expires_at),
            due_at: soon(due_at.get(&entry.slug).copied()),
        })
        .filter(|row| row.expires_at.is_some() || row.due_at.is_some())
        .collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "owner": owner, "within": until, "keys": rows }));
    }
    let rows: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            let (ends, is_due) = (when(row.expires_at, now), when(row.due_at, now));
            [row.slug.to_string(), row.class.to_owned(), ends, is_due]
        })
        .collect();
    ui.table(["KEY", "CLASS", "ENDS", "DUE"], &rows)
}

/// A point in time as seen from `now`.
fn when(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else { return "-".to_owned() };
    match Duration::try_from(at.duration_since(now)) {
        Ok(ahead) if !ahead.is_zero() => format!("in {}", short(ahead)),
        _ => "now".to_owned(),
    }
}
