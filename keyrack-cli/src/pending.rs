//! Who waits for a person on behalf of an owner: one small file each, in the state
//! directory, gone when the waiting ends. `status` shows them; a relock removes them, and
//! whoever finds its own gone does not go on.

use std::fs;
use std::path::PathBuf;

use keyrack_manifest::{Places, atomic};
use keyrack_names::Owner;

use crate::settings::Settings;

/// What an unlock holds from its beginning to its end, whether it asks anybody or not.
pub const TICKET: &str = "unlock";

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
    let Ok(entries) = fs::read_dir(settings.places.pending(owner)) else { return Vec::new() };
    let mut waiting = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('.'));
        let Some((pid, what)) = name.and_then(|(pid, what)| Some((pid.parse::<i32>().ok()?, what)))
        else {
            continue;
        };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        match comm.is_ok_and(|comm| comm.trim_end() == "keyrack") {
            true if what != TICKET => {
                waiting.push(format!("keyrack (pid {pid}) waits for a {}", words(what)))
            }
            true => {}
            false => drop(fs::remove_file(&path)),
        }
    }
    waiting
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
