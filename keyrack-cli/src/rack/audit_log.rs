//! The file a daemon's audit lines go to: opened for the daemon, and closed when the key
//! that chains it is about to change.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyrack_manifest::atomic;
use keyrack_names::Owner;
use keyrack_protocol::audit_chain;
use keyrack_protocol::message::AuditHead;

use crate::error::{Context, Outcome};
use crate::person::ui::Ui;
use crate::settings::Settings;

/// `owner`'s log opened for a daemon, and where its chain stands now; the daemon looks again,
/// for another may be writing. Where it cannot be opened, the daemon runs without, and the
/// person is told.
pub fn open(settings: &Settings, owner: &Owner, ui: &Ui) -> (Option<File>, AuditHead) {
    let path = settings.places.audit(owner);
    let opened = open_private(&path).and_then(|file| {
        let (head, _) = audit_chain::tail(&file).map_err(io::Error::other)?;
        let seen = remembered(settings, owner).seq;
        if head.seq < seen {
            ui.warn(format!("{}: it has {} lines, and had {seen}", path.display(), head.seq));
            ui.hint(format!("keyrack log verify --for {owner}"));
        }
        Ok((Some(file), head))
    });
    opened.unwrap_or_else(|error| {
        ui.warn(format!("{}: {error}: what is read will not be logged", path.display()));
        (None, AuditHead::default())
    })
}

/// Remembers, in this device's state, where the log ends now: a log that is cut at its end
/// still is a chain.
pub fn remember(settings: &Settings, owner: &Owner) {
    let Ok(file) = File::open(settings.places.audit(owner)) else { return };
    let Ok((head, _)) = audit_chain::tail(&file) else { return };
    if head.seq > remembered(settings, owner).seq
        && let Ok(bytes) = serde_json::to_vec(&head)
    {
        let _ = atomic::replace(&memory(settings, owner), &bytes);
    }
}

/// Where the log ended when it was last looked at.
pub fn remembered(settings: &Settings, owner: &Owner) -> AuditHead {
    let bytes = atomic::read_limited(&memory(settings, owner), 4096).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn memory(settings: &Settings, owner: &Owner) -> PathBuf {
    settings.places.state.join("audit").join(format!("{owner}.json"))
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
            let _ = fs::remove_file(memory(settings, owner));
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
