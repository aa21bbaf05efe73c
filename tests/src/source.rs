//! The repository's own files, for the tests that check it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::repository;

/// Every file of the repository that is, or is about to be, under version control.
pub fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository())
        .output()
        .expect("git is there");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let paths = names.split_terminator('\0').map(PathBuf::from);
    // A deleted file stays listed until its deletion is committed.
    let mut paths: Vec<PathBuf> = paths.filter(|p| repository().join(p).is_file()).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The files with this extension and their text.
pub fn texts(extension: &str) -> Vec<(PathBuf, String)> {
    let fits = |path: &PathBuf| path.extension().is_some_and(|e| e == extension);
    files().into_iter().filter(fits).map(|path| (path.clone(), read(&path))).collect()
}

/// A file's text, by its path in the repository.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
