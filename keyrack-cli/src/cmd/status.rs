//! `keyrack status`: what is unlocked, for how long, and who reads it. Touches nothing:
//! what cannot be seen without a person is said to be so.

use std::time::Duration;

use keyrack_names::Owner;
use keyrack_protocol::client::ClientError;
use keyrack_protocol::message::{BareStatus, CapabilityStatus, GrantStatus, Status};
use serde::Serialize;

use crate::args;
use crate::error::{Context, Outcome};
use crate::settings::Settings;
use crate::ui::Ui;
use crate::{access, level, opened, pending, when};

/// Runs `keyrack status`.
pub fn run(args: &args::Status, settings: &Settings, ui: &Ui) -> Outcome {
    let owners = if args.all {
        settings.places.owners().context(|| settings.places.home.display().to_string())?
    } else {
        vec![settings.owner()?.clone()]
    };
    if !args.all && !settings.places.manifest(&owners[0]).exists() {
        return Err(access::locked(settings, &owners[0]));
    }
    let rows: Vec<Row> = owners.iter().map(|owner| Row::of(owner, settings)).collect();
    if ui.json {
        return ui.object(&serde_json::json!({ "owners": rows }));
    }
    ui.lines(rows.iter().flat_map(Row::lines))
}

/// What can be said of one owner.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    owner: Owner,
    state: State,
    level: level::Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<BareStatus>,
    /// `None` where this process tree may not see the names.
    grants: Option<Vec<GrantStatus>>,
    trees: Vec<CapabilityStatus>,
    waiting: Vec<String>,
    provisional: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Absent,
    Locked,
    Unlocked,
    Unreachable,
}

impl Row {
    fn of(owner: &Owner, settings: &Settings) -> Self {
        let mut row = Self {
            owner: owner.clone(),
            state: State::Locked,
            level: level::of(settings, owner),
            daemon: None,
            grants: None,
            trees: Vec::new(),
            waiting: pending::list(settings, owner),
            provisional: opened::is_provisional(settings, owner),
        };
        match access::bare_status(settings, owner) {
            Ok(bare) => {
                row.state = if bare.locked { State::Locked } else { State::Unlocked };
                row.daemon = Some(bare);
                if let Ok(Status { bare, grants, capabilities, .. }) =
                    access::status(settings, owner)
                {
                    row.daemon = Some(bare);
                    row.grants = Some(grants);
                    row.trees = capabilities;
                }
            }
            Err(
                ClientError::NotRunning | ClientError::Foreign { .. } | ClientError::Refused { .. },
            ) => {
                if !settings.places.manifest(owner).exists() {
                    row.state = State::Absent;
                }
            }
            Err(_) => row.state = State::Unreachable,
        }
        row
    }

    fn lines(&self) -> Vec<String> {
        let owner = &self.owner;
        let state = match self.state {
            State::Absent => "absent",
            State::Locked => "locked",
            State::Unlocked => "unlocked",
            State::Unreachable => "unreachable",
        };
        let provisional = if self.provisional { "\tprovisional" } else { "" };
        let mut lines = vec![format!("{owner}\t{state}\t{}{provisional}", self.level)];
        lines.extend(self.waiting.iter().map(|who| format!("{owner}\twaiting\t{who}")));
        match &self.grants {
            Some(grants) => lines.extend(grants.iter().map(|grant| {
                let left = when::short(Duration::from_millis(grant.expires_in_ms));
                let reader = grant.last_reader.as_deref().unwrap_or("-");
                format!("{owner}\t{}\t{left}\t{}\t{reader}", grant.slug, grant.vault)
            })),
            None if self.state == State::Unlocked => {
                let left = self.daemon.as_ref().and_then(|d| d.next_expiry_ms).unwrap_or(0);
                let left = when::short(Duration::from_millis(left));
                lines.push(format!("{owner}\t(names need a capability)\tnext expiry in {left}"));
            }
            None => {}
        }
        lines.extend(self.trees.iter().map(|tree| {
            let asleep = if tree.awake == 0 { ", asleep" } else { "" };
            format!(
                "{owner}\ttree {}\t{}\t{} slugs{asleep}",
                tree.id.short(),
                tree.label,
                tree.slugs
            )
        }));
        if let Some(daemon) = &self.daemon {
            let missing = daemon.protections.iter().filter(|p| !p.on);
            lines
                .extend(missing.map(|p| format!("{owner}\tnot in force: {}\t{}", p.name, p.state)));
        }
        lines
    }
}
