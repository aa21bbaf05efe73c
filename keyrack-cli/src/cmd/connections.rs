//! `keyrack connections`: what is in a vault, and whose it is. Names and dates; no values.

use keyrack_vault::{Record, Visibility};
use serde::Serialize;

use crate::args::{ConnectionsAct, ConnectionsList};
use crate::error::Outcome;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::look;
use crate::team::words;

/// Runs `keyrack connections`.
pub fn run(act: &ConnectionsAct, settings: &Settings, ui: &Ui) -> Outcome {
    match act {
        ConnectionsAct::List(with) => list(&with.own, settings, ui),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    slug: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    owner: String,
    visibility: &'static str,
    grantees: Vec<String>,
    class: &'static str,
    readable: bool,
    version: u64,
    created_at: String,
    updated_at: String,
    last_refreshed: Option<String>,
    expires_at: Option<String>,
    last_writer: String,
    needs_rotation: bool,
    cred: String,
}

fn list(args: &ConnectionsList, settings: &Settings, ui: &Ui) -> Outcome {
    look(args.which.vault.as_deref(), settings, ui, |looking| {
        let (vault, state) = (looking.vault, looking.vault.state());
        let due = vault.needs_rotation();
        let meant = |record: &&Record| {
            let own = record.owner == *vault.me();
            args.all || own || record.visibility == Visibility::Shared || vault.can_read(record)
        };
        let row = |record: &Record| Row {
            slug: record.name.to_string(),
            provider: record.about.provider.as_ref().map(ToString::to_string),
            owner: words::handle(state, &record.owner),
            visibility: record.visibility.as_str(),
            grantees: record.grantees.iter().map(|id| words::handle(state, id)).collect(),
            class: record.about.class.as_str(),
            readable: vault.can_read(record),
            version: record.version,
            created_at: record.created_at.to_string(),
            updated_at: record.updated_at.to_string(),
            last_refreshed: record.about.last_refreshed.map(|at| at.to_string()),
            expires_at: record.about.expires_at.map(|at| at.to_string()),
            last_writer: words::handle(state, &record.author),
            needs_rotation: due.iter().any(|need| need.cred == record.cred_id),
            cred: record.cred_id.to_string(),
        };
        let mut rows: Vec<Row> = vault.records().filter(meant).map(row).collect();
        rows.sort_by(|one, other| (&one.slug, &one.owner).cmp(&(&other.slug, &other.owner)));
        if ui.json {
            return ui
                .object(&serde_json::json!({ "vault": looking.place.name, "connections": rows }));
        }
        let cells: Vec<[String; 6]> = rows
            .into_iter()
            .map(|row| {
                let new = if row.needs_rotation { "needs a new value" } else { "-" };
                let updated = format!("{:.16}", row.updated_at);
                [row.slug, row.owner, row.visibility.into(), row.class.into(), updated, new.into()]
            })
            .collect();
        ui.table(["KEY", "OWNER", "FOR", "CLASS", "UPDATED", "NOTE"], &cells)
    })
}
