//! `keyrack exec`: runs a program with exactly the declared credentials, in a process tree
//! that holds a capability for these and nothing else of ours; with `--isolate`, where it
//! reaches nothing else either.

use crate::args::Exec;
use crate::error::{ExitStatus, Outcome};
use crate::exec::declared::Declared;
use crate::exec::launch::{self, Delivery, Launch};
use crate::person::ui::Ui;
use crate::settings::{self, Settings};

/// Runs `keyrack exec`. Where nothing is left to do afterwards, the program takes this
/// process's place and nothing returns.
pub fn run(args: &Exec, settings: &Settings, ui: &Ui) -> Outcome<ExitStatus> {
    let owner = settings.owner()?;
    let declared = Declared::read(args, settings, owner)?;
    if settings.dry_run {
        let program = args.program().to_string_lossy();
        let words = format!("{owner}: {program} would be run with {declared}");
        let object =
            serde_json::json!({ "owner": owner, "program": program, "with": declared.to_string() });
        return ui.would(words, object).map(|()| ExitStatus::SUCCESS);
    }
    let launch = Launch {
        command: &args.command,
        declared,
        delivery: Delivery { files: args.files, ..Delivery::default() },
        environment: settings::inherited(),
        isolation: &args.isolation,
        lasting: &args.lasting,
        redact: args.redact,
        format: args.format,
        as_files: format!(
            "keyrack exec --for {owner} --files … -- {}",
            launch::name(args.program())
        ),
    };
    launch.run(owner, false, settings, ui).map(|ended| ended.status)
}
