//! `keyrack connector list`: what is declared, and what of it the owner granted.

use jiff::Timestamp;
use keyrack_manifest::Grant;
use serde::Serialize;

use crate::connector::found::{self, Found};
use crate::connector::granted;
use crate::error::{Code, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;

#[derive(Serialize)]
struct Row {
    connector: String,
    grant: Option<String>,
    credentials: Vec<String>,
    until: Option<Timestamp>,
    state: &'static str,
}

/// Runs `keyrack connector list`.
pub fn run(settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let (mut declared, mut grants, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for found in found::all(settings) {
        found.map_or_else(|failure| bad.push(failure), |found| declared.push(found));
    }
    for grant in granted::all(owner, settings)? {
        grant.map_or_else(|failure| bad.push(failure), |grant| grants.push(grant));
    }
    let now = Timestamp::now();
    let mut rows: Vec<Row> = grants.iter().map(|grant| row(grant, settings, now)).collect();
    let is_only_declared =
        |found: &&Found| !grants.iter().any(|grant| grant.connector == found.declaration.connector);
    rows.extend(declared.iter().filter(is_only_declared).map(|found| Row {
        connector: found.declaration.connector.to_string(),
        grant: None,
        credentials: found.declaration.credentials.keys().map(ToString::to_string).collect(),
        until: None,
        state: "declared",
    }));
    rows.sort_by(|a, b| (&a.connector, &a.grant).cmp(&(&b.connector, &b.grant)));
    bad.iter().for_each(|failure| ui.warn(&failure.message));
    if ui.json {
        ui.object(&serde_json::json!({ "owner": owner, "connectors": rows }))?;
    } else {
        let cells: Vec<[String; 5]> = rows.into_iter().map(cells).collect();
        ui.table(["CONNECTOR", "GRANT", "CREDENTIALS", "UNTIL", "STATE"], &cells)?;
    }
    match bad.into_iter().map(|failure| failure.code).max() {
        Some(code) => Err(Failure::new(code.max(Code::Unexpected), "not all of it reads")),
        None => Ok(()),
    }
}

fn row(grant: &Grant, settings: &Settings, now: Timestamp) -> Row {
    let state = match found::granted(grant, settings) {
        _ if grant.is_over(now) => "ended",
        Ok(_) => "granted",
        Err(failure) if failure.code == Code::Conflict => "changed",
        Err(_) => "undeclared",
    };
    Row {
        connector: grant.connector.to_string(),
        grant: Some(grant.name.to_string()),
        credentials: grant
            .credentials
            .iter()
            .map(|(name, slug)| format!("{name}={slug}"))
            .collect(),
        until: grant.until,
        state,
    }
}

fn cells(row: Row) -> [String; 5] {
    let until = row.until.map_or_else(|| "-".to_owned(), |until| until.to_string());
    let grant = row.grant.unwrap_or_else(|| "-".to_owned());
    [row.connector, grant, row.credentials.join(","), until, row.state.to_owned()]
}
