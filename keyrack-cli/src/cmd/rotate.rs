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
use crate::error::{Failure, Outcome};
use crate::owner::opened::{self, Opened};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::system::sys;

/// What came of one program.
#[derive(Serialize)]
struct Row {
    connector: String,
    program: String,
    renewed: Vec<Slug>,
    /// Whether no old value counts any more, as far as there is a way to tell the service.
    revoked: bool,
}

/// Runs `keyrack rotate`.
pub fn run(args: &Rotate, settings: &Settings, ui: &Ui) -> Outcome {
    let owner = settings.owner()?;
    args.interaction_fd.iter().for_each(|fd| sys::keep_from_programs(*fd));
    let grants = match &args.id {
        Some(id) => {
            let name = grant_name(args.grant.as_ref());
            vec![granted::current(owner, id, &name, settings)]
        }
        None => granted::all(owner, settings)?,
    };
    let mut opened = opened::open(settings, ui, owner)?;
    let mut run = Run { args, settings, ui, rows: Vec::new(), failures: Vec::new() };
    for grant in grants {
        let is_over = |grant: &Grant| grant.is_over(Timestamp::now());
        if grant.as_ref().is_ok_and(is_over) {
            continue;
        }
        match grant.and_then(|grant| Ok((found::granted(&grant, settings)?, grant))) {
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
            let mut row = Row { connector, program, renewed: Vec::new(), revoked: true };
            if self.settings.dry_run {
                self.ui.say(format!("{owner}: {} of {} would be run", row.program, row.connector));
            } else {
                match renewal.by(&row.program, opened, self.settings, self.ui) {
                    Ok(renewed) => {
                        row.renewed = renewed.slugs;
                        // The new value counts all the same.
                        row.revoked = renewed.unrevoked.is_none();
                        renewed.unrevoked.into_iter().for_each(|why| self.failed(owner, why));
                    }
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

    /// The old value stays, and the others go on.
    fn failed(&mut self, owner: &Owner, failure: Failure) {
        self.failures.push(failure.about(owner));
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
        let all = rows.len() + failures.len();
        Failure::of_batch(failures, all, ui)
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
