//! `keyrack rotate`: has the programs that connectors declare make new values. Where one
//! fails, the old value stays, and the others go on.

use jiff::Timestamp;
use keyrack_manifest::{Grant, Manifest};
use serde::Serialize;

use super::connector::grant_name;
use crate::args::Rotate;
use crate::connector::due::{due, maker};
use crate::connector::found::{self, Found};
use crate::connector::granted;
use crate::connector::renewal::Renewal;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened;
use crate::person::ui::Ui;
use crate::settings::Settings;

/// What came of one program.
#[derive(Serialize)]
struct Row {
    connector: String,
    program: String,
    renewed: Vec<String>,
    error: Option<String>,
}

/// Runs `keyrack rotate`.
pub fn run(args: &Rotate, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let grants = match &args.id {
        Some(id) => {
            let name = grant_name(args.grant.as_ref())?;
            vec![granted::current(owner, id, &name, settings)?]
        }
        None => granted::all(owner, settings)?.into_iter().collect::<Outcome<_>>()?,
    };
    let now = Timestamp::now();
    let opened = opened::open(settings, ui, owner)?;
    let (mut rows, mut codes) = (Vec::new(), Vec::new());
    for grant in grants.iter().filter(|grant| !grant.is_over(now)) {
        let found = found::granted(grant, settings)?;
        for program in programs(args, grant, &found, &opened.manifest, now) {
            let connector = grant.connector.to_string();
            if settings.dry_run {
                ui.say(format!("{owner}: {program} of {connector} would be run"));
                rows.push(Row { connector, program, renewed: Vec::new(), error: None });
                continue;
            }
            let renewal = Renewal { owner, found: &found, grant, interaction: args.interaction_fd };
            let (renewed, error) = match renewal.by(&program, settings, ui) {
                Ok(renewed) => (renewed, None),
                Err(failure) => {
                    ui.warn(format!("{owner}: nothing is new: {}", failure.message));
                    codes.push(failure.code);
                    (Vec::new(), Some(failure.message))
                }
            };
            renewed.iter().for_each(|slug| ui.say(format!("{owner}: {slug} is new")));
            let renewed = renewed.iter().map(ToString::to_string).collect();
            rows.push(Row { connector, program, renewed, error });
        }
    }
    if rows.is_empty() {
        ui.say(format!("{owner}: nothing is due"));
    }
    let all = rows.len();
    if ui.json {
        ui.object(
            &serde_json::json!({ "owner": owner, "rotated": rows, "dryRun": settings.dry_run }),
        )?;
    }
    match codes.as_slice() {
        [] => Ok(()),
        [code, others @ ..] if codes.len() == all && others.iter().all(|other| other == code) => {
            Err(Failure::new(*code, format!("{owner}: nothing was rotated")))
        }
        some => Err(Failure::new(Code::Partly, format!("{owner}: {} of {all} failed", some.len()))),
    }
}

/// The programs to be run, each once: of what is due, or of all that can be made.
fn programs(
    args: &Rotate,
    grant: &Grant,
    found: &Found,
    manifest: &Manifest,
    now: Timestamp,
) -> Vec<String> {
    let mut programs: Vec<String> = Vec::new();
    for (name, slug) in &grant.credentials {
        let Some(credential) = found.declaration.credentials.get(name) else { continue };
        let is_due = || {
            let entry = manifest.keys.get(slug)?;
            due(credential.rotation_hint, entry).map(|at| at <= now)
        };
        let Some(program) = maker(&found.declaration, name) else { continue };
        if (!args.due || is_due() == Some(true)) && !programs.iter().any(|other| other == program) {
            programs.push(program.to_owned());
        }
    }
    programs
}
