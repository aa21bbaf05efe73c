//! `keyrack rotate`: has the programs that connectors declare make new values. Where one
//! fails, the old value stays, and the others go on.

use jiff::Timestamp;
use keyrack_manifest::{Grant, Manifest};
use keyrack_names::{Owner, Slug};
use serde::Serialize;

use super::connector::grant_name;
use crate::args::Rotate;
use crate::connector::due::{due, maker};
use crate::connector::found::{self, Found};
use crate::connector::granted;
use crate::connector::renewal::Renewal;
use crate::error::{Code, Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::settings::Settings;

/// What came of one program.
#[derive(Serialize)]
struct Row {
    connector: String,
    program: String,
    renewed: Vec<Slug>,
}

/// Runs `keyrack rotate`.
pub fn run(args: &Rotate, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    let grants = match &args.id {
        Some(id) => {
            let name = grant_name(args.grant.as_ref())?;
            vec![granted::current(owner, id, &name, settings)]
        }
        None => granted::all(owner, settings)?,
    };
    let mut opened = opened::open(settings, ui, owner)?;
    let mut run = Run { args, settings, ui, rows: Vec::new(), failures: Vec::new() };
    for grant in grants {
        match grant.and_then(|grant| Ok((found::granted(&grant, settings)?, grant))) {
            Ok((_, grant)) if grant.is_over(Timestamp::now()) => {}
            Ok((found, grant)) => run.one(owner, &grant, &found, &mut opened),
            // Named alone, it is what was asked for; among others, it stops none of them.
            Err(failure) if args.id.is_some() => return Err(failure),
            Err(failure) => run.failed(owner, failure),
        }
    }
    run.end(owner)
}

/// What was done so far.
struct Run<'a> {
    args: &'a Rotate,
    settings: &'a Settings,
    ui: &'a Ui,
    rows: Vec<Row>,
    failures: Vec<Failure>,
}

impl Run<'_> {
    fn one(&mut self, owner: &Owner, grant: &Grant, found: &Found, opened: &mut Opened) {
        let interaction = self.args.interaction_fd;
        let renewal = Renewal { owner, found, grant, interaction };
        for program in programs(self.args, grant, found, &opened.manifest, Timestamp::now()) {
            let connector = grant.connector.to_string();
            let mut row = Row { connector, program, renewed: Vec::new() };
            if self.settings.dry_run {
                self.ui.say(format!("{owner}: {} of {} would be run", row.program, row.connector));
            } else {
                match renewal.by(&row.program, opened, self.settings, self.ui) {
                    Ok(renewed) => row.renewed = renewed,
                    Err(failure) => {
                        self.failed(owner, failure);
                        continue;
                    }
                }
                row.renewed.iter().for_each(|slug| self.ui.say(format!("{owner}: {slug} is new")));
            }
            self.rows.push(row);
        }
    }

    fn failed(&mut self, owner: &Owner, failure: Failure) {
        self.ui.warn(format!("{owner}: {}; the old value stays", failure.message));
        self.failures.push(failure);
    }

    fn end(self, owner: &Owner) -> Outcome {
        let Self { ui, rows, failures, .. } = self;
        if rows.is_empty() && failures.is_empty() {
            ui.say(format!("{owner}: nothing is due"));
        }
        if ui.json {
            let failed: Vec<&str> =
                failures.iter().map(|failure| failure.message.as_str()).collect();
            let dry_run = self.settings.dry_run;
            ui.object(&serde_json::json!({
                "owner": owner, "rotated": rows, "failed": failed, "dryRun": dry_run,
            }))?;
        }
        let count = failures.len();
        match failures.into_iter().next() {
            None => Ok(()),
            Some(only) if rows.is_empty() && count == 1 => Err(only),
            Some(_) => Err(Failure::new(Code::Partly, format!("{owner}: {count} failed"))),
        }
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
