//! A personal vault whose manifest is not here, where another is to be made: a copy of the
//! manifest may come back, and opens nothing without its vault.

use std::fs;
use std::path::{Path, PathBuf};

use keyrack_manifest::FileError;

use crate::engine::VaultStore as _;
use crate::error::VaultError;
use crate::file::FileStore;
use crate::names;

/// Moves the vault at `dir` out of the way, if it holds a record. Returns where it is then.
///
/// # Errors
/// [`VaultError::File`].
pub fn set_aside(dir: &Path) -> Result<Option<PathBuf>, VaultError> {
    if !holds_a_record(&FileStore::at(dir))? {
        return Ok(None);
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let mut places = (1..).map(|n: u32| dir.with_file_name(format!("{name}~{n}")));
    let Some(aside) = places.find(|path| path.symlink_metadata().is_err()) else { return Ok(None) };
    fs::rename(dir, &aside).map_err(|error| FileError::new("move", dir, error))?;
    Ok(Some(aside))
}

fn holds_a_record(store: &FileStore) -> Result<bool, FileError> {
    for owner in store.list(names::PRIVATE)? {
        let files = store.list(&format!("{}/{}", names::PRIVATE, owner.trim_end_matches('/')))?;
        if files.iter().any(|name| names::parse_record(name).is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}
