//! Drops that somebody else sealed to an owner, to be put where its next unlock finds them.

use std::path::{Path, PathBuf};

use keyrack_manifest::{DropId, atomic, drop};

use crate::error::{Code, Context, Failure, Outcome};

/// The drops in these files and directories, by their ids.
///
/// # Errors
/// [`Code::Usage`] when one is no drop.
pub fn read(paths: &[PathBuf]) -> Outcome<Vec<(DropId, Vec<u8>)>> {
    let mut files = Vec::new();
    for path in paths {
        let doing = || path.display().to_string();
        if path.is_dir() {
            for entry in std::fs::read_dir(path).context(doing)? {
                files.push(entry.context(doing)?.path());
            }
        } else {
            files.push(path.clone());
        }
    }
    files.iter().map(|file| one(file)).collect()
}

fn one(file: &Path) -> Outcome<(DropId, Vec<u8>)> {
    let bad = |why: &str| Failure::new(Code::Usage, format!("{}: {why}", file.display()));
    let is_age = file.extension().is_some_and(|extension| extension == "age");
    let id = file.file_stem().filter(|_| is_age).and_then(|stem| stem.to_str()?.parse().ok());
    let id = id.ok_or_else(|| bad("a drop is called by its id, and ends in .age"))?;
    let bytes = atomic::read_limited(file, drop::LARGEST as u64 * 2);
    let bytes = bytes.context(|| file.display().to_string())?;
    Ok((id, bytes.ok_or_else(|| bad("there is no such drop"))?))
}
