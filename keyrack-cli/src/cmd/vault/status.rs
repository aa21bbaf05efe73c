//! `keyrack vault status`: who is in, what is due, and what still needs a new value, by name.

use keyrack_vault::DueReason;
use serde::Serialize;

use super::members::{Row, active};
use crate::args::WhichVault;
use crate::error::Outcome;
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::look;
use crate::team::words;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Need {
    slug: String,
    reason: &'static str,
    since: String,
    exposed_to: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Set {
    name: String,
    why: String,
}

/// Runs `keyrack vault status`.
pub fn run(args: &WhichVault, settings: &Settings, ui: &Ui) -> Outcome {
    look(args.vault.as_deref(), settings, ui, |looking| {
        let (vault, state) = (looking.vault, looking.vault.state());
        let mut needs: Vec<Need> = vault
            .needs_rotation()
            .into_iter()
            .map(|need| Need {
                slug: need.name.to_string(),
                reason: need.reason,
                since: format!("{:.0}", need.since),
                exposed_to: need.exposed_to.iter().map(|id| words::handle(state, id)).collect(),
            })
            .collect();
        needs.sort_by(|one, other| one.slug.cmp(&other.slug));
        let aside: Vec<Set> = vault
            .quarantined()
            .iter()
            .map(|aside| Set { name: aside.name.clone(), why: aside.why.to_string() })
            .collect();
        let lost: Vec<String> = vault.lost().map(|(_, why)| why.to_string()).collect();
        let due: Vec<String> = state
            .pending
            .iter()
            .map(|due| format!("{} ({})", words::handle(state, &due.member), reason(due.reason)))
            .collect();
        let epoch = state.epoch.as_ref().map_or(0, |epoch| epoch.id.number());
        let place = looking.place;
        if ui.json {
            let members: Vec<Row> = state.members.iter().map(Row::of).collect();
            return ui.object(&serde_json::json!({
                "owner": place.owner,
                "vault": place.name,
                "id": place.id,
                "location": place.dir,
                "role": vault.role().as_str(),
                "links": vault.chain().seq() + 1,
                "epoch": epoch,
                "credentials": vault.records().count(),
                "members": members,
                "rotationDue": due,
                "needsRotation": needs,
                "quarantined": aside,
                "lost": lost,
            }));
        }
        let row = |what: &str, is: String| [what.to_owned(), is];
        let mut rows = vec![
            row("vault", place.name.to_string()),
            row("at", place.dir.display().to_string()),
            row("you are", vault.role().to_string()),
            row("members", active(vault).to_string()),
            row("credentials", vault.records().count().to_string()),
            row("keys", format!("epoch {epoch}, link {}", vault.chain().seq())),
        ];
        rows.extend(due.into_iter().map(|who| row("new keys are due since", who)));
        rows.extend(needs.into_iter().map(|need| {
            let to = need.exposed_to.join(", ");
            row("needs a new value", format!("{} ({}: {to})", need.slug, need.reason))
        }));
        rows.extend(
            aside.into_iter().map(|set| row("set aside", format!("{}: {}", set.name, set.why))),
        );
        rows.extend(lost.into_iter().map(|why| row("lost", why)));
        ui.table(["WHAT", "IS"], &rows)
    })
}

fn reason(reason: DueReason) -> &'static str {
    match reason {
        DueReason::Left => "left",
        DueReason::Lapsed => "was invited",
        DueReason::Compromised => "lost a key",
    }
}
