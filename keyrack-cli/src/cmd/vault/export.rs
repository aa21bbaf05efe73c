//! `keyrack vault export`: a copy of the files, still sealed, for a backup.

use std::fs;
use std::path::Path;

use keyrack_manifest::atomic;

use crate::args::VaultExport;
use crate::error::{Code, Context, Failure, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;
use crate::team::change::look;

/// The largest file of a vault: a record, or a log.
const LARGEST: u64 = 1 << 30;

/// Runs `keyrack vault export`.
pub fn run(args: &VaultExport, settings: &Settings, ui: &Ui) -> Outcome {
    look(args.which.vault.as_deref(), settings, ui, |looking| {
        let to = &args.to;
        if to.symlink_metadata().is_ok() {
            let message = format!("{} is there already", to.display());
            return Err(Failure::new(Code::Conflict, message));
        }
        if settings.dry_run {
            let object = serde_json::json!({ "vault": looking.place.name, "to": to });
            return ui.would(
                format!("{} would be copied to {}", looking.place.name, to.display()),
                object,
            );
        }
        let files = copy(&looking.place.dir, to)?;
        let name = &looking.place.name;
        let object = serde_json::json!({ "vault": name, "to": to, "files": files });
        ui.done(format!("{name}: {files} files, still sealed, are in {}", to.display()), object)
    })
}

/// Copies plain files and directories; what is neither is no part of a vault.
fn copy(from: &Path, to: &Path) -> Outcome<u64> {
    let doing = || to.display().to_string();
    atomic::make_dir(to).context(doing)?;
    let mut files = 0;
    for entry in fs::read_dir(from).context(|| from.display().to_string())? {
        let entry = entry.context(|| from.display().to_string())?;
        let (name, kind) = (entry.file_name(), entry.file_type().context(doing)?);
        if kind.is_dir() && name != ".git" {
            files += copy(&entry.path(), &to.join(&name))?;
        } else if kind.is_file() {
            let bytes = atomic::read_shared(&entry.path(), LARGEST).context(doing)?;
            atomic::create_new(&to.join(&name), &bytes.unwrap_or_default(), 0o600)
                .context(doing)?;
            files += 1;
        }
    }
    Ok(files)
}
