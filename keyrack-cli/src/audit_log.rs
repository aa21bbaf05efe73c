//! The file a daemon's audit lines go to: opened for the daemon, and closed when the key
//! that chains it is about to change.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Stdio;

use jiff::Timestamp;
use keyrack_names::Owner;
use keyrack_protocol::audit_chain;
use keyrack_protocol::message::AuditHead;

use crate::error::{Context, Outcome};
use crate::settings::Settings;
use crate::ui::Ui;

/// `owner`'s log opened for appending, and where its chain stands. Where it cannot be
/// opened, the daemon runs without, and the person is told.
pub fn open(settings: &Settings, owner: &Owner, ui: &Ui) -> (Stdio, AuditHead) {
    let path = settings.places.audit(owner);
    let opened = open_private(&path).and_then(|file| {
        let (head, whole) = audit_chain::tail(&file).map_err(io::Error::other)?;
        // A daemon that was killed may have left half a line.
        file.set_len(whole)?;
        Ok((file.into(), head))
    });
    opened.unwrap_or_else(|error| {
        ui.warn(format!("{}: {error}: what is read will not be logged", path.display()));
        (Stdio::null(), AuditHead::default())
    })
}

/// Sets the log aside under its date: the next line begins a new chain.
///
/// # Errors
/// When it cannot be renamed.
pub fn close(settings: &Settings, owner: &Owner, ui: &Ui) -> Outcome {
    let path = settings.places.audit(owner);
    let aside = path.with_extension(format!("log.{}", Timestamp::now().as_second()));
    match fs::rename(&path, &aside) {
        Ok(()) => {
            ui.say(format!("{owner}: the log so far is kept as {}", aside.display()));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).context(|| path.display().to_string()),
    }
}

fn open_private(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}
