//! Who waits for a person on behalf of an owner: one small file each, in the state
//! directory, gone when the waiting ends. `status` shows them; a relock removes them, and
//! whoever finds its own gone does not go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyrack_manifest::{Places, atomic};
use keyrack_names::Owner;

use crate::settings::Settings;

/// What an unlock holds from its beginning to its end, whether it asks anybody or not.
pub const TICKET: &str = "unlock";

/// As long as a YubiKey blinks.
const BLINKS: Duration = Duration::from_secs(15);

/// This process waits, until dropped.
#[derive(Debug)]
pub struct Waiting {
    file: Option<PathBuf>,
}

impl Waiting {
    /// Says that this process waits for `what`, one word. Where that cannot be written
    /// down, nobody is told, and no relock can call it off.
    pub fn begin(settings: &Settings, owner: &Owner, what: &str) -> Self {
        Self::begin_at(&settings.places, owner, what)
    }

    /// The same, for who has no more than the places. `touch-7` is a touch of YubiKey 7.
    pub fn begin_at(places: &Places, owner: &Owner, what: &str) -> Self {
        let dir = places.pending(owner);
        let file = dir.join(format!("{}.{what}", std::process::id()));
        let written = atomic::make_dir(&dir).and_then(|()| atomic::create_new(&file, b"", 0o600));
        Self { file: written.is_ok().then_some(file) }
    }

    /// Whether a relock called it off meanwhile.
    pub fn was_called_off(&self) -> bool {
        self.file.as_ref().is_some_and(|file| !file.exists())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
            let _ = file.parent().map(fs::remove_dir);
        }
    }
}

/// Who waits for `owner` now. Files of processes that died are removed.
pub fn list(settings: &Settings, owner: &Owner) -> Vec<String> {
    let mut waiting = Vec::new();
    for note in Note::all(&settings.places.pending(owner)) {
        match note.is_of_a_living() {
            true if note.what != TICKET => waiting.push(note.words()),
            true => {}
            false if note.blinks_on().is_some() => {}
            false => drop(fs::remove_file(&note.path)),
        }
    }
    waiting
}

/// Which YubiKeys are kept by a touch that somebody waits for, or waited for until a moment
/// ago: a YubiKey does not hear that a command was ended, and blinks on.
pub fn touches(places: &Places) -> Vec<String> {
    let owners = places.owners().unwrap_or_default();
    let notes = owners.iter().flat_map(|owner| Note::all(&places.pending(owner)));
    notes.filter_map(|note| note.touch()).collect()
}

/// What one file says.
struct Note {
    path: PathBuf,
    pid: i32,
    what: String,
}

impl Note {
    fn all(dir: &Path) -> Vec<Self> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::of(entry.path())).collect()
    }

    fn of(path: PathBuf) -> Option<Self> {
        let (pid, what) = path.file_name()?.to_str()?.split_once('.')?;
        let (pid, what) = (pid.parse().ok()?, what.to_owned());
        Some(Self { path, pid, what })
    }

    fn is_of_a_living(&self) -> bool {
        let comm = fs::read_to_string(format!("/proc/{}/comm", self.pid));
        comm.is_ok_and(|comm| comm.trim_end() == "keyrack")
    }

    /// The YubiKey whose touch it is about.
    fn serial(&self) -> Option<&str> {
        self.what.strip_prefix("touch-")
    }

    /// How much longer a YubiKey may blink for a process that ended.
    fn blinks_on(&self) -> Option<Duration> {
        self.serial()?;
        let began = fs::metadata(&self.path).and_then(|file| file.modified()).ok()?;
        BLINKS.checked_sub(began.elapsed().ok()?)
    }

    /// What it says of a touch that still keeps a YubiKey.
    fn touch(&self) -> Option<String> {
        let serial = self.serial()?;
        if self.is_of_a_living() {
            return Some(self.words());
        }
        let seconds = self.blinks_on()?.as_secs() + 1;
        Some(format!(
            "YubiKey {serial} still waits for the touch of a command that was ended: \
             touch it, or wait {seconds} s"
        ))
    }

    fn words(&self) -> String {
        format!("keyrack (pid {}) waits for a {}", self.pid, words(&self.what))
    }
}

fn words(what: &str) -> String {
    match what.split_once('-') {
        Some((what, serial)) => format!("{what} of YubiKey {serial}"),
        None => what.to_owned(),
    }
}

/// Calls off whoever waits for `owner`.
pub fn call_off(settings: &Settings, owner: &Owner) {
    let _ = fs::remove_dir_all(settings.places.pending(owner));
}
