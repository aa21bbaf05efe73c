//! `keyrack vault list`: the vaults this owner is a member of.

use serde::Serialize;

use crate::error::Outcome;
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::Shelf;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    vault: String,
    id: String,
    location: String,
    role: Option<&'static str>,
    members: Option<usize>,
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Runs `keyrack vault list`. A vault that does not open hides no other.
pub fn run(settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let mut opened = opened::open(settings, ui, owner)?;
    let default = crate::team::default_vault::read(settings)?.map(|default| default.vault_id);
    let mut rows = Vec::new();
    for shelf in Shelf::all(&opened.manifest, settings) {
        let (role, members, why) = match shelf.open(&mut opened, settings) {
            Ok(vault) => {
                let active = vault.state().members.iter().filter(|m| m.status.has_wrap()).count();
                (Some(vault.role().as_str()), Some(active), None)
            }
            Err(failure) => (None, None, Some(failure.message)),
        };
        let place = &shelf.place;
        rows.push(Row {
            vault: place.name.to_string(),
            id: place.id.to_string(),
            location: place.dir.display().to_string(),
            role,
            members,
            default: default == Some(place.id),
            why,
        });
    }
    if ui.json {
        return ui.object(&serde_json::json!({ "owner": owner, "vaults": rows }));
    }
    for why in rows.iter().filter_map(|row| row.why.as_ref()) {
        ui.warn(why);
    }
    let cells: Vec<[String; 4]> = rows
        .into_iter()
        .map(|row| {
            let members = row.members.map_or("-".to_owned(), |count| count.to_string());
            [row.vault, row.role.unwrap_or("-").to_owned(), members, row.location]
        })
        .collect();
    ui.table(["VAULT", "ROLE", "MEMBERS", "LOCATION"], &cells)
}
